//! Two peers in memory, certificates of OpenSSL for them, and the proxy between.

use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use host::pki::{Certificate, Key};
use host::tls::session::{Effect, Place, READ_BYTES};
use host::tls::{PassThrough, Proxy, Session, Side};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection,
};
use tempfile::TempDir;

/// An authority of OpenSSL, and certificates of it for the proxy and both peers.
pub struct Desk(TempDir);

/// Names of certificates, the host in each, and its number.
pub const ISSUED: [(&str, &str, u32); 3] =
    [("own", "cup", 10), ("cup", "cup", 11), ("peer", "peer", 12)];

impl Desk {
    pub fn new() -> Self {
        let desk = Self(tempfile::tempdir().expect("a folder"));
        desk.run("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -subj /CN=authority -days 30");
        for (name, host, number) in ISSUED {
            desk.run(&format!("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"));
            desk.issue(name, host, number);
        }
        desk
    }

    /// Another certificate for the same request.
    pub fn issue(&self, name: &str, host: &str, number: u32) {
        self.write(
            "x.ext",
            &format!(
                "extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=DNS:{host}.example.com\n"
            ),
        );
        self.run(&format!("x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -set_serial {number} -extfile x.ext -days 20 -out {name}.pem"));
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).expect("room");
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path().join(name)).expect("the file")
    }

    pub fn run(&self, words: &str) {
        let output = Command::new("openssl")
            .args(words.split(' '))
            .current_dir(self.path())
            .output();
        let output = output.expect("openssl runs");
        assert!(output.status.success(), "openssl {words}: {output:?}");
    }

    pub fn certificate(&self, name: &str) -> Certificate {
        let text = self.read(&format!("{name}.pem"));
        Certificate::from_text(&String::from_utf8_lossy(&text)).expect("a certificate")
    }

    pub fn key(&self, name: &str) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_file(self.path().join(format!("{name}.key"))).expect("a key")
    }

    /// The key of a certificate, as the store has it.
    pub fn own_key(&self, name: &str) -> Key {
        let der = self.key(name).secret_der().to_vec();
        Key::from_pkcs8(name, der.into()).expect("a key")
    }

    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate("ca").der).expect("an anchor");
        roots
    }
}

/// Settings of both peers.
#[derive(Clone)]
pub struct Peers {
    dialler: Arc<ClientConfig>,
    behind: Arc<ServerConfig>,
}

impl Peers {
    pub fn new(desk: &Desk) -> Self {
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
            dialler: Arc::new(dialler),
            behind: Arc::new(behind),
        }
    }
}

/// Two peers and the proxy between them.
pub struct Conversation {
    session: Session,
    peers: [Connection; 2],
    is_dialled: bool,
}

impl Conversation {
    /// From the first byte until text has gone from one peer to the other.
    pub fn begin(peers: &Peers, proxy: &Arc<Proxy>, now: Duration) -> Self {
        let place = |port| Place {
            interface: "x".into(),
            address: ([192, 0, 2, 1], port).into(),
        };
        let inspect = Box::new(PassThrough);
        let session = Session::new(now, Arc::clone(proxy), place(1), place(2), inspect);
        let name = ServerName::try_from("cup.example.com").expect("a name");
        let dialler = ClientConnection::new(peers.dialler.clone(), name).expect("a client");
        let behind = ServerConnection::new(peers.behind.clone()).expect("a server");
        let mut conversation = Self {
            session,
            peers: [dialler.into(), behind.into()],
            is_dialled: false,
        };
        conversation.say(now);
        conversation
    }

    /// A byte goes from the dialler to the peer behind.
    pub fn say(&mut self, now: Duration) {
        self.peers[0].writer().write_all(b"x").expect("room");
        let mut heard = [0];
        while !self.peers[1]
            .reader()
            .read(&mut heard)
            .is_ok_and(|got| got == 1)
        {
            self.carry(now);
        }
    }

    /// The certificate that the dialler was shown.
    pub fn shown(&self) -> &CertificateDer<'static> {
        &self.peers[0].peer_certificates().expect("a handshake")[0]
    }

    fn carry(&mut self, now: Duration) {
        for side in [Side::Server, Side::Client] {
            if side == Side::Server || self.is_dialled {
                let peer = &mut self.peers[side as usize];
                carry(&mut self.session, side, peer, now);
            }
        }
        while let Some(effect) = self.session.poll_effect() {
            match effect {
                Effect::Dial => {
                    self.is_dialled = true;
                    self.session.handle_connected(now);
                }
                Effect::Ask(..) => panic!("all is known"),
                Effect::Log(event) => assert!(event.severity > 4, "{event}"),
            }
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
