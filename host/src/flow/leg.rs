//! One direction of a connection: what comes in, what it leaves as, and the card's entry for it.

use layout::table::{FlowAction, FlowEntry, Key};

use crate::wire::Tuple;
use crate::wire::packet::ICMP;

/// Which way a packet of a connection goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the one who began it.
    Forward,
    /// Back.
    Reverse,
}

impl Direction {
    /// The other way.
    pub fn opposite(self) -> Self {
        match self {
            Self::Forward => Self::Reverse,
            Self::Reverse => Self::Forward,
        }
    }
}

/// One direction: what comes in and what it leaves as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leg {
    /// Ingress interface.
    pub ingress: u8,
    /// Addresses and ports as they come in.
    pub seen: Tuple,
    /// Egress interface.
    pub egress: u8,
    /// Addresses and ports as they leave.
    pub sent: Tuple,
    /// Index of the next hop.
    pub adjacency: u8,
}

impl Leg {
    /// The leg of an entry that leaves by `egress`. Of an entry that punts it does not tell how packets leave.
    pub fn of_entry(entry: &FlowEntry, egress: u8) -> Self {
        let Key {
            interface,
            proto,
            src,
            sport,
            dst,
            dport,
        } = entry.key();
        let seen = Tuple {
            proto,
            src: src.into(),
            sport,
            dst: dst.into(),
            dport,
        };
        let mut sent = seen;
        let (address, port) = (entry.address.into(), entry.l4_port);
        match (entry.translate_source, entry.translate_destination) {
            _ if entry.punt => {}
            (true, _) => (sent.src, sent.sport) = (address, port),
            (false, true) if proto == ICMP => (sent.dst, sent.sport) = (address, port),
            (false, true) => (sent.dst, sent.dport) = (address, port),
            (false, false) => {}
        }
        Self {
            ingress: interface,
            seen,
            egress,
            sent,
            adjacency: entry.adjacency,
        }
    }

    /// The card's key.
    pub fn key(&self) -> Key {
        self.seen.key(self.ingress)
    }

    /// Whether source and destination change.
    pub fn changes(&self) -> (bool, bool) {
        let Self { seen, sent, .. } = self;
        let (source, destination) = (seen.src != sent.src, seen.dst != sent.dst);
        match seen.proto {
            // An identifier belongs to neither end; it goes with whichever address changes.
            ICMP => (
                source || (!destination && seen.sport != sent.sport),
                destination,
            ),
            _ => (
                source || seen.sport != sent.sport,
                destination || seen.dport != sent.dport,
            ),
        }
    }

    /// The card's entry. It can translate one end only; `punt` leaves all to the host.
    pub fn entry(&self, direction: Direction, punt: bool) -> FlowEntry {
        let (source, destination) = self.changes();
        let punt = punt || (source && destination);
        let mut action = FlowAction {
            valid: true,
            punt,
            adjacency: self.adjacency,
            ..FlowAction::default()
        };
        if !punt && (source || destination) {
            let Tuple {
                proto,
                src,
                sport,
                dst,
                dport,
            } = self.sent;
            action.translate_source = source;
            action.translate_destination = destination;
            action.address = if source { src } else { dst }.into();
            action.l4_port = if source || proto == ICMP {
                sport
            } else {
                dport
            };
        }
        FlowEntry {
            initiator: direction == Direction::Forward,
            ..FlowEntry::new(self.key(), action)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::packet::UDP;

    fn tuple(proto: u8, src: [u8; 4], sport: u16, dst: [u8; 4], dport: u16) -> Tuple {
        Tuple {
            proto,
            src: src.into(),
            sport,
            dst: dst.into(),
            dport,
        }
    }

    fn leg(seen: Tuple, sent: Tuple) -> Leg {
        Leg {
            ingress: 1,
            seen,
            egress: 0,
            sent,
            adjacency: 3,
        }
    }

    #[test]
    fn entries_translate_one_end_and_punt_for_two() {
        let seen = tuple(UDP, [10, 0, 0, 2], 5060, [192, 0, 2, 254], 5060);
        let source = leg(
            seen,
            Tuple {
                src: [192, 0, 2, 1].into(),
                sport: 9,
                ..seen
            },
        )
        .entry(Direction::Forward, false);
        assert!(source.translate_source && !source.translate_destination && !source.punt);
        assert_eq!(
            (source.address, source.l4_port, source.adjacency),
            (0xc000_0201, 9, 3)
        );
        let destination = leg(
            seen,
            Tuple {
                dport: 5061,
                ..seen
            },
        )
        .entry(Direction::Forward, false);
        assert!(!destination.translate_source && destination.translate_destination);
        assert_eq!(
            (destination.address, destination.l4_port),
            (0xc000_02fe, 5061)
        );
        let both = leg(
            seen,
            Tuple {
                sport: 1,
                dport: 2,
                ..seen
            },
        )
        .entry(Direction::Forward, false);
        assert!(both.punt && !both.translate_source && !both.translate_destination);
        let none = leg(seen, seen).entry(Direction::Reverse, false);
        assert!(source.initiator && !none.initiator);
        assert!(!none.punt && !none.translate_source && !none.translate_destination);
    }

    #[test]
    fn a_leg_is_read_back_from_its_entry() {
        let udp = tuple(UDP, [10, 0, 0, 2], 5060, [192, 0, 2, 254], 5060);
        let icmp = tuple(ICMP, [192, 0, 2, 254], 77, [192, 0, 2, 1], 0);
        for (seen, sent) in [
            (udp, udp),
            (
                udp,
                Tuple {
                    src: [192, 0, 2, 1].into(),
                    sport: 9,
                    ..udp
                },
            ),
            (udp, Tuple { dport: 5061, ..udp }),
            (
                icmp,
                Tuple {
                    dst: [10, 0, 0, 2].into(),
                    sport: 5,
                    ..icmp
                },
            ),
            (icmp, Tuple { sport: 5, ..icmp }),
        ] {
            let leg = leg(seen, sent);
            assert_eq!(Leg::of_entry(&leg.entry(Direction::Forward, false), 0), leg);
        }
    }

    #[test]
    fn icmp_entries_carry_the_identifier() {
        let seen = tuple(ICMP, [192, 0, 2, 254], 77, [192, 0, 2, 1], 0);
        let entry = leg(
            seen,
            Tuple {
                dst: [10, 0, 0, 2].into(),
                sport: 5,
                ..seen
            },
        )
        .entry(Direction::Forward, false);
        assert!(entry.translate_destination && !entry.translate_source);
        assert_eq!((entry.address, entry.l4_port), (0x0a00_0002, 5));
    }
}
