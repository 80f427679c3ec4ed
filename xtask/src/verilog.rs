//! The printed Verilog of a card or of one of its modules.

use std::fs;
use std::path::Path;

use crate::process::{Result, at, capture, cargo, command, run, target};

/// Prints the whole card without rings, streams 64 bits wide, to a file and returns the text.
pub fn emit_top(out: &Path) -> Result<String> {
    emit(out, &["--top"])
}

/// The same with streams of this width and so many pages of access list.
///
/// The number of pages is an option of the build, so this one has a folder of its own; the circuits are only printed, and
/// compile in seconds without optimisation.
pub fn emit_size(out: &Path, width: usize, pages: usize) -> Result<String> {
    let folder = target().join("sizes/build");
    let mut build = cargo(["run", "--quiet", "--package", "hdl", "--bin", "emit"]);
    build
        .args(["--config", "profile.dev.package.hdl.opt-level=0"])
        .env("CARGO_TARGET_DIR", &folder)
        .env("POSTERN_ACL_PAGES", pages.to_string())
        .args(["--", "--top", "--width", &width.to_string(), "--out"])
        .arg(out);
    run(&mut build)?;
    fs::read_to_string(out).map_err(at(out))
}

/// Prints the whole card with rings to a file and returns the text.
pub fn emit_card(out: &Path) -> Result<String> {
    emit(out, &["--card"])
}

/// Prints the card on a board to a file, with the commit (eight digits) and the build time (seconds) it shows.
pub fn emit_board(board: &str, commit: &str, time: &str, out: &Path) -> Result<String> {
    emit(out, &["--board", board, "--commit", commit, "--time", time])
}

/// Prints one module to a file and returns the text.
pub fn emit_module(name: &str, out: &Path) -> Result<String> {
    emit(out, &["--module", name])
}

fn emit(out: &Path, what: &[&str]) -> Result<String> {
    // Of the whole workspace and with a test, so that cargo chooses the features that everything else is built with:
    // the circuits take two minutes to compile.
    run(&mut cargo([
        "build",
        "--quiet",
        "--workspace",
        "--features",
        "verilator",
        "--bin",
        "emit",
        "--test",
        "record_order",
    ]))?;
    capture(
        command(target().join("debug/emit"))
            .args(what)
            .arg("--out")
            .arg(out),
    )?;
    fs::read_to_string(out).map_err(at(out))
}
