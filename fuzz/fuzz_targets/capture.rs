//! Any bytes are read as a capture without a panic, frames first and at most one error behind them.
#![no_main]

use std::path::Path;

use host::runtime::capture::Capture;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut capture) = Capture::read(Path::new("fuzz"), Box::new(std::io::Cursor::new(bytes.to_vec()))) else {
        return;
    };
    let mut number = 0;
    while let Ok(Some(captured)) = capture.next_frame() {
        assert!(captured.number > number, "packets are numbered in order");
        number = captured.number;
        assert!(captured.frame.len() <= bytes.len(), "a frame out of nothing");
    }
});
