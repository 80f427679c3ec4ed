//! What checks for revocation cost a handshake when the answers are known already.
//!
//! `cargo bench --bench revocation`. A peer dials, mutual TLS 1.3 on both legs, all four ends in one thread and in
//! memory; `none` asks nobody, `crl` looks both peers up in a list of 1000 entries, `ocsp` in answers of `openssl ocsp`.

#![allow(
    missing_docs,
    reason = "the macro generates functions without documentation"
)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use host::config;
use host::pki::enrol::Answer;
use host::pki::revocation::{Ledger, Question, Standing};
use host::pki::settings::Revocation;
use host::pki::settings::revocation::{Method, Policy};
use host::pki::{Certificate, Date, Key, Trustpoint};
use host::runtime::clock::Clock;
use host::tls::keys::Identity;
use host::tls::proxy::Parts;
use host::tls::session::{Effect, Place, READ_BYTES};
use host::tls::verify::Usage;
use host::tls::{PassThrough, Proxy, Session, Side, Trust};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection,
};
use tempfile::TempDir;

/// An authority of OpenSSL with a database, and certificates of it for the proxy and both peers.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().expect("a folder"));
        let revoked = (0..1000).map(|number| {
            format!(
                "R\t491231235959Z\t240101000000Z\t{:06X}\tunknown\t/CN=x\n",
                number + 0x10_0000
            )
        });
        let mut index: String = revoked.collect();
        desk.run("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -subj /CN=authority -days 30");
        for (name, host, serial) in [("own", "cup", 10), ("cup", "cup", 11), ("peer", "peer", 12)] {
            desk.write("x.ext", &format!("extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=DNS:{host}.example.com\n"));
            desk.run(&format!("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out x.csr -subj /CN={name}"));
            desk.run(&format!("x509 -req -in x.csr -CA ca.pem -CAkey ca.key -set_serial {serial} -extfile x.ext -days 20 -out {name}.pem"));
            index += &format!("V\t491231235959Z\t\t{serial:02X}\tunknown\t/CN={name}\n");
        }
        desk.write("index.txt", &index);
        desk.write("crlnumber", "01\n");
        desk.write("ca.cnf", "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncrlnumber=crlnumber\ndefault_md=sha256\ndefault_crl_days=1\n");
        desk
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).expect("room");
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path().join(name)).expect("the file")
    }

    fn run(&self, words: &str) {
        let output = Command::new("openssl")
            .args(words.split(' '))
            .current_dir(self.path())
            .output();
        let output = output.expect("openssl runs");
        assert!(output.status.success(), "openssl {words}: {output:?}");
    }

    fn certificate(&self, name: &str) -> Certificate {
        let text = self.read(&format!("{name}.pem"));
        Certificate::from_text(&String::from_utf8_lossy(&text)).expect("a certificate")
    }

    fn key(&self, name: &str) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_file(self.path().join(format!("{name}.key"))).expect("a key")
    }

    /// What OpenSSL answers.
    fn answer(&self, question: &Question) -> Answer {
        match &question.ask.body {
            None => {
                self.run("ca -config ca.cnf -gencrl -keyfile ca.key -cert ca.pem -out answer");
            }
            Some(body) => {
                std::fs::write(self.path().join("request"), &body.bytes).expect("room");
                self.run("ocsp -index index.txt -CA ca.pem -rsigner ca.pem -rkey ca.key -ndays 1 -reqin request -respout answer");
            }
        }
        Answer {
            status: 200,
            body: self.read("answer"),
            ..Answer::default()
        }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate("ca").der).expect("an anchor");
        roots
    }
}

/// Peers and a proxy that knows all answers.
struct Scene {
    proxy: Arc<Proxy>,
    dialler: Arc<ClientConfig>,
    behind: Arc<ServerConfig>,
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
        let key = Key::from_pkcs8("own", desk.key("own").secret_der().to_vec().into());
        let identity = Identity::new(&trustpoint, &key.expect("a key")).expect("enrolled");
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
        let mut dialler = ClientConfig::builder()
            .with_root_certificates(desk.roots())
            .with_client_auth_cert(vec![desk.certificate("peer").der], desk.key("peer"))
            .expect("a key");
        // Every handshake is a whole one.
        dialler.resumption = rustls::client::Resumption::disabled();
        let verifier = WebPkiClientVerifier::builder(Arc::new(desk.roots()));
        let mut behind = ServerConfig::builder()
            .with_client_cert_verifier(verifier.build().expect("a verifier"))
            .with_single_cert(vec![desk.certificate("cup").der], desk.key("cup"))
            .expect("a key");
        behind.send_tls13_tickets = 0;
        behind.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        Self {
            proxy: Arc::new(proxy.expect("a proxy")),
            dialler: Arc::new(dialler),
            behind: Arc::new(behind),
            now,
        }
    }

    /// From the first byte until text has gone from one peer to the other.
    fn handshake(&self) {
        let place = |port| Place {
            interface: "x".into(),
            address: ([192, 0, 2, 1], port).into(),
        };
        let inspect = Box::new(PassThrough);
        let mut session = Session::new(self.now, self.proxy.clone(), place(1), place(2), inspect);
        let name = ServerName::try_from("cup.example.com").expect("a name");
        let dialler = ClientConnection::new(self.dialler.clone(), name).expect("a client");
        let behind = ServerConnection::new(self.behind.clone()).expect("a server");
        let mut peers: [Connection; 2] = [dialler.into(), behind.into()];
        std::io::Write::write_all(&mut peers[0].writer(), b"x").expect("room");
        let mut is_dialled = false;
        loop {
            for side in [Side::Server, Side::Client] {
                if side == Side::Server || is_dialled {
                    carry(&mut session, side, &mut peers[side as usize], self.now);
                }
            }
            while let Some(effect) = session.poll_effect() {
                match effect {
                    Effect::Dial => {
                        is_dialled = true;
                        session.handle_connected(self.now);
                    }
                    Effect::Ask(..) => panic!("all is known"),
                    Effect::Log(event) => assert!(event.severity > 4, "{event}"),
                }
            }
            let mut heard = [0];
            if std::io::Read::read(&mut peers[1].reader(), &mut heard).is_ok_and(|got| got == 1) {
                return;
            }
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
            let answer = desk.answer(&question);
            assert!(
                ledger.learn(&question, Ok(&answer), now).is_ok(),
                "{question:?}"
            );
        }
    }
}

fn carry(session: &mut Session, side: Side, peer: &mut Connection, now: Duration) {
    if peer.wants_write() && session.wants_bytes(side) {
        let mut bytes = Vec::new();
        peer.write_tls(&mut bytes).expect("room");
        for piece in bytes.chunks(READ_BYTES) {
            session.handle_bytes(now, side, piece);
        }
    }
    let mut bytes = Vec::new();
    session.take_bytes(side, &mut bytes);
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        peer.read_tls(&mut rest).expect("room");
        peer.process_new_packets().expect("a good proxy");
    }
}

fn handshakes(criterion: &mut Criterion) {
    let desk = Desk::new();
    let mut group = criterion.benchmark_group("handshakes on both legs");
    group.throughput(Throughput::Elements(1));
    for (name, ladder) in [
        ("none", [Method::None].as_slice()),
        ("crl", [Method::Crl].as_slice()),
        ("ocsp", [Method::Ocsp].as_slice()),
    ] {
        let scene = Scene::new(&desk, ladder);
        group.bench_function(name, |bencher| bencher.iter(|| scene.handshake()));
    }
    group.finish();
}

criterion_group!(benches, handshakes);
criterion_main!(benches);
