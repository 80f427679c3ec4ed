//! Access-control list against a walk over the slots, and its printed Verilog against the native simulation.

mod support;

use std::collections::VecDeque;

use hdl::acl::Acl;
use hdl::record::Judged;
use layout::desc::NO_ACE;
use layout::table::{ACL_BANKS, ACL_LANES, ACL_PAGES, ACL_SLOTS, AclEntry, AclHits, Key};
use rust_hdl_core::prelude::*;
use support::lockstep::Lockstep;
use support::packet::{random_key, to_bits, to_words};
use support::random::Random;

/// A packet on its way, with what the earlier stages said.
#[derive(Clone, Copy)]
struct Packet {
    key: Key,
    bank: usize,
    /// Passes without a lookup.
    known: bool,
}

fn matches(entry: &AclEntry, key: &Key) -> bool {
    (key.interface ^ entry.interface) & entry.interface_mask == 0
        && (key.proto ^ entry.proto) & entry.proto_mask == 0
        && (key.src ^ entry.src) & entry.src_mask == 0
        && (key.dst ^ entry.dst) & entry.dst_mask == 0
        && (entry.sport_low..=entry.sport_high).contains(&key.sport)
        && (entry.dport_low..=entry.dport_high).contains(&key.dport)
}

/// An entry around a key, or one that wants something no key has.
fn random_entry(random: &mut Random) -> AclEntry {
    let key = random_key(random);
    let some = |random: &mut Random| if random.chance(75) { 0 } else { u32::MAX };
    let edge = |random: &mut Random, port: u16| match random.below(4) {
        0 => (port, port),
        1 => (0, u16::MAX),
        2 => (port.saturating_sub(1), port),
        _ => (port, port.saturating_add(1)),
    };
    let (sport_low, sport_high) = edge(random, key.sport);
    let (dport_low, dport_high) = edge(random, key.dport);
    AclEntry {
        interface: key.interface,
        interface_mask: some(random) as u8 & 0xf,
        proto: key.proto,
        proto_mask: some(random) as u8,
        src: key.src,
        src_mask: some(random) << random.below(20),
        dst: key.dst,
        dst_mask: some(random) << random.below(20),
        sport_low,
        sport_high,
        dport_low,
        dport_high,
        permit: random.chance(50),
    }
}

struct Bench {
    run: Lockstep<Acl>,
    table: Vec<AclEntry>,
    valid: Vec<u64>,
    hits: Vec<u64>,
    waiting: VecDeque<Packet>,
    inside: VecDeque<Packet>,
    clocks: usize,
}

impl Bench {
    fn new() -> Self {
        Self {
            run: Lockstep::new(Acl::default(), |uut, high| uut.clock.next = high.into()),
            table: vec![AclEntry::default(); ACL_SLOTS],
            valid: vec![0; ACL_BANKS * ACL_PAGES],
            hits: vec![0; ACL_SLOTS],
            waiting: VecDeque::new(),
            inside: VecDeque::new(),
            clocks: 0,
        }
    }

    /// Step 20 of the contract: slot and permit.
    fn judge(&mut self, packet: &Packet) -> (u16, bool) {
        if packet.known {
            return (NO_ACE, false);
        }
        for slot in 0..ACL_SLOTS {
            let lanes = self.valid[packet.bank * ACL_PAGES + slot / ACL_LANES];
            if lanes >> (slot % ACL_LANES) & 1 == 1 && matches(&self.table[slot], &packet.key) {
                self.hits[slot] += 1;
                return (slot as u16, self.table[slot].permit);
            }
        }
        (NO_ACE, false)
    }

    fn tick(&mut self, ready: bool) {
        let uut = &mut self.run.uut;
        uut.in_valid.next = !self.waiting.is_empty();
        if let Some(packet) = self.waiting.front() {
            uut.in_data.next = Judged {
                key: to_bits(&packet.key.pack()),
                hit: packet.known,
                searches: !packet.known,
                ace: u64::from(NO_ACE).to_bits(),
                acl_bank: packet.bank == 1,
                ..Judged::default()
            };
        }
        uut.out_ready.next = ready;
        self.run.settle();
        let uut = &self.run.uut;
        let judged = uut.out_data.val();
        let leaves = uut.out_valid.val() && ready;
        if uut.in_valid.val() && uut.in_ready.val() {
            self.inside.extend(self.waiting.pop_front());
        }
        if leaves {
            let packet = self
                .inside
                .pop_front()
                .expect("nothing leaves that did not enter");
            let (slot, permit) = self.judge(&packet);
            assert_eq!(judged.key, to_bits(&packet.key.pack()), "in order");
            assert_eq!(judged.ace, u64::from(slot).to_bits());
            assert_eq!(judged.permit, permit);
        }
        self.run.tick();
        self.clocks += 1;
    }

    /// Runs the operation whose request is set; what was read.
    fn operate(&mut self) -> Vec<u32> {
        for _ in 0..1000 {
            self.run.settle();
            let done = self.run.uut.done.val();
            let words = to_words(self.run.uut.read_data.val());
            self.tick(true);
            if done {
                self.run.uut.request.next = false;
                self.run.uut.map_request.next = false;
                self.run.uut.hits_request.next = false;
                self.tick(true);
                return words;
            }
        }
        panic!("the operation starves");
    }

    fn write(&mut self, slot: usize, entry: AclEntry) {
        self.run.uut.request.next = true;
        self.run.uut.index.next = slot.to_bits();
        self.run.uut.data.next = to_bits(&entry.pack());
        self.operate();
        self.table[slot] = entry;
        self.hits[slot] = 0;
    }

    fn validate(&mut self, index: usize, lanes: u64) {
        self.run.uut.map_request.next = true;
        self.run.uut.index.next = index.to_bits();
        self.run.uut.data.next = lanes.to_bits();
        self.operate();
        self.valid[index] = lanes;
    }

    fn read_hits(&mut self, slot: usize) -> u64 {
        self.run.uut.hits_request.next = true;
        self.run.uut.index.next = slot.to_bits();
        AclHits::unpack(&self.operate()).hits
    }

    fn drain(&mut self, random: &mut Random, ready: u64) {
        while !self.waiting.is_empty() || !self.inside.is_empty() {
            let ready = random.chance(ready);
            self.tick(ready);
        }
    }
}

#[test]
fn lowest_valid_matching_slot_wins_and_counts() {
    let mut bench = Bench::new();
    let mut random = Random(31);
    // On either side of where one memory of hits ends, and pairs that would share a word in one of them.
    let few = ACL_SLOTS / 9;
    let many = ACL_SLOTS - few;
    let last = ACL_SLOTS - 1;
    let slots = [
        0,
        1,
        5,
        36,
        71,
        few - 1,
        200,
        many - 2,
        many - 1,
        many,
        many + 5,
        last - 1,
        last,
    ];
    for &slot in &slots {
        let entry = random_entry(&mut random);
        bench.write(slot, entry);
    }
    for round in 0..14 {
        let slot = slots[random.below(slots.len() as u64) as usize];
        let page = slot / ACL_LANES;
        let bank = round % 2;
        bench.validate(
            bank * ACL_PAGES + page,
            random.bits() & random.bits() & 0xf_ffff_ffff | 1 << (slot % ACL_LANES),
        );
        for _ in 0..10 {
            bench.waiting.push_back(Packet {
                key: random_key(&mut random),
                bank,
                known: random.chance(25),
            });
        }
        bench.drain(&mut random, [100, 20][round / 2 % 2]);
    }
    for &slot in &slots {
        assert_eq!(bench.read_hits(slot), bench.hits[slot], "slot {slot}");
    }
    assert!(
        slots.iter().filter(|&&slot| bench.hits[slot] > 0).count() > 4,
        "the test meets its entries"
    );
    bench
        .run
        .compare("acl")
        .expect("native and Verilated agree");
}

#[test]
fn slots_that_are_not_valid_are_written_unnoticed() {
    let mut bench = Bench::new();
    let mut random = Random(32);
    let everything = AclEntry {
        sport_high: u16::MAX,
        dport_high: u16::MAX,
        permit: true,
        ..AclEntry::default()
    };
    bench.write(40, everything);
    bench.validate(1, 1 << 4);
    for slot in [0, 3, 39, 41, 44] {
        for _ in 0..12 {
            bench.waiting.push_back(Packet {
                key: random_key(&mut random),
                bank: 0,
                known: random.chance(20),
            });
        }
        let entry = random_entry(&mut random);
        bench.write(
            slot,
            AclEntry {
                permit: false,
                ..entry
            },
        );
    }
    bench.drain(&mut random, 100);
    assert!(bench.hits[40] > 20);
    assert_eq!(bench.read_hits(40), bench.hits[40]);
}

#[test]
fn known_packets_pass_in_one_clock_misses_in_one_a_page_and_one() {
    let mut bench = Bench::new();
    let mut random = Random(33);
    for known in [true, false] {
        let count = 60;
        for _ in 0..count {
            bench.waiting.push_back(Packet {
                key: random_key(&mut random),
                bank: 0,
                known,
            });
        }
        bench.clocks = 0;
        bench.drain(&mut random, 100);
        if known {
            assert_eq!(bench.clocks, count + 1);
        } else {
            let most = (ACL_PAGES + 1) * count + 16;
            assert!(bench.clocks <= most, "{} clocks", bench.clocks);
        }
    }
}
