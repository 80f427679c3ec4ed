//! A Verilated circuit that a test drives clock by clock, through a pipe.
//!
//! For long runs: the native simulation is slow, and the Verilog is what counts. Outputs are those behind the edge, with
//! the inputs before it.

use rust_hdl_core::prelude::*;

use super::lockstep::build;
use super::ports::{Port, ports};
use super::program::{self, Program};
use super::verilog::{print, scratch};

/// The running circuit.
pub struct Verilated {
    program: Program,
    /// Clocks run.
    pub clocks: u64,
}

impl Verilated {
    /// Prints, builds and starts the circuit.
    pub fn new(name: &str, mut uut: impl Block) -> Self {
        let verilog = print(&mut uut);
        Self::of_text(name, &verilog, &ports(&uut), "-O0")
    }

    /// Builds and starts a module `dut` with these ports and a `clock`; `level` as in [`build`].
    pub fn of_text(name: &str, verilog: &str, ports: &[Port], level: &str) -> Self {
        let edges = "dut->clock = 0; dut->eval(); dut->clock = 1; dut->eval();";
        Self::with_clocks(name, verilog, ports, level, "", edges)
    }

    /// As [`Verilated::of_text`], with clocks that the C++ of `edges` moves, `globals` before it.
    pub fn with_clocks(
        name: &str,
        verilog: &str,
        ports: &[Port],
        level: &str,
        globals: &str,
        edges: &str,
    ) -> Self {
        let directory = scratch(&format!("verilated-{name}"));
        let write = |file: &str, text: &str| {
            std::fs::write(directory.join(file), text).expect("the scratch directory is writable");
        };
        let ports: Vec<Port> = ports
            .iter()
            .filter(|port| !edges.contains(&format!("dut->{} = ", port.name)))
            .cloned()
            .collect();
        // The first word in is how many clocks to run.
        let clocks = format!("    for (uint32_t i = 0; i < in[0]; i++) {{\n{edges}\n    }}\n");
        write("dut.v", verilog);
        write("main.cpp", &program::text(&ports, globals, 1, "", &clocks));
        build(&directory, level);
        Self {
            program: Program::start(&directory, &ports),
            clocks: 0,
        }
    }

    /// Sets an input for the next clock.
    pub fn set(&mut self, name: &str, value: impl Into<u128>) {
        self.program.set(name, value.into());
    }

    /// The lowest 64 bits of an output behind the last edge.
    pub fn get(&self, name: &str) -> u64 {
        self.program.get(name) as u64
    }

    /// All bits of an output behind the last edge.
    pub fn get_wide(&self, name: &str) -> u128 {
        self.program.get(name)
    }

    /// Runs one clock.
    pub fn tick(&mut self) {
        self.run(1);
    }

    /// Runs some clocks with the same inputs.
    pub fn run(&mut self, clocks: u32) {
        self.program.send(&[clocks]);
        self.program.receive();
        self.clocks += u64::from(clocks);
    }
}
