//! Any bytes are read as a session description without a panic; all that is found lies inside them and in order.
#![no_main]

use host::sip::scan::Span;
use host::sip::sdp::Sdp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let sdp = Sdp::parse(bytes, Span::new(0, bytes.len()));
    for media in &sdp.media {
        assert!(!media.port_span.is_empty() && media.port_span.end <= media.after);
        assert!(media.after <= media.end && media.end <= bytes.len());
        for candidate in &media.candidates {
            assert!(candidate.line.start <= candidate.port.0.start);
            assert!(candidate.port.0.end <= candidate.line.end);
        }
    }
});
