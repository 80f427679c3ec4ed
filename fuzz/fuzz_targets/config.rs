//! Any text is read without a panic, what it says survives printing, and the checks and the compiler take it.
#![no_main]

use host::policy::{Capacity, check, compile};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let parsed = host::config::parse(&text);
    let printed = parsed.config.to_string();
    let again = host::config::parse(&printed);
    assert_eq!(parsed.config, again.config, "printed as\n{printed}");
    assert_eq!(again.config.to_string(), printed);
    let checked = check(&parsed);
    for finding in &checked.diagnostics {
        let (line, column) = parsed.source.position(finding.span.start);
        assert!(line > 0 && column > 0);
        assert!(parsed.source.text().get(finding.span.start as usize..finding.span.end as usize).is_some());
    }
    let (image, _) = compile(&checked.model, &Capacity::default());
    assert_eq!(image.acl.len(), image.acl_origins.len());
});
