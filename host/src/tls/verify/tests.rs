use super::*;
use crate::tls::tests::bench::{Authority, NOW};

#[test]
fn a_judgement_is_confirmed_for_what_was_judged_and_nothing_else() {
    let (ca, stranger) = (Authority::new("Authority"), Authority::new("Stranger"));
    let trust = Trust::new([&ca.trustpoint("ca")].into_iter());
    let now = Date::from(NOW);
    let good = ca.issue("peer.example.com", |_| {}).certificate.der;
    let soon = ca.issue("soon.example.com", |params| {
        params.not_after = now.calendar() + time::Duration::SECOND;
    });
    let server = ca.issue("server.example.com", |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    });
    let bad = stranger.issue("bad.example.com", |_| {});
    let [soon, server, bad] = [soon, server, bad].map(|pair| pair.certificate.der);
    let judge = |one: &CertificateDer<'_>, usage| trust.judge(one, &[], usage, now);
    let confirm = |one: &CertificateDer<'_>, usage, now| trust.confirm(one, &[], usage, now);
    let subject = |peer: Result<Peer, Distrust>| peer.map(|peer| peer.certificate.subject);

    judge(&good, Usage::Client).expect("it is trusted");
    assert!(confirm(&bad, Usage::Client, now).is_err());
    let later = Date(now.0 + 10);
    judge(&soon, Usage::Client).expect("it is trusted");
    assert!(confirm(&soon, Usage::Client, later).is_err());
    judge(&soon, Usage::Client).expect("it is trusted");
    let confirmed = subject(confirm(&good, Usage::Client, now)).expect("it is trusted");
    assert!(confirmed.contains("peer.example.com"), "{confirmed}");
    judge(&server, Usage::Server).expect("it is trusted");
    assert!(confirm(&server, Usage::Client, now).is_err());
}
