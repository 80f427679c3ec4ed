//! In-place edits of a checked frame: addresses, ports, MACs, VLAN tag.
//!
//! Checksums are updated, never recomputed (RFC 1624), so a packet that came in damaged leaves
//! damaged and its receiver notices.

use super::checksum::Change;
use super::packet::{ETHERTYPE_VLAN, Mac, Packet, Transport, Tuple};

/// Gives the packet the addresses and ports of `new`; returns what the packet is afterwards.
///
/// For ICMP only the identifier (`sport`) is written, type and code stay. A later fragment has no
/// ports to write.
pub fn set_tuple(frame: &mut [u8], packet: &Packet, new: &Tuple) -> Packet {
    let old = packet.tuple;
    let (ip, l4) = (packet.ip, packet.l4);
    let addresses = Change::default()
        .words(old.src.into(), new.src.into())
        .words(old.dst.into(), new.dst.into());
    put(frame, ip + 12, &new.src.octets());
    put(frame, ip + 16, &new.dst.octets());
    update(frame, ip + 10, |checksum| addresses.apply(checksum));

    let ports = addresses
        .word(old.sport, new.sport)
        .word(old.dport, new.dport);
    let mut tuple = Tuple {
        proto: old.proto,
        ..*new
    };
    match packet.transport {
        Transport::Tcp { .. } => {
            put_ports(frame, l4, new);
            update(frame, l4 + 16, |checksum| ports.apply(checksum));
        }
        Transport::Udp => {
            put_ports(frame, l4, new);
            update(frame, l4 + 6, |checksum| ports.apply_udp(checksum));
        }
        Transport::Icmp => {
            let identifier = Change::default().word(old.sport, new.sport);
            put(frame, l4 + 4, &new.sport.to_be_bytes());
            update(frame, l4 + 2, |checksum| identifier.apply(checksum));
            tuple.dport = old.dport;
        }
        Transport::Other | Transport::Later => (tuple.sport, tuple.dport) = (old.sport, old.dport),
    }
    Packet { tuple, ..*packet }
}

/// Replaces the link header: MAC addresses, and the tag is set, changed or taken away.
///
/// The priority bits of a tag that stays are kept.
pub fn set_link(frame: &mut Vec<u8>, destination: Mac, source: Mac, vid: Option<u16>) {
    let tagged = frame.get(12..14) == Some(&ETHERTYPE_VLAN.to_be_bytes()[..]) && frame.len() >= 18;
    match (tagged, vid) {
        (true, None) => drop(frame.drain(12..16)),
        (false, Some(_)) => {
            let [high, low] = ETHERTYPE_VLAN.to_be_bytes();
            drop(frame.splice(12..12, [high, low, 0, 0]));
        }
        _ => {}
    }
    if let Some(vid) = vid {
        let priority = u16::from(frame[14]) << 8 & 0xf000;
        put(frame, 14, &(priority | vid & 0x0fff).to_be_bytes());
    }
    put(frame, 0, &destination.0);
    put(frame, 6, &source.0);
}

/// A new frame's link header.
pub fn link_header(destination: Mac, source: Mac, vid: Option<u16>, ethertype: u16) -> Vec<u8> {
    let mut frame = Vec::with_capacity(64);
    frame.extend_from_slice(&destination.0);
    frame.extend_from_slice(&source.0);
    if let Some(vid) = vid {
        frame.extend_from_slice(&ETHERTYPE_VLAN.to_be_bytes());
        frame.extend_from_slice(&(vid & 0x0fff).to_be_bytes());
    }
    frame.extend_from_slice(&ethertype.to_be_bytes());
    frame
}

fn put(frame: &mut [u8], at: usize, bytes: &[u8]) {
    frame[at..at + bytes.len()].copy_from_slice(bytes);
}

fn put_ports(frame: &mut [u8], l4: usize, tuple: &Tuple) {
    put(frame, l4, &tuple.sport.to_be_bytes());
    put(frame, l4 + 2, &tuple.dport.to_be_bytes());
}

fn update(frame: &mut [u8], at: usize, change: impl FnOnce(u16) -> u16) {
    let updated = change(u16::from_be_bytes([frame[at], frame[at + 1]]));
    put(frame, at, &updated.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::packet::{ICMP, TCP, UDP};
    use etherparse::{Ipv4HeaderSlice, PacketBuilder, TcpHeaderSlice, UdpHeaderSlice};
    use proptest::prelude::*;

    fn frame(proto: u8, src: u32, dst: u32, sport: u16, dport: u16, payload: &[u8]) -> Vec<u8> {
        let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).ipv4(
            src.to_be_bytes(),
            dst.to_be_bytes(),
            64,
        );
        let mut frame = Vec::new();
        match proto {
            TCP => builder.tcp(sport, dport, 1, 2).write(&mut frame, payload),
            UDP => builder.udp(sport, dport).write(&mut frame, payload),
            _ => builder
                .icmpv4_echo_request(sport, dport)
                .write(&mut frame, payload),
        }
        .expect("a vector takes everything");
        frame
    }

    /// Recomputes every checksum with an implementation that is not ours.
    fn checksums_are_right(frame: &[u8], packet: &Packet) {
        let ip = Ipv4HeaderSlice::from_slice(&frame[packet.ip..]).expect("still a header");
        assert_eq!(ip.header_checksum(), ip.to_header().calc_header_checksum());
        let payload = packet.payload(frame);
        match packet.tuple.proto {
            TCP => {
                let tcp = TcpHeaderSlice::from_slice(payload).expect("still a header");
                assert_eq!(
                    tcp.calc_checksum_ipv4(&ip, &payload[20..]).expect("short"),
                    tcp.checksum()
                );
            }
            UDP => {
                let udp = UdpHeaderSlice::from_slice(payload).expect("still a header");
                let right = udp
                    .to_header()
                    .calc_checksum_ipv4(&ip.to_header(), &payload[8..])
                    .expect("short");
                assert_eq!(right, udp.checksum());
            }
            _ => assert_eq!(crate::wire::checksum::sum(payload), 0xffff),
        }
    }

    proptest! {
        #[test]
        fn rewritten_packets_have_right_checksums(
            proto in prop::sample::select(vec![TCP, UDP, ICMP]),
            src in 0x0a00_0000u32..0x0aff_ffff, dst in 0xc000_0200u32..0xc000_02ff, sport: u16, dport: u16,
            new_src in 0x0b00_0000u32..0x0bff_ffff, new_dst: u32, new_sport: u16, new_dport: u16,
            payload in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut frame = frame(proto, src, dst, sport, dport, &payload);
            let packet = Packet::parse(&frame).expect("valid");
            let dport = if proto == ICMP { packet.tuple.dport } else { new_dport };
            let new = Tuple { proto, src: new_src.into(), sport: new_sport, dst: new_dst.into(), dport };
            let after = set_tuple(&mut frame, &packet, &new);
            prop_assert_eq!(after.tuple, new);
            prop_assert_eq!(Packet::parse(&frame), Ok(after));
            checksums_are_right(&frame, &after);
        }
    }

    #[test]
    fn tag_is_set_changed_and_taken_away() {
        let plain = frame(UDP, 1, 2, 3, 4, b"abc");
        let mut edited = plain.clone();
        let (a, b) = (Mac([2, 0, 0, 0, 0, 9]), Mac([2, 0, 0, 0, 0, 8]));
        set_link(&mut edited, a, b, Some(7));
        edited[14] |= 0xa0;
        set_link(&mut edited, a, b, Some(0x123));
        let packet = Packet::parse(&edited).expect("valid");
        assert_eq!(
            (packet.link.vid, packet.link.destination, packet.link.source),
            (Some(0x123), a, b)
        );
        assert_eq!(edited[14], 0xa1);
        set_link(&mut edited, a, b, None);
        assert_eq!(edited[14..], plain[14..]);
    }
}
