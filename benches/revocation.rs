//! What checks for revocation cost a handshake when the answers are known already.
//!
//! `cargo bench --bench revocation`. A peer dials, mutual TLS 1.3 on both legs, all four ends in one thread and in
//! memory; `none` asks nobody, `crl` looks both peers up in a list of 1000 entries, `ocsp` in answers of `openssl ocsp`.

#![allow(
    missing_docs,
    reason = "the macro generates functions without documentation"
)]

#[allow(dead_code, reason = "another bench looks at what is shown")]
mod peers;

use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use host::config;
use host::pki::enrol::Answer;
use host::pki::revocation::{Ledger, Question, Standing};
use host::pki::settings::Revocation;
use host::pki::settings::revocation::{Method, Policy};
use host::pki::{Date, Trustpoint};
use host::runtime::clock::Clock;
use host::tls::keys::Identity;
use host::tls::proxy::Parts;
use host::tls::verify::Usage;
use host::tls::{Proxy, Trust};
use peers::{Conversation, Desk, ISSUED, Peers};
use rustls::pki_types::CertificateDer;

/// The authority's database, with a thousand certificates that were revoked.
fn keep_books(desk: &Desk) {
    let revoked = (0..1000).map(|number| {
        format!(
            "R\t491231235959Z\t240101000000Z\t{:06X}\tunknown\t/CN=x\n",
            number + 0x10_0000
        )
    });
    let mut index: String = revoked.collect();
    for (name, _, number) in ISSUED {
        index += &format!("V\t491231235959Z\t\t{number:02X}\tunknown\t/CN={name}\n");
    }
    desk.write("index.txt", &index);
    desk.write("crlnumber", "01\n");
    desk.write("ca.cnf", "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncrlnumber=crlnumber\ndefault_md=sha256\ndefault_crl_days=1\n");
}

/// What OpenSSL answers.
fn answer(desk: &Desk, question: &Question) -> Answer {
    match &question.ask.body {
        None => {
            desk.run("ca -config ca.cnf -gencrl -keyfile ca.key -cert ca.pem -out answer");
        }
        Some(body) => {
            std::fs::write(desk.path().join("request"), &body.bytes).expect("room");
            desk.run("ocsp -index index.txt -CA ca.pem -rsigner ca.pem -rkey ca.key -ndays 1 -reqin request -respout answer");
        }
    }
    Answer {
        status: 200,
        body: desk.read("answer"),
        ..Answer::default()
    }
}

/// A proxy that knows all answers, and its peers.
struct Scene {
    proxy: Arc<Proxy>,
    peers: Peers,
    now: Duration,
}

impl Scene {
    fn new(desk: &Desk, ladder: &[Method]) -> Self {
        let mut settings = Revocation {
            ladder: ladder.to_vec(),
            ocsp_url: Some("http://ocsp.example/".into()),
            ..Revocation::default()
        };
        settings.crl.policy = Policy::Static;
        settings.crl.urls = vec![(1, "http://crl.example/".into())];
        let trustpoint = Trustpoint {
            authority: Some(desk.certificate("ca")),
            identity: Some(desk.certificate("own")),
            ..Trustpoint::new("own")
        };
        let identity = Identity::new(&trustpoint, &desk.own_key("own")).expect("enrolled");
        let now = Clock::start().now();
        let trust = Trust::new([&trustpoint].into_iter())
            .checking(Arc::default(), |_| Some(settings.clone()));
        for (name, usage) in [("peer", Usage::Client), ("cup", Usage::Server)] {
            teach(
                desk,
                &trust,
                &settings,
                &desk.certificate(name).der,
                usage,
                now,
            );
        }
        let parsed =
            config::parse("tls-proxy p\n server trust-point own\n client trust-point own\n");
        let parts = Parts {
            server: Some(identity.clone()),
            client: Some(identity),
            local: None,
        };
        let proxy = Proxy::new(&parsed.config.tls_proxies[0], parts, trust.into());
        Self {
            proxy: Arc::new(proxy.expect("a proxy")),
            peers: Peers::new(desk),
            now,
        }
    }
}

/// Answers all that the check of one peer asks.
fn teach(
    desk: &Desk,
    trust: &Trust,
    settings: &Revocation,
    own: &CertificateDer<'_>,
    usage: Usage,
    now: Duration,
) {
    let now = Date::from(now);
    let peer = trust.verify(own, &[], usage, now).expect("it is trusted");
    let ledger: &Arc<Ledger> = trust.ledger();
    while let Standing::Asked(questions) = ledger.judge(&peer.path, settings, now) {
        for question in questions {
            let answer = answer(desk, &question);
            assert!(
                ledger.learn(&question, Ok(&answer), now).is_ok(),
                "{question:?}"
            );
        }
    }
}

fn handshakes(criterion: &mut Criterion) {
    let desk = Desk::new();
    keep_books(&desk);
    let mut group = criterion.benchmark_group("handshakes on both legs");
    group.throughput(Throughput::Elements(1));
    for (name, ladder) in [
        ("none", [Method::None].as_slice()),
        ("crl", [Method::Crl].as_slice()),
        ("ocsp", [Method::Ocsp].as_slice()),
    ] {
        let scene = Scene::new(&desk, ladder);
        group.bench_function(name, |bencher| {
            bencher.iter(|| Conversation::begin(&scene.peers, &scene.proxy, scene.now))
        });
    }
    group.finish();
}

criterion_group!(benches, handshakes);
criterion_main!(benches);
