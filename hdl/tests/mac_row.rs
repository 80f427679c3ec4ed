//! Whole Ethernet ports, pin to pin, with clocks that differ: `support/ethernet.rs` has the row. The Verilog runs, with
//! models of the device's input and output registers.

mod support;

use std::collections::VecDeque;

use support::ethernet::Row;
use support::frame::{
    Beat, POISON, Received, Stream, Symbol, Wire, any_frame, beats, checked, is_spoiled, on_wire,
    symbols,
};
use support::random::Random;
use support::timeline::{self, Timeline};

/// Clocks of PHY, a and b: 100 parts in a million fast, exact, and as much slow. Who receives sees its peer's clock a
/// quarter period late.
const CLOCKS: &[timeline::Beat] = &[
    clock("phy_clock", 7_999_200, 100_000, true),
    clock("phy_late", 7_999_200, 2_100_000, false),
    clock("a_clock", 8_000_000, 300_000, true),
    clock("a_late", 8_000_000, 2_300_000, false),
    clock("b_clock", 8_000_800, 500_000, true),
    clock("b_late", 8_000_800, 2_500_000, true),
];
const PHY: usize = 0;
const A: usize = 2;
const B: usize = 4;
const BACK: usize = 5;

/// Times are in femtoseconds here: only their ratios count.
const fn clock(name: &'static str, period: u64, phase: u64, watched: bool) -> timeline::Beat {
    timeline::Beat {
        name,
        period_ps: period,
        phase_ps: phase,
        watched,
    }
}

/// Ticks queued before the first is answered.
const BATCH: usize = 128;

/// One port's stream as a test sees it.
struct Port {
    name: &'static str,
    /// Beats to send, and idle clocks at most before each.
    to_send: VecDeque<Beat>,
    gap: u64,
    pause: u64,
    /// Chance in percent that a beat received is taken.
    take: u64,
    /// What `ready` was at the edges of the ticks queued.
    took: VecDeque<bool>,
    /// The beat offered behind the last edge answered.
    offered: Option<Beat>,
    received: Stream,
    /// good, bad, runt, oversize, pause, overrun.
    counts: [usize; 6],
    /// sent, poisoned, underrun.
    sends: [usize; 3],
}

impl Port {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            to_send: VecDeque::new(),
            gap: 0,
            pause: 0,
            take: 100,
            took: VecDeque::new(),
            offered: None,
            received: Stream::default(),
            counts: [0; 6],
            sends: [0; 3],
        }
    }

    /// Sets what the port sees at its next edge.
    fn drive(&mut self, run: &mut Timeline, random: &mut Random, room: bool) {
        let port = self.name;
        let beat = match self.pause {
            0 if room => self.to_send.pop_front(),
            _ => None,
        };
        self.pause = match beat {
            Some(_) => random.below(self.gap + 1),
            None => self.pause.saturating_sub(1),
        };
        let (data, keep, last) = beat.unwrap_or_default();
        run.set(&format!("{port}_tx_valid"), beat.is_some());
        run.set(&format!("{port}_tx_data"), data);
        run.set(&format!("{port}_tx_keep"), keep);
        run.set(&format!("{port}_tx_last"), last);
        let take = random.chance(self.take);
        run.set(&format!("{port}_rx_ready"), take);
        self.took.push_back(take);
    }

    /// Looks at what stands behind an edge of the port's clock.
    fn look(&mut self, run: &Timeline) {
        let port = self.name;
        let took = self.took.pop_front().expect("driven before");
        if let Some(beat) = self.offered.filter(|_| took) {
            self.received.push(beat);
        }
        self.offered = run.is(&format!("{port}_rx_valid")).then(|| {
            let keep = run.get(&format!("{port}_rx_keep")) as u8;
            let last = run.is(&format!("{port}_rx_last"));
            (run.get(&format!("{port}_rx_data")), keep, last)
        });
        let counts = run.get(&format!("{port}_counts"));
        for (at, count) in self.counts.iter_mut().enumerate() {
            *count += (counts >> at & 1) as usize;
        }
        let sends = run.get(&format!("{port}_sends"));
        for (at, count) in self.sends.iter_mut().enumerate() {
            *count += (sends >> at & 1) as usize;
        }
    }
}

struct Bench {
    run: Timeline,
    random: Random,
    /// What the PHY is to send.
    air: VecDeque<Symbol>,
    a: Port,
    b: Port,
    back: Wire,
    /// Words in the FIFOs in front of the ports, some ticks ago.
    waiting: [u64; 2],
}

impl Bench {
    fn new(name: &str, seed: u64) -> Self {
        let mut bench = Self {
            run: Timeline::new(name, Row::default(), CLOCKS),
            random: Random(seed),
            air: VecDeque::new(),
            a: Port::new("a"),
            b: Port::new("b"),
            back: Wire::default(),
            waiting: [0; 2],
        };
        bench.run.set("reset", true);
        bench.go(80);
        bench.run.set("reset", false);
        bench.go(160);
        bench
    }

    /// Runs so many ticks: four are one byte time.
    fn go(&mut self, ticks: usize) {
        let mut left = ticks;
        while left > 0 {
            let batch = left.min(BATCH);
            for _ in 0..batch {
                match self.run.next() {
                    PHY => {
                        let (byte, there, wrong) = self.air.pop_front().unwrap_or_default();
                        self.run.set("phy_txd", byte);
                        self.run.set("phy_en", there);
                        self.run.set("phy_er", wrong);
                    }
                    A => {
                        let room = self.waiting[0] < 256;
                        self.a.drive(&mut self.run, &mut self.random, room);
                    }
                    B => {
                        let room = self.waiting[1] < 256;
                        self.b.drive(&mut self.run, &mut self.random, room);
                    }
                    _ => {}
                }
                self.run.tick();
            }
            while let Some(clock) = self.run.answer() {
                match clock {
                    A => {
                        self.a.look(&self.run);
                        self.waiting[0] = self.run.get("a_waiting");
                    }
                    B => {
                        self.b.look(&self.run);
                        self.waiting[1] = self.run.get("b_waiting");
                    }
                    BACK => self.back.push((
                        self.run.get("phy_rxd") as u8,
                        self.run.is("phy_dv"),
                        self.run.is("phy_rx_er"),
                    )),
                    _ => {}
                }
            }
            left -= batch;
        }
    }

    /// Runs until nothing is left to send, and what was sent has arrived.
    fn finish(&mut self) {
        while !(self.air.is_empty() && self.a.to_send.is_empty() && self.b.to_send.is_empty()) {
            self.go(4 * BATCH);
        }
        // What may wait in the FIFOs in front of the ports.
        self.go(4 * 9 * 520 + 4 * 2000);
    }
}

fn whole(frames: &[Vec<u8>]) -> Vec<Received> {
    frames.iter().cloned().map(Received::Whole).collect()
}

#[test]
fn frames_of_every_length_pass_from_pin_to_pin() {
    let mut bench = Bench::new("mac-lengths", 41);
    (bench.a.take, bench.b.take) = (60, 100);
    // Beats as slowly as they may come: one in eight clocks, from a wire.
    (bench.a.gap, bench.b.gap) = (0, 7);
    let mut lengths: Vec<usize> = (60..=1518).collect();
    for at in (1..lengths.len()).rev() {
        lengths.swap(at, bench.random.below(at as u64 + 1) as usize);
    }
    let frames: Vec<Vec<u8>> = lengths
        .iter()
        .map(|&length| any_frame(&mut bench.random, length))
        .collect();
    for frame in &frames {
        let gap = 12 + bench.random.below(20) as usize;
        bench.air.extend(symbols(&checked(frame), gap));
        bench.a.to_send.extend(beats(frame));
        bench.b.to_send.extend(beats(frame));
    }
    bench.finish();
    let expected = whole(&frames);
    let count = frames.len();
    assert!(bench.a.received.frames == expected, "wire to a");
    assert!(bench.b.received.frames == expected, "a to b");
    assert_eq!(bench.a.counts, [count, 0, 0, 0, 0, 0]);
    assert_eq!(bench.b.counts, [count, 0, 0, 0, 0, 0]);
    assert_eq!(bench.a.sends, [count, 0, 0]);
    assert_eq!(bench.b.sends, [count, 0, 0]);
    let expected: Vec<Vec<u8>> = frames.iter().map(|frame| on_wire(frame)).collect();
    assert!(bench.back.frames == expected, "b to wire");
    assert!(bench.back.gaps[1..].iter().all(|&gap| gap >= 12));
}

#[test]
fn minimum_frames_at_the_full_rate_lose_nothing() {
    let mut bench = Bench::new("mac-rate", 42);
    let frames: Vec<Vec<u8>> = (0..250).map(|_| any_frame(&mut bench.random, 60)).collect();
    for frame in &frames {
        bench.air.extend(symbols(&checked(frame), 12));
        bench.a.to_send.extend(beats(frame));
        bench.b.to_send.extend(beats(frame));
    }
    bench.finish();
    assert!(bench.a.received.frames == whole(&frames), "wire to a");
    assert!(bench.b.received.frames == whole(&frames), "a to b");
    assert_eq!(bench.a.counts, [250, 0, 0, 0, 0, 0]);
    assert_eq!(bench.b.counts, [250, 0, 0, 0, 0, 0]);
    // 8 + 64 + 12 byte times a frame: 1 488 095 a second.
    assert_eq!(bench.back.gaps[1..], [12; 249]);
}

#[test]
fn bad_frames_among_good_ones_are_told_apart() {
    let mut bench = Bench::new("mac-bad", 43);
    let mut good = Vec::new();
    let mut counts = [0; 6];
    let mut sends = [0; 3];
    for _ in 0..400 {
        let length = 60 + bench.random.below(120) as usize;
        let frame = any_frame(&mut bench.random, length);
        let gap = 12 + bench.random.below(8) as usize;
        let mut heard = symbols(&checked(&frame), gap);
        let kind = bench.random.below(6) as usize;
        match kind {
            1 => {
                let at = 8 + bench.random.below(length as u64 + 4) as usize;
                let flipped = 1 << bench.random.below(8);
                match bench.random.chance(50) {
                    true => heard[at].0 ^= flipped,
                    false => heard[at].2 = true,
                }
            }
            2 => {
                let short = bench.random.below(60) as usize;
                heard = symbols(&checked(&frame[..short]), gap);
            }
            3 => {
                let more = any_frame(&mut bench.random, 1519 + length);
                heard = symbols(&checked(&more), gap);
            }
            4 => {
                let mut control = frame.clone();
                control[..6].copy_from_slice(&[0x01, 0x80, 0xc2, 0x00, 0x00, 0x01]);
                control[12..14].copy_from_slice(&[0x88, 0x08]);
                heard = symbols(&checked(&control), gap);
            }
            _ => good.push(frame.clone()),
        }
        counts[if kind == 5 { 0 } else { kind }] += 1;
        bench.air.extend(heard);

        // Poison on its way out.
        let mut to_send = beats(&frame);
        let poisoned = bench.random.chance(30);
        if poisoned {
            *to_send.last_mut().expect("a beat") = POISON;
        }
        sends[usize::from(poisoned)] += 1;
        bench.a.to_send.extend(&to_send);
        bench.b.to_send.extend(&to_send);
    }
    bench.finish();
    let is_whole = |received: &&Received| matches!(received, Received::Whole(_));
    let received = &bench.a.received.frames;
    let handed_on: Vec<_> = received.iter().filter(is_whole).cloned().collect();
    assert!(handed_on == whole(&good), "wire to a");
    assert_eq!(bench.a.counts, counts);
    assert!(counts[..5].iter().all(|&count| count > 30), "{counts:?}");
    assert_eq!(bench.a.sends, sends);
    assert_eq!(bench.b.sends, sends);
    // What a sent poisoned, b took for bad; what b sent so, nobody would take.
    assert_eq!(bench.b.counts, [sends[0], sends[1], 0, 0, 0, 0]);
    assert_eq!(
        bench.b.received.frames.iter().filter(is_whole).count(),
        sends[0]
    );
    let spoiled = bench.back.frames.iter().filter(|bytes| is_spoiled(bytes));
    assert_eq!(spoiled.count(), sends[1]);
    assert_eq!(bench.back.frames.len(), 400);
}

#[test]
fn a_reader_that_stalls_loses_frames_but_never_mixes_them() {
    let mut bench = Bench::new("mac-stall", 44);
    bench.a.take = 6;
    let frames: Vec<Vec<u8>> = (0..200)
        .map(|_| {
            let length = 60 + bench.random.below(300) as usize;
            any_frame(&mut bench.random, length)
        })
        .collect();
    for frame in &frames {
        bench.air.extend(symbols(&checked(frame), 12));
    }
    bench.finish();
    let mut rest = frames.iter();
    for received in &bench.a.received.frames {
        match received {
            Received::Whole(bytes) => assert!(rest.any(|frame| frame == bytes), "in order"),
            Received::Poisoned(bytes) => {
                assert!(rest.any(|frame| frame.starts_with(bytes)), "in order");
            }
        }
    }
    let [good, bad, runt, oversize, pause, overrun] = bench.a.counts;
    assert_eq!([bad, runt, oversize, pause], [0; 4]);
    assert_eq!(good + overrun, 200);
    assert!(good > 10 && overrun > 10, "{good} {overrun}");
    // With a reader that is awake again, everything is.
    bench.a.take = 100;
    bench.a.received = Stream::default();
    bench.a.counts = [0; 6];
    bench.air.extend(symbols(&checked(&frames[0]), 12));
    bench.finish();
    assert!(bench.a.received.frames == whole(&frames[..1]));
}
