//! Any text is read without a panic, and what it says survives printing.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let parsed = host::config::parse(&text);
    let printed = parsed.config.to_string();
    let again = host::config::parse(&printed);
    assert_eq!(parsed.config, again.config, "printed as\n{printed}");
    assert_eq!(again.config.to_string(), printed);
});
