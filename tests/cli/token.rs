//! Keys in a token: SoftHSM2, whose tokens are files.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use host::store::Store;
use host::tls::keys::Identity;
use rustls::pki_types::ServerName;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};

const CONFIG: &str = "\
crypto ca trustpoint own
 enrollment self
 fqdn cup.example.com
 keypair curve
crypto ca trustpoint out
 enrollment terminal
 fqdn cup.example.com
 subject-name cn=cup.example.com
 keypair rsa
crypto ca trustpoint self_rsa
 enrollment self
 fqdn cup.example.com
 keypair rsa
";

/// A folder with a token, a PIN, a configuration and a state directory.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self {
            folder: tempfile::tempdir().expect("a folder"),
        };
        std::fs::create_dir(desk.path("tokens")).expect("a folder");
        let tokens = desk.path("tokens");
        desk.write(
            "softhsm2.conf",
            &format!("directories.tokendir = {tokens}\n"),
        );
        desk.write("pin", "1234\n");
        desk.write("x.cfg", CONFIG);
        desk.run(
            "softhsm2-util",
            "--init-token --free --label postern --pin 1234 --so-pin 5678",
        );
        desk
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("room");
    }

    fn uri(&self) -> String {
        format!(
            "pkcs11:token=postern?module-path={}&pin-source=file:{}",
            library(),
            self.path("pin")
        )
    }

    fn start(&self, program: &str, words: &str) -> Output {
        Command::new(program)
            .args(words.split(' '))
            .current_dir(self.folder.path())
            .env("SOFTHSM2_CONF", self.path("softhsm2.conf"))
            .stdin(Stdio::null())
            .output()
            .expect("it starts; softhsm2 is needed")
    }

    #[track_caller]
    fn run(&self, program: &str, words: &str) -> String {
        let output = self.start(program, words);
        assert!(output.status.success(), "{program} {words}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    #[track_caller]
    fn crypto(&self, words: &str) -> String {
        let head = "crypto --config x.cfg --state state";
        self.run(env!("CARGO_BIN_EXE_postern"), &format!("{head} {words}"))
    }
}

fn library() -> &'static str {
    const PLACES: [&str; 2] = [
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    ];
    let found = PLACES.into_iter().find(|place| Path::new(place).exists());
    found.expect("softhsm2 is needed")
}

#[test]
fn keys_are_made_in_a_token_and_sign_requests_certificates_and_connections_there() {
    if let Ok(state) = std::env::var(STATE) {
        return shake_hands(Path::new(&state));
    }
    let desk = Desk::new();
    let token = format!("key --token {}", desk.uri());
    let said = desk.crypto(&format!(
        "{token} generate ecdsa label curve elliptic-curve 256"
    ));
    assert!(
        said.contains("ECDSA (256 bits) key pair generated"),
        "{said}"
    );
    let said = desk.crypto(&format!("{token} generate rsa label rsa modulus 2048"));
    assert!(
        said.contains("RSA (2048 bits) key pair generated"),
        "{said}"
    );
    for name in ["own", "self_rsa"] {
        desk.crypto(&format!("ca enroll {name} noconfirm"));
        let pem = desk.crypto(&format!("ca export {name} identity-certificate"));
        desk.write("own.pem", &pem);
        desk.run("openssl", "verify -check_ss_sig -CAfile own.pem own.pem");
    }
    let request = desk.crypto("ca enroll out noconfirm");
    desk.write("out.csr", &request);
    desk.run("openssl", "req -in out.csr -verify -noout");
    // What the token holds, nobody gets.
    let words = "crypto --state state ca export own pkcs12 secret";
    let refused = desk.start(env!("CARGO_BIN_EXE_postern"), words);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("the key is in a token"), "{said}");
    // The library reads where its tokens are from the environment, so that must be there when it is loaded.
    let output = Command::new(std::env::current_exe().expect("a program"))
        .args([
            "--exact",
            "token::keys_are_made_in_a_token_and_sign_requests_certificates_and_connections_there",
        ])
        .env("SOFTHSM2_CONF", desk.path("softhsm2.conf"))
        .env(STATE, desk.path("state"))
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
}

#[test]
fn what_a_token_seals_does_not_open_without_it() {
    let desk = Desk::new();
    let master = format!("--key-file {}", desk.uri());
    desk.crypto(&format!("{master} key generate ecdsa label curve"));
    desk.crypto(&format!("{master} ca enroll own noconfirm"));
    let exported = desk.crypto(&format!("{master} ca export own pkcs12 secret"));
    assert!(exported.contains("PKCS12"), "{exported}");
    let files = std::fs::read_dir(desk.path("state")).expect("a folder");
    let files: Vec<_> = files.flatten().map(|file| file.file_name()).collect();
    assert_eq!(files, ["state.redb"], "no bytes to seal with beside it");

    let refused = |words: &str| {
        let output = desk.start(
            env!("CARGO_BIN_EXE_postern"),
            &format!("crypto --state state {words} ca export own pkcs12 secret"),
        );
        assert!(!output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = refused("--key-file absent");
    assert!(said.contains("absent"), "{said}");
    // Another key of the same token is no key to this store, and none is made.
    let other = desk
        .uri()
        .replace("token=postern", "token=postern;object=other");
    let said = refused(&format!("--key-file {other}"));
    assert!(
        said.contains("there is no key other in token postern"),
        "{said}"
    );
    let elsewhere = format!("crypto --state elsewhere --key-file {other}");
    desk.run(
        env!("CARGO_BIN_EXE_postern"),
        &format!("{elsewhere} key generate ecdsa label x"),
    );
    let said = refused(&format!("--key-file {other}"));
    assert!(said.contains("key curve does not open"), "{said}");
}

const STATE: &str = "POSTERN_TEST_TOKEN_STATE";

/// With both keys and both versions of TLS.
fn shake_hands(state: &Path) {
    let store = Store::open(state, None).expect("a store");
    for name in ["own", "self_rsa"] {
        let trustpoint = store.trustpoint(name).expect("a trustpoint");
        let key = store.key_of(&trustpoint).expect("a key");
        assert!(key.pkcs8().is_empty() && key.uri().is_some());
        Identity::new(&trustpoint, &key).expect("the key is that of the certificate");
        let certificate = trustpoint.identity.expect("enrolled").der;
        let signer = key.signer().expect("it signs");
        let certified = CertifiedKey::new(vec![certificate], signer);
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let server = ServerConfig::builder_with_protocol_versions(&[version])
                .with_no_client_auth()
                .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified.clone())));
            let client = ClientConfig::builder_with_protocol_versions(&[version])
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(SignatureAlone))
                .with_no_client_auth();
            talk(client, server);
        }
    }
}

fn talk(client: ClientConfig, server: ServerConfig) {
    let name = ServerName::try_from("cup.example.com").expect("a name");
    let mut client = ClientConnection::new(Arc::new(client), name).expect("a client");
    let mut server = ServerConnection::new(Arc::new(server)).expect("a server");
    client.writer().write_all(b"MESSAGE").expect("room");
    let mut heard = Vec::new();
    for _ in 0..10 {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).expect("room");
        }
        server.read_tls(&mut bytes.as_slice()).expect("room");
        server.process_new_packets().expect("a good client");
        // There is no text before the handshake is done.
        let _ = server.reader().read_to_end(&mut heard);
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).expect("room");
        }
        client.read_tls(&mut bytes.as_slice()).expect("room");
        client
            .process_new_packets()
            .expect("a signature that is right");
    }
    assert_eq!(heard, b"MESSAGE");
}

/// Takes any certificate: that the token signs the handshake is what is asked.
#[derive(Debug)]
struct SignatureAlone;

impl rustls::client::danger::ServerCertVerifier for SignatureAlone {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &rustls::pki_types::CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &rustls::pki_types::CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        algorithms().supported_schemes()
    }
}

fn algorithms() -> rustls::crypto::WebPkiSupportedAlgorithms {
    rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms
}

#[test]
fn a_token_that_is_not_there_or_a_wrong_pin_is_said() {
    let desk = Desk::new();
    let generate = |uri: &str| {
        let words = format!("crypto --state state key --token {uri} generate ecdsa label k");
        let output = desk.start(env!("CARGO_BIN_EXE_postern"), &words);
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let right = desk.uri();
    let said = generate(&right.replace("token=postern", "token=other"));
    assert!(said.contains("there is no token other"), "{said}");
    let said = generate(&right.replace("/pin", "/nopin"));
    assert!(said.contains("the PIN of the token"), "{said}");
    desk.write("pin", "4321\n");
    let said = generate(&right);
    assert!(said.contains("token postern: "), "{said}");
    let said = generate("pkcs11:token=postern;pin-value=1234");
    assert!(
        said.contains("a PIN does not belong into the token's address"),
        "{said}"
    );
}
