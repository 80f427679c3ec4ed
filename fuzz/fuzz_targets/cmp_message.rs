//! Any bytes are taken as answer of a CMP server, protected with a secret or not at all, without a panic.

#![no_main]

use std::sync::LazyLock;

use host::pki::enrol::cmp::message::{Failed, Later, Message, Responses};
use host::pki::enrol::cmp::{Cmp, protection};
use host::pki::enrol::{Answer, Order, Proof, Protocol};
use host::pki::key::Wanted;
use host::pki::{Date, Key, Settings};
use libfuzzer_sys::fuzz_target;
use zeroize::Zeroizing;

static KEY: LazyLock<Key> =
    LazyLock::new(|| Key::generate("own", Wanted::Ecdsa(256)).expect("a key"));

fuzz_target!(|bytes: &[u8]| {
    if let Ok((message, _)) = Message::read(bytes) {
        let _ = message.kind();
        let _ = message.content::<Responses>();
        let _ = message.content::<Vec<Later>>();
        if let Ok(failed) = message.content::<Failed>() {
            let _ = failed.status.words();
        }
        let _ = protection::extra(&message);
    }
    let settings = Settings {
        name: "own".into(),
        ..Settings::default()
    };
    // The bytes may also be what was kept over a restart.
    for memo in [&[], bytes] {
        let order = Order {
            url: "http://ca/pkix/",
            settings: &settings,
            key: &KEY,
            authorities: &[],
            memo,
        };
        let proof = Proof::Secret {
            reference: "1".into(),
            secret: Zeroizing::new("secret".into()),
        };
        if let Ok(mut cmp) = Cmp::initial(&order, proof) {
            let _ = cmp.start(Date(0));
            let answer = Answer {
                status: 200,
                body: bytes.to_vec(),
                ..Answer::default()
            };
            let _ = cmp.answer(&answer, Date(0));
            let _ = cmp.resume(Date(0));
        }
    }
});
