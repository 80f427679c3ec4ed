//! Any bytes are read as certificates in whatever they are handed over in, and ordered, without a panic.

#![no_main]

use host::pki::chain;
use host::pki::enrol::cms::certificates_of;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(found) = certificates_of(bytes) {
        let own = found[0].public_key.clone();
        if let Ok(ordered) = chain::order(found, &own) {
            assert!(ordered.windows(2).all(|pair| pair[0].is_signed_by(&pair[1])));
        }
    }
});
