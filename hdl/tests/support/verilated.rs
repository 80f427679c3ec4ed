//! A Verilated circuit that a test drives clock by clock, through a pipe.
//!
//! For long runs: the native simulation is slow, and the Verilog is what counts. All inputs go to the program as
//! 32-bit words in the order of the ports, it runs a clock or more, and all outputs come back the same way. Outputs are
//! those behind the edge, with the inputs before it.

use std::collections::BTreeMap;
use std::io::{BufReader, BufWriter, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rust_hdl_core::prelude::*;

use super::lockstep::build;
use super::ports::{Port, ports};
use super::verilog::{print, scratch};

/// The running program.
pub struct Verilated {
    child: Child,
    requests: Option<BufWriter<ChildStdin>>,
    answers: BufReader<ChildStdout>,
    inputs: BTreeMap<String, (usize, usize)>,
    outputs: BTreeMap<String, (usize, usize)>,
    sent: Vec<u32>,
    seen: Vec<u32>,
    /// Clocks run.
    pub clocks: u64,
}

impl Verilated {
    /// Prints, builds and starts the circuit.
    pub fn new(name: &str, mut uut: impl Block) -> Self {
        let verilog = print(&mut uut);
        Self::of_text(name, &verilog, &ports(&uut), "-O0")
    }

    /// Builds and starts a module `dut` with these ports; `level` as in [`build`].
    pub fn of_text(name: &str, verilog: &str, header: &[Port], level: &str) -> Self {
        let directory = scratch(&format!("verilated-{name}"));
        let write = |file: &str, text: &str| {
            std::fs::write(directory.join(file), text).expect("the scratch directory is writable");
        };
        write("dut.v", verilog);
        write("main.cpp", &program(header));
        build(&directory, level);
        let mut child = Command::new(directory.join("obj/dut"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program was built");
        let (inputs, input_words) = places(header.iter().filter(|port| is_driven(port)));
        let (outputs, output_words) = places(header.iter().filter(|port| !port.is_input));
        Self {
            requests: child.stdin.take().map(BufWriter::new),
            answers: BufReader::new(child.stdout.take().expect("a pipe")),
            child,
            inputs,
            outputs,
            sent: vec![0; input_words],
            seen: vec![0; output_words],
            clocks: 0,
        }
    }

    /// Sets an input for the next clock.
    pub fn set(&mut self, name: &str, value: impl Into<u128>) {
        let (at, words) = *self
            .inputs
            .get(name)
            .unwrap_or_else(|| panic!("no input {name}"));
        let value = value.into();
        for word in 0..words {
            self.sent[at + word] = (value >> (32 * word)) as u32;
        }
    }

    /// An output behind the last edge.
    pub fn get(&self, name: &str) -> u64 {
        let (at, words) = *self
            .outputs
            .get(name)
            .unwrap_or_else(|| panic!("no output {name}"));
        (0..words.min(2)).fold(0, |value, word| {
            value | u64::from(self.seen[at + word]) << (32 * word)
        })
    }

    /// All bits of an output behind the last edge.
    pub fn get_wide(&self, name: &str) -> u128 {
        let (at, words) = *self
            .outputs
            .get(name)
            .unwrap_or_else(|| panic!("no output {name}"));
        (0..words).fold(0, |value, word| {
            value | u128::from(self.seen[at + word]) << (32 * word)
        })
    }

    /// Runs one clock.
    pub fn tick(&mut self) {
        self.run(1);
    }

    /// Runs some clocks with the same inputs.
    pub fn run(&mut self, clocks: u32) {
        let requests = self.requests.as_mut().expect("the pipe is open");
        for word in std::iter::once(&clocks).chain(&self.sent) {
            requests
                .write_all(&word.to_le_bytes())
                .expect("the program runs");
        }
        requests.flush().expect("the program runs");
        let mut word = [0; 4];
        for seen in &mut self.seen {
            self.answers
                .read_exact(&mut word)
                .expect("the program answers");
            *seen = u32::from_le_bytes(word);
        }
        self.clocks += u64::from(clocks);
    }
}

impl Drop for Verilated {
    fn drop(&mut self) {
        // The program ends with its input.
        self.requests = None;
        let _ = self.child.wait();
    }
}

fn is_driven(port: &Port) -> bool {
    port.is_input && port.name != "clock"
}

/// First word and number of words of each port, and of all.
fn places<'a>(ports: impl Iterator<Item = &'a Port>) -> (BTreeMap<String, (usize, usize)>, usize) {
    let mut at = 0;
    let places = ports
        .map(|port| {
            let words = port.width.div_ceil(32);
            at += words;
            (port.name.clone(), (at - words, words))
        })
        .collect();
    (places, at)
}

fn program(ports: &[Port]) -> String {
    let move_words = |port: &Port, at: usize| -> String {
        let pin = port.name.replace('$', "__024");
        let statement = |text: String| format!("    {text}\n");
        match (port.is_input, port.width) {
            (true, ..=32) => statement(format!("dut->{pin} = in[{at}];")),
            (true, 33..=64) => statement(format!(
                "dut->{pin} = (uint64_t)in[{}] << 32 | in[{at}];",
                at + 1
            )),
            (true, width) => statement(format!(
                "for (int i = 0; i < {}; i++) dut->{pin}[i] = in[{at} + i];",
                width.div_ceil(32)
            )),
            (false, ..=32) => statement(format!("out[{at}] = dut->{pin};")),
            (false, 33..=64) => statement(format!(
                "out[{at}] = (uint32_t)dut->{pin}; out[{}] = (uint32_t)(dut->{pin} >> 32);",
                at + 1
            )),
            (false, width) => statement(format!(
                "for (int i = 0; i < {}; i++) out[{at} + i] = dut->{pin}[i];",
                width.div_ceil(32)
            )),
        }
    };
    let mut text = [String::new(), String::new()];
    // The first word in is how many clocks to run.
    let mut words = [1, 0];
    for port in ports.iter().filter(|port| port.name != "clock") {
        let side = usize::from(!port.is_input);
        text[side] += &move_words(port, words[side]);
        words[side] += port.width.div_ceil(32);
    }
    let [inputs, outputs] = text;
    format!(
        "#include \"Vdut.h\"\n#include \"verilated.h\"\n#include <cstdio>\n\
         double sc_time_stamp() {{ return 0; }}\n\
         int main() {{\n  Vdut *dut = new Vdut;\n  static uint32_t in[{}], out[{}];\n\
         while (fread(in, sizeof in, 1, stdin) == 1) {{\n\
         {inputs}    for (uint32_t i = 0; i < in[0]; i++) {{\n\
         dut->clock = 0; dut->eval(); dut->clock = 1; dut->eval();\n    }}\n\
         {outputs}    fwrite(out, sizeof out, 1, stdout); fflush(stdout);\n  }}\n  return 0;\n}}\n",
        words[0],
        words[1].max(1)
    )
}
