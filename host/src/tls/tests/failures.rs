use rcgen::{CertificateParams, ExtendedKeyUsagePurpose as Purpose};
use rustls::version::TLS13;

use super::bench::*;
use crate::pki::{Date, Trustpoint};
use crate::tls::inspect::{Direction, Inspect, Refusal};
use crate::tls::session::End;
use crate::tls::{PassThrough, Side};

/// The log of a session whose dialling peer shows this certificate.
#[track_caller]
fn dialled_by(world: &mut World, pair: Option<&Pair>) -> String {
    let mut complaints = Vec::new();
    for version in VERSIONS {
        let cup = world.ca.issue("cup.example.com", |_| {});
        let (dialler, behind) = (
            world.dialler(pair, &[version]),
            world.behind(&cup, &[version]),
        );
        let mut bench = Bench::new(world.proxy(), dialler, behind);
        bench
            .dialler
            .say(b"OPTIONS sip:cup.example.com SIP/2.0\r\n");
        bench.run();
        bench.assert_over(End::Finish, End::Reset);
        assert!(!bench.is_dialled, "a stranger made us dial");
        assert!(bench.dialler.error.is_some(), "the peer was not told");
        assert_eq!(bench.behind.text, b"");
        complaints.push(bench.complaint().to_owned());
    }
    assert_eq!(complaints[0], complaints[1], "both versions say the same");
    let head = "%ASA-4-725006: Device failed SSL handshake with client outside:192.0.2.254/50437 to \
                inside:192.0.2.2/5061 (tls-proxy ent_y_to_x, server leg, trust-point own): ";
    complaints[0]
        .strip_prefix(head)
        .unwrap_or_else(|| panic!("{}", complaints[0]))
        .to_owned()
}

/// The log of a session whose peer behind shows this certificate.
#[track_caller]
fn dialling(world: &mut World, pair: &Pair) -> String {
    let mut complaints = Vec::new();
    for version in VERSIONS {
        let peer = world.ca.issue("ent-y.example.com", |_| {});
        let (dialler, behind) = (
            world.dialler(Some(&peer), &[version]),
            world.behind(pair, &[version]),
        );
        let mut bench = Bench::new(world.proxy(), dialler, behind);
        bench
            .dialler
            .say(b"OPTIONS sip:cup.example.com SIP/2.0\r\n");
        bench.run();
        bench.assert_over(End::Reset, End::Finish);
        assert!(bench.behind.error.is_some(), "the peer was not told");
        assert_eq!(bench.behind.text, b"", "text reached somebody unknown");
        complaints.push(bench.complaint().to_owned());
    }
    assert_eq!(complaints[0], complaints[1], "both versions say the same");
    let head = "%ASA-4-725006: Device failed SSL handshake with server inside:192.0.2.2/5061 from \
                outside:192.0.2.254/50437 (tls-proxy ent_y_to_x, client leg, trust-point own): ";
    complaints[0]
        .strip_prefix(head)
        .unwrap_or_else(|| panic!("{}", complaints[0]))
        .to_owned()
}

/// What is said of a certificate, and what makes it so.
type Wrong = (&'static str, Box<dyn Fn(&mut CertificateParams)>);

/// Certificates that are wrong in one way.
fn wrong(purpose: Purpose) -> [Wrong; 3] {
    [
        (
            "or of its authority expired at 08:00:00 UTC Nov 1 2026; it is 10:00:00 UTC Nov 1 2026 here",
            Box::new(|params: &mut CertificateParams| {
                params.not_after =
                    Date::from(NOW).calendar() - std::time::Duration::from_secs(7_200);
            }),
        ),
        (
            "or of its authority is not valid before 12:00:00 UTC Nov 1 2026; it is 10:00:00 UTC Nov 1 2026 here: is the clock right?",
            Box::new(|params: &mut CertificateParams| {
                params.not_before =
                    Date::from(NOW).calendar() + std::time::Duration::from_secs(7_200);
            }),
        ),
        (
            match purpose {
                Purpose::ClientAuth => {
                    "is not for servers: its extended key usage lacks serverAuth"
                }
                _ => "is not for clients: its extended key usage lacks clientAuth",
            },
            Box::new(move |params: &mut CertificateParams| {
                params.extended_key_usages = vec![purpose.clone()];
            }),
        ),
    ]
}

#[test]
fn a_dialling_peer_with_a_wrong_certificate_is_refused_with_the_reason() {
    let mut world = World::new();
    let stranger = Authority::new("Stranger").issue("ent-y.example.com", |_| {});
    assert_eq!(
        dialled_by(&mut world, Some(&stranger)),
        "the certificate of cn=ent-y.example.com is signed by cn=Stranger, which no trustpoint holds"
    );
    for (said, change) in wrong(Purpose::ServerAuth) {
        let pair = world.ca.issue("ent-y.example.com", change);
        let expected = format!("the certificate of cn=ent-y.example.com {said}");
        assert_eq!(dialled_by(&mut world, Some(&pair)), expected);
    }
    assert_eq!(
        dialled_by(&mut world, None),
        "it shows no certificate; `no server authenticate-client` would do without"
    );
}

#[test]
fn a_dialled_peer_with_a_wrong_certificate_is_refused_with_the_reason() {
    let mut world = World::new();
    let stranger = Authority::new("Stranger").issue("cup.example.com", |_| {});
    assert_eq!(
        dialling(&mut world, &stranger),
        "the certificate of cn=cup.example.com is signed by cn=Stranger, which no trustpoint holds"
    );
    for (said, change) in wrong(Purpose::ClientAuth) {
        let pair = world.ca.issue("cup.example.com", change);
        let expected = format!("the certificate of cn=cup.example.com {said}");
        assert_eq!(dialling(&mut world, &pair), expected);
    }
    let other = world.ca.issue("other.example.com", |_| {});
    assert_eq!(
        dialling(&mut world, &other),
        "the certificate of cn=other.example.com is not for cup.example.com, but for other.example.com"
    );
}

#[test]
fn names_that_a_peer_chose_cannot_begin_a_line_of_the_log() {
    let mut world = World::new();
    let evil = world.ca.issue("cup.example.com", |params| {
        let name = "x\n%ASA-6-725002: all is well".try_into().expect("ASCII");
        params.subject_alt_names = vec![rcgen::SanType::DnsName(name)];
    });
    assert_eq!(
        dialling(&mut world, &evil),
        "the certificate of cn=cup.example.com is not for cup.example.com, but for x?%asa-6-725002: all is well"
    );
}

#[test]
fn an_authority_that_expired_vouches_for_nobody() {
    let mut world = World::new();
    let old = Authority::with("Old", |params| params.not_after = Date(1_000).calendar());
    world.trustpoints.push(old.trustpoint("old"));
    let peer = old.issue("ent-y.example.com", |_| {});
    assert_eq!(
        dialled_by(&mut world, Some(&peer)),
        "the certificate of cn=ent-y.example.com or of its authority expired at 00:16:40 UTC Jan 1 1970; \
         it is 10:00:00 UTC Nov 1 2026 here"
    );
}

#[test]
fn a_pinned_certificate_is_trusted_until_another_takes_its_place() {
    let mut world = World::new();
    let cup = self_signed("cup-old-name", |_| {});
    let pin = Trustpoint {
        authority: Some(cup.certificate.clone()),
        ..Trustpoint::new("cert_from_cup")
    };
    world.trustpoints.push(pin);
    // As the dialled one: a pin needs no name to match.
    let peer = world.ca.issue("ent-y.example.com", |_| {});
    let (dialler, behind) = (
        world.dialler(Some(&peer), &[&TLS13]),
        world.behind(&cup, &[&TLS13]),
    );
    let mut bench = Bench::new(world.proxy(), dialler, behind);
    bench.dialler.say(b"hello");
    bench.run();
    assert_eq!(bench.behind.text, b"hello", "{:?}", bench.log);
    assert!(
        bench
            .log
            .iter()
            .any(|line| line.ends_with("peer cn=cup-old-name by trustpoint cert_from_cup"))
    );
    // As the one that dials.
    let other = world.ca.issue("cup.example.com", |_| {});
    let (dialler, behind) = (
        world.dialler(Some(&cup), &[&TLS13]),
        world.behind(&other, &[&TLS13]),
    );
    let mut bench = Bench::new(world.proxy(), dialler, behind);
    bench.dialler.say(b"hello");
    bench.run();
    assert_eq!(bench.behind.text, b"hello", "{:?}", bench.log);
    let renewed = self_signed("cup-old-name", |_| {});
    let said = format!(
        "the certificate of cn=cup-old-name is not the one that trustpoint cert_from_cup holds: SHA-256 {} instead of {}",
        renewed.certificate.sha256(),
        cup.certificate.sha256()
    );
    assert_eq!(dialling(&mut world, &renewed), said);
    assert_eq!(dialled_by(&mut world, Some(&renewed)), said);
}

#[test]
fn a_pinned_certificate_must_still_be_valid_and_for_this_side() {
    for (at, (said, change)) in wrong(Purpose::ServerAuth).into_iter().enumerate() {
        let mut world = World::new();
        let peer = self_signed("cup", change);
        let pin = Trustpoint {
            authority: Some(peer.certificate.clone()),
            ..Trustpoint::new("cert_from_cup")
        };
        world.trustpoints.push(pin);
        let expected = format!("the certificate of cn=cup {said}");
        assert_eq!(dialled_by(&mut world, Some(&peer)), expected, "{at}");
    }
}

#[test]
fn a_peer_that_does_not_trust_us_is_told_apart() {
    let mut world = World::new();
    world.own = Authority::new("Unknown").issue("cup.example.com", |_| {});
    let mut bench = world.good(&TLS13);
    bench.run();
    assert!(
        bench.complaint().ends_with(
            "it refuses the certificate of trustpoint own: it does not know the authority"
        ),
        "{}",
        bench.complaint()
    );
    bench.assert_over(End::Finish, End::Reset);
    let mut world = World::new();
    world.lines = " server trust-point own\n".into();
    let mut bench = world.good(&TLS13);
    bench.run();
    assert!(
        bench
            .complaint()
            .ends_with("it wants a certificate, and `client trust-point` is not set"),
        "{}",
        bench.complaint()
    );
    bench.assert_over(End::Reset, End::Finish);
}

/// A hello of TLS 1.0, RFC 2246 §7.4.1.2: no extensions, one suite.
fn old_hello() -> Vec<u8> {
    let mut body = vec![3, 1];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0, 47, 1, 0]);
    let mut message = vec![1, 0, 0, body.len() as u8];
    message.extend(body);
    let mut record = vec![22, 3, 1, 0, message.len() as u8];
    record.extend(message);
    record
}

#[test]
fn a_peer_of_another_age_or_protocol_is_told_apart() {
    for (bytes, said) in [
        (
            old_hello(),
            "it speaks nothing newer than TLS 1.1; TLS 1.2 and 1.3 are spoken here",
        ),
        (
            b"REGISTER sip:example.com SIP/2.0\r\n".to_vec(),
            "what it sends is not TLS",
        ),
        (vec![0; 64], "what it sends is not TLS"),
    ] {
        let mut world = World::new();
        let mut bench = world.good(&TLS13);
        bench.inject(Side::Server, &bytes);
        assert!(bench.complaint().ends_with(said), "{}", bench.complaint());
        assert!(!bench.is_dialled);
        bench.assert_over(End::Finish, End::Reset);
    }
}

#[test]
fn random_bytes_in_any_stage_end_a_session_and_do_no_more() {
    let mut world = World::new();
    let proxy = world.proxy();
    for seed in 0..64u64 {
        let (peer, cup) = (
            world.ca.issue("ent-y.example.com", |_| {}),
            world.ca.issue("cup.example.com", |_| {}),
        );
        let (dialler, behind) = (
            world.dialler(Some(&peer), &VERSIONS),
            world.behind(&cup, &VERSIONS),
        );
        let mut bench = Bench::new(proxy.clone(), dialler, behind);
        if seed % 2 == 1 {
            bench.run();
        }
        let noise: Vec<u8> = (0..300u64)
            .map(|at| {
                ((seed + 1)
                    .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                    .wrapping_mul(at + 1)
                    >> 56) as u8
            })
            .collect();
        bench.inject(
            if seed % 4 == 3 {
                Side::Client
            } else {
                Side::Server
            },
            &noise,
        );
        bench.session.handle_reset(NOW, Side::Server);
        assert!(bench.session.is_over());
    }
}

#[test]
fn a_peer_that_disappears_in_a_message_takes_its_session_along_and_no_other() {
    let mut world = World::new();
    let proxy = world.proxy();
    let peer = world.ca.issue("ent-y.example.com", |_| {});
    let cup = world.ca.issue("cup.example.com", |_| {});
    let make = || {
        let (dialler, behind) = (
            world.dialler(Some(&peer), &VERSIONS),
            world.behind(&cup, &VERSIONS),
        );
        Bench::new(proxy.clone(), dialler, behind)
    };
    let (mut reset, mut cut, mut other) = (make(), make(), make());
    for bench in [&mut reset, &mut cut, &mut other] {
        bench
            .dialler
            .say(b"MESSAGE sip:a@example.com SIP/2.0\r\nContent-Le");
        bench.run();
    }
    reset.session.handle_reset(NOW, Side::Server);
    reset.run();
    reset.assert_over(End::Reset, End::Reset);
    assert!(
        reset.complaint().contains("was reset by the peer"),
        "{}",
        reset.complaint()
    );
    cut.session.handle_end(NOW, Side::Server);
    cut.run();
    assert!(
        cut.complaint().contains("ended without close_notify"),
        "{}",
        cut.complaint()
    );
    // A cut stays a cut: the peer behind is not told that the text is whole.
    assert_eq!(cut.session.end(Side::Client), End::Finish);
    assert!(!cut.behind.has_closed());
    assert_eq!(
        cut.behind.text,
        b"MESSAGE sip:a@example.com SIP/2.0\r\nContent-Le"
    );
    cut.session.handle_end(NOW, Side::Client);
    cut.run();
    cut.assert_over(End::Finish, End::Finish);
    other.dialler.say(b"ngth: 0\r\n\r\n");
    other.run();
    assert!(other.behind.text.ends_with(b"Content-Length: 0\r\n\r\n"));
}

#[test]
fn a_peer_that_disappears_in_the_handshake_or_never_speaks_is_given_up() {
    let mut world = World::new();
    let mut bench = world.good(&TLS13);
    bench
        .session
        .handle_bytes(NOW, Side::Server, &old_hello()[..20]);
    bench.session.handle_end(NOW, Side::Server);
    bench.run();
    assert!(
        bench
            .complaint()
            .ends_with("it ended the connection before the handshake was done")
    );
    bench.assert_over(End::Finish, End::Reset);
    let mut bench = world.good(&TLS13);
    let due = bench.session.next_deadline().expect("a deadline");
    bench
        .session
        .handle_time(due - std::time::Duration::from_nanos(1));
    assert!(!bench.session.is_over());
    bench.session.handle_time(due);
    bench.run();
    assert!(bench.complaint().ends_with("the handshake takes too long"));
    let mut bench = world.good(&TLS13);
    bench.is_reachable = false;
    bench.run();
    assert!(
        bench
            .complaint()
            .ends_with("it cannot be reached: connection refused")
    );
    bench.assert_over(End::Reset, End::Finish);
}

/// Wants messages of SIP.
struct OnlySip;

impl Inspect for OnlySip {
    fn handle_text(
        &mut self,
        now: std::time::Duration,
        direction: Direction,
        text: &[u8],
        onward: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        match text.starts_with(b"GET ") {
            true => Err(Refusal {
                reason: "this is not SIP".into(),
                is_reset: direction == Direction::Backward,
            }),
            false => PassThrough.handle_text(now, direction, text, onward),
        }
    }

    fn handle_end(
        &mut self,
        _: std::time::Duration,
        _: Direction,
        _: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        Ok(())
    }
}

#[test]
fn text_that_the_inspection_refuses_goes_nowhere_and_closes_both_connections() {
    let mut world = World::new();
    let (peer, cup) = (
        world.ca.issue("ent-y.example.com", |_| {}),
        world.ca.issue("cup.example.com", |_| {}),
    );
    for from_behind in [false, true] {
        let (dialler, behind) = (
            world.dialler(Some(&peer), &VERSIONS),
            world.behind(&cup, &VERSIONS),
        );
        let mut bench = Bench::with(
            world.proxy(),
            dialler.into(),
            behind.into(),
            Box::new(OnlySip),
        );
        bench.run();
        let (speaker, end) = match from_behind {
            true => (&mut bench.behind, End::Reset),
            false => (&mut bench.dialler, End::Finish),
        };
        speaker.say(b"GET / HTTP/1.1\r\n\r\n");
        bench.run();
        assert!(
            bench.complaint().ends_with(": this is not SIP"),
            "{}",
            bench.complaint()
        );
        bench.assert_over(end, end);
        assert_eq!(
            (bench.behind.text.as_slice(), bench.dialler.text.as_slice()),
            (&b""[..], &b""[..])
        );
        assert_eq!(bench.behind.has_closed(), !from_behind);
    }
}

#[test]
fn text_right_behind_the_handshake_is_not_heard_before_the_peer_is_judged() {
    let mut world = World::new();
    let stranger = Authority::new("Stranger").issue("ent-y.example.com", |_| {});
    let friend = world.ca.issue("ent-y.example.com", |_| {});
    let cup = world.ca.issue("cup.example.com", |_| {});
    for version in VERSIONS {
        for (peer, is_judged_good) in [(&stranger, false), (&friend, true)] {
            let dialler = world.dialler(Some(peer), &[version]).into();
            let behind = world.behind(&cup, &[version]).into();
            let mut bench = Bench::with(world.proxy(), dialler, behind, Box::new(OnlySip));
            bench.dialler.say(b"GET / HTTP/1.1\r\n\r\n");
            bench.run();
            let complaint = bench.complaint();
            let is_heard = complaint.ends_with(": this is not SIP");
            assert_eq!(is_heard, is_judged_good, "{complaint}");
            let is_known = bench.session.peer(Side::Server).is_some();
            assert_eq!(is_known, is_judged_good, "{complaint}");
        }
    }
}
