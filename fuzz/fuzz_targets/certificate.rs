//! Any bytes are read as a certificate, and any text as what an operator pastes, without a panic.

#![no_main]

use host::pki::{Certificate, Date, name};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(certificate) = Certificate::parse(bytes) {
        let _ = certificate.concerns(Date(0));
        assert_eq!(Certificate::from_text(&certificate.pem()), Ok(certificate));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Certificate::from_text(text);
        let _ = name::parse(text);
    }
});
