//! Any bytes are taken by the vfio-user server without a panic, and each whole message gets one reply at most.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sim::Model;
use sim::server::Device;
use sim::server::message::Request;

fuzz_target!(|bytes: &[u8]| {
    let mut device = Device::new(Box::new(Model::new(64)));
    let mut received = bytes.to_vec();
    while Request::missing(&received) == Ok(0) {
        let request = Request::take(&mut received, &mut Vec::new());
        if let Some(reply) = request.answer(&mut device) {
            assert!(reply.len() >= 16, "a reply has a header");
        }
    }
});
