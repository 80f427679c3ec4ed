//! Any text as the manifest of a bitstream, without a panic.

#![no_main]

use host::bitstream::{Manifest, Sha256};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(manifest) = Manifest::parse(&text) {
        let other = Sha256(manifest.sha256.0.map(|byte| !byte));
        assert!(manifest.judge(&manifest.board, other).is_err());
    }
});
