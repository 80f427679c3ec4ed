//! Any answers of a server are taken by a SCEP client without a panic: sixteen bytes, then the rest.

#![no_main]

use host::pki::Date;
use host::pki::enrol::cms::Signed;
use host::pki::enrol::scep::{Scep, message};
use host::pki::enrol::{Answer, Protocol};
use host::pki::signature::Strength;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut scep = Scep::authorities("http://ca/scep");
    let _ = scep.start(Date(0));
    let (capabilities, rest) = bytes.split_at(bytes.len().min(16));
    for body in [capabilities, rest] {
        let answer = Answer {
            status: 200,
            body: body.to_vec(),
            ..Answer::default()
        };
        let _ = scep.answer(&answer, Date(0));
    }
    // Whoever signs for himself gets as far as the attributes.
    if let Ok(message) = Signed::read(bytes)
        && let Ok(beside) = message.certificates()
        && let Ok(proved) = message.verify(&beside, Strength::Old)
        && let Ok(header) = message::Header::read(&proved)
    {
        let _ = header.decision();
        let _ = header.reason();
    }
});
