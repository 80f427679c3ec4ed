//! EST against the server of the crate `est-ca`.

use std::io::BufReader;
use std::process::ChildStdout;

use crate::scene::{Scene, est_server, line};

/// A firewall with a trustpoint `pub`, and a server; what the server says comes back.
fn scene(arguments: &[&str], more: &str) -> (Scene, BufReader<ChildStdout>) {
    let mut scene = Scene::new("");
    let mut server = scene.program(est_server());
    server.arg(".").args(arguments);
    let mut output = scene.serve(server);
    let port = line(&mut output);
    scene.configure(&format!(
        "crypto ca trustpoint pub\n enrollment protocol est url https://127.0.0.1:{port}\n fqdn cup.example.com\n \
         keypair k ecdsa 256\n password secret\n{more}"
    ));
    (scene, output)
}

fn authenticate(scene: &Scene) {
    let fingerprint = scene.fingerprint("ca.pem");
    let taken = scene.done(&format!(
        "ca authenticate pub fingerprint {fingerprint} nointeractive"
    ));
    assert!(
        taken.contains("Trustpoint CA certificate accepted."),
        "{taken}"
    );
}

#[test]
fn est_enrols_with_a_password_and_renews_with_the_certificate() {
    let (scene, _server) = scene(&[], "");
    authenticate(&scene);
    scene.done("ca enroll pub noconfirm");
    let first = scene.identity("pub");
    let text = scene.text_of(&first);
    for part in [
        "CN = cup.example.com",
        "Issuer: CN = EST authority",
        "TLS Web Client Authentication",
        "TLS Web Server Authentication",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // The server knows who renews by the certificate alone.
    let other = scene
        .read("x.cfg")
        .replace("password secret", "password wrong");
    scene.configure(&other);
    scene.done("ca enroll pub regenerate noconfirm");
    let second = scene.identity("pub");
    assert_ne!(first, second);
    let key = |certificate: &str| scene.public_key_of(certificate);
    assert_ne!(key(&first), key(&second), "the key is a new one");
}

#[test]
fn est_enrols_through_the_dialogues_of_the_shell() {
    let (scene, _server) = scene(&[], "");
    let url = scene
        .read("x.cfg")
        .lines()
        .find_map(|line| line.trim().strip_prefix("enrollment protocol est url "))
        .expect("the server")
        .to_owned();
    let said = scene.shell(&format!(
        "en\nconf t\ncrypto key generate ecdsa label shell_key elliptic-curve 256\n\
         crypto ca trustpoint typed\nenrollment protocol est url {url}\nfqdn typed.example.com\n\
         keypair shell_key\npassword secret\nexit\n\
         crypto ca authenticate typed\nyes\ncrypto ca enroll typed\nno\nyes\n\
         crypto ca enroll typed regenerate noconfirm\n\
         show crypto ca trustpoints typed\nwrite memory\n"
    ));
    let fingerprint = scene.fingerprint("ca.pem").replace(':', "").to_lowercase();
    for part in [
        format!("Fingerprint SHA-256: {fingerprint}\n").as_str(),
        "Do you accept this certificate? [yes/no]: Trustpoint CA certificate accepted.",
        "Request certificate from CA? [yes/no]: ",
        "    Certificate configured.\n",
        "[OK]\n",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let text = scene.text_of(&scene.identity("typed"));
    assert!(text.contains("CN = typed.example.com"), "{text}");
    assert!(text.contains("Issuer: CN = EST authority"), "{text}");
}

#[test]
fn est_refuses_what_it_should_and_leaves_everything_as_it_was() {
    let (scene, _server) = scene(&["server-only"], "");
    let wrong = "00".repeat(32);
    let refused = scene.crypto(&format!(
        "ca authenticate pub fingerprint {wrong} nointeractive"
    ));
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.contains("has the fingerprint"), "{refused:?}");
    let blind = scene.crypto("ca authenticate pub nointeractive");
    assert!(blind.err.contains("needs `fingerprint`"), "{blind:?}");
    let early = scene.crypto("ca enroll pub noconfirm");
    assert!(
        early.err.contains("crypto ca authenticate pub"),
        "{early:?}"
    );
    assert_eq!(scene.stored(), (String::new(), String::new()));
    authenticate(&scene);
    let before = scene.stored();
    let lacking = scene.crypto("ca enroll pub noconfirm");
    assert_eq!(lacking.code, Some(2), "{lacking:?}");
    assert!(lacking.err.contains("lacks clientAuth"), "{lacking:?}");
    assert_eq!(scene.stored(), before);
    let other = scene
        .read("x.cfg")
        .replace("password secret", "password wrong");
    scene.configure(&other);
    let refused = scene.crypto("ca enroll pub noconfirm");
    assert!(refused.err.contains("is `password` right?"), "{refused:?}");
    assert_eq!(scene.stored(), before);
    let left = scene.crypto("key zeroize ecdsa label k noconfirm");
    assert_eq!(
        left.code,
        Some(1),
        "a key that was made for nothing is not kept: {left:?}"
    );
}

#[test]
fn est_survives_a_kill_between_request_and_certificate() {
    let (scene, mut server) = scene(&[], "");
    authenticate(&scene);
    scene.write("hold", "simpleenroll");
    scene.killed("ca enroll pub noconfirm", || {
        assert_eq!(line(&mut server), "held")
    });
    let pending = scene.show("trustpoints pub");
    assert!(pending.contains("Enrollment pending."), "{pending}");
    scene.write("hold", "");
    scene.done("ca enroll pub noconfirm");
    let first = scene.identity("pub");
    // The same in the middle of a renewal: what is shown stays.
    scene.write("hold", "simplereenroll");
    scene.killed("ca enroll pub regenerate noconfirm", || {
        assert_eq!(line(&mut server), "held");
    });
    let renewing = scene.show("trustpoints pub");
    assert!(
        renewing.contains("Certificate configured, renewal pending."),
        "{renewing}"
    );
    assert_eq!(scene.identity("pub"), first);
    scene.write("hold", "");
    scene.done("ca enroll pub noconfirm");
    let second = scene.identity("pub");
    assert_ne!(
        scene.public_key_of(&second),
        scene.public_key_of(&first),
        "a request that was interrupted keeps its key"
    );
    let enrolled = scene.show("trustpoints pub");
    assert!(
        enrolled.contains("    Certificate configured.\n"),
        "{enrolled}"
    );
}
