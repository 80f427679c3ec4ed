//! Destination lookup against a walk over the entries, and its printed Verilog against the native simulation.

mod support;

use std::collections::VecDeque;

use hdl::destination::Destination as Circuit;
use hdl::record::Judged;
use layout::desc::NO_DESTINATION;
use layout::table::{DESTINATIONS, Destination, Key};
use rust_hdl_core::prelude::*;
use support::lockstep::Lockstep;
use support::packet::{random_key, to_bits};
use support::random::Random;

/// A packet on its way, with what the parser and the flow table said.
#[derive(Clone, Copy)]
struct Packet {
    key: Key,
    bank: usize,
    /// Passes without a lookup.
    known: bool,
}

/// What step 19 of the contract says: entry, local, key for the next step.
fn judge(table: &[Destination], packet: &Packet) -> (u16, bool, Key) {
    let mut key = packet.key;
    if packet.known {
        return (NO_DESTINATION, false, key);
    }
    let bank = &table[packet.bank * DESTINATIONS..][..DESTINATIONS];
    let matches = |entry: &&Destination| {
        entry.valid
            && (key.interface ^ entry.interface) & entry.interface_mask == 0
            && (key.proto ^ entry.proto) & entry.proto_mask == 0
            && (key.dst ^ entry.dst) & entry.dst_mask == 0
            && (key.dport ^ entry.dport) & entry.dport_mask == 0
    };
    let Some(entry) = bank.iter().find(matches) else {
        return (NO_DESTINATION, false, key);
    };
    let place = bank
        .iter()
        .position(|other| std::ptr::eq(other, entry))
        .expect("it is there");
    if !entry.local {
        key.dst = key.dst & entry.address_keep | entry.address;
        if matches!(key.proto, 1 | 6 | 17) {
            key.dport = key.dport & entry.l4_port_keep | entry.l4_port;
        }
    }
    (place as u16, entry.local, key)
}

fn random_entry(random: &mut Random) -> Destination {
    let key = random_key(random);
    let some = |random: &mut Random| {
        if random.chance(50) {
            u32::MAX
        } else {
            random.bits() as u32
        }
    };
    Destination {
        valid: random.chance(85),
        interface: key.interface,
        interface_mask: some(random) as u8 & 0xf,
        proto: key.proto,
        proto_mask: some(random) as u8,
        dst: key.dst,
        dst_mask: some(random),
        dport: key.dport,
        dport_mask: some(random) as u16,
        local: random.chance(30),
        address: random.bits() as u32,
        address_keep: random.bits() as u32,
        l4_port: random.bits() as u16,
        l4_port_keep: random.bits() as u16,
    }
}

struct Bench {
    run: Lockstep<Circuit>,
    table: Vec<Destination>,
    waiting: VecDeque<Packet>,
    inside: VecDeque<Packet>,
    clocks: usize,
}

impl Bench {
    fn new() -> Self {
        Self {
            run: Lockstep::new(Circuit::default(), |uut, high| uut.clock.next = high.into()),
            table: vec![Destination::default(); 2 * DESTINATIONS],
            waiting: VecDeque::new(),
            inside: VecDeque::new(),
            clocks: 0,
        }
    }

    fn tick(&mut self, ready: bool) {
        let uut = &mut self.run.uut;
        uut.in_valid.next = !self.waiting.is_empty();
        if let Some(packet) = self.waiting.front() {
            uut.in_data.next = Judged {
                key: to_bits(&packet.key.pack()),
                tcp: packet.key.proto == 6,
                udp: packet.key.proto == 17,
                icmp: packet.key.proto == 1,
                hit: packet.known,
                searches: !packet.known,
                destination: u64::from(NO_DESTINATION).to_bits(),
                destination_bank: packet.bank == 1,
                ..Judged::default()
            };
        }
        uut.out_ready.next = ready;
        self.run.settle();
        let uut = &self.run.uut;
        if uut.in_valid.val() && uut.in_ready.val() {
            self.inside.extend(self.waiting.pop_front());
        }
        if uut.out_valid.val() && ready {
            let packet = self
                .inside
                .pop_front()
                .expect("nothing leaves that did not enter");
            let (place, local, key) = judge(&self.table, &packet);
            let judged = uut.out_data.val();
            assert_eq!(judged.destination, u64::from(place).to_bits());
            assert_eq!(judged.local, local);
            assert_eq!(judged.key, to_bits(&key.pack()));
        }
        self.run.tick();
        self.clocks += 1;
    }

    /// Writes while packets of the other bank pass.
    fn write(&mut self, index: usize, entry: Destination) {
        self.run.uut.request.next = true;
        self.run.uut.index.next = index.to_bits();
        self.run.uut.data.next = to_bits(&entry.pack());
        for _ in 0..1000 {
            self.tick(true);
            if self.run.uut.done.val() {
                self.table[index] = entry;
                self.tick(true);
                self.run.uut.request.next = false;
                return;
            }
        }
        panic!("the write starves");
    }

    fn drain(&mut self, random: &mut Random, ready: u64) {
        while !self.waiting.is_empty() || !self.inside.is_empty() {
            let ready = random.chance(ready);
            self.tick(ready);
        }
    }
}

#[test]
fn lowest_matching_entry_of_the_live_bank_wins() {
    let mut bench = Bench::new();
    let mut random = Random(21);
    for round in 0..18 {
        let bank = round % 2;
        let place = [0, 1, 11, 12, 77, 131, 132, 143][random.below(8) as usize];
        for _ in 0..20 {
            bench.waiting.push_back(Packet {
                key: random_key(&mut random),
                bank: 1 - bank,
                known: random.chance(20),
            });
        }
        bench.write(bank * DESTINATIONS + place, random_entry(&mut random));
        for _ in 0..6 {
            bench.waiting.push_back(Packet {
                key: random_key(&mut random),
                bank,
                known: random.chance(20),
            });
        }
        bench.drain(&mut random, [100, 30][round / 2 % 2]);
    }
    bench
        .run
        .compare("destination")
        .expect("native and Verilated agree");
}

#[test]
fn known_packets_pass_at_once_others_in_twenty_seven_clocks() {
    let mut bench = Bench::new();
    let mut random = Random(22);
    for known in [true, false] {
        let count = 40;
        for _ in 0..count {
            bench.waiting.push_back(Packet {
                key: random_key(&mut random),
                bank: 0,
                known,
            });
        }
        bench.clocks = 0;
        bench.drain(&mut random, 100);
        let per_packet = bench.clocks / count;
        if known {
            assert_eq!(bench.clocks, count);
        } else {
            assert!(per_packet <= 27, "{per_packet} clocks a lookup");
        }
    }
}
