//! Whatever comes from a serial line, without a panic; what is taken for an answer has a check that is right.

#![no_main]

use host::vfio::uart::frame::{Reading, read_answer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((sequence, bytes)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let sequence = u16::from_le_bytes(*sequence);
    match read_answer(bytes, sequence) {
        Reading::Lacks(count) => assert!(count > 0 && bytes.len() + count <= 8 + 4 * 255),
        Reading::Answer(words) => {
            let length = 8 + 4 * words.len();
            // A reader that sees it come byte by byte waits for exactly these.
            for end in 0..length {
                assert!(matches!(
                    read_answer(&bytes[..end], sequence),
                    Reading::Lacks(_)
                ));
            }
            let mut damaged = bytes[..length].to_vec();
            damaged[length - 1] ^= 1;
            assert!(matches!(read_answer(&damaged, sequence), Reading::Wrong(_)));
        }
        Reading::Wrong(_) => {}
    }
});
