//! Runs the native simulation and the Verilated Verilog of one circuit on the same stimulus.
//!
//! The native run comes first and writes every port of every clock to a file of vectors; a
//! generated C++ program drives the Verilated circuit with the inputs of that file and compares the
//! outputs. Outputs are sampled before the rising edge, after the inputs have settled.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rust_hdl_core::prelude::*;

use super::ports::{Port, ports};
use super::verilog::{print, scratch};

/// [`Lockstep::new`] of a circuit with one clock, called `clock`, as it is by default.
#[allow(unused_macros, reason = "as for the rest of what tests share")]
macro_rules! clocked {
    ($uut:ty) => {
        $crate::support::lockstep::Lockstep::new(<$uut>::default(), |uut, high| {
            uut.clock.next = high.into();
        })
    };
}
#[allow(unused_imports, reason = "as for the rest of what tests share")]
pub(crate) use clocked;

/// A native simulation that records its ports.
pub struct Lockstep<U: Block> {
    /// The circuit; set `next` of its inputs, then call [`Lockstep::settle`] or [`Lockstep::tick`].
    pub uut: U,
    clock: fn(&mut U, bool),
    verilog: String,
    header: Vec<Port>,
    vectors: String,
    clocks: usize,
}

impl<U: Block> Lockstep<U> {
    /// Connects, checks and prints the circuit. `clock` sets its clock input.
    pub fn new(mut uut: U, clock: fn(&mut U, bool)) -> Self {
        let verilog = print(&mut uut);
        clock(&mut uut, false);
        settle(&mut uut);
        let header = ports(&uut);
        Self {
            uut,
            clock,
            verilog,
            header,
            vectors: String::new(),
            clocks: 0,
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

    /// Records the ports and runs one clock.
    pub fn tick(&mut self) {
        settle(&mut self.uut);
        for port in ports(&self.uut) {
            let _ = write!(self.vectors, "{} ", port.value);
        }
        self.vectors.push('\n');
        self.clocks += 1;
        (self.clock)(&mut self.uut, true);
        settle(&mut self.uut);
        (self.clock)(&mut self.uut, false);
        settle(&mut self.uut);
    }

    /// Builds and runs the Verilated circuit; the first difference, if any.
    pub fn compare(&self, name: &str) -> Result<(), String> {
        let program = driver(&self.header, &["clock"], true);
        replay(name, &self.verilog, &program, &self.vectors, self.clocks)
    }
}

/// Builds the circuit with its driver and runs it on vectors of so many rows; the first difference, if any.
pub fn replay(
    name: &str,
    verilog: &str,
    program: &str,
    vectors: &str,
    rows: usize,
) -> Result<(), String> {
    let directory = scratch(&format!("lockstep-{name}"));
    let write = |file: &str, text: &str| {
        std::fs::write(directory.join(file), text).expect("the scratch directory is writable");
    };
    write("dut.v", verilog);
    write("main.cpp", program);
    write("vectors", vectors);
    build(&directory, "-O0");
    let run = Command::new(directory.join("obj/dut"))
        .arg(directory.join("vectors"))
        .output()
        .expect("the program was built");
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    if run.status.success() && text == format!("{rows} clocks agree\n") {
        Ok(())
    } else {
        Err(text)
    }
}

pub fn settle<U: Block>(uut: &mut U) {
    assert!(simulate(uut, 1000), "the circuit does not settle");
}

/// Verilates and compiles as one translation unit; the run-time library is compiled once. `level` is the compiler's
/// option: short runs are over before an optimised program is compiled.
pub fn build(directory: &Path, level: &str) {
    run(Command::new("verilator")
        .current_dir(directory)
        .args([
            "--cc",
            "-Wno-lint",
            "-Wno-style",
            "--x-assign",
            "fast",
            "-O1",
            "--output-split-cfuncs",
            "500",
        ])
        .args([
            "--prefix",
            "Vdut",
            "--top-module",
            "dut",
            "--Mdir",
            "obj",
            "dut.v",
        ]));
    let mut unit = String::new();
    for entry in std::fs::read_dir(directory.join("obj")).expect("verilator made it") {
        let path = entry.expect("a directory entry").path();
        if path.extension().is_some_and(|extension| extension == "cpp") {
            // Set-up is half of the text and none of the running time; that of a netlist would take 20 GB to optimise.
            let is_seldom = path.to_string_lossy().contains("Slow");
            let (before, behind) = match is_seldom {
                true => (
                    "#pragma GCC push_options\n#pragma GCC optimize (\"O0\")\n",
                    "#pragma GCC pop_options\n",
                ),
                false => ("", ""),
            };
            let _ = writeln!(unit, "{before}#include \"{}\"\n{behind}", path.display());
        }
    }
    unit.push_str("#include \"../main.cpp\"\n");
    std::fs::write(directory.join("obj/unit.cpp"), unit)
        .expect("the scratch directory is writable");
    let library = runtime_library(directory);
    run(compiler()
        .current_dir(directory.join("obj"))
        .args([level, "unit.cpp"])
        .args(&library)
        .args(["-o", "dut", "-pthread"]));
}

/// Objects of Verilator's run-time library, compiled when missing.
fn runtime_library(scratch: &Path) -> Vec<PathBuf> {
    ["verilated", "verilated_threads"]
        .iter()
        .map(|name| {
            let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
            let object = directory.join(format!("{name}.o"));
            if !object.exists() {
                // Tests run side by side: rename, so that none sees half a file.
                let partial = scratch.join(format!("{name}.o"));
                let source = verilator_root().join(format!("include/{name}.cpp"));
                run(compiler().arg("-c").arg(source).arg("-o").arg(&partial));
                std::fs::rename(&partial, &object).expect("the target directory is writable");
            }
            object
        })
        .collect()
}

fn compiler() -> Command {
    let mut command = Command::new("g++");
    let include = verilator_root().join("include");
    command
        .args(["-std=gnu++17", "-O0", "-w", "-I."])
        .arg("-I")
        .arg(&include)
        .arg("-I")
        .arg(include.join("vltstd"));
    command
}

fn verilator_root() -> PathBuf {
    let root = Command::new("verilator")
        .args(["--getenv", "VERILATOR_ROOT"])
        .output()
        .expect("verilator is installed");
    PathBuf::from(String::from_utf8_lossy(&root.stdout).trim())
}

fn run(command: &mut Command) {
    let output = command.output().expect("verilator and g++ are installed");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// C++ that reads the vectors, drives the inputs and compares the outputs.
///
/// Clocks take the level of a row before the other inputs change. With `rises` they rise behind each row.
pub fn driver(ports: &[Port], clocks: &[&str], rises: bool) -> String {
    let (levels, inputs): (Vec<&Port>, Vec<&Port>) = ports
        .iter()
        .filter(|port| port.is_input)
        .partition(|port| clocks.contains(&port.name.as_str()));
    let mut body = String::new();
    for port in &levels {
        let _ = writeln!(body, "    {};", move_words(port, true));
    }
    let _ = writeln!(body, "    dut->eval();");
    for port in &inputs {
        let _ = writeln!(body, "    {};", move_words(port, true));
    }
    let mut edge = String::new();
    if rises {
        for port in &levels {
            let _ = writeln!(edge, "    dut->{} = 1;", port.name);
        }
        let _ = writeln!(edge, "    dut->eval();");
    }
    let mut check = String::new();
    let mut read = String::new();
    for (index, port) in ports.iter().enumerate() {
        let _ = writeln!(read, "    if (!word(file, value[{index}])) break;");
        if port.is_input {
            continue;
        }
        let _ = writeln!(
            check,
            "    {{ uint32_t seen[WORDS] = {{0}}; {}; if (differs(seen, value[{index}])) \
             {{ printf(\"clock %d: {} is %s, expected %s\\n\", clocks, show(seen).c_str(), \
             show(value[{index}]).c_str()); return 1; }} }}",
            move_words(port, false),
            port.name
        );
    }
    let index_of = |name: &str| {
        ports
            .iter()
            .position(|port| port.name == name)
            .expect("a port")
    };
    for port in ports.iter().filter(|port| port.is_input) {
        body = body.replace(
            &format!("@{}@", port.name),
            &index_of(&port.name).to_string(),
        );
    }
    let words = ports
        .iter()
        .map(|port| port.width.div_ceil(32))
        .max()
        .unwrap_or(1)
        .max(2);
    format!(
        "{PROLOGUE_HEAD}{words}{PROLOGUE}  uint32_t value[{}][WORDS];\n  for (;;) {{\n{read}{body}    dut->eval();\n{check}{edge}    clocks++;\n  }}\n  printf(\"%d clocks agree\\n\", clocks);\n  return 0;\n}}\n",
        ports.len()
    )
}

/// Statement that copies a port from `value[@name@]` (input) or to `seen`.
fn move_words(port: &Port, into_dut: bool) -> String {
    // Verilator spells the `$` of an array port out.
    let (name, pin) = (&port.name, port.name.replace('$', "__024"));
    match (port.width, into_dut) {
        (..=32, true) => format!("dut->{pin} = value[@{name}@][0]"),
        (..=32, false) => format!("seen[0] = dut->{pin}"),
        (33..=64, true) => {
            format!("dut->{pin} = (uint64_t)value[@{name}@][1] << 32 | value[@{name}@][0]")
        }
        (33..=64, false) => {
            format!("seen[0] = (uint32_t)dut->{pin}; seen[1] = (uint32_t)(dut->{pin} >> 32)")
        }
        (width, true) => {
            let words = width.div_ceil(32);
            format!("for (int i = 0; i < {words}; i++) dut->{pin}[i] = value[@{name}@][i]")
        }
        (width, false) => {
            let words = width.div_ceil(32);
            format!("for (int i = 0; i < {words}; i++) seen[i] = dut->{pin}[i]")
        }
    }
}

const PROLOGUE_HEAD: &str = r#"#include "Vdut.h"
#include "verilated.h"
#include <cstdio>
#include <cstring>
#include <string>
double sc_time_stamp() { return 0; }
static const int WORDS = "#;

const PROLOGUE: &str = r#";
static bool word(FILE *file, uint32_t *value) {
  static char text[8 * WORDS + 2];
  static char format[16];
  snprintf(format, sizeof format, "%%%ds", 8 * WORDS);
  if (fscanf(file, format, text) != 1) return false;
  memset(value, 0, 4 * WORDS);
  int length = strlen(text);
  for (int i = 0; i < length; i++) {
    char c = text[length - 1 - i];
    value[i / 8] |= (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10) << (4 * (i % 8));
  }
  return true;
}
static bool differs(const uint32_t *a, const uint32_t *b) { return memcmp(a, b, 4 * WORDS) != 0; }
static std::string show(const uint32_t *value) {
  std::string text;
  char part[9];
  for (int i = WORDS - 1; i >= 0; i--) { snprintf(part, sizeof part, "%08x", value[i]); text += part; }
  return text;
}
int main(int, char **argv) {
  FILE *file = fopen(argv[1], "r");
  if (!file) return 2;
  Vdut *dut = new Vdut;
  int clocks = 0;
"#;
