use rustls::version::{TLS12, TLS13};

use super::bench::{Bench, Pair, VERSIONS, World};
use crate::pki::Date;
use crate::pki::enrol::Answer;
use crate::pki::revocation::tests::{LIST, ladder, list, revoke, with_places};
use crate::pki::settings::Revocation;
use crate::pki::settings::revocation::Method;
use crate::tls::Side;
use crate::tls::session::End;

/// Both peers say where their authority's list is.
struct Scene {
    world: World,
    peer: Pair,
    cup: Pair,
}

impl Scene {
    fn new(revocation: Revocation) -> Self {
        let mut world = World::new();
        world.revocation = revocation;
        let issue = |name| world.ca.issue(name, with_places);
        let (peer, cup) = (issue("ent-y.example.com"), issue("cup.example.com"));
        Self { world, peer, cup }
    }

    fn bench(&mut self, version: &'static rustls::SupportedProtocolVersion) -> Bench {
        let dialler = self.world.dialler(Some(&self.peer), &[version]);
        let behind = self.world.behind(&self.cup, &[version]);
        Bench::new(self.world.proxy(), dialler, behind)
    }

    /// Answers all that was asked.
    fn answer(&self, bench: &mut Bench, answer: Result<&Answer, &str>) {
        let asked = std::mem::take(&mut bench.questions);
        assert!(!asked.is_empty(), "nothing was asked");
        for (side, question) in asked {
            let now = Date::from(bench.now);
            let _ = self.world.ledger.learn(&question, answer, now);
            bench.session.handle_answer(bench.now, side);
        }
        bench.run();
    }
}

#[test]
fn nobody_is_heard_or_dialled_before_the_list_was_read() {
    for version in VERSIONS {
        let mut scene = Scene::new(ladder(&[Method::Crl]));
        let mut bench = scene.bench(version);
        bench.dialler.say(b"MESSAGE");
        bench.run();
        assert!(!bench.is_dialled, "the peer behind was dialled");
        assert_eq!(bench.questions.len(), 1);
        let (side, question) = &bench.questions[0];
        assert_eq!((*side, question.ask.url.as_str()), (Side::Server, LIST));
        assert!(!bench.session.wants_bytes(Side::Server));
        let good = list(&scene.world.ca, |_| {});
        scene.answer(&mut bench, Ok(&good));
        // The peer behind is of the same authority: its list is known by now.
        assert!(bench.questions.is_empty());
        assert_eq!(bench.behind.text, b"MESSAGE");
        bench.behind.say(b"200");
        bench.run();
        assert_eq!(bench.dialler.text, b"200");
    }
}

#[test]
fn a_revoked_peer_is_cut_off_on_either_leg_and_the_log_says_why() {
    for (side, leg) in [(Side::Server, "server leg"), (Side::Client, "client leg")] {
        let mut scene = Scene::new(ladder(&[Method::Crl]));
        let revoked = match side {
            Side::Server => &scene.peer,
            Side::Client => &scene.cup,
        };
        let answer = list(&scene.world.ca, |params| revoke(params, revoked));
        let subject = revoked.certificate.subject.clone();
        let mut bench = scene.bench(&TLS13);
        bench.dialler.say(b"MESSAGE");
        bench.run();
        scene.answer(&mut bench, Ok(&answer));
        let line = bench.complaint();
        assert!(line.contains(leg), "{line}");
        let said = format!("the certificate of {subject} was revoked at ");
        assert!(line.contains(&said), "{line}");
        assert!(
            line.ends_with(&format!("says the list at {LIST}")),
            "{line}"
        );
        assert_eq!(bench.behind.text, b"");
        match side {
            Side::Server => bench.assert_over(End::Finish, End::Reset),
            Side::Client => bench.assert_over(End::Reset, End::Finish),
        }
    }
}

#[test]
fn a_resumed_session_of_a_peer_that_was_revoked_meanwhile_is_cut_off() {
    let mut scene = Scene::new(ladder(&[Method::Crl]));
    let proxy = scene.world.proxy();
    let dialler = std::sync::Arc::new(scene.world.dialler(Some(&scene.peer), &[&TLS12]));
    let behind = std::sync::Arc::new(scene.world.behind(&scene.cup, &[&TLS12]));
    let begin = || {
        let inspect = Box::new(crate::tls::PassThrough);
        Bench::with(proxy.clone(), dialler.clone(), behind.clone(), inspect)
    };
    let mut first = begin();
    first.run();
    let good = list(&scene.world.ca, |_| {});
    scene.answer(&mut first, Ok(&good));
    let bad = list(&scene.world.ca, |params| revoke(params, &scene.peer));
    let mut second = begin();
    second.now += std::time::Duration::from_secs(3600);
    second.run();
    scene.answer(&mut second, Ok(&bad));
    assert!(second.log.iter().any(|line| line.contains(", resumed, ")));
    assert!(second.complaint().contains("was revoked at"));
}

#[test]
fn nobody_who_knows_lets_pass_or_not_as_configured() {
    let mut hard = Scene::new(ladder(&[Method::Crl]));
    let mut bench = hard.bench(&TLS13);
    bench.run();
    hard.answer(&mut bench, Err("connection refused"));
    let line = bench.complaint();
    let said = format!("may be revoked, nobody knows: {LIST}: connection refused");
    assert!(line.ends_with(&said), "{line}");
    bench.assert_over(End::Finish, End::Reset);

    let mut soft = Scene::new(ladder(&[Method::Crl, Method::None]));
    let mut bench = soft.bench(&TLS13);
    bench.dialler.say(b"MESSAGE");
    bench.run();
    soft.answer(&mut bench, Err("connection refused"));
    assert_eq!(bench.behind.text, b"MESSAGE");
    let warned = bench
        .log
        .iter()
        .filter(|line| line.starts_with("%ASA-4-717032"));
    let warned: Vec<&String> = warned.collect();
    assert_eq!(warned.len(), 2, "{:#?}", bench.log);
    assert!(warned[0].contains("the certificate of cn=ent-y.example.com may be revoked"));
    assert!(warned[0].ends_with("it passes, as revocation-check ends with none"));
}

#[test]
fn a_peer_that_goes_or_waits_too_long_while_it_is_checked_leaves_nothing() {
    let mut scene = Scene::new(ladder(&[Method::Crl]));
    let mut bench = scene.bench(&TLS13);
    bench.run();
    bench.session.handle_end(bench.now, Side::Server);
    bench.run();
    let line = bench.complaint();
    assert!(line.contains("while its certificate was checked"), "{line}");
    bench.assert_over(End::Finish, End::Reset);
    // The answer comes too late.
    let late = list(&scene.world.ca, |_| {});
    scene.answer(&mut bench, Ok(&late));
    assert!(!bench.is_dialled);

    let mut scene = Scene::new(ladder(&[Method::Crl]));
    let mut bench = scene.bench(&TLS13);
    bench.run();
    let due = bench.session.next_deadline().expect("a deadline");
    bench.session.handle_time(due);
    bench.run();
    let line = bench.complaint();
    assert!(line.contains("takes too long to find out"), "{line}");
    bench.assert_over(End::Finish, End::Reset);
}

#[test]
fn a_peer_whose_own_certificate_is_pinned_is_not_asked_about() {
    let mut scene = Scene::new(ladder(&[Method::Crl]));
    let pinned = super::bench::self_signed("ent-y.example.com", |_| {});
    scene.world.trustpoints.push(crate::pki::Trustpoint {
        authority: Some(pinned.certificate.clone()),
        ..crate::pki::Trustpoint::new("pin")
    });
    scene.peer = pinned;
    let mut bench = scene.bench(&TLS13);
    bench.run();
    let sides: Vec<Side> = bench.questions.iter().map(|(side, _)| *side).collect();
    assert_eq!(sides, [Side::Client]);
}
