//! Any bytes are read as a revocation list and as an answer of a responder, and none of them is believed.

#![no_main]

use std::sync::LazyLock;

use host::pki::enrol::Answer;
use host::pki::key::Wanted;
use host::pki::revocation::{Ledger, Link, Question};
use host::pki::settings::Revocation;
use host::pki::{Certificate, Date, Key, Settings, request};
use libfuzzer_sys::fuzz_target;

const NOW: Date = Date(1_793_527_200);

/// An authority that nobody here can sign for.
static AUTHORITY: LazyLock<Certificate> = LazyLock::new(|| {
    let settings = Settings { name: "authority".into(), ..Settings::default() };
    let key = Key::generate("k", Wanted::Ecdsa(256)).expect("a key");
    request::self_signed(&settings, &key, NOW).expect("a certificate")
});

fuzz_target!(|bytes: &[u8]| {
    let link = Link { certificate: &AUTHORITY.der, issuer: &AUTHORITY.der };
    let ledger = Ledger::default();
    let settings = Revocation { ocsp_url: Some("http://o.example/".into()), ..Revocation::default() };
    let list = Question::of_list("http://l.example/", link).expect("a certificate");
    let status = ledger.status_of(link, &settings).expect("a responder");
    let answer = Answer { status: 200, body: bytes.to_vec(), ..Answer::default() };
    for question in [list, status] {
        assert!(ledger.learn(&question, Ok(&answer), NOW).is_err());
    }
    // And as a certificate that says where to ask about it.
    let own = Link { certificate: bytes, issuer: &AUTHORITY.der };
    let _ = ledger.lists_of(own, &settings);
    let _ = ledger.status_of(own, &settings);
});
