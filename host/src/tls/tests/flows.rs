use std::sync::Arc;
use std::time::Duration;

use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, NamedGroup};

use super::bench::*;
use crate::pki::Date;
use crate::pki::key::Wanted;
use crate::pki::{Key, Settings, request};
use crate::tls::LocalIssuer;
use crate::tls::session::{End, READ_BYTES};
use crate::tls::{PassThrough, Side};

#[test]
fn text_goes_both_ways_in_both_versions_with_all_kinds_of_keys() {
    for (version, name) in [(&TLS13, "TLSv1.3"), (&TLS12, "TLSv1.2")] {
        for wanted in [Wanted::Rsa(2048), Wanted::Ecdsa(256), Wanted::Ecdsa(384)] {
            let mut world = World::new();
            let own = Settings {
                name: "own".into(),
                fqdn: Some("cup.example.com".into()),
                ..Settings::default()
            };
            let key = Key::generate("own", wanted).expect("a key");
            let like = request::self_signed(&own, &key, Date(0)).expect("a certificate");
            let ca = world.ca.pair();
            let made = request::local(&like, &key, &ca.certificate, &ca.key("ca"), Date::from(NOW));
            world.own = Pair {
                certificate: made.expect("a certificate"),
                pkcs8: key.pkcs8().to_vec(),
            };
            let mut bench = world.good(version);
            bench.dialler.say(b"SUBSCRIBE");
            bench.run();
            bench.behind.say(b"NOTIFY");
            bench.run();
            assert_eq!(bench.behind.text, b"SUBSCRIBE", "{:#?}", bench.log);
            assert_eq!(bench.dialler.text, b"NOTIFY");
            assert_eq!(bench.session.bytes(), 15);
            let about = bench.session.about(Side::Server).expect("established");
            assert_eq!(about.version, name);
            assert_eq!(
                bench.session.peer(Side::Server).expect("a peer").trustpoint,
                "federation_ca"
            );
        }
    }
}

#[test]
fn hybrid_key_exchange_is_offered_and_taken_on_both_legs() {
    let mut world = World::new();
    let mut bench = world.good(&TLS13);
    bench.run();
    for tls in [&bench.dialler.tls, &bench.behind.tls] {
        let group = tls.negotiated_key_exchange_group().expect("a group");
        assert_eq!(group.name(), NamedGroup::X25519MLKEM768);
    }
    let expected = "%ASA-6-725002: Device completed SSL handshake with client outside:192.0.2.254/50437 to \
                    inside:192.0.2.2/5061 for TLSv1.3 session: TLS13_AES_256_GCM_SHA384, X25519MLKEM768, full, \
                    peer cn=ent-y.example.com by trustpoint federation_ca";
    assert!(
        bench.log.iter().any(|line| line == expected),
        "{:#?}",
        bench.log
    );
}

#[test]
fn the_name_and_the_protocol_asked_for_reach_the_peer_behind() {
    for (behind_speaks, agreed) in [(&[b"sip/2".to_vec()][..], Some(&b"sip/2"[..])), (&[], None)] {
        let mut world = World::new();
        let (peer, cup) = (
            world.ca.issue("p", |_| {}),
            world.ca.issue("cup.example.com", |_| {}),
        );
        let (mut dialler, mut behind) = (
            world.dialler(Some(&peer), &VERSIONS),
            world.behind(&cup, &VERSIONS),
        );
        dialler.alpn_protocols = vec![b"x".to_vec(), b"sip/2".to_vec()];
        behind.alpn_protocols = behind_speaks.to_vec();
        let mut bench = Bench::new(world.proxy(), dialler, behind);
        bench.dialler.say(b"hello");
        bench.run();
        assert_eq!(bench.behind.text, b"hello", "{:#?}", bench.log);
        assert_eq!(bench.dialler.tls.alpn_protocol(), agreed);
        assert_eq!(bench.behind.tls.alpn_protocol(), agreed);
        match &bench.behind.tls {
            rustls::Connection::Server(server) => {
                assert_eq!(server.server_name(), Some("cup.example.com"))
            }
            rustls::Connection::Client(_) => panic!("the peer behind is a server"),
        }
    }
}

#[test]
fn sessions_resume_on_both_legs_and_are_judged_again() {
    for version in VERSIONS {
        let mut world = World::new();
        let until = Date::from(NOW).plus_days(1);
        let peer = world
            .ca
            .issue("p", |params| params.not_after = until.calendar());
        let cup = world.ca.issue("cup.example.com", |_| {});
        let (dialler, behind) = (
            Arc::new(world.dialler(Some(&peer), &[version])),
            Arc::new(world.behind(&cup, &[version])),
        );
        let proxy = world.proxy();
        let bench = || {
            Bench::with(
                proxy.clone(),
                dialler.clone(),
                behind.clone(),
                Box::new(PassThrough),
            )
        };
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let mut bench = bench();
            bench.dialler.say(b"a");
            bench.run();
            bench.behind.say(b"b");
            bench.run();
            assert_eq!(
                (bench.behind.text.as_slice(), bench.dialler.text.as_slice()),
                (&b"a"[..], &b"b"[..])
            );
            kinds.push((
                bench.dialler.tls.handshake_kind(),
                bench.behind.tls.handshake_kind(),
            ));
        }
        let (full, resumed) = (Some(HandshakeKind::Full), Some(HandshakeKind::Resumed));
        assert_eq!(kinds, [(full, full), (resumed, resumed)], "{version:?}");
        let mut late = bench();
        late.now = NOW + Duration::from_secs(2 * 24 * 3600);
        late.dialler.say(b"a");
        late.run();
        assert!(
            late.complaint()
                .contains("the certificate of cn=p or of its authority expired"),
            "{}",
            late.complaint()
        );
        assert!(!late.is_dialled);
    }
}

#[test]
fn a_clean_end_of_one_side_lets_the_other_finish() {
    for version in VERSIONS {
        let mut world = World::new();
        let mut bench = world.good(version);
        bench.run();
        bench.dialler.say(b"last words");
        bench.dialler.close();
        bench.run();
        assert_eq!(bench.behind.text, b"last words");
        assert!(bench.behind.has_closed());
        assert_eq!(
            (
                bench.session.end(Side::Client),
                bench.session.end(Side::Server)
            ),
            (End::Finish, End::Open)
        );
        bench.session.handle_end(NOW, Side::Server);
        bench.behind.say(b"answer");
        bench.behind.close();
        bench.run();
        assert_eq!(bench.dialler.text, b"answer");
        assert!(bench.dialler.has_closed());
        bench.assert_over(End::Finish, End::Finish);
        assert!(
            bench
                .log
                .last()
                .expect("a line")
                .ends_with("terminated, 16 bytes"),
            "{:?}",
            bench.log
        );
        assert!(
            !bench.log.iter().any(|line| line.starts_with("%ASA-4")),
            "{:?}",
            bench.log
        );
    }
}

#[test]
fn a_session_that_stays_half_closed_is_reset_in_the_end() {
    let mut world = World::new();
    let mut bench = world.good(&TLS13);
    bench.run();
    assert_eq!(bench.session.next_deadline(), None);
    bench.dialler.close();
    bench.run();
    let due = bench.session.next_deadline().expect("a deadline");
    assert_eq!(due, NOW + Duration::from_secs(600));
    bench.session.handle_time(due);
    bench.run();
    bench.assert_over(End::Reset, End::Reset);
    assert!(bench.complaint().ends_with("was half closed for too long"));
}

#[test]
fn a_slow_reader_stops_the_writer_and_gets_all_in_the_end() {
    for version in VERSIONS {
        let mut world = World::new();
        let mut bench = world.good(version);
        bench.run();
        bench.behind.is_reading = false;
        let text: Vec<u8> = (0..4_000_000u32).map(|at| (at / 7) as u8).collect();
        let mut said = 0;
        while said < text.len() && bench.session.wants_bytes(Side::Server) {
            bench.dialler.say(&text[said..said + READ_BYTES]);
            said += READ_BYTES;
            bench.run();
        }
        // The library's buffer, and one read on either side of it.
        assert!(
            bench.session.bytes() < 160_000,
            "{} bytes are held",
            bench.session.bytes()
        );
        // The other way is free.
        bench.behind.say(b"meanwhile");
        bench.run();
        assert_eq!(bench.dialler.text, b"meanwhile");
        bench.behind.is_reading = true;
        bench.run();
        while said < text.len() {
            let next = (said + READ_BYTES).min(text.len());
            bench.dialler.say(&text[said..next]);
            said = next;
            bench.run();
        }
        assert!(bench.behind.text == text, "text was lost or changed");
    }
}

#[test]
fn bytes_may_come_one_by_one() {
    let mut world = World::new();
    let mut bench = world.good(&TLS13);
    let mut bytes = Vec::new();
    while bench.dialler.tls.wants_write() {
        bench.dialler.tls.write_tls(&mut bytes).expect("room");
    }
    for byte in bytes {
        bench.session.handle_bytes(NOW, Side::Server, &[byte]);
    }
    bench.dialler.say(b"hello");
    bench.run();
    assert_eq!(bench.behind.text, b"hello");
}

#[test]
fn a_peer_need_not_show_itself_where_it_is_not_asked() {
    let mut world = World::new();
    world.lines += " no server authenticate-client\n";
    let cup = world.ca.issue("cup.example.com", |_| {});
    let (dialler, behind) = (
        world.dialler(None, &VERSIONS),
        world.behind(&cup, &VERSIONS),
    );
    let mut bench = Bench::new(world.proxy(), dialler, behind);
    bench.dialler.say(b"hello");
    bench.run();
    assert_eq!(bench.behind.text, b"hello", "{:#?}", bench.log);
    assert_eq!(bench.session.peer(Side::Server), None);
}

#[test]
fn with_local_certificates_the_peer_behind_sees_who_dialled() {
    let mut world = World::new();
    let ca = world.ca.pair();
    let own_key = Key::generate("phones", Wanted::Ecdsa(256)).expect("a key");
    let issuer = LocalIssuer::new("ldc", ca.certificate.clone(), ca.key("ca"), Some(own_key));
    world.local = Some(issuer.clone());
    let phone = world.ca.issue("SEP001122334455", |_| {});
    let cup = world.ca.issue("cup.example.com", |_| {});
    let (dialler, behind) = (
        world.dialler(Some(&phone), &VERSIONS),
        world.behind(&cup, &VERSIONS),
    );
    let proxy = world.proxy();
    let mut bench = Bench::new(Arc::clone(&proxy), dialler, behind);
    assert!(!issuer.is_used());
    bench.dialler.say(b"hello");
    bench.run();
    assert_eq!(bench.behind.text, b"hello", "{:#?}", bench.log);
    let shown = |bench: &Bench| {
        let shown = bench.behind.tls.peer_certificates().expect("certificates");
        crate::pki::Certificate::parse(&shown[0]).expect("a certificate")
    };
    let first = shown(&bench);
    assert_eq!(first.subject, "cn=SEP001122334455");
    assert_ne!(first.der, phone.certificate.der);
    assert!(issuer.is_used() && first.is_signed_by(&ca.certificate));
    // Renewed beneath the session, which goes on; the next one is signed by the new certificate.
    let next = Authority::new("Next").pair();
    issuer.renew(next.certificate.clone(), next.key("next"));
    assert!(issuer.signs_with(&next.certificate) && !issuer.is_used());
    bench.dialler.say(b" again");
    bench.run();
    assert_eq!(bench.behind.text, b"hello again", "{:#?}", bench.log);
    let (dialler, behind) = (
        world.dialler(Some(&phone), &VERSIONS),
        world.behind_trusting(&cup, &VERSIONS, &next.certificate),
    );
    let mut after = Bench::new(proxy, dialler, behind);
    after.dialler.say(b"hello");
    after.run();
    assert_eq!(after.behind.text, b"hello", "{:#?}", after.log);
    assert!(shown(&after).is_signed_by(&next.certificate) && issuer.is_used());
}

#[test]
fn old_cipher_suites_are_shown_and_never_spoken() {
    let mut world = World::new();
    world.lines += " client cipher-suite aes128-sha1 null-sha1\n";
    let proxy = world.proxy();
    let mut bench = world.good(&TLS12);
    bench.run();
    let suite = &bench
        .session
        .about(Side::Client)
        .expect("established")
        .suite;
    assert!(suite.starts_with("TLS_ECDHE_"), "{suite}");
    let sessions = crate::tls::Sessions::new(crate::tls::limits::Limits::new(
        &crate::tls::limits::PROFILES[0],
    ));
    let shown = crate::tls::show::proxies([(&*proxy, "ent_y_to_x")].into_iter(), &sessions);
    assert_eq!(
        shown,
        "TLS-Proxy 'ent_y_to_x': ref_cnt 1, seq#1\n        Server proxy: Trust-point: own\n        \
         Client proxy: Trust-point: own   Cipher-suite aes128-sha1 null-sha1\n        \
         Run-time proxies: Class-map: ent_y_to_x, Inspect: sip\n                Active sess 0, most sess 0, byte 0\n"
    );
}
