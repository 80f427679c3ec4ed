//! A Verilated circuit as a program on a pipe: inputs go in as 32-bit words in the order of the ports, outputs come back the
//! same way. When the circuit is evaluated in between is for the text of the caller to say.

use std::collections::BTreeMap;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::ports::Port;

/// The running program, the inputs it gets next and the outputs it gave last.
pub struct Program {
    child: Child,
    requests: Option<BufWriter<ChildStdin>>,
    answers: BufReader<ChildStdout>,
    inputs: BTreeMap<String, (usize, usize)>,
    outputs: BTreeMap<String, (usize, usize)>,
    sent: Vec<u32>,
    seen: Vec<u32>,
}

impl Program {
    /// Starts what `build` made in a directory, for these ports without the clocks.
    pub fn start(directory: &Path, ports: &[Port]) -> Self {
        let mut child = Command::new(directory.join("obj/dut"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program was built");
        let (inputs, input_words) = places(ports.iter().filter(|port| port.is_input));
        let (outputs, output_words) = places(ports.iter().filter(|port| !port.is_input));
        Self {
            requests: child.stdin.take().map(BufWriter::new),
            answers: BufReader::new(child.stdout.take().expect("a pipe")),
            child,
            inputs,
            outputs,
            sent: vec![0; input_words],
            seen: vec![0; output_words],
        }
    }

    /// Sets an input.
    pub fn set(&mut self, name: &str, value: u128) {
        let (at, words) = *self
            .inputs
            .get(name)
            .unwrap_or_else(|| panic!("no input {name}"));
        for word in 0..words {
            self.sent[at + word] = (value >> (32 * word)) as u32;
        }
    }

    /// The lowest 128 bits of an output, as it was answered last.
    pub fn get(&self, name: &str) -> u128 {
        let (at, words) = *self
            .outputs
            .get(name)
            .unwrap_or_else(|| panic!("no output {name}"));
        (0..words.min(4)).fold(0, |value, word| {
            value | u128::from(self.seen[at + word]) << (32 * word)
        })
    }

    /// Sends words of the caller's and the inputs, as far as the pipe's buffer reaches.
    pub fn send(&mut self, first: &[u32]) {
        let requests = self.requests.as_mut().expect("the pipe is open");
        for word in first.iter().chain(&self.sent) {
            requests
                .write_all(&word.to_le_bytes())
                .expect("the program runs");
        }
    }

    /// The answer to the oldest inputs sent.
    pub fn receive(&mut self) {
        let requests = self.requests.as_mut().expect("the pipe is open");
        requests.flush().expect("the program runs");
        let mut word = [0; 4];
        for seen in &mut self.seen {
            self.answers
                .read_exact(&mut word)
                .expect("the program answers");
            *seen = u32::from_le_bytes(word);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The program ends with its input, unless it waits for somebody to read an answer.
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

/// C++ of a program: `globals`, then `main`, which for all inputs it reads, `first` words in front of them, runs
/// `evaluation` on the circuit `dut`.
pub fn text(ports: &[Port], globals: &str, first: usize, set_up: &str, evaluation: &str) -> String {
    let mut moves = [String::new(), String::new()];
    let mut words = [first, 0];
    for port in ports {
        let side = usize::from(!port.is_input);
        moves[side] += &format!("    {}\n", move_words(port, words[side]));
        words[side] += port.width.div_ceil(32);
    }
    let [inputs, outputs] = moves;
    format!(
        "#include \"Vdut.h\"\n#include \"verilated.h\"\n#include <cstdio>\n\
         double sc_time_stamp() {{ return 0; }}\n{globals}\
         int main() {{\n  Vdut *dut = new Vdut;\n  static uint32_t in[{}], out[{}];\n{set_up}\
         while (fread(in, sizeof in, 1, stdin) == 1) {{\n{inputs}{evaluation}\
         {outputs}    fwrite(out, sizeof out, 1, stdout);\n    fflush(stdout);\n  }}\n  return 0;\n}}\n",
        words[0].max(1),
        words[1].max(1)
    )
}

/// A statement that moves a port from or to its words.
fn move_words(port: &Port, at: usize) -> String {
    let pin = port.name.replace('$', "__024");
    let next = at + 1;
    let words = port.width.div_ceil(32);
    match (port.is_input, port.width) {
        (true, ..=32) => format!("dut->{pin} = in[{at}];"),
        (true, 33..=64) => format!("dut->{pin} = (uint64_t)in[{next}] << 32 | in[{at}];"),
        (true, _) => format!("for (int i = 0; i < {words}; i++) dut->{pin}[i] = in[{at} + i];"),
        (false, ..=32) => format!("out[{at}] = dut->{pin};"),
        (false, 33..=64) => {
            format!("out[{at}] = (uint32_t)dut->{pin}; out[{next}] = (uint32_t)(dut->{pin} >> 32);")
        }
        (false, _) => format!("for (int i = 0; i < {words}; i++) out[{at} + i] = dut->{pin}[i];"),
    }
}
