//! `enrollment self` and `enrollment terminal`, killed in the middle; OpenSSL is the authority.

use crate::scene::Scene;

const CONFIG: &str = "\
crypto ca trustpoint own
 enrollment self
 subject-name cn=own
crypto ca trustpoint by_hand
 enrollment terminal
 fqdn cup.example.com
";

#[test]
fn an_import_that_is_killed_while_text_is_pasted_changes_nothing() {
    let scene = Scene::new(CONFIG);
    scene.run("openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=authority -days 30");
    let taken = scene.crypto_reading(
        &scene.read("ca.pem"),
        "ca authenticate by_hand nointeractive",
    );
    assert_eq!(taken.code, Some(0), "{taken:?}");
    scene.write("own.csr", &scene.done("ca enroll by_hand noconfirm"));
    scene.run("openssl x509 -req -in own.csr -CA ca.pem -CAkey ca.key -copy_extensions copyall -days 20 -out own.pem");
    let before = scene.stored();
    for words in [
        "ca import by_hand certificate",
        "ca import by_hand pkcs12 x",
        "ca authenticate by_hand",
    ] {
        // It cannot end by itself: its input stays open.
        scene.killed(words, || {});
        assert_eq!(scene.stored(), before, "{words}");
    }
    scene.run("openssl crl2pkcs7 -nocrl -certfile ca.pem -certfile own.pem -out both.p7");
    let taken = scene.crypto_reading(&scene.read("both.p7"), "ca import by_hand certificate");
    assert_eq!(
        taken.code,
        Some(0),
        "PKCS#7, the authority first: {taken:?}"
    );
    assert_eq!(scene.identity("by_hand"), scene.read("own.pem"));
}

#[test]
fn a_self_signed_certificate_is_there_whole_or_not_at_all() {
    let scene = Scene::new(CONFIG);
    scene.killed("ca enroll own", || {});
    assert!(!scene.show("trustpoints").contains("Certificate configured"));
    scene.done("ca enroll own noconfirm");
    let first = scene.identity("own");
    scene.killed("ca enroll own regenerate", || {});
    assert_eq!(scene.identity("own"), first);
    scene.done("ca enroll own regenerate noconfirm");
    assert_ne!(scene.identity("own"), first);
}

#[test]
fn a_certificate_for_servers_alone_is_refused_and_says_why() {
    let scene = Scene::new(CONFIG);
    scene.run("openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=authority -days 30");
    let taken = scene.crypto_reading(
        &scene.read("ca.pem"),
        "ca authenticate by_hand nointeractive",
    );
    assert_eq!(taken.code, Some(0), "{taken:?}");
    scene.write("own.csr", &scene.done("ca enroll by_hand noconfirm"));
    scene.write("server.ext", "extendedKeyUsage=serverAuth\n");
    scene.run("openssl x509 -req -in own.csr -CA ca.pem -CAkey ca.key -extfile server.ext -days 20 -out own.pem");
    let before = scene.stored();
    let refused = scene.crypto_reading(&scene.read("own.pem"), "ca import by_hand certificate");
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.contains("lacks clientAuth"), "{refused:?}");
    assert_eq!(scene.stored(), before);
}
