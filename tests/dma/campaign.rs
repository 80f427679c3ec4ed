//! Random frames both ways through the rings of the RTL card while the bus misbehaves in every way it may: no frame is
//! lost that is not counted, none comes twice, none is changed, none overtakes another of its ring and origin.
//!
//! Seeds are fixed, so a run is repeatable; `POSTERN_SEED=N` runs one case, `POSTERN_FIRST_SEED=N` starts elsewhere,
//! `POSTERN_PACKETS=N` says how many frames.

use layout::csr;
use layout::table::{HOST_FRAME_BYTES, PUNT_QUEUES};
use sim::root_complex::{Faults, Settings};
use sim::{Access, Body, Card, Function, Verilated};

use crate::host::{BASE, Bench, FRAMES, MEMORY_BYTES, ON, slot_address};
use crate::random::Random;

/// Frames and what must become of them.
mod ledger;

use ledger::{Ledger, Origin};

/// Memory for the frame of each descriptor.
const PLACE: u64 = 0x4000;
/// Bytes of it where a frame may begin.
const SHIFT: usize = PLACE as usize - 2100;
/// Frames of a case, both ways.
const FRAMES_A_CASE: usize = 400;
/// Looks at a card that shall come to rest.
const LOOKS: usize = 200;
/// Counters of punted frames that the host does not get, and of injected ones that the card does not get.
const PUNTS_LOST: [u32; 3] = [csr::PUNT_OVERFLOW, csr::PUNT_RING_FULL, csr::PUNT_DMA_OFF];
const INJECTS_LOST: [u32; 3] = [
    csr::INJECT_BAD_DESCRIPTOR,
    csr::INJECT_READ_ERROR,
    csr::INJECT_READ_TIMEOUT,
];

#[test]
fn nothing_is_lost_doubled_or_changed_whatever_the_bus_does() {
    let number = |variable: &str| {
        let text = std::env::var(variable).ok()?;
        Some(text.parse::<u64>().expect("a number"))
    };
    let one = number("POSTERN_SEED");
    let frames = number("POSTERN_PACKETS").unwrap_or(20_000);
    let mut seed = one.or(number("POSTERN_FIRST_SEED")).unwrap_or(1);
    let mut bench = Bench::new(Box::new(Verilated::with_rings()));
    let mut total = Tally::default();
    while total.frames < frames {
        let told = Told(seed);
        let mut case = Case::start(&mut bench, seed);
        case.play();
        total.add(&case.tally());
        drop(told);
        if one.is_some() {
            break;
        }
        seed += 1;
    }
    println!("seeds up to {seed}: {total:?}");
    if one.is_none() && number("POSTERN_PACKETS").is_none() {
        // Every way to lose a frame was met, and most were not lost.
        assert!(total.lost.iter().all(|count| *count > 0), "{total:?}");
        assert!(
            2 * total.lost.iter().sum::<u64>() < total.frames,
            "{total:?}"
        );
        assert!(total.strangers > 0, "{total:?}");
    }
}

/// Tells how to repeat a case that panics.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!(
                "seed {}; again: POSTERN_SEED={} cargo nextest run --features verilator --test dma nothing_is_lost",
                self.0, self.0
            );
        }
    }
}

/// What cases took.
#[derive(Debug, Default)]
struct Tally {
    frames: u64,
    clocks: u64,
    /// By the counters `PUNTS_LOST` and `INJECTS_LOST`.
    lost: [u64; 6],
    /// Completions that nobody waited for.
    strangers: u64,
}

impl Tally {
    fn add(&mut self, case: &Self) {
        self.frames += case.frames;
        self.clocks += case.clocks;
        self.strangers += case.strangers;
        for (sum, count) in self.lost.iter_mut().zip(case.lost) {
            *sum += count;
        }
    }
}

/// A ring as the host sees it.
#[derive(Clone, Copy, Default)]
struct Ring {
    size: u32,
    head: u16,
    /// Tail of a punt ring at the last look.
    seen: u16,
}

impl Ring {
    fn slot(&self, index: u16) -> u16 {
        index % (1 << self.size)
    }
}

/// One case: a fresh card, a bus of its own kind, frames both ways.
struct Case<'a> {
    bench: &'a mut Bench<Verilated>,
    random: Random,
    ledger: Ledger,
    function: Function,
    punt: [Ring; PUNT_QUEUES],
    inject: Ring,
    inject_tail: u16,
    /// Vectors that were raised since their ring was looked at.
    raised: [bool; csr::MSIX_VECTORS],
}

impl<'a> Case<'a> {
    fn start(bench: &'a mut Bench<Verilated>, seed: u64) -> Self {
        let mut random = Random::new(seed);
        bench.card.reset();
        let mut case = Self {
            bench,
            ledger: Ledger::default(),
            function: ON,
            punt: Default::default(),
            inject: Ring::default(),
            inject_tail: 0,
            raised: Default::default(),
            random: Random::new(random.next()),
        };
        case.bench.set_up_core();
        if case.random.percent(30) {
            case.choose_bus();
            case.set_up();
            case.act(40);
            case.reset_in_the_middle();
        }
        case.choose_bus();
        case.set_up();
        case
    }

    /// What kind of host this is.
    fn choose_bus(&mut self) {
        let random = &mut self.random;
        self.function = Function {
            max_payload: random.pick(&[128, 256, 512]),
            max_read_request: random.pick(&[128, 256, 512, 4096]),
            ..ON
        };
        // A late completion comes before its tag is used again: twice the time later.
        let is_late = random.percent(25);
        let mut fault = || match random.percent(50) {
            true => 0,
            false => random.between(1, 30) as u16,
        };
        let faults = Faults {
            dropped: fault(),
            poisoned: fault(),
            unsupported: fault(),
            aborted: fault(),
        };
        let settings = Settings {
            read_completion_boundary: random.pick(&[64, 128]),
            latency: match is_late {
                true => (10, 900),
                false => random.pick(&[(20, 20), (50, 150), (5, 300)]),
            },
            is_splitting: !is_late && random.percent(60),
            is_reordering: !is_late && random.percent(60),
            faults: match random.percent(40) {
                true => Faults::default(),
                false => faults,
            },
            seed: random.next(),
        };
        self.bench.card.set_function(self.function);
        self.bench.card.set_link(settings);
        let timeout = if is_late { 700 } else { 4_000 };
        self.bench.card.bar_write(csr::COMPLETION_TIMEOUT, timeout);
        let pattern = |random: &mut Random| match random.below(3) {
            0 => u32::MAX,
            1 => 0x5555_5555,
            _ => random.next() as u32 | 1,
        };
        let ready = [pattern(random), pattern(random)];
        self.bench.card.set_ready_pattern(ready);
    }

    /// Rings of any size.
    fn set_up(&mut self) {
        let size = |random: &mut Random| random.between(1, 6) as u32;
        let sizes: [u32; PUNT_QUEUES] = std::array::from_fn(|_| size(&mut self.random));
        let inject = size(&mut self.random);
        self.bench.set_up_rings(sizes, inject);
        self.punt = sizes.map(|size| Ring {
            size,
            ..Ring::default()
        });
        self.inject = Ring {
            size: inject,
            ..Ring::default()
        };
        self.inject_tail = 0;
        let gap = self.random.pick(&[0, 0, 100]);
        self.bench.card.bar_write(csr::INTERRUPT_GAP, gap);
        self.raised = Default::default();
        self.bench.memory.interrupts();
    }

    /// The host dies with everything under way, and another one begins.
    fn reset_in_the_middle(&mut self) {
        self.bench.card.function_reset();
        self.bench.settle();
        while let Some((metadata, frame)) = self.bench.card.pop_punt() {
            self.ledger.take_punt(None, &metadata, &frame);
        }
        self.watch();
        self.ledger.start_again();
        self.bench.memory.interrupts();
        for counter in PUNTS_LOST.into_iter().chain(INJECTS_LOST) {
            self.ledger
                .set_base(counter, self.bench.card.counter(counter));
        }
        let counter = csr::RX_FRAMES_HOST;
        self.ledger
            .set_base(counter, self.bench.card.counter(counter));
    }

    fn play(&mut self) {
        self.act(FRAMES_A_CASE);
        self.bench.card.set_function(self.function);
        self.ring_doorbell();
        for _ in 0..LOOKS {
            self.bench.settle();
            self.watch();
            self.check_interrupts();
            let moved = self.look(usize::MAX);
            if !moved && self.inject.head == self.inject_tail {
                return self.check_counters();
            }
        }
        panic!("the card does not come to rest");
    }

    /// Does what hosts and wires do, until so many frames more are under way.
    fn act(&mut self, frames: usize) {
        let end = self.ledger.frames() + frames;
        while self.ledger.frames() < end {
            match self.random.below(100) {
                0..30 => self.feed(),
                30..55 => self.describe(),
                55..65 => self.ring_doorbell(),
                65..80 => self.pause(),
                80..95 => {
                    let most = self.random.between(1, 20);
                    self.look(most);
                }
                95..97 => {
                    let offset = 4 * self.random.below(csr::BAR0_BYTES / 4) as u32;
                    self.bench.card.bar_read(offset);
                }
                97 => self.change(|function| function.msix_mask = true),
                98 => self.change(|function| function.msix_enable = false),
                _ => self.change(|function| function.bus_master = false),
            }
            self.watch();
            assert_eq!(self.bench.card.fault(), None);
        }
    }

    /// Some frames come in at a port.
    fn feed(&mut self) {
        let port = self.random.below(2);
        for _ in 0..self.random.between(1, 6) {
            let length = match self.random.below(10) {
                0 => self
                    .random
                    .between(HOST_FRAME_BYTES - 4, HOST_FRAME_BYTES + 4),
                1..3 => self.random.between(14, HOST_FRAME_BYTES),
                _ => self.random.between(14, 160),
            };
            let frame = self
                .ledger
                .punted(&mut self.random, Origin::Port(port as u8), length);
            self.bench.card.feed(port, &frame);
        }
    }

    /// The host describes frames to inject, right and wrong ones.
    fn describe(&mut self) {
        for _ in 0..self.random.between(1, 8) {
            let used = self.inject_tail.wrapping_sub(self.inject.head);
            if used == 1 << self.inject.size {
                return;
            }
            let slot = self.inject.slot(self.inject_tail);
            let length = match self.random.below(12) {
                0 => self.random.below(14),
                1 => self
                    .random
                    .between(HOST_FRAME_BYTES - 3, HOST_FRAME_BYTES + 3),
                2..4 => self.random.between(14, HOST_FRAME_BYTES),
                _ => self.random.between(14, 160),
            };
            let port = match self.random.percent(3) {
                true => 2,
                false => self.random.below(2) as u8,
            };
            let lookup = self.random.percent(30);
            let frame = match lookup && length >= 14 {
                true => self
                    .ledger
                    .punted(&mut self.random, Origin::Host(port), length),
                false => self.ledger.direct(&mut self.random, port, length),
            };
            let place = FRAMES + PLACE * u64::from(slot);
            let mut address = place + self.random.below(SHIFT) as u64;
            if self.random.percent(2) {
                let end = BASE + MEMORY_BYTES as u64;
                address = self.random.pick(&[0x1000, end - 1, u64::MAX - 8]);
            } else {
                self.bench.memory.put(address, &frame);
            }
            self.bench
                .memory
                .request(slot, length as u16, port, lookup, address);
            self.inject_tail = self.inject_tail.wrapping_add(1);
        }
    }

    fn ring_doorbell(&mut self) {
        let tail = self.inject_tail.into();
        self.bench.card.bar_write(csr::INJECT_TAIL, tail);
    }

    fn pause(&mut self) {
        let clocks = self.random.pick(&[1, 20, 100, 400, 2000]);
        let clocks = self.random.between(1, clocks);
        self.bench.card.step(clocks as u64);
    }

    /// For a while configuration space says something else.
    fn change(&mut self, change: impl Fn(&mut Function)) {
        let mut function = self.function;
        change(&mut function);
        self.bench.card.set_function(function);
        self.pause();
        self.feed();
        self.pause();
        self.bench.card.set_function(self.function);
    }

    /// What the card did since the last time, apart from memory.
    fn watch(&mut self) {
        for vector in self.bench.memory.interrupts() {
            self.raised[vector] = true;
        }
        while let Some(record) = self.bench.card.next_record() {
            match record.body {
                Body::Frame(frame) => self.ledger.take_sent(record.port, &frame),
                Body::Verdict { .. } => {}
            }
        }
    }

    /// Takes what the status block tells of, at most so many frames a ring. Whether there was anything.
    fn look(&mut self, most: usize) -> bool {
        let mut moved = false;
        self.watch();
        self.raised = Default::default();
        let status = self.bench.memory.status();
        for (queue, tail) in self.bench.memory.tails().into_iter().enumerate() {
            let mut ring = self.punt[queue];
            ring.seen = tail;
            let waiting = tail.wrapping_sub(ring.head);
            assert!(waiting <= 1 << ring.size, "tail {tail} head {}", ring.head);
            for _ in 0..most.min(waiting.into()) {
                let slot = ring.slot(ring.head).into();
                let (metadata, frame) = self.bench.memory.punted(queue, slot);
                self.ledger.take_punt(Some(queue), &metadata, &frame);
                self.bench
                    .memory
                    .put(slot_address(queue, slot), &[0x5a; 96]);
                ring.head = ring.head.wrapping_add(1);
                moved = true;
            }
            self.punt[queue] = ring;
            let offset = csr::PUNT_HEAD + 4 * queue as u32;
            self.bench.card.bar_write(offset, ring.head.into());
        }
        // The memory of frames that are passed is used for something else.
        let done = status.inject_head.wrapping_sub(self.inject.head);
        assert!(done <= self.inject_tail.wrapping_sub(self.inject.head));
        for _ in 0..done {
            let place = FRAMES + PLACE * u64::from(self.inject.slot(self.inject.head));
            self.bench.memory.put(place, &[0x5a; PLACE as usize]);
            self.inject.head = self.inject.head.wrapping_add(1);
            moved = true;
        }
        moved
    }

    /// A ring that moved behind the host's back has raised its vector.
    fn check_interrupts(&self) {
        for (queue, tail) in self.bench.memory.tails().into_iter().enumerate() {
            let ring = &self.punt[queue];
            assert!(tail == ring.seen || self.raised[queue], "ring {queue}");
        }
        let head = self.bench.memory.status().inject_head;
        assert!(head == self.inject.head || self.raised[csr::VECTOR_INJECT]);
    }

    /// Every frame is where it should be, or was counted once.
    fn check_counters(&mut self) {
        let mut counted = |counter| self.ledger.since(counter, self.bench.card.counter(counter));
        let punts: u64 = PUNTS_LOST.into_iter().map(&mut counted).sum();
        let injects: u64 = INJECTS_LOST.into_iter().map(&mut counted).sum();
        let entered = counted(csr::RX_FRAMES_HOST);
        self.ledger.check(entered, punts, injects);
    }

    fn tally(&mut self) -> Tally {
        let card = &mut self.bench.card;
        let mut lost = PUNTS_LOST.into_iter().chain(INJECTS_LOST);
        Tally {
            frames: self.ledger.frames() as u64,
            clocks: card.cycle(),
            lost: std::array::from_fn(|_| lost.next().map_or(0, |counter| card.counter(counter))),
            strangers: card.counter(csr::TLP_UNEXPECTED),
        }
    }
}
