//! Flow table against a map of slots, and its printed Verilog against the native simulation.

mod support;

use std::collections::VecDeque;

use hdl::flow::{Flow, Stats};
use layout::desc::NO_FLOW;
use layout::hash::{flow_index, held, queue};
use layout::table::{
    FLOW_SLOTS, FLOW_STASH, FLOW_WAY_ENTRIES, FLOW_WAYS, FlowAction, FlowEntry, FlowStats, Key,
    Operation,
};
use rust_hdl_core::prelude::*;
use support::lockstep::Lockstep;
use support::packet::{header, random_key, to_bits, to_words};
use support::random::Random;

/// The circuit, and what it should hold.
struct Bench {
    run: Lockstep<Flow>,
    table: Vec<FlowEntry>,
    expected: VecDeque<(Key, bool)>,
    latency: usize,
    /// A frame of this slot passes every clock while the table is open.
    attack: bool,
}

impl Bench {
    fn new() -> Self {
        let run = Lockstep::new(Flow::default(), |uut, high| uut.clock.next = high.into());
        Self {
            run,
            table: vec![FlowEntry::default(); FLOW_SLOTS],
            expected: VecDeque::new(),
            latency: 0,
            attack: false,
        }
    }

    /// The slot that holds the key, lowest way first, then the stash.
    fn find(&self, key: &Key) -> Option<usize> {
        let ways = (0..FLOW_WAYS).map(|way| way * FLOW_WAY_ENTRIES + flow_index(way, key));
        let stash = FLOW_SLOTS - FLOW_STASH..FLOW_SLOTS;
        ways.chain(stash)
            .find(|&slot| self.table[slot].valid && self.table[slot].key() == *key)
    }

    /// One clock; checks what leaves.
    fn tick(&mut self) -> bool {
        self.run.settle();
        let taken = self.run.uut.in_valid.val() && self.run.uut.in_ready.val();
        if self.run.uut.out_valid.val() && self.run.uut.out_ready.val() {
            let (key, lookup) = self
                .expected
                .pop_front()
                .expect("nothing leaves that did not enter");
            let judged = self.run.uut.out_data.val();
            assert_eq!(judged.key, to_bits(&key.pack()), "in order");
            let slot = if lookup { self.find(&key) } else { None };
            assert_eq!(judged.hit, slot.is_some());
            assert_eq!(judged.decided, !lookup);
            let ring = if lookup { queue(&key) } else { 0 };
            assert_eq!(judged.queue, u64::from(ring).to_bits());
            let flow = slot.map_or(u64::from(NO_FLOW), |slot| slot as u64);
            assert_eq!(judged.flow, flow.to_bits());
            let action = slot.map_or(FlowAction::default(), |slot| self.table[slot].action());
            assert_eq!(judged.action, to_bits(&action.pack()));
        }
        self.run.tick();
        taken
    }

    /// Sends the packets, with this chance of a ready reader.
    fn send(&mut self, random: &mut Random, keys: &[Key], ready: u64) {
        let mut next = 0;
        while next < keys.len() || !self.expected.is_empty() {
            let lookup = next % 7 != 3;
            self.run.uut.in_valid.next = next < keys.len();
            if let Some(key) = keys.get(next) {
                // Every other packet that is not looked up has a wrong header checksum instead of a verdict.
                let wrong = next % 14 == 10;
                self.run.uut.in_data.next = hdl::record::Header {
                    decided: !lookup && !wrong,
                    summed: next.is_multiple_of(2),
                    sum: if wrong { 0x2_fffe_u64 } else { 0x2_fffd }.to_bits(),
                    ..header(key)
                };
            }
            self.run.uut.out_ready.next = random.chance(ready);
            if next < keys.len() {
                self.expected.push_back((keys[next], lookup));
            }
            let offered = next < keys.len();
            if self.tick() {
                next += 1;
            } else if offered {
                self.expected.pop_back();
            }
            self.latency += 1;
        }
        self.run.uut.in_valid.next = false;
    }

    /// A table operation; what was read.
    fn operate(
        &mut self,
        stats: bool,
        operation: Operation,
        slots: [usize; 2],
        entries: [FlowEntry; 2],
    ) -> Vec<u32> {
        self.run.uut.request.next = !stats;
        self.run.uut.stats_request.next = stats;
        self.run.uut.operation.next = (operation as u64).to_bits();
        self.run.uut.index.next = slots[0].to_bits();
        self.run.uut.index2.next = slots[1].to_bits();
        self.run.uut.data.next = to_bits(&entries[0].pack());
        self.run.uut.data2.next = to_bits(&entries[1].pack());
        for _ in 0..200 {
            self.run.settle();
            self.run.uut.event_valid.next = self.attack && self.run.uut.in_ready.val();
            let done = self.run.uut.done.val();
            let words = to_words(self.run.uut.read_data.val());
            self.run.tick();
            if done {
                self.run.uut.request.next = false;
                self.run.uut.stats_request.next = false;
                self.run.tick();
                return words;
            }
        }
        panic!("the table operation never ends");
    }

    fn write(&mut self, slot: usize, entry: FlowEntry) {
        self.operate(
            false,
            Operation::Write,
            [slot, 0],
            [entry, FlowEntry::default()],
        );
        self.table[slot] = held(slot, &entry);
    }
}

fn random_action(random: &mut Random) -> FlowAction {
    FlowAction {
        valid: random.chance(90),
        ..FlowAction::unpack(&[random.bits() as u32, random.bits() as u32])
    }
}

/// Any slot where this key may stand.
fn random_slot(random: &mut Random, key: &Key) -> usize {
    let place = random.below((FLOW_WAYS + FLOW_STASH) as u64) as usize;
    if place < FLOW_WAYS {
        place * FLOW_WAY_ENTRIES + flow_index(place, key)
    } else {
        FLOW_WAYS * FLOW_WAY_ENTRIES + place - FLOW_WAYS
    }
}

#[test]
fn finds_what_was_written_lowest_way_first() {
    let mut bench = Bench::new();
    let mut random = Random(11);
    let mut keys: Vec<Key> = (0..10).map(|_| random_key(&mut random)).collect();
    for round in 0..24 {
        let key = keys[random.below(10) as usize];
        let other = keys[random.below(10) as usize];
        let entry = FlowEntry {
            initiator: random.chance(50),
            ..FlowEntry::new(key, random_action(&mut random))
        };
        // Now and then where the key does not belong: another key is held then.
        let slot = match round % 6 {
            5 => random.below(FLOW_SLOTS as u64) as usize,
            _ => random_slot(&mut random, &key),
        };
        if round % 4 == 3 {
            let second = FlowEntry::new(other, random_action(&mut random));
            let slot2 = random_slot(&mut random, &other);
            bench.operate(false, Operation::WritePair, [slot, slot2], [entry, second]);
            bench.table[slot] = held(slot, &entry);
            bench.table[slot2] = held(slot2, &second);
        } else {
            bench.write(slot, entry);
        }
        let words = bench.operate(false, Operation::Read, [slot, 0], [FlowEntry::default(); 2]);
        assert_eq!(FlowEntry::unpack(&words), bench.table[slot]);
        keys.rotate_left(3);
        let keys: Vec<Key> = keys.iter().chain(&keys).copied().collect();
        bench.send(&mut random, &keys, [100, 40][round % 2]);
    }
    bench
        .run
        .compare("flow")
        .expect("native and Verilated agree");
}

#[test]
fn a_packet_every_clock_five_clocks_each() {
    let mut bench = Bench::new();
    let mut random = Random(12);
    let keys: Vec<Key> = (0..40).map(|_| random_key(&mut random)).collect();
    bench.write(
        random_slot(&mut random, &keys[0]),
        FlowEntry::new(
            keys[0],
            FlowAction {
                valid: true,
                ..FlowAction::default()
            },
        ),
    );
    bench.latency = 0;
    bench.send(&mut random, &keys, 100);
    assert_eq!(bench.latency, keys.len() + 5, "no bubbles, five clocks");
}

#[test]
fn statistics_are_exact_at_an_event_a_clock() {
    let mut run = Lockstep::new(Stats::default(), |uut, high| uut.clock.next = high.into());
    let mut random = Random(13);
    let slots = [0_u64, 1, 1000, 4095, 4096, 4103];
    let mut model = [FlowStats::default(); 6];
    for round in 0..12 {
        for _ in 0..60 {
            let which = random.below([1, 2, 6][round % 3]) as usize;
            let valid = random.chance(if round < 6 { 100 } else { 70 });
            let (length, epoch) = (random.below(1 << 16), random.below(256));
            let (fin, rst) = (random.chance(3), random.chance(3));
            run.uut.event_valid.next = valid;
            run.uut.event_slot.next = slots[which].to_bits();
            run.uut.event_length.next = length.to_bits();
            run.uut.event_fin.next = fin;
            run.uut.event_rst.next = rst;
            run.uut.epoch.next = epoch.to_bits();
            if valid {
                let stats = &mut model[which];
                stats.packets += 1;
                stats.bytes += length;
                stats.stamp = epoch as u8;
                stats.fin |= fin;
                stats.rst |= rst;
            }
            run.tick();
        }
        run.uut.event_valid.next = false;
        for (which, slot) in slots.iter().enumerate() {
            let clear = random.chance(20);
            run.uut.request.next = true;
            run.uut.clear.next = clear;
            run.uut.slot.next = slot.to_bits();
            for _ in 0..20 {
                run.tick();
                if run.uut.done.val() {
                    break;
                }
            }
            assert!(run.uut.done.val());
            if clear {
                model[which] = FlowStats::default();
            }
            assert_eq!(
                FlowStats::unpack(&to_words(run.uut.counts.val())),
                model[which]
            );
            run.uut.request.next = false;
            run.tick();
        }
    }
    run.compare("flow-stats")
        .expect("native and Verilated agree");
}

#[test]
fn a_write_clears_the_statistics_and_a_read_shows_them() {
    let mut bench = Bench::new();
    let mut random = Random(14);
    let key = random_key(&mut random);
    let entry = FlowEntry::new(
        key,
        FlowAction {
            valid: true,
            ..FlowAction::default()
        },
    );
    for slot in [random_slot(&mut random, &key), FLOW_SLOTS - 1] {
        bench.run.uut.event_slot.next = slot.to_bits();
        bench.run.uut.event_length.next = 64_u64.to_bits();
        bench.attack = true;
        let words = bench.operate(true, Operation::Read, [slot, 0], [entry; 2]);
        let stats = FlowStats::unpack(&words);
        assert!(stats.packets > 50, "the read waits for a gap, not for ever");
        assert_eq!(stats.bytes, 64 * u64::from(stats.packets));
        bench.attack = false;
        bench.run.uut.event_valid.next = false;
        bench.write(slot, entry);
        let words = bench.operate(true, Operation::Read, [slot, 0], [entry; 2]);
        assert_eq!(FlowStats::unpack(&words), FlowStats::default());
    }
}
