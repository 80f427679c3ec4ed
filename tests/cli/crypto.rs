//! Keys and certificates as an operator handles them, with OpenSSL as authority and as judge.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use tempfile::TempDir;

use crate::command::{Answer, postern_reading};

const CONFIG: &str = "\
crypto ca trustpoint cup_proxy
 enrollment self
 fqdn none
 subject-name cn=cup-proxy
 keypair cup_key
crypto ca trustpoint ent_y
 enrollment terminal
 fqdn cup.example.com
 subject-name cn=cup.example.com,o=Example
 keypair ent_key
crypto ca trustpoint copy
 enrollment terminal
crypto ca trustpoint late
 enrollment protocol est url https://est.example
";

/// A firewall's state, and a folder for OpenSSL to work in.
pub struct Desk {
    pub folder: TempDir,
}

impl Desk {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("x.cfg"), CONFIG).expect("room");
        Self { folder }
    }

    /// `postern crypto …` with this on its standard input.
    fn crypto(&self, input: &str, words: &str) -> Answer {
        let path = |name| self.folder.path().join(name).display().to_string();
        let (config, state) = (path("x.cfg"), path("state"));
        let head = ["crypto", "--config", &config, "--state", &state];
        postern_reading(input, head.into_iter().chain(words.split(' ')))
    }

    #[track_caller]
    pub fn done(&self, input: &str, words: &str) -> String {
        let answer = self.crypto(input, words);
        assert_eq!(answer.code, Some(0), "{words}: {answer:?}");
        answer.out
    }

    pub fn show(&self, words: &str) -> Answer {
        let state = self.folder.path().join("state").display().to_string();
        let head = ["show", "--state", &state];
        postern_reading("", head.into_iter().chain(words.split(' ')))
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).expect("room");
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).expect("the file")
    }

    #[track_caller]
    pub fn openssl(&self, words: &str) -> String {
        let output = Command::new("openssl")
            .args(words.split(' '))
            .current_dir(self.folder.path())
            .output()
            .expect("openssl runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {words}: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned() + &errors
    }

    /// An authority, `ca.pem`.
    pub fn authority(&self) {
        self.openssl("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=authority -days 30");
    }
}

#[test]
fn a_trustpoint_enrols_by_terminal_with_openssl_as_authority() {
    let desk = Desk::new();
    desk.authority();
    let made = desk.done("", "key generate rsa label ent_key modulus 2048");
    assert!(
        made.ends_with("RSA (2048 bits) key pair generated\n"),
        "{made}"
    );
    let taken = desk.done(
        &(desk.read("ca.pem") + "quit\nyes\n"),
        "ca authenticate ent_y",
    );
    let digest = desk.openssl("x509 -in ca.pem -noout -fingerprint -sha256");
    let digest = digest
        .split_once('=')
        .expect("a fingerprint")
        .1
        .replace(':', "")
        .to_lowercase();
    assert!(
        taken.contains(&format!("Fingerprint SHA-256: {}", digest.trim())),
        "{taken}"
    );
    desk.write("own.csr", &desk.done("", "ca enroll ent_y noconfirm"));
    let request = desk.openssl("req -in own.csr -noout -text -verify");
    for part in [
        "verify OK",
        "O = Example",
        "DNS:cup.example.com",
        "TLS Web Client Authentication",
    ] {
        assert!(request.contains(part), "{part}: {request}");
    }
    assert!(
        desk.show("crypto ca certificates ent_y")
            .out
            .contains("Status: Pending terminal enrollment")
    );
    desk.openssl("x509 -req -in own.csr -CA ca.pem -CAkey ca.key -copy_extensions copyall -days 20 -out own.pem");
    desk.done(
        &desk.read("own.pem"),
        "ca import ent_y certificate nointeractive",
    );
    let shown = desk.show("crypto ca certificates ent_y");
    assert!(
        shown.out.contains("    cn=cup.example.com,o=Example\n"),
        "{shown:?}"
    );
    assert!(shown.out.contains("CA Certificate\n") && shown.out.contains("    cn=authority\n"));
    assert_eq!(
        desk.done("", "ca export ent_y identity-certificate"),
        desk.read("own.pem")
    );
}

#[test]
fn pkcs12_goes_to_openssl_and_comes_from_it_also_in_its_old_form() {
    let desk = Desk::new();
    desk.authority();
    desk.openssl("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout own.key -out own.csr -subj /CN=peer.example");
    desk.openssl("x509 -req -in own.csr -CA ca.pem -CAkey ca.key -days 20 -out own.pem");
    for form in ["", " -legacy"] {
        let desk_of = Desk::new();
        let words = format!(
            "pkcs12 -export{form} -inkey own.key -in own.pem -certfile ca.pem -passout pass:secret -out own.p12"
        );
        desk.openssl(&words);
        desk.openssl("base64 -in own.p12 -out own.b64");
        desk_of.done(
            &(desk.read("own.b64") + "quit\n"),
            "ca import copy pkcs12 secret nointeractive",
        );
        desk_of.write("back.b64", &desk_of.done("", "ca export copy pkcs12 other"));
        let body: String = desk_of
            .read("back.b64")
            .lines()
            .filter(|line| !line.starts_with('-'))
            .map(|line| line.to_owned() + "\n")
            .collect();
        desk_of.write("body.b64", &body);
        desk_of.openssl("base64 -d -in body.b64 -out back.p12");
        desk_of.openssl("pkcs12 -in back.p12 -passin pass:other -nodes -nocerts -out back.key");
        let (key, back) = (
            desk.openssl("pkey -in own.key -pubout"),
            desk_of.openssl("pkey -in back.key -pubout"),
        );
        assert_eq!(key, back);
        let chain = desk_of.openssl("pkcs12 -in back.p12 -passin pass:other -nokeys");
        assert!(
            chain.contains("CN = peer.example") && chain.contains("CN = authority"),
            "{chain}"
        );
        let wrong = desk_of.crypto(
            &desk.read("own.b64"),
            "ca import copy pkcs12 wrong nointeractive",
        );
        assert_eq!(wrong.code, Some(2));
        assert!(
            wrong.err.contains("is the passphrase right?"),
            "{}",
            wrong.err
        );
    }
}

#[test]
fn a_key_and_its_chain_come_as_pem_in_any_order() {
    let desk = Desk::new();
    desk.authority();
    desk.openssl("req -newkey rsa:2048 -nodes -keyout own.key -out own.csr -subj /CN=peer.example");
    desk.openssl("x509 -req -in own.csr -CA ca.pem -CAkey ca.key -days 20 -out own.pem");
    let all = desk.read("ca.pem") + &desk.read("own.pem") + &desk.read("own.key");
    let taken = desk.done(&all, "ca import copy pem nointeractive");
    assert!(
        taken.contains("WARNING: it has no subjectAltName"),
        "{taken}"
    );
    assert_eq!(
        desk.done("", "ca export copy identity-certificate"),
        desk.read("own.pem")
    );
    desk.openssl("rsa -in own.key -traditional -out old.key");
    let old = desk.crypto(
        &(desk.read("own.pem") + &desk.read("old.key")),
        "ca import copy pem nointeractive",
    );
    assert_eq!(old.code, Some(2));
    assert!(
        old.err
            .contains("`openssl pkcs8 -topk8 -nocrypt` makes it so"),
        "{}",
        old.err
    );
    let alone = desk.crypto(&desk.read("own.pem"), "ca import copy pem nointeractive");
    assert!(
        alone.err.contains("there is no private key in it"),
        "{}",
        alone.err
    );
}

#[test]
fn a_self_signed_certificate_is_one_to_openssl() {
    let desk = Desk::new();
    let refused = desk.crypto("", "ca enroll cup_proxy noconfirm");
    assert_eq!(refused.code, Some(2));
    assert!(
        refused
            .err
            .contains("`postern crypto key generate rsa label cup_key` makes it")
    );
    desk.done("", "key generate ecdsa label cup_key elliptic-curve 256");
    desk.done("no\nyes\n", "ca enroll cup_proxy");
    desk.write(
        "own.pem",
        &desk.done("", "ca export cup_proxy identity-certificate"),
    );
    let verified = desk
        .openssl("verify -CAfile own.pem -purpose sslserver -verify_hostname cup-proxy own.pem");
    assert!(verified.contains("own.pem: OK"), "{verified}");
    desk.openssl("verify -CAfile own.pem -purpose sslclient own.pem");
    let again = desk.crypto("", "key generate ecdsa label cup_key");
    assert_eq!(again.code, Some(1), "a key in use was replaced: {again:?}");
}

#[test]
fn a_certificate_is_taken_only_when_it_is_accepted() {
    let desk = Desk::new();
    desk.authority();
    let pem = desk.read("ca.pem");
    for (input, words) in [
        (pem.clone() + "quit\nno\n", "ca authenticate copy"),
        (pem.clone(), "ca authenticate copy"),
        (
            pem.clone(),
            "ca authenticate copy fingerprint 00:11 nointeractive",
        ),
    ] {
        assert_eq!(desk.crypto(&input, words).code, Some(1), "{words}");
        assert_eq!(desk.show("crypto ca trustpoints copy").code, Some(1));
    }
    let digest = desk.openssl("x509 -in ca.pem -noout -fingerprint -sha1");
    let digest = digest.split_once('=').expect("a fingerprint").1.trim();
    desk.done(&pem, &format!("ca authenticate copy fingerprint {digest}"));
    assert!(
        desk.show("crypto ca trustpoints copy")
            .out
            .contains("cn=authority")
    );
}

#[test]
fn what_cannot_be_done_is_said_with_the_way_out() {
    let desk = Desk::new();
    for (words, said) in [
        (
            "ca enroll nobody noconfirm",
            "has no `crypto ca trustpoint nobody`",
        ),
        ("ca enroll late noconfirm", "no authority is known"),
        (
            "ca export copy identity-certificate",
            "`crypto ca enroll copy` gets one",
        ),
        (
            "key generate rsa modulus 1024",
            "a modulus is 2048, 3072 or 4096 bits",
        ),
        (
            "ca authenticate copy nointeractive",
            "this is not a certificate",
        ),
    ] {
        let answer = desk.crypto("", words);
        assert_eq!(answer.code, Some(2), "{words}");
        assert!(answer.err.contains(said), "{words}: {}", answer.err);
    }
}

#[test]
fn a_credential_of_the_service_manager_seals_and_is_needed_to_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let credentials = folder.path().join("credentials");
    std::fs::create_dir(&credentials).expect("room");
    let key = credentials.join("postern.key");
    std::fs::write(&key, [7; 32]).expect("room");
    // As systemd grants it: to the service by a list, which shows as the group's bits.
    let mode = |mode| std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode));
    mode(0o440).expect("ours");
    let run = |words: &str, with_credential: bool| {
        let mut postern = Command::new(env!("CARGO_BIN_EXE_postern"));
        postern
            .args(["crypto", "--state", "state", "key"])
            .args(words.split(' '))
            .current_dir(folder.path());
        if with_credential {
            postern.env("CREDENTIALS_DIRECTORY", &credentials);
        }
        let output = postern.output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said)
    };
    let made = run("generate ecdsa label first", true);
    assert_eq!(made.0, Some(0), "{made:?}");
    assert!(!folder.path().join("state/master.key").exists());
    let without = run("generate ecdsa label second", false);
    assert_eq!(without.0, Some(2), "{without:?}");
    assert!(without.1.contains("master.key"), "{without:?}");
    mode(0o444).expect("ours");
    let public = run("generate ecdsa label second", true);
    assert_eq!(public.0, Some(2), "{public:?}");
    assert!(public.1.contains("others may read it"), "{public:?}");
}
