//! Any stream is cut into Skinny messages without a panic and within its bound; an address written is the one read back.
#![no_main]

use std::net::{Ipv4Addr, SocketAddrV4};

use host::sip::skinny::{Frame, Framer, Message, message::MESSAGE_BYTES};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut framer = Framer::default();
    for piece in bytes.chunks(7) {
        framer.handle_bytes(piece);
        assert!(framer.held_bytes() <= MESSAGE_BYTES + 16);
    }
    while let Some(Frame::Message(bytes)) = framer.poll() {
        let message = Message::parse(&bytes).expect("cut whole");
        let Some(socket) = message.socket() else {
            continue;
        };
        let port = if socket.port() == 0 { 0 } else { 4000 };
        let other = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 11), port);
        let written = message.with_socket(other);
        assert_eq!(written.len(), bytes.len());
        let again = Message::parse(&written).and_then(|again| again.socket());
        assert_eq!(again, Some(other));
    }
});
