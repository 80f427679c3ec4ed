//! A Verilated circuit with several clocks, each with its own period, run tick by tick through a pipe.
//!
//! As in `verilated.rs`, but a tick ends behind the next rising edge of any of the clocks that are watched, and says which
//! that was. Ticks are queued and answered in batches: nothing but the queue's length stands between a test that needs no
//! answer and the speed of the circuit.

use std::collections::VecDeque;

use rust_hdl_core::prelude::*;

use super::lockstep::build;
use super::ports::{Port, ports};
use super::program::{self, Program};
use super::verilog::{print, scratch};

/// A clock input: its period and the time of its first rising edge in picoseconds, and whether a tick ends with it.
pub struct Beat {
    pub name: &'static str,
    pub period_ps: u64,
    pub phase_ps: u64,
    pub watched: bool,
}

/// The running circuit.
pub struct Timeline {
    program: Program,
    clocks: &'static [Beat],
    rises: Vec<u64>,
    /// Watched clocks of the ticks queued.
    queue: VecDeque<usize>,
}

impl Timeline {
    /// Prints, builds and starts the circuit.
    pub fn new(name: &str, mut uut: impl Block, clocks: &'static [Beat]) -> Self {
        let verilog = print(&mut uut);
        let mut pins: Vec<Port> = ports(&uut);
        pins.retain(|pin| clocks.iter().all(|clock| clock.name != pin.name));
        let directory = scratch(&format!("timeline-{name}"));
        let write = |file: &str, text: &str| {
            std::fs::write(directory.join(file), text).expect("the scratch directory is writable");
        };
        write("dut.v", &verilog);
        let text = program::text(&pins, EDGE, 0, &edges(clocks), TICK);
        write("main.cpp", &text);
        build(&directory, "-O1");
        Self {
            program: Program::start(&directory, &pins),
            clocks,
            rises: clocks.iter().map(|clock| clock.phase_ps).collect(),
            queue: VecDeque::new(),
        }
    }

    /// The watched clock that rises next, by its place in the list.
    pub fn next(&self) -> usize {
        let watched = (0..self.clocks.len()).filter(|&clock| self.clocks[clock].watched);
        watched
            .min_by_key(|&clock| self.rises[clock])
            .expect("a watched clock")
    }

    /// Sets an input for the next tick and those behind it.
    pub fn set(&mut self, name: &str, value: impl Into<u64>) {
        self.program.set(name, value.into().into());
    }

    /// Queues a tick.
    pub fn tick(&mut self) {
        self.program.send(&[]);
        let clock = self.next();
        self.rises[clock] += self.clocks[clock].period_ps;
        self.queue.push_back(clock);
    }

    /// The clock of the oldest tick queued; its outputs, behind the edge, are there to be looked at.
    pub fn answer(&mut self) -> Option<usize> {
        let clock = self.queue.pop_front()?;
        self.program.receive();
        Some(clock)
    }

    /// An output behind the edge of the tick answered last.
    pub fn get(&self, name: &str) -> u64 {
        self.program.get(name) as u64
    }

    /// An output of one bit.
    pub fn is(&self, name: &str) -> bool {
        self.get(name) == 1
    }
}

/// What the program knows of a clock.
const EDGE: &str = "struct Edge { CData *pin; uint64_t next, period; bool watched; };\n";

/// Edge after edge, until a watched clock has risen.
const TICK: &str = "    dut->eval();\n\
    for (bool ended = false; !ended;) {\n\
    Edge *first = edges;\n\
    for (Edge &edge : edges) if (edge.next < first->next) first = &edge;\n\
    *first->pin = !*first->pin;\n\
    dut->eval();\n\
    first->next += first->period / 2;\n\
    ended = *first->pin && first->watched;\n    }\n";

fn edges(clocks: &[Beat]) -> String {
    let edges = clocks.iter().map(|clock| {
        format!(
            "    {{&dut->{}, {}ull, {}ull, {}}},\n",
            clock.name, clock.phase_ps, clock.period_ps, clock.watched
        )
    });
    format!("Edge edges[] = {{\n{}  }};\n", edges.collect::<String>())
}
