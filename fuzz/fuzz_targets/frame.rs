//! Any frame is read without a panic, and an edit there and back again leaves it as it was.
#![no_main]

use host::wire::arp::Arp;
use host::wire::icmp::Quoted;
use host::wire::{Link, Packet, Tuple, edit};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(link) = Link::parse(bytes) {
        let _ = Arp::parse(bytes, &link);
    }
    let Ok(packet) = Packet::parse(bytes) else {
        return;
    };
    assert!(packet.payload(bytes).len() <= bytes.len());
    let mut frame = bytes.to_vec();
    let other = Tuple {
        src: packet.tuple.dst,
        dst: packet.tuple.src,
        ..packet.tuple
    };
    let edited = edit::set_tuple(&mut frame, &packet, &other);
    assert_eq!(edited.tuple, other);
    edit::set_tuple(&mut frame, &edited, &packet.tuple);
    assert_eq!(Packet::parse(&frame).map(|again| again.tuple), Ok(packet.tuple));
    if let Some(quoted) = Quoted::parse(bytes, &packet) {
        quoted.set_tuple(&mut bytes.to_vec(), &packet, &packet.tuple);
    }
});
