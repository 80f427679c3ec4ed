//! Any bytes are read as a signed and as an encrypted message without a panic.

#![no_main]

use std::sync::LazyLock;

use host::pki::enrol::cms::{Signed, decrypt};
use host::pki::key::Wanted;
use host::pki::signature::Strength;
use host::pki::{Certificate, Date, Key, Settings, request};
use libfuzzer_sys::fuzz_target;

static OWN: LazyLock<(Key, Certificate)> = LazyLock::new(|| {
    let key = Key::generate("own", Wanted::Rsa(2048)).expect("a key");
    let settings = Settings {
        name: "own".into(),
        ..Settings::default()
    };
    let certificate = request::self_signed(&settings, &key, Date(0)).expect("a certificate");
    (key, certificate)
});

fuzz_target!(|bytes: &[u8]| {
    let (key, certificate) = &*OWN;
    if let Ok(message) = Signed::read(bytes) {
        let beside = message.certificates().unwrap_or_default();
        let _ = message.verify(&beside, Strength::Old);
    }
    let _ = decrypt(bytes, certificate, key, Strength::Old);
});
