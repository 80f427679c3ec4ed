//! ICMP on the host path: echo replies, and the packet that an ICMP error quotes (RFC 792).

use std::net::Ipv4Addr;

use super::checksum::{self, Change};
use super::edit::set_link;
use super::packet::{ICMP, Packet, TCP, Tuple, UDP};

/// Bytes of an ICMP error before the packet it quotes.
const ERROR_HEADER_BYTES: usize = 8;
/// Transport bytes every error quotes: the ports are among them.
const QUOTED_BYTES: usize = 8;
/// Time to live of packets that start here.
const TTL: u8 = 64;

/// Turns an echo request, in place, into its reply, sent back to where it came from.
pub fn echo_reply(frame: &mut Vec<u8>, packet: &Packet) {
    let (ip, l4) = (packet.ip, packet.l4);
    let Tuple { src, dst, .. } = packet.tuple;
    let old_ttl = u16::from_be_bytes([frame[ip + 8], frame[ip + 9]]);
    frame[ip + 8] = TTL;
    let new_ttl = u16::from_be_bytes([frame[ip + 8], frame[ip + 9]]);
    // Swapping the addresses does not change the sum.
    put_checksum(frame, ip + 10, Change::default().word(old_ttl, new_ttl));
    frame[ip + 12..ip + 16].copy_from_slice(&dst.octets());
    frame[ip + 16..ip + 20].copy_from_slice(&src.octets());
    frame[l4] = 0;
    put_checksum(frame, l4 + 2, Change::default().word(0x0800, 0x0000));
    let link = packet.link;
    set_link(frame, link.source, link.destination, link.vid);
}

/// The packet an ICMP error quotes: where it stands and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// Its addresses and ports, as its sender's side of the card saw them.
    pub tuple: Tuple,
    ip: usize,
    l4: usize,
}

impl Quoted {
    /// Reads the quoted packet of an ICMP error whose ICMP checksum is right.
    pub fn parse(frame: &[u8], error: &Packet) -> Option<Self> {
        let message = error.payload(frame);
        if checksum::sum(message) != 0xffff {
            return None;
        }
        let quoted = message.get(ERROR_HEADER_BYTES..)?;
        let header_bytes = usize::from(*quoted.first()? & 0x0f) * 4;
        if quoted[0] >> 4 != 4 || header_bytes < 20 {
            return None;
        }
        let header = quoted.get(..header_bytes)?;
        // A later fragment quotes no ports.
        if u16::from_be_bytes([header[6], header[7]]) & 0x1fff != 0 {
            return None;
        }
        let l4 = quoted.get(header_bytes..header_bytes + QUOTED_BYTES)?;
        let word = |at: usize| u16::from_be_bytes([l4[at], l4[at + 1]]);
        let address =
            |at: usize| Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]);
        let proto = header[9];
        let (sport, dport) = match proto {
            TCP | UDP => (word(0), word(2)),
            ICMP => (word(4), word(0)),
            _ => (0, 0),
        };
        let ip = error.l4 + ERROR_HEADER_BYTES;
        let tuple = Tuple {
            proto,
            src: address(12),
            sport,
            dst: address(16),
            dport,
        };
        Some(Self {
            tuple,
            ip,
            l4: ip + header_bytes,
        })
    }

    /// Gives the quoted packet other addresses and ports, and keeps all checksums right that are
    /// quoted: its own two and that of the error around it.
    pub fn set_tuple(&self, frame: &mut [u8], error: &Packet, new: &Tuple) {
        let old = self.tuple;
        let mut edit = Edit {
            frame,
            end: error.end,
            outer: Change::default(),
        };
        let addresses = Change::default()
            .words(old.src.into(), new.src.into())
            .words(old.dst.into(), new.dst.into());
        edit.address(self.ip + 12, new.src);
        edit.address(self.ip + 16, new.dst);
        edit.checksum(self.ip + 10, |checksum| addresses.apply(checksum));
        let ports = addresses
            .word(old.sport, new.sport)
            .word(old.dport, new.dport);
        match old.proto {
            TCP | UDP => {
                edit.word(self.l4, new.sport);
                edit.word(self.l4 + 2, new.dport);
                match old.proto {
                    TCP => edit.checksum(self.l4 + 16, |checksum| ports.apply(checksum)),
                    _ => edit.checksum(self.l4 + 6, |checksum| ports.apply_udp(checksum)),
                }
            }
            ICMP => {
                edit.word(self.l4 + 4, new.sport);
                let identifier = Change::default().word(old.sport, new.sport);
                edit.checksum(self.l4 + 2, |checksum| identifier.apply(checksum));
            }
            _ => {}
        }
        let outer = edit.outer;
        put_checksum(frame, error.l4 + 2, outer);
    }
}

/// Edits inside a quoted packet, remembering what they do to the checksum around it.
struct Edit<'a> {
    frame: &'a mut [u8],
    end: usize,
    outer: Change,
}

impl Edit<'_> {
    fn word(&mut self, at: usize, new: u16) {
        let old = u16::from_be_bytes([self.frame[at], self.frame[at + 1]]);
        self.outer = self.outer.word(old, new);
        self.frame[at..at + 2].copy_from_slice(&new.to_be_bytes());
    }

    fn address(&mut self, at: usize, new: Ipv4Addr) {
        let new = u32::from(new);
        self.word(at, (new >> 16) as u16);
        self.word(at + 2, new as u16);
    }

    /// Updates a checksum unless it lies beyond what the error quotes.
    fn checksum(&mut self, at: usize, update: impl FnOnce(u16) -> u16) {
        if at + 2 <= self.end {
            let old = u16::from_be_bytes([self.frame[at], self.frame[at + 1]]);
            self.word(at, update(old));
        }
    }
}

fn put_checksum(frame: &mut [u8], at: usize, change: Change) {
    let updated = change.apply(u16::from_be_bytes([frame[at], frame[at + 1]]));
    frame[at..at + 2].copy_from_slice(&updated.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::{Icmpv4Type, PacketBuilder, icmpv4::DestUnreachableHeader};
    use proptest::prelude::*;

    fn echo_request() -> Vec<u8> {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
            .ipv4([192, 0, 2, 9], [192, 0, 2, 1], 1)
            .icmpv4_echo_request(7, 3)
            .write(&mut frame, b"abcdefgh")
            .expect("a vector takes everything");
        frame
    }

    #[test]
    fn echo_reply_is_valid_and_goes_back() {
        let mut frame = echo_request();
        let request = Packet::parse(&frame).expect("valid");
        echo_reply(&mut frame, &request);
        let reply = Packet::parse(&frame).expect("valid");
        assert_eq!(Some(reply.tuple), request.tuple.reply());
        assert_eq!(
            (reply.link.destination, reply.ttl),
            (request.link.source, TTL)
        );
        assert_eq!(checksum::sum(reply.payload(&frame)), 0xffff);
    }

    fn error_quoting(quoted: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
            .ipv4([203, 0, 113, 5], [192, 0, 2, 1], 64)
            .icmpv4(Icmpv4Type::DestinationUnreachable(
                DestUnreachableHeader::Port,
            ))
            .write(&mut frame, quoted)
            .expect("a vector takes everything");
        frame
    }

    proptest! {
        #[test]
        fn rewritten_errors_have_right_checksums(
            proto in prop::sample::select(vec![TCP, UDP, ICMP]),
            sport: u16, new_src: u32, new_dst: u32, new_sport: u16, new_dport: u16, cut in 28usize..50,
        ) {
            let builder = PacketBuilder::ipv4([192, 0, 2, 1], [192, 0, 2, 254], 64);
            let mut quoted = Vec::new();
            match proto {
                TCP => builder.tcp(sport, 5061, 1, 2).write(&mut quoted, b"0123456789"),
                UDP => builder.udp(sport, 5060).write(&mut quoted, b"0123456789"),
                _ => builder.icmpv4_echo_request(sport, 1).write(&mut quoted, b"0123456789"),
            }.expect("a vector takes everything");
            let whole = quoted.len();
            quoted.truncate(cut);
            let mut frame = error_quoting(&quoted);
            let error = Packet::parse(&frame).expect("valid");
            let found = Quoted::parse(&frame, &error).expect("quoted");
            let new_dport = if proto == ICMP { found.tuple.dport } else { new_dport };
            let new = Tuple { proto, src: new_src.into(), sport: new_sport, dst: new_dst.into(), dport: new_dport };
            found.set_tuple(&mut frame, &error, &new);
            prop_assert_eq!(checksum::sum(error.payload(&frame)), 0xffff);
            let inner = &frame[error.l4 + 8..error.end];
            prop_assert_eq!(checksum::sum(&inner[..20]), 0xffff);
            prop_assert_eq!(Quoted::parse(&frame, &error).expect("quoted").tuple, new);
            if cut >= whole && proto == ICMP {
                prop_assert_eq!(checksum::sum(&inner[20..]), 0xffff);
            }
        }

        #[test]
        fn random_quotes_never_panic(quoted in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut frame = error_quoting(&quoted);
            let error = Packet::parse(&frame).expect("valid");
            if let Some(found) = Quoted::parse(&frame, &error) {
                let new = Tuple { src: [1, 2, 3, 4].into(), ..found.tuple };
                found.set_tuple(&mut frame, &error, &new);
            }
        }
    }
}
