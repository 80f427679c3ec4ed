//! CMP against `openssl cmp` as server, which returns one certificate that was made before, whatever it is asked.

use std::process::Stdio;

use host::pki::enrol::cmp::Cmp;
use host::pki::enrol::{Identity, Next, Order, Proof, Protocol};
use host::pki::key::Wanted;
use host::pki::{Certificate, Error, Key, Settings};
use zeroize::Zeroizing;

use super::{Desk, Server, issued, now, rsa, settings, until_wait, whole};

const BOTH: &str = "serverAuth,clientAuth";
const REFERENCE: &str = "device-17";
const SECRET: &str = "insta";

/// An authority, and a certificate for a key of ours that its server will return.
struct Scene {
    desk: Desk,
    settings: Settings,
    key: Key,
    authority: Certificate,
}

impl Scene {
    fn new(key: Key, usage: &str) -> Self {
        let desk = Desk::new();
        desk.authority("ca");
        let settings = settings("cup.example.com");
        desk.issue("own", "ca", (&settings, &key), usage);
        let authority = desk.certificate("ca.pem");
        Self {
            desk,
            settings,
            key,
            authority,
        }
    }

    /// A server that knows our shared secret.
    fn with_secret(&self, more: &str) -> (Server, String) {
        self.serve(&format!(
            "-srv_ref {REFERENCE} -srv_secret pass:{SECRET} {more}"
        ))
    }

    /// A server that signs with a certificate for this purpose, and trusts the authority's certificates.
    fn with_signature(&self, usage: &str, more: &str) -> (Server, String) {
        let server = (settings("cmp.example.com"), rsa());
        self.desk
            .issue("server", "ca", (&server.0, &server.1), usage);
        let der = server.1.pkcs8();
        self.desk.write("server.der", der);
        self.desk
            .run("openssl", "pkey -inform DER -in server.der -out server.key");
        self.serve(&format!(
            "-srv_cert server.pem -srv_key server.key -srv_trusted ca.pem {more}"
        ))
    }

    fn serve(&self, more: &str) -> (Server, String) {
        let words = format!("cmp -port 0 -rsp_cert own.pem {more}");
        let mut server = self
            .desk
            .spawn("openssl", words.split_whitespace(), Stdio::piped());
        // It chooses the port and says so: `ACCEPT [::]:34503 PID=…`.
        let port = server.line(|line| {
            let rest = line.strip_prefix("ACCEPT ")?;
            let address = rest.split(' ').next()?;
            address.rsplit(':').next()?.parse::<u16>().ok()
        });
        (server, format!("http://127.0.0.1:{port}/pkix/"))
    }

    fn order<'a>(&'a self, url: &'a str, authorities: &'a [Certificate]) -> Order<'a> {
        Order {
            url,
            settings: &self.settings,
            key: &self.key,
            authorities,
            memo: &[],
        }
    }
}

fn secret(word: &str) -> Proof<'static> {
    Proof::Secret {
        reference: REFERENCE.into(),
        secret: Zeroizing::new(word.into()),
    }
}

#[track_caller]
fn refusal(next: Result<Next, Error>) -> String {
    next.expect_err("a refusal").to_string()
}

#[test]
fn a_first_certificate_comes_for_a_shared_secret_confirmed_by_message_and_implicitly() {
    let scene = Scene::new(rsa(), BOTH);
    let known = [scene.authority.clone()];
    for more in ["", "-grant_implicitconf"] {
        let (_server, url) = scene.with_secret(more);
        let order = scene.order(&url, &known);
        let mut cmp = Cmp::initial(&order, secret(SECRET)).expect("an order");
        let chain = issued(whole(&mut cmp));
        assert_eq!(chain[0], scene.desk.certificate("own.pem"), "{more}");
    }
}

#[test]
fn a_shared_secret_proves_the_authority_that_the_server_tells() {
    let scene = Scene::new(rsa(), BOTH);
    let (_server, url) = scene.with_secret("-rsp_capubs ca.pem");
    let mut cmp = Cmp::initial(&scene.order(&url, &[]), secret(SECRET)).expect("an order");
    let chain = issued(whole(&mut cmp));
    assert_eq!(chain.last(), Some(&scene.authority));
    let (_server, url) = scene.with_secret("");
    let mut cmp = Cmp::initial(&scene.order(&url, &[]), secret(SECRET)).expect("an order");
    let words = refusal(whole(&mut cmp));
    assert!(
        words.contains("not the authority of this trustpoint"),
        "{words}"
    );
}

#[test]
fn a_wrong_secret_is_refused_by_the_server_and_by_us() {
    let scene = Scene::new(rsa(), BOTH);
    let known = [scene.authority.clone()];
    let (_server, url) = scene.with_secret("");
    let order = scene.order(&url, &known);
    let mut cmp = Cmp::initial(&order, secret("guessed")).expect("an order");
    let words = refusal(whole(&mut cmp));
    assert!(
        words.contains("without proof that it is the authority"),
        "{words}"
    );
    assert!(words.contains("wrong pbm value"), "{words}");
    // A server that accepts any request, and does not know the secret.
    let (_server, url) = scene.with_secret("-accept_unprotected");
    let order = scene.order(&url, &known);
    let mut cmp = Cmp::initial(&order, secret("guessed")).expect("an order");
    let words = refusal(whole(&mut cmp));
    assert!(
        words.contains("not protected with our shared secret"),
        "{words}"
    );
}

#[test]
fn an_answer_without_protection_is_refused() {
    let scene = Scene::new(rsa(), BOTH);
    let known = [scene.authority.clone()];
    let (_server, url) = scene.with_secret("-send_unprotected");
    let order = scene.order(&url, &known);
    let mut cmp = Cmp::initial(&order, secret(SECRET)).expect("an order");
    let words = refusal(whole(&mut cmp));
    assert!(
        words.contains("not protected: anybody could have sent it"),
        "{words}"
    );
}

#[test]
fn a_certificate_follows_another_by_signature_for_keys_of_each_kind() {
    for wanted in [Wanted::Rsa(2048), Wanted::Ecdsa(256), Wanted::Ecdsa(384)] {
        let scene = Scene::new(Key::generate("key", wanted).expect("a key"), BOTH);
        let known = [scene.authority.clone()];
        let own = scene.desk.certificate("own.pem");
        let identity = Identity {
            certificate: &own,
            between: &[],
            key: &scene.key,
        };
        let (_server, url) = scene.with_signature("1.3.6.1.5.5.7.3.28", "");
        let order = scene.order(&url, &known);
        let mut conversations = [
            Cmp::renew(&order, &identity).expect("an order"),
            Cmp::additional(&order, Proof::Signature(identity)).expect("an order"),
            Cmp::initial(&order, Proof::Signature(identity)).expect("an order"),
        ];
        for cmp in &mut conversations {
            assert_eq!(issued(whole(cmp))[0], own, "{wanted:?}");
        }
    }
}

#[test]
fn not_everybody_whom_the_authority_certified_speaks_for_it() {
    let scene = Scene::new(rsa(), BOTH);
    let known = [scene.authority.clone()];
    let own = scene.desk.certificate("own.pem");
    let identity = Identity {
        certificate: &own,
        between: &[],
        key: &scene.key,
    };
    let (_server, url) = scene.with_signature("clientAuth", "");
    let order = scene.order(&url, &known);
    let mut cmp = Cmp::renew(&order, &identity).expect("an order");
    let words = refusal(whole(&mut cmp));
    assert!(
        words.contains("nobody who may speak for the authority"),
        "{words}"
    );
    // Unless an operator confirmed that very certificate.
    let known = [
        scene.authority.clone(),
        scene.desk.certificate("server.pem"),
    ];
    let order = scene.order(&url, &known);
    assert_eq!(
        issued(whole(&mut Cmp::renew(&order, &identity).expect("an order")))[0],
        own
    );
}

#[test]
fn who_waits_asks_again_also_after_a_restart() {
    let scene = Scene::new(rsa(), BOTH);
    let known = [scene.authority.clone()];
    let (_server, url) = scene.with_secret("-poll_count 2 -check_after 7");
    let order = scene.order(&url, &known);
    let mut cmp = Cmp::initial(&order, secret(SECRET)).expect("an order");
    assert_eq!(whole(&mut cmp), Ok(Next::Wait(None)));
    let again = cmp.resume(now());
    assert_eq!(until_wait(&mut cmp, again), Ok(Next::Wait(Some(7))));
    let memo = cmp.memo();
    assert!(
        !memo
            .windows(SECRET.len())
            .any(|part| part == SECRET.as_bytes())
    );
    drop(cmp);
    let order = Order {
        memo: &memo,
        ..order
    };
    let mut waits = Cmp::initial(&order, secret(SECRET)).expect("an order");
    let mut next = waits.resume(now());
    next = until_wait(&mut waits, next);
    while let Ok(Next::Wait(Some(7))) = next {
        next = waits.resume(now());
        next = until_wait(&mut waits, next);
    }
    assert_eq!(issued(next)[0], scene.desk.certificate("own.pem"));
}

#[test]
fn a_certificate_that_lacks_a_purpose_is_refused_and_the_server_learns_it() {
    let scene = Scene::new(rsa(), "serverAuth");
    let known = [scene.authority.clone()];
    let (_server, url) = scene.with_secret("");
    let order = scene.order(&url, &known);
    let mut cmp = Cmp::initial(&order, secret(SECRET)).expect("an order");
    let words = refusal(whole(&mut cmp));
    assert!(
        words.contains("serverAuth alone and lacks clientAuth"),
        "{words}"
    );
}

#[test]
fn a_certificate_for_another_key_is_refused() {
    let scene = Scene::new(rsa(), BOTH);
    let known = [scene.authority.clone()];
    let (_server, url) = scene.with_secret("");
    let other = rsa();
    let order = Order {
        key: &other,
        ..scene.order(&url, &known)
    };
    let mut cmp = Cmp::initial(&order, secret(SECRET)).expect("an order");
    let words = refusal(whole(&mut cmp));
    assert!(words.contains("for another key than ours"), "{words}");
}

#[test]
fn a_refusal_of_the_server_is_told_in_words() {
    let scene = Scene::new(rsa(), BOTH);
    let known = [scene.authority.clone()];
    for (more, says) in [
        (
            "-pkistatus 2 -failure 19 -statusstring Nope",
            "(badCertTemplate); it says \"Nope\"",
        ),
        (
            "-send_error",
            "(badRequest); it says \"error processing message\"",
        ),
    ] {
        let (_server, url) = scene.with_secret(more);
        let order = scene.order(&url, &known);
        let mut cmp = Cmp::initial(&order, secret(SECRET)).expect("an order");
        let words = refusal(whole(&mut cmp));
        assert!(words.starts_with("CMP: the authority refused: "), "{words}");
        assert!(words.contains(says), "{words}");
    }
}
