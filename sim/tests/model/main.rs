//! The model card against `hdl/CONTRACT.md`: every reason, every corner, one line of the page at a time.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use layout::csr;
use layout::desc::{Metadata, Reason, Verdict};
use layout::hash::flow_index;
use layout::table::{
    ACL_LANES, ACL_PAGES, AclEntry, AclValid, Adjacency, Destination, FLOW_SLOTS, FLOW_WAY_ENTRIES,
    FlowAction, FlowEntry, FlowStats, Interface, Key, Table,
};
use sim::frame::Frame;
use sim::{Access, Body, Card, Model};

/// Steps 1 to 16.
mod headers;
/// Steps 17 to 22.
mod lookups;
/// The section "Forwarding".
mod forwarding;
/// The sections "Counters", "Tables" and "Host windows".
mod host;
/// The section "Rings".
mod rings;

const MAC_0: u64 = 0x0200_0000_0001;
const MAC_1: u64 = 0x0200_0000_0002;
const NEXT_HOP: u64 = 0x0200_0000_00aa;
/// Interfaces of the test card: outside and inside, each untagged and tagged with VLAN 5.
const OUTSIDE: u8 = 0;
const INSIDE: u8 = 1;
const INSIDE_5: u8 = 3;

/// A model card with interfaces, one adjacency to `inside` and a policy that permits everything.
struct Bench {
    card: Model,
    next_flow: usize,
}

/// What became of one frame.
struct Outcome {
    metadata: Metadata,
    reason: Reason,
    /// Egress port and bytes, if it was forwarded.
    sent: Option<(u8, Vec<u8>)>,
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self {
            card: Model::new(64),
            next_flow: 0,
        };
        let interface = |port, tagged, mac| Interface {
            valid: true,
            port,
            tagged,
            vid: if tagged { 5 } else { 0 },
            mac,
        };
        for (index, entry) in [
            interface(0, false, MAC_0),
            interface(1, false, MAC_1),
            interface(0, true, MAC_0),
            interface(1, true, MAC_1),
        ]
        .iter()
        .enumerate()
        {
            assert!(
                bench
                    .card
                    .write_entry(Table::Interface, index, &entry.pack())
            );
        }
        for (index, interface) in [(1, INSIDE), (2, INSIDE_5), (3, 7), (4, 12)] {
            let adjacency = Adjacency {
                valid: true,
                interface,
                mac: NEXT_HOP,
            };
            assert!(
                bench
                    .card
                    .write_entry(Table::Adjacency, index, &adjacency.pack())
            );
        }
        bench.acl(10, &any(true));
        bench.live(0, &[10]);
        bench.card.bar_write(
            csr::CONTROL,
            csr::CONTROL_ENABLE | csr::CONTROL_DROP_NOT_SYN,
        );
        bench
    }

    fn acl(&mut self, slot: usize, entry: &AclEntry) {
        assert!(self.card.write_entry(Table::Acl, slot, &entry.pack()));
    }

    /// Makes exactly these slots live in a bank.
    fn live(&mut self, bank: usize, slots: &[usize]) {
        for page in 0..ACL_PAGES {
            let lanes = slots
                .iter()
                .filter(|slot| *slot / ACL_LANES == page)
                .fold(0, |l, slot| l | 1 << (slot % ACL_LANES));
            assert!(self.card.write_entry(
                Table::AclValid,
                bank * ACL_PAGES + page,
                &AclValid { lanes }.pack()
            ));
        }
    }

    fn destination(&mut self, index: usize, entry: &Destination) {
        assert!(
            self.card
                .write_entry(Table::Destination, index, &entry.pack())
        );
    }

    /// Installs a flow in a way of its bucket, or in the stash for way 4.
    fn flow(&mut self, way: usize, key: Key, action: FlowAction) -> usize {
        let slot = match way {
            0..=3 => way * FLOW_WAY_ENTRIES + flow_index(way, &key),
            _ => {
                self.next_flow += 1;
                FLOW_SLOTS - self.next_flow
            }
        };
        assert!(
            self.card
                .write_entry(Table::Flow, slot, &FlowEntry::new(key, action).pack())
        );
        slot
    }

    fn receive(&mut self, port: usize, frame: &[u8]) -> Outcome {
        self.card.feed(port, frame);
        assert!(self.card.run(10));
        self.outcome()
    }

    fn outcome(&mut self) -> Outcome {
        let mut sent = None;
        loop {
            let record = self.card.next_record().expect("a verdict comes last");
            match record.body {
                Body::Frame(frame) => sent = Some((record.port, frame)),
                Body::Verdict { metadata, .. } => {
                    let reason = Reason::from_code(metadata.reason).unwrap();
                    assert_eq!(metadata.verdict, reason.verdict() as u8);
                    assert_eq!(sent.is_some(), reason.verdict() == Verdict::Forward);
                    return Outcome {
                        metadata,
                        reason,
                        sent,
                    };
                }
            }
        }
    }

    fn reason(&mut self, frame: &[u8]) -> Reason {
        self.receive(0, frame).reason
    }

    fn stats(&mut self, slot: usize) -> FlowStats {
        FlowStats::unpack(&self.card.read_entry(Table::FlowStats, slot).unwrap())
    }

    fn hits(&mut self, slot: usize) -> u32 {
        self.card.read_entry(Table::AclHits, slot).unwrap()[0]
    }
}

/// An entry that matches every packet.
fn any(permit: bool) -> AclEntry {
    AclEntry {
        sport_high: u16::MAX,
        dport_high: u16::MAX,
        permit,
        ..AclEntry::default()
    }
}

fn syn() -> Frame {
    Frame {
        destination: MAC_0,
        ..Frame::default()
    }
}

/// The key of `syn()` as received outside.
fn syn_key() -> Key {
    Key {
        dport: 443,
        sport: 40_000,
        dst: 0xc000_0202,
        src: 0x0a00_0002,
        proto: 6,
        interface: OUTSIDE,
    }
}

fn forward() -> FlowAction {
    FlowAction {
        valid: true,
        adjacency: 1,
        ..FlowAction::default()
    }
}

fn with(change: impl FnOnce(&mut Frame)) -> Vec<u8> {
    let mut frame = syn();
    change(&mut frame);
    frame.build()
}
