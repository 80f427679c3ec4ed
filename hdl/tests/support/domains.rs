//! Lock-step as in `lockstep.rs`, for circuits with several clocks.
//!
//! Clocks move one edge at a time: in which order a register of one clock and its reader in another see edges of the
//! same instant, no simulation can tell. A test decides on the order of edges, and so on frequencies and phases.

use std::fmt::Write as _;

use rust_hdl_core::prelude::*;

use super::lockstep::{driver, replay, settle};
use super::ports::{Port, ports};
use super::verilog::print;

/// A native simulation with several clocks that records its ports.
pub struct Domains<U: Block> {
    /// The circuit; set `next` of its inputs, then call [`Domains::settle`] or [`Domains::edge`].
    pub uut: U,
    names: &'static [&'static str],
    set: fn(&mut U, usize, bool),
    levels: Vec<bool>,
    verilog: String,
    header: Vec<Port>,
    vectors: String,
    rows: usize,
}

impl<U: Block> Domains<U> {
    /// Connects, checks and prints the circuit. `set` sets one of the named clock inputs.
    pub fn new(mut uut: U, names: &'static [&'static str], set: fn(&mut U, usize, bool)) -> Self {
        let verilog = print(&mut uut);
        for clock in 0..names.len() {
            set(&mut uut, clock, false);
        }
        settle(&mut uut);
        let header = ports(&uut);
        Self {
            uut,
            names,
            set,
            levels: vec![false; names.len()],
            verilog,
            header,
            vectors: String::new(),
            rows: 0,
        }
    }

    /// The printed Verilog, for planting faults.
    pub fn verilog_mut(&mut self) -> &mut String {
        &mut self.verilog
    }

    /// Lets the inputs take effect, so that outputs may be looked at before the edge.
    pub fn settle(&mut self) {
        settle(&mut self.uut);
    }

    /// Whether the next edge of this clock is a rising one.
    pub fn is_low(&self, clock: usize) -> bool {
        !self.levels[clock]
    }

    /// Records the ports and moves one clock.
    pub fn edge(&mut self, clock: usize) {
        settle(&mut self.uut);
        for port in ports(&self.uut) {
            let _ = write!(self.vectors, "{} ", port.value);
        }
        self.vectors.push('\n');
        self.rows += 1;
        self.levels[clock] = !self.levels[clock];
        (self.set)(&mut self.uut, clock, self.levels[clock]);
        settle(&mut self.uut);
    }

    /// Builds and runs the Verilated circuit; the first difference, if any.
    pub fn compare(&self, name: &str) -> Result<(), String> {
        let program = driver(&self.header, self.names, false);
        replay(name, &self.verilog, &program, &self.vectors, self.rows)
    }
}
