//! SCEP against Debian's `scepserver`, which issues for real.
//!
//! It answers with SHA-1 and DES whatever it is asked with, and issues for clients alone; both are refused in words, and
//! let pass here to see the rest.

use std::process::Stdio;

use host::pki::enrol::scep::Scep;
use host::pki::enrol::{Identity, Next, Order, accept};
use host::pki::signature::Strength;
use host::pki::{Certificate, Key};
use zeroize::Zeroizing;

use super::{Desk, Server, free_port, issued, now, reach, rsa, settings, whole};

const CHALLENGE: &str = "Let me in 7";

/// A server with an authority of its own.
struct Authority {
    _desk: Desk,
    _server: Server,
    url: String,
}

impl Authority {
    fn new() -> Self {
        let desk = Desk::new();
        desk.run("scepserver", "ca -init -keySize 2048");
        let port = free_port();
        let port_word = port.to_string();
        let words = ["-depot", "depot", "-allowrenew", "0", "-port", &port_word];
        let words = words.into_iter().chain(["-challenge", CHALLENGE]);
        let server = desk.spawn("scepserver", words, Stdio::null());
        reach(port);
        Self {
            _desk: desk,
            _server: server,
            url: format!("http://127.0.0.1:{port}/scep"),
        }
    }

    fn certificates(&self) -> Vec<Certificate> {
        match whole(&mut Scep::authorities(&self.url)) {
            Ok(Next::Authorities(all)) => all,
            other => panic!("no authority: {other:?}"),
        }
    }

    /// A first certificate, taken as the server gives it.
    fn first(&self, key: &Key, authorities: &[Certificate]) -> Vec<Certificate> {
        let settings = settings("cup.example.com");
        let order = Order {
            url: &self.url,
            settings: &settings,
            key,
            authorities,
            memo: &[],
        };
        let challenge = Some(Zeroizing::new(CHALLENGE.to_owned()));
        let scep = Scep::enroll(&order, challenge, now()).expect("an order");
        issued(whole(&mut scep.accepting(Strength::Old)))
    }
}

#[test]
fn the_authority_of_a_real_server_is_told_and_is_its_own() {
    let authority = Authority::new();
    let told = authority.certificates();
    assert_eq!(told.len(), 1);
    assert!(told[0].is_ca && told[0].is_self_signed);
}

#[test]
fn a_real_server_reads_what_is_sent_and_its_weak_answer_is_refused_in_words() {
    let authority = Authority::new();
    let (told, key, settings) = (authority.certificates(), rsa(), settings("cup.example.com"));
    let order = Order {
        url: &authority.url,
        settings: &settings,
        key: &key,
        authorities: &told,
        memo: &[],
    };
    let challenge = Some(Zeroizing::new(CHALLENGE.to_owned()));
    let mut scep = Scep::enroll(&order, challenge, now()).expect("an order");
    let refused = whole(&mut scep).expect_err("SHA-1");
    assert_eq!(
        refused.to_string(),
        "SCEP: it is signed with SHA-1, which is refused: the server must use SHA-256 or better"
    );
}

#[test]
fn a_certificate_of_a_real_server_is_ours_and_is_refused_for_the_purpose_it_lacks() {
    let authority = Authority::new();
    let (told, key) = (authority.certificates(), rsa());
    let chain = authority.first(&key, &told);
    assert_eq!(chain[0].public_key, key.public_key());
    assert!(chain[0].is_signed_by(&told[0]));
    let named = chain[0].names.common_name.as_deref();
    assert_eq!(named, Some("cup.example.com"));
    let refused = accept("SCEP", &chain, &key, &told, now()).expect_err("clientAuth alone");
    let words = refused.to_string();
    assert!(
        words.contains("clientAuth alone and lacks serverAuth")
            && words.contains("from a profile with serverAuth and clientAuth"),
        "{words}"
    );
}

#[test]
fn a_real_server_renews_for_who_shows_the_current_certificate() {
    let authority = Authority::new();
    let (told, key, next_key) = (authority.certificates(), rsa(), rsa());
    let first = authority.first(&key, &told);
    let settings = settings("cup.example.com");
    let current = Identity {
        certificate: &first[0],
        between: &[],
        key: &key,
    };
    for asked in [&key, &next_key] {
        let order = Order {
            url: &authority.url,
            settings: &settings,
            key: asked,
            authorities: &told,
            memo: &[],
        };
        let challenge = Some(Zeroizing::new(CHALLENGE.to_owned()));
        let scep = Scep::renew(&order, &current, challenge).expect("an order");
        let next = issued(whole(&mut scep.accepting(Strength::Old)));
        assert_eq!(next[0].public_key, asked.public_key());
        assert_ne!(next[0].serial, first[0].serial);
    }
}

#[test]
fn a_real_server_that_refuses_says_why_in_words() {
    let authority = Authority::new();
    let (told, key, settings) = (authority.certificates(), rsa(), settings("cup.example.com"));
    let order = Order {
        url: &authority.url,
        settings: &settings,
        key: &key,
        authorities: &told,
        memo: &[],
    };
    let challenge = Some(Zeroizing::new("guessed".to_owned()));
    let scep = Scep::enroll(&order, challenge, now()).expect("an order");
    let refused = whole(&mut scep.accepting(Strength::Old)).expect_err("a wrong password");
    let words = refused.to_string();
    assert!(words.contains("is the challenge password right"), "{words}");
}
