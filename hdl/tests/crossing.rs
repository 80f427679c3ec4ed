//! The dual-clock FIFO and the synchronisers, with clocks of any order of edges: streams arrive complete and in order,
//! and the printed Verilog does what the native simulation does.

mod support;

use std::collections::VecDeque;

use hdl::crossing::{Crossing, Pulse, ResetSynchroniser};
use rust_hdl_core::prelude::*;
use support::domains::Domains;
use support::random::Random;

type Fifo = Crossing<Bits<40>, 3, 4>;

const IN: usize = 0;
const OUT: usize = 1;

/// Writer and reader of a FIFO, which check what leaves it.
struct Stream {
    run: Domains<Fifo>,
    random: Random,
    held: VecDeque<u64>,
    sent: u64,
    /// Chances in percent that the writer offers and the reader takes.
    offer: u64,
    take: u64,
    deepest: usize,
    /// Rising edges, and those with a transfer.
    edges: [usize; 2],
    moved: [usize; 2],
}

impl Stream {
    fn new(seed: u64) -> Self {
        let run = Domains::new(
            Fifo::default(),
            &["in_clock", "out_clock"],
            |uut, clock, high| match clock {
                IN => uut.in_clock.next = high.into(),
                _ => uut.out_clock.next = high.into(),
            },
        );
        Self {
            run,
            random: Random(seed),
            held: VecDeque::new(),
            sent: 0,
            offer: 100,
            take: 100,
            deepest: 0,
            edges: [0; 2],
            moved: [0; 2],
        }
    }

    fn edge(&mut self, clock: usize) {
        self.run.settle();
        if self.run.is_low(clock) {
            self.edges[clock] += 1;
            let uut = &self.run.uut;
            if clock == IN && uut.in_valid.val() && uut.in_ready.val() {
                self.held.push_back(self.sent);
                self.sent += 1;
                self.moved[IN] += 1;
                self.deepest = self.deepest.max(self.held.len());
            }
            if clock == OUT && uut.out_valid.val() {
                let oldest = *self
                    .held
                    .front()
                    .expect("nothing leaves that did not enter");
                assert_eq!(uut.out_data.val(), oldest.to_bits());
                if uut.out_ready.val() {
                    self.held.pop_front();
                    self.moved[OUT] += 1;
                }
            }
        }
        self.run.edge(clock);
        // Inputs change behind the edge of their own clock, as registers do.
        if !self.run.is_low(clock) {
            match clock {
                IN => {
                    self.run.uut.in_valid.next = self.random.chance(self.offer);
                    self.run.uut.in_data.next = self.sent.to_bits();
                }
                _ => self.run.uut.out_ready.next = self.random.chance(self.take),
            }
        }
    }

    /// Edges in random order, the writer's with this chance in percent.
    fn any_order(&mut self, edges: usize, writer: u64) {
        for _ in 0..edges {
            let clock = if self.random.chance(writer) { IN } else { OUT };
            self.edge(clock);
        }
    }

    /// Two clocks of one frequency, the reader's a quarter behind.
    fn in_step(&mut self, clocks: usize) {
        for _ in 0..clocks {
            for clock in [IN, OUT, IN, OUT] {
                self.edge(clock);
            }
        }
    }
}

#[test]
fn words_cross_in_order_whatever_the_clocks() {
    let mut stream = Stream::new(11);
    let phases = [
        // Chances of an offer, a reader that takes, an edge of the writer.
        (100, 100, 50),
        (100, 30, 50),
        (30, 100, 50),
        (100, 0, 40),
        (0, 100, 60),
        (100, 100, 85),
        (100, 100, 15),
        (50, 50, 50),
    ];
    for (offer, take, writer) in phases {
        (stream.offer, stream.take) = (offer, take);
        stream.any_order(400, writer);
    }
    assert_eq!(stream.deepest, 9);
    assert!(stream.sent > 200, "{}", stream.sent);
    stream
        .run
        .compare("crossing")
        .expect("native and Verilated agree");
}

#[test]
fn one_word_a_clock_crosses_both_ways() {
    let mut stream = Stream::new(12);
    stream.in_step(20);
    let before = (stream.edges, stream.moved);
    stream.in_step(100);
    for side in [IN, OUT] {
        assert_eq!(stream.edges[side] - before.0[side], 100);
        assert_eq!(stream.moved[side] - before.1[side], 100);
    }
    stream
        .run
        .compare("crossing-rate")
        .expect("native and Verilated agree");
}

#[test]
fn a_word_is_out_at_the_third_edge_of_the_reader() {
    let mut stream = Stream::new(13);
    stream.offer = 0;
    stream.in_step(10);
    stream.offer = 100;
    stream.take = 0;
    // Offered behind this edge of the writer, taken at the next.
    stream.edge(IN);
    stream.edge(IN);
    assert_eq!(stream.sent, 0);
    stream.edge(IN);
    assert_eq!(stream.sent, 1);
    let mut edges = 0;
    while !stream.run.uut.out_valid.val() {
        edges += usize::from(stream.run.is_low(OUT));
        stream.edge(OUT);
    }
    assert_eq!(edges, 3);
}

#[test]
fn resets_empty_it_in_any_order_of_release() {
    let mut stream = Stream::new(14);
    for first in [IN, OUT, IN, OUT] {
        (stream.offer, stream.take) = (70, 30);
        stream.any_order(120, 50);
        stream.run.uut.in_reset.next = true;
        stream.run.uut.out_reset.next = true;
        (stream.offer, stream.take) = (0, 0);
        // The last offer, and words on their way out, fall under the reset.
        stream.run.uut.in_valid.next = false;
        stream.run.uut.out_ready.next = false;
        stream.held.clear();
        for clock in [IN, OUT].repeat(2) {
            stream.run.edge(clock);
        }
        for _ in 0..2 {
            stream.in_step(1);
        }
        assert!(!stream.run.uut.in_ready.val() && !stream.run.uut.out_valid.val());
        for side in [first, 1 - first] {
            match side {
                IN => stream.run.uut.in_reset.next = false,
                _ => stream.run.uut.out_reset.next = false,
            }
            stream.offer = if side == IN { 100 } else { stream.offer };
            stream.any_order(9, 50);
        }
        (stream.offer, stream.take) = (100, 100);
        stream.any_order(120, 50);
    }
    assert!(stream.sent > 100, "{}", stream.sent);
    stream
        .run
        .compare("crossing-reset")
        .expect("native and Verilated agree");
}

#[test]
fn every_pulse_crosses_once() {
    let mut run = Domains::new(
        Pulse::default(),
        &["in_clock", "out_clock"],
        |uut, clock, high| match clock {
            IN => uut.in_clock.next = high.into(),
            _ => uut.out_clock.next = high.into(),
        },
    );
    let mut random = Random(15);
    let (mut sent, mut seen) = (0, 0);
    for round in 0..60 {
        // Up to three writer's clocks between two of the reader's, and the other way round.
        for _ in 0..random.below(4) {
            run.edge(IN);
            run.edge(IN);
        }
        run.uut.in_pulse.next = round % 3 > 0;
        sent += usize::from(round % 3 > 0);
        if !run.is_low(IN) {
            run.edge(IN);
        }
        run.edge(IN);
        run.uut.in_pulse.next = false;
        for _ in 0..6 {
            if random.chance(50) {
                run.edge(IN);
            }
            run.settle();
            seen += usize::from(run.is_low(OUT) && run.uut.out_pulse.val());
            run.edge(OUT);
        }
    }
    assert_eq!(sent, 40);
    assert_eq!(seen, sent);
    run.compare("pulse").expect("native and Verilated agree");
}

#[test]
fn a_reset_begins_at_once_and_ends_at_the_second_edge() {
    let mut run = Domains::new(ResetSynchroniser::default(), &["clock"], |uut, _, high| {
        uut.clock.next = high.into()
    });
    for quiet in [0, 1, 3] {
        run.uut.reset.next = true;
        run.settle();
        assert!(run.uut.held.val(), "no clock is needed");
        for _ in 0..quiet {
            run.edge(0);
        }
        run.uut.reset.next = false;
        run.settle();
        let mut rising = 0;
        while run.uut.held.val() {
            rising += usize::from(run.is_low(0));
            run.edge(0);
        }
        assert_eq!(rising, 2);
        run.edge(0);
    }
    run.compare("reset").expect("native and Verilated agree");
}

#[test]
fn lockstep_of_two_clocks_sees_a_planted_fault() {
    let mut stream = Stream::new(16);
    let verilog = stream.run.verilog_mut();
    let broken = verilog.replacen(
        "always @(posedge read_clock)",
        "always @(posedge write_clock)",
        1,
    );
    assert_ne!(*verilog, broken, "the fault was planted");
    *verilog = broken;
    stream.take = 60;
    stream.any_order(300, 50);
    let difference = stream
        .run
        .compare("crossing-planted")
        .expect_err("the fault is seen");
    assert!(difference.contains("out_data"), "{difference}");
}
