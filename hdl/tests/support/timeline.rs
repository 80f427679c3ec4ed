//! A Verilated circuit with several clocks, each with its own period, run tick by tick through a pipe.
//!
//! As in `verilated.rs`, but a tick ends behind the next rising edge of any of the clocks that are watched, and says which
//! that was. Ticks are queued and answered in batches: nothing but the queue's length stands between a test that needs no
//! answer and the speed of the circuit.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufReader, BufWriter, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rust_hdl_core::prelude::*;

use super::lockstep::build;
use super::ports::{Port, ports};
use super::verilog::{print, scratch};

/// A clock input: its period and the time of its first rising edge in picoseconds, and whether a tick ends with it.
pub struct Beat {
    pub name: &'static str,
    pub period_ps: u64,
    pub phase_ps: u64,
    pub watched: bool,
}

/// The running program.
pub struct Timeline {
    child: Child,
    requests: Option<BufWriter<ChildStdin>>,
    answers: BufReader<ChildStdout>,
    inputs: BTreeMap<String, (usize, usize)>,
    outputs: BTreeMap<String, (usize, usize)>,
    sent: Vec<u32>,
    seen: Vec<u32>,
    clocks: &'static [Beat],
    rises: Vec<u64>,
    /// Watched clocks of the ticks queued.
    queue: VecDeque<usize>,
}

impl Timeline {
    /// Prints, builds and starts the circuit.
    pub fn new(name: &str, mut uut: impl Block, clocks: &'static [Beat]) -> Self {
        let verilog = print(&mut uut);
        let header = ports(&uut);
        let directory = scratch(&format!("timeline-{name}"));
        let write = |file: &str, text: &str| {
            std::fs::write(directory.join(file), text).expect("the scratch directory is writable");
        };
        write("dut.v", &verilog);
        write("main.cpp", &program(&header, clocks));
        build(&directory, "-O1");
        let mut child = Command::new(directory.join("obj/dut"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program was built");
        let is_clock = |port: &&Port| clocks.iter().any(|clock| clock.name == port.name);
        let (inputs, input_words) = places(
            header
                .iter()
                .filter(|port| port.is_input && !is_clock(port)),
        );
        let (outputs, output_words) = places(header.iter().filter(|port| !port.is_input));
        Self {
            requests: child.stdin.take().map(BufWriter::new),
            answers: BufReader::new(child.stdout.take().expect("a pipe")),
            child,
            inputs,
            outputs,
            sent: vec![0; input_words],
            seen: vec![0; output_words],
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
        let (at, words) = self.inputs[name];
        let value = value.into();
        for word in 0..words {
            self.sent[at + word] = (value >> (32 * word)) as u32;
        }
    }

    /// Queues a tick.
    pub fn tick(&mut self) {
        let requests = self.requests.as_mut().expect("the pipe is open");
        for word in &self.sent {
            requests
                .write_all(&word.to_le_bytes())
                .expect("the program runs");
        }
        let clock = self.next();
        self.rises[clock] += self.clocks[clock].period_ps;
        self.queue.push_back(clock);
    }

    /// The clock of the oldest tick queued; its outputs, behind the edge, are there to be looked at.
    pub fn answer(&mut self) -> Option<usize> {
        let clock = self.queue.pop_front()?;
        let requests = self.requests.as_mut().expect("the pipe is open");
        requests.flush().expect("the program runs");
        let mut word = [0; 4];
        for seen in &mut self.seen {
            self.answers
                .read_exact(&mut word)
                .expect("the program answers");
            *seen = u32::from_le_bytes(word);
        }
        Some(clock)
    }

    /// An output behind the edge of the tick answered last.
    pub fn get(&self, name: &str) -> u64 {
        let (at, words) = self.outputs[name];
        (0..words).fold(0, |value, word| {
            value | u64::from(self.seen[at + word]) << (32 * word)
        })
    }

    /// An output of one bit.
    pub fn is(&self, name: &str) -> bool {
        self.get(name) == 1
    }
}

impl Drop for Timeline {
    fn drop(&mut self) {
        // The program ends with its input.
        self.requests = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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

fn program(ports: &[Port], clocks: &[Beat]) -> String {
    let is_clock = |port: &Port| clocks.iter().any(|clock| clock.name == port.name);
    let mut text = [String::new(), String::new()];
    let mut words = [0, 0];
    for port in ports.iter().filter(|port| !is_clock(port)) {
        let side = usize::from(!port.is_input);
        let (at, pin) = (words[side], &port.name);
        assert!(port.width <= 64, "{pin} is too wide");
        text[side] += &match (port.is_input, port.width) {
            (true, ..=32) => format!("    dut->{pin} = in[{at}];\n"),
            (true, _) => format!(
                "    dut->{pin} = (uint64_t)in[{}] << 32 | in[{at}];\n",
                at + 1
            ),
            (false, ..=32) => format!("    out[{at}] = dut->{pin};\n"),
            (false, _) => format!(
                "    out[{at}] = dut->{pin}; out[{}] = dut->{pin} >> 32;\n",
                at + 1
            ),
        };
        words[side] += port.width.div_ceil(32);
    }
    let [inputs, outputs] = text;
    let edges: String = clocks
        .iter()
        .map(|clock| {
            format!(
                "    {{&dut->{}, {}ull, {}ull, {}}},\n",
                clock.name, clock.phase_ps, clock.period_ps, clock.watched
            )
        })
        .collect();
    format!(
        "#include \"Vdut.h\"\n#include \"verilated.h\"\n#include <cstdio>\n\
         double sc_time_stamp() {{ return 0; }}\n\
         struct Edge {{ CData *pin; uint64_t next, period; bool watched; }};\n\
         int main() {{\n  Vdut *dut = new Vdut;\n  static uint32_t in[{}], out[{}];\n\
         Edge edges[] = {{\n{edges}  }};\n\
         while (fread(in, sizeof in, 1, stdin) == 1) {{\n{inputs}    dut->eval();\n\
         for (bool ended = false; !ended;) {{\n\
         Edge *first = edges;\n\
         for (Edge &edge : edges) if (edge.next < first->next) first = &edge;\n\
         *first->pin = !*first->pin;\n\
         dut->eval();\n\
         first->next += first->period / 2;\n\
         ended = *first->pin && first->watched;\n    }}\n\
         {outputs}    fwrite(out, sizeof out, 1, stdout);\n\
         fflush(stdout);\n  }}\n  return 0;\n}}\n",
        words[0].max(1),
        words[1].max(1)
    )
}
