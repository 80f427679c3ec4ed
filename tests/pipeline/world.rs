//! Random tables, made so that packets drawn from them land on edges and overlaps.
//!
//! Addresses, ports and protocols come from small pools of neighbours; flows have near-misses planted
//! in their buckets; access-control entries share values and differ in masks and range ends.

use std::collections::{BTreeMap, BTreeSet};

use layout::csr;
use layout::hash::flow_index;
use layout::table::{
    ACL_LANES, ACL_PAGES, ACL_SLOTS, ADJACENCIES, AclEntry, AclValid, Adjacency, DESTINATIONS,
    Destination, FLOW_SLOTS, FLOW_STASH, FLOW_WAY_ENTRIES, FLOW_WAYS, FlowAction, FlowEntry,
    INTERFACES, Interface, Key, Table,
};

use crate::random::Random;

/// What the tables of a card hold, and what packets for them are made of.
pub struct World {
    pub interfaces: [Interface; INTERFACES],
    pub adjacencies: BTreeMap<usize, Adjacency>,
    pub flows: BTreeMap<usize, FlowEntry>,
    /// By index over both banks.
    pub destinations: BTreeMap<usize, Destination>,
    pub acl: BTreeMap<usize, AclEntry>,
    pub acl_valid: [[u64; ACL_PAGES]; 2],
    pub addresses: Vec<u32>,
    pub ports: Vec<u16>,
    pub protos: Vec<u8>,
}

/// One table write.
pub type Write = (Table, usize, Vec<u32>);

impl World {
    pub fn new(random: &mut Random) -> Self {
        let mut world = Self {
            interfaces: [Interface::default(); INTERFACES],
            adjacencies: BTreeMap::new(),
            flows: BTreeMap::new(),
            destinations: BTreeMap::new(),
            acl: BTreeMap::new(),
            acl_valid: [[0; ACL_PAGES]; 2],
            addresses: addresses(random),
            ports: ports(random),
            protos: vec![6, 6, 6, 17, 17, 1, random.pick(&[47, 0, 2, 50, 255])],
        };
        world.interfaces = std::array::from_fn(|index| interface(random, index));
        world.fill_adjacencies(random);
        world.fill_flows(random);
        world.fill_destinations(random);
        world.fill_acl(random);
        world
    }

    /// Everything, in an order of its own.
    pub fn writes(&self, random: &mut Random) -> Vec<Write> {
        let mut writes: Vec<Write> = Vec::new();
        let mut put = |table, index, words: &[u32]| writes.push((table, index, words.to_vec()));
        self.interfaces
            .iter()
            .enumerate()
            .for_each(|(i, e)| put(Table::Interface, i, &e.pack()));
        self.adjacencies
            .iter()
            .for_each(|(i, e)| put(Table::Adjacency, *i, &e.pack()));
        self.flows
            .iter()
            .for_each(|(i, e)| put(Table::Flow, *i, &e.pack()));
        self.destinations
            .iter()
            .for_each(|(i, e)| put(Table::Destination, *i, &e.pack()));
        self.acl
            .iter()
            .for_each(|(i, e)| put(Table::Acl, *i, &e.pack()));
        for bank in 0..2 {
            for page in 0..ACL_PAGES {
                put(
                    Table::AclValid,
                    bank * ACL_PAGES + page,
                    &self.valid_page(bank, page).pack(),
                );
            }
        }
        random.shuffle(&mut writes);
        writes
    }

    fn valid_page(&self, bank: usize, page: usize) -> AclValid {
        AclValid {
            lanes: self.acl_valid[bank][page],
        }
    }

    /// Control register that lets most packets through.
    pub fn control(random: &mut Random) -> u32 {
        let mut control = csr::CONTROL_ENABLE;
        for (bit, percent) in [
            (csr::CONTROL_PROMISCUOUS, 30),
            (csr::CONTROL_DROP_NOT_SYN, 60),
            (csr::CONTROL_HOLD, 8),
        ] {
            if random.percent(percent) {
                control |= bit;
            }
        }
        if random.percent(4) {
            control & !csr::CONTROL_ENABLE
        } else {
            control
        }
    }

    /// Changes some of what is live; the writes that do it.
    pub fn change(&mut self, random: &mut Random) -> Vec<Write> {
        let mut writes: Vec<Write> = Vec::new();
        for _ in 0..random.between(0, 30) {
            writes.push(self.change_one(random));
        }
        writes
    }

    fn change_one(&mut self, random: &mut Random) -> Write {
        match random.below(8) {
            0 => {
                let index = random.below(INTERFACES);
                self.interfaces[index] = interface(random, index);
                (
                    Table::Interface,
                    index,
                    self.interfaces[index].pack().to_vec(),
                )
            }
            1 => {
                let index = self.adjacency_index(random);
                let adjacency = self.adjacency(random);
                self.adjacencies.insert(index, adjacency);
                (Table::Adjacency, index, adjacency.pack().to_vec())
            }
            2 | 3 => {
                let key = self.key(random);
                let entry = FlowEntry {
                    initiator: random.percent(50),
                    ..FlowEntry::new(key, self.action(random, &key))
                };
                let way = random.below(FLOW_WAYS);
                let slot = way * FLOW_WAY_ENTRIES + flow_index(way, &key);
                self.flows.insert(slot, entry);
                (Table::Flow, slot, entry.pack().to_vec())
            }
            4 => {
                let slot = random.pick(&self.flow_slots());
                let entry = FlowEntry {
                    valid: random.percent(20),
                    ..self.flows.get(&slot).copied().unwrap_or_default()
                };
                self.flows.insert(slot, entry);
                (Table::Flow, slot, entry.pack().to_vec())
            }
            5 => {
                let index = random.below(2 * DESTINATIONS);
                let entry = self.destination(random);
                self.destinations.insert(index, entry);
                (Table::Destination, index, entry.pack().to_vec())
            }
            6 => {
                let slot = random.below(ACL_SLOTS);
                let entry = self.ace(random);
                self.acl.insert(slot, entry);
                (Table::Acl, slot, entry.pack().to_vec())
            }
            _ => {
                let (bank, page) = (random.below(2), random.below(ACL_PAGES));
                self.acl_valid[bank][page] = lanes(random);
                (
                    Table::AclValid,
                    bank * ACL_PAGES + page,
                    self.valid_page(bank, page).pack().to_vec(),
                )
            }
        }
    }

    /// Slots that hold something, and slot zero.
    pub fn flow_slots(&self) -> Vec<usize> {
        let mut slots: BTreeSet<usize> = self.flows.keys().copied().collect();
        slots.insert(0);
        slots.into_iter().collect()
    }

    /// ACL slots that neither bank shows.
    pub fn dead_ace(&self, random: &mut Random) -> Option<usize> {
        let slot = random.below(ACL_SLOTS);
        let is_live = (0..2)
            .any(|bank| self.acl_valid[bank][slot / ACL_LANES] >> (slot % ACL_LANES) & 1 == 1);
        (!is_live).then_some(slot)
    }

    /// A flow nobody sends packets of, for any slot.
    pub fn foreign_flow(&self, random: &mut Random) -> FlowEntry {
        let key = Key {
            src: 0xc633_6400 | random.below(256) as u32,
            dst: random.next() as u32,
            ..self.key(random)
        };
        FlowEntry::new(key, self.action(random, &key))
    }

    /// A lookup key of the pools.
    pub fn key(&self, random: &mut Random) -> Key {
        let proto = random.pick(&self.protos);
        let (sport, dport) = match proto {
            6 | 17 => (random.pick(&self.ports), random.pick(&self.ports)),
            1 => (
                random.pick(&self.ports),
                u16::from(random.pick(&[0u8, 8, 8, 13, 3])) << 8 | random.pick(&[0, 0, 1, 255]),
            ),
            _ => (0, 0),
        };
        let most = random.pick(&[2, 4, INTERFACES]);
        let interface = random.below(most) as u8;
        let (src, mut dst) = (random.pick(&self.addresses), random.pick(&self.addresses));
        if src == dst {
            dst = random.pick(&self.addresses);
        }
        Key {
            dport,
            sport,
            dst,
            src,
            proto,
            interface,
        }
    }

    pub fn action(&self, random: &mut Random, key: &Key) -> FlowAction {
        let (translate_source, translate_destination) = random.pick(&[
            (false, false),
            (true, false),
            (true, false),
            (false, true),
            (false, true),
            (true, true),
        ]);
        let original = if translate_source {
            key.sport
        } else {
            key.dport
        };
        FlowAction {
            valid: true,
            punt: random.percent(12),
            translate_source,
            translate_destination,
            adjacency: self.usable_adjacency(random, key) as u8,
            l4_port: if random.percent(25) {
                original
            } else {
                random.pick(&self.ports)
            },
            address: if random.percent(30) {
                random.next() as u32
            } else {
                random.pick(&self.addresses)
            },
        }
    }

    /// For the most part one that leads to an interface like the packet's own.
    fn usable_adjacency(&self, random: &mut Random, key: &Key) -> usize {
        let is_tagged = self.interfaces[usize::from(key.interface) % INTERFACES].tagged;
        let is_usable = |index: &usize| {
            let adjacency = self.adjacencies.get(index).copied().unwrap_or_default();
            let egress = self
                .interfaces
                .get(usize::from(adjacency.interface))
                .copied()
                .unwrap_or_default();
            adjacency.valid && egress.valid && egress.tagged == is_tagged
        };
        let mut index = self.adjacency_index(random);
        for _ in 0..6 {
            if is_usable(&index) {
                break;
            }
            index = self.adjacency_index(random);
        }
        index
    }

    fn adjacency_index(&self, random: &mut Random) -> usize {
        random.pick(&[0, 1, 2, 3, 127, 128, 254, ADJACENCIES - 1])
    }

    fn adjacency(&self, random: &mut Random) -> Adjacency {
        Adjacency {
            valid: random.percent(92),
            // Sometimes an interface that does not exist.
            interface: if random.percent(3) {
                random.between(8, 15)
            } else {
                random.below(INTERFACES)
            } as u8,
            mac: random.next() & 0xffff_ffff_ffff,
        }
    }

    fn fill_adjacencies(&mut self, random: &mut Random) {
        for index in [0, 1, 2, 3, 127, 128, 254, ADJACENCIES - 1] {
            if random.percent(92) {
                let adjacency = self.adjacency(random);
                self.adjacencies.insert(index, adjacency);
            }
        }
    }

    fn fill_flows(&mut self, random: &mut Random) {
        for _ in 0..random.pick(&[0, 3, 30, 30, 150, 400]) {
            let key = self.key(random);
            self.place(random, key);
            if random.percent(5) {
                self.place(random, key);
            }
            if random.percent(40) {
                self.plant_near_miss(random, &key);
            }
        }
    }

    /// Puts a flow where the card looks for it, if there is room.
    fn place(&mut self, random: &mut Random, key: Key) {
        let mut slots: Vec<usize> = (0..FLOW_WAYS)
            .map(|way| way * FLOW_WAY_ENTRIES + flow_index(way, &key))
            .collect();
        random.shuffle(&mut slots);
        let mut stash: Vec<usize> = (FLOW_SLOTS - FLOW_STASH..FLOW_SLOTS).collect();
        random.shuffle(&mut stash);
        let order = if random.percent(15) {
            [stash, slots]
        } else {
            [slots, stash]
        }
        .concat();
        if let Some(slot) = order
            .into_iter()
            .find(|slot| !self.flows.contains_key(slot))
        {
            let valid = random.percent(96);
            let action = FlowAction {
                valid,
                ..self.action(random, &key)
            };
            self.flows.insert(slot, FlowEntry::new(key, action));
        }
    }

    /// Puts a key that differs in one bit where the card looks for this one, or for itself in the stash.
    fn plant_near_miss(&mut self, random: &mut Random, key: &Key) {
        let near = match random.below(6) {
            0 => Key {
                src: random.flip(key.src.into(), 32) as u32,
                ..*key
            },
            1 => Key {
                dst: random.flip(key.dst.into(), 32) as u32,
                ..*key
            },
            2 => Key {
                sport: random.flip(key.sport.into(), 16) as u16,
                ..*key
            },
            3 => Key {
                dport: random.flip(key.dport.into(), 16) as u16,
                ..*key
            },
            4 => Key {
                proto: random.flip(key.proto.into(), 8) as u8,
                ..*key
            },
            _ => Key {
                interface: random.flip(key.interface.into(), 3) as u8,
                ..*key
            },
        };
        let way = random.below(FLOW_WAYS);
        let slot = if random.percent(10) {
            FLOW_SLOTS - 1 - random.below(FLOW_STASH)
        } else {
            way * FLOW_WAY_ENTRIES + flow_index(way, key)
        };
        let action = self.action(random, key);
        self.flows
            .entry(slot)
            .or_insert(FlowEntry::new(near, action));
    }

    fn destination(&self, random: &mut Random) -> Destination {
        let (dst, dst_mask) = self.masked_address(random);
        let (interface, interface_mask) = masked_interface(random);
        let (proto, proto_mask) = self.masked_proto(random);
        let dport_mask = random.pick(&[0, u16::MAX, u16::MAX, 0xff00, 0xfffe]);
        Destination {
            valid: random.percent(95),
            interface,
            interface_mask,
            proto,
            proto_mask,
            dst,
            dst_mask,
            dport: random.pick(&self.ports),
            dport_mask,
            local: random.percent(20),
            address: random.pick(&self.addresses),
            address_keep: random.pick(&[0, 0, 0xff, 0xffff_ffff, 0x0000_0f0f]),
            l4_port: random.pick(&self.ports),
            l4_port_keep: random.pick(&[0, 0, u16::MAX, 0x00ff, 0x8001]),
        }
    }

    fn fill_destinations(&mut self, random: &mut Random) {
        for bank in 0..2 {
            let mut indexes: Vec<usize> = (0..DESTINATIONS).collect();
            random.shuffle(&mut indexes);
            // The first and last entries more often than chance has it.
            indexes.extend([0, DESTINATIONS - 1]);
            indexes.reverse();
            for index in &indexes[..random.pick(&[0, 2, 6, 12, DESTINATIONS])] {
                let entry = self.destination(random);
                self.destinations.insert(bank * DESTINATIONS + index, entry);
            }
        }
    }

    pub fn ace(&self, random: &mut Random) -> AclEntry {
        let (src, src_mask) = self.masked_address(random);
        let (dst, dst_mask) = self.masked_address(random);
        let (interface, interface_mask) = masked_interface(random);
        let (proto, proto_mask) = self.masked_proto(random);
        let (sport_low, sport_high) = self.range(random);
        let (dport_low, dport_high) = self.range(random);
        let permit = random.percent(65);
        AclEntry {
            interface,
            interface_mask,
            proto,
            proto_mask,
            src,
            src_mask,
            dst,
            dst_mask,
            sport_low,
            sport_high,
            dport_low,
            dport_high,
            permit,
        }
    }

    fn fill_acl(&mut self, random: &mut Random) {
        let mut slots: Vec<usize> = (0..ACL_SLOTS).collect();
        random.shuffle(&mut slots);
        slots.extend([
            0,
            ACL_LANES - 1,
            ACL_LANES,
            ACL_SLOTS - ACL_LANES,
            ACL_SLOTS - 1,
        ]);
        slots.reverse();
        let count = if random.percent(8) {
            ACL_SLOTS
        } else {
            random.pick(&[0, 8, 20, 60, 60, 200])
        };
        for slot in &slots[..count.min(slots.len())] {
            let entry = self.ace(random);
            self.acl.insert(*slot, entry);
        }
        for bank in 0..2 {
            self.acl_valid[bank] = std::array::from_fn(|_| lanes(random));
        }
    }

    /// Any, a host, a network, or a mask no prefix has.
    fn masked_address(&self, random: &mut Random) -> (u32, u32) {
        let address = random.pick(&self.addresses);
        let mask = match random.below(10) {
            0..=2 => 0,
            3..=5 => u32::MAX,
            6..=8 => u32::MAX << random.below(32),
            _ => random.next() as u32,
        };
        // Bits under a zero mask must not matter.
        (
            if random.percent(50) {
                address
            } else {
                address & mask | random.next() as u32 & !mask
            },
            mask,
        )
    }

    fn masked_proto(&self, random: &mut Random) -> (u8, u8) {
        (
            random.pick(&self.protos),
            random.pick(&[0, 0, 0xff, 0xff, 0xff, 0xfe]),
        )
    }

    /// Any port, one, a range between two of the pool, or the empty range.
    fn range(&self, random: &mut Random) -> (u16, u16) {
        let (a, b) = (random.pick(&self.ports), random.pick(&self.ports));
        match random.below(10) {
            0..=3 => (0, u16::MAX),
            4 | 5 => (a, a),
            6..=8 => (a.min(b), a.max(b)),
            _ => (a, b),
        }
    }
}

fn masked_interface(random: &mut Random) -> (u8, u8) {
    (
        random.below(INTERFACES) as u8,
        random.pick(&[0, 0, 0, 0xf, 0xf, 0x6]),
    )
}

fn lanes(random: &mut Random) -> u64 {
    let some = random.next();
    random.pick(&[0, u64::MAX, u64::MAX, some, some]) & ((1 << ACL_LANES) - 1)
}

/// One per port and tag first, then VLANs of their own; some overlap, and the lowest is the one that counts.
fn interface(random: &mut Random, index: usize) -> Interface {
    let own_vid = 10 + index as u16;
    Interface {
        valid: random.percent(if index < 4 { 97 } else { 70 }),
        port: if index < 4 {
            index as u8 & 1
        } else {
            random.below(2) as u8
        },
        tagged: if index < 4 {
            index >= 2
        } else {
            random.percent(90)
        },
        vid: if random.percent(85) {
            own_vid
        } else {
            random.pick(&[0, 12, 13, 14, 0xfff])
        },
        mac: 0x0200_5e00_0000
            | if random.percent(90) {
                0
            } else {
                random.below(4) as u64
            },
    }
}

/// Neighbours of a few addresses, in value and in single bits.
fn addresses(random: &mut Random) -> Vec<u32> {
    let mut pool = vec![0x0a00_0001, 0x0a00_00ff, 0xc000_0201, 0xdfff_ffff, 0];
    for _ in 0..3 {
        let base = random.next() as u32 & 0x7fff_ffff;
        pool.extend([
            base,
            base.wrapping_add(1),
            base ^ 0x4000_0000,
            random.flip(base.into(), 31) as u32,
        ]);
    }
    pool
}

fn ports(random: &mut Random) -> Vec<u16> {
    let mut pool = vec![
        0, 1, 80, 443, 0x00ff, 0x0100, 0x7fff, 0x8000, 0xfffe, 0xffff,
    ];
    for _ in 0..3 {
        let base = random.next() as u16;
        pool.extend([
            base,
            base.wrapping_add(1),
            random.flip(base.into(), 16) as u16,
        ]);
    }
    pool
}
