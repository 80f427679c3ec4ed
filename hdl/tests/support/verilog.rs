//! Prints a circuit as Verilog and runs Verilator's lint over it.

use std::path::{Path, PathBuf};
use std::process::Command;

use rust_hdl_core::prelude::*;

/// A scratch directory of this test, emptied.
pub fn scratch(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("the target directory is writable");
    directory
}

/// Connects and checks the circuit and prints it with the module name `dut`, with models of the device's primitives.
pub fn print(uut: &mut impl Block) -> String {
    uut.connect_all();
    let mut defines = ModuleDefines::default();
    check_all(uut).expect("every signal is driven, no loops");
    uut.accept("dut", &mut defines);
    let mut verilog = defines.defines();
    if verilog.contains("DDRX1F") {
        verilog.push_str(include_str!("ecp5.v"));
    }
    verilog
}

/// Warnings of Verilator `-Wall`, one line each, without the harmless classes.
///
/// `UNUSEDSIGNAL`, `UNUSEDPARAM`, `DECLFILENAME` and `VARHIDDEN` say nothing about what the circuit
/// does: some fields of a record are not used, one file holds all modules, and instances may have
/// the name of a signal inside them.
pub fn lint(name: &str, verilog: &str) -> Vec<String> {
    let directory = scratch(&format!("lint-{name}"));
    let source = directory.join("dut.v");
    std::fs::write(&source, verilog).expect("the scratch directory is writable");
    let run = Command::new("verilator")
        .args([
            "--lint-only",
            "-Wall",
            "-Wno-UNUSEDSIGNAL",
            "-Wno-UNUSEDPARAM",
            "-Wno-DECLFILENAME",
            "-Wno-VARHIDDEN",
        ])
        .args(["--top-module", "dut"])
        .arg(&source)
        .output()
        .expect("verilator is installed");
    let place = format!("{}:", source.display());
    String::from_utf8_lossy(&run.stderr)
        .lines()
        .filter(|line| line.starts_with("%Warning") || line.starts_with("%Error"))
        .filter(|line| !line.starts_with("%Error: Exiting"))
        .map(|line| line.replace(&place, ""))
        .collect()
}
