//! Ends of pinholes as entries of the card's destination table.
//!
//! Such an entry only makes the card hand a packet over instead of judging it: the host knows the pinholes, and judges
//! what falls through none as if there were none. So an entry may match more than it should when room is short, which
//! costs the host time and lets nothing through.

use std::collections::BTreeSet;

use layout::table::Destination;

/// Where packets of a pinhole are seen to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeenEnd {
    /// Ingress interface.
    pub interface: u8,
    /// IP protocol.
    pub proto: u8,
    /// Destination address.
    pub address: u32,
    /// Bits of the address that count: all of them where one address is meant.
    pub mask: u32,
    /// Destination port.
    pub port: u16,
}

/// What an entry matches; more, the more of its masks are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Match {
    interface: u8,
    proto: u8,
    address: (u32, u32),
    port: (u16, u16),
}

/// At most `room` entries that match all ends, in the order of their ends. Media and control ports that are neighbours
/// share an entry; when room is short, ports of an address are joined, then addresses.
pub fn cover(ends: &BTreeSet<SeenEnd>, room: usize) -> Vec<Destination> {
    let widths = [
        (u32::MAX, u16::MAX),
        (u32::MAX, 0xfffe),
        (u32::MAX, 0),
        (0, 0),
    ];
    let mut matches = BTreeSet::new();
    for (address, port) in widths {
        matches = ends
            .iter()
            .map(|end| Match {
                interface: end.interface,
                proto: end.proto,
                address: (end.address & end.mask & address, end.mask & address),
                port: (end.port & port, port),
            })
            .collect();
        if matches.len() <= room {
            break;
        }
    }
    // One entry for each interface and protocol is the least there can be: a policy leaves room for more than that.
    matches.into_iter().take(room).map(entry).collect()
}

fn entry(matches: Match) -> Destination {
    let (dst, dst_mask) = matches.address;
    let (dport, dport_mask) = matches.port;
    Destination {
        valid: true,
        interface: matches.interface,
        interface_mask: 0xf,
        proto: matches.proto,
        proto_mask: 0xff,
        dst,
        dst_mask,
        dport,
        dport_mask,
        local: true,
        ..Destination::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(count: u16) -> BTreeSet<SeenEnd> {
        let end = |number: u16| SeenEnd {
            interface: 1,
            proto: 17,
            address: 0xc000_0200 + u32::from(number / 8),
            mask: u32::MAX,
            port: 4000 + number,
        };
        (0..count).map(end).collect()
    }

    fn is_matched(entries: &[Destination], end: &SeenEnd) -> bool {
        entries.iter().any(|entry| {
            entry.valid
                && entry.local
                && (entry.interface ^ end.interface) & entry.interface_mask == 0
                && (entry.proto ^ end.proto) & entry.proto_mask == 0
                && (entry.dst ^ end.address) & entry.dst_mask == 0
                && (entry.dport ^ end.port) & entry.dport_mask == 0
        })
    }

    #[test]
    fn each_end_is_matched_and_nothing_else_as_long_as_there_is_room() {
        let all = ends(16);
        let entries = cover(&all, 16);
        assert_eq!(entries.len(), 16);
        assert!(all.iter().all(|end| is_matched(&entries, end)));
        let other = SeenEnd {
            port: 4016,
            ..*all.last().expect("some")
        };
        assert!(!is_matched(&entries, &other));
    }

    #[test]
    fn an_end_of_many_addresses_is_one_entry() {
        let block = SeenEnd {
            interface: 0,
            proto: 6,
            address: 0xc000_0280,
            mask: 0xffff_fff0,
            port: 80,
        };
        let entries = cover(&[block].into(), 8);
        assert_eq!(entries.len(), 1);
        for (address, port, expected) in [
            (0xc000_0280, 80, true),
            (0xc000_028f, 80, true),
            (0xc000_0290, 80, false),
            (0xc000_0280, 81, false),
        ] {
            let end = SeenEnd {
                address,
                port,
                ..block
            };
            assert_eq!(is_matched(&entries, &end), expected, "{end:?}");
        }
    }

    #[test]
    fn entries_grow_when_room_is_short_and_still_match_every_end() {
        let all = ends(64);
        for (room, expected) in [(63, 32), (31, 8), (8, 8), (7, 1), (1, 1)] {
            let entries = cover(&all, room);
            assert_eq!(entries.len(), expected, "room {room}");
            assert!(
                all.iter().all(|end| is_matched(&entries, end)),
                "room {room}"
            );
        }
    }
}
