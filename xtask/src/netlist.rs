//! The netlists that yosys makes of core, card and board, put through the tests that the printed Verilog passes.
//!
//! What is flashed is then what was tested. What a cell does say models in `hdl/tests/support`, ours and not those of yosys. yosys
//! only puts them in the netlist's place, bit by bit, so that Verilator sees one module.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::ecp5;
use crate::process::{Result, at, cargo, root, run, target};
use crate::requirements::{self, NEXTEST, SIMULATION, SYNTHESIS};
use crate::verilog;

/// Module that every printed circuit is.
const TOP: &str = "postern";
/// What LUTs, carries, flip-flops, LUT RAM and pins do.
const CELLS: &str = "hdl/tests/support/ecp5_cells.v";
/// What block RAM does.
const BLOCK_RAM: &str = "hdl/tests/support/ecp5_ram.v";
/// What `cargo xtask test` builds with.
const WITH: [&str; 3] = ["--workspace", "--features", "verilator"];

/// What to judge, and for how long.
#[derive(Args)]
pub struct Options {
    /// Frames through the core beside the model card
    #[arg(long, default_value_t = 20_000)]
    packets: u64,
    /// Only one of them
    #[arg(long, value_parser = ["core", "board", "card"])]
    only: Option<String>,
}

/// Makes the netlists and judges them; fails with the first test that does.
pub fn netlist(options: &Options) -> Result {
    requirements::ensure(&[SYNTHESIS, SIMULATION, NEXTEST])?;
    let wanted = |name: &str| options.only.as_deref().is_none_or(|only| only == name);
    if wanted("core") {
        println!("\nThe core: random tables and frames beside the model card");
        let circuit = Circuit::new("core")?;
        verilog::emit_top(&circuit.source())?;
        let flat = circuit.flat()?;
        run(judge(&[
            "--test",
            "pipeline",
            "-E",
            "test(rtl_64_bit_equals_the_model)",
        ])
        .env("POSTERN_RTL_VERILOG", &flat)
        .env("POSTERN_PACKETS", options.packets.to_string()))?;
    }
    if wanted("card") {
        println!("\nThe card with rings: every case of tests/cases replayed");
        let circuit = Circuit::new("card")?;
        verilog::emit_card(&circuit.source())?;
        let flat = circuit.flat()?;
        // The tests start it as a program of its own, which they do not build.
        run(cargo(["build", "--bin", "postern-card", "--test", "cases"])
            .args(WITH)
            .env("POSTERN_RTL_VERILOG", &flat))?;
        run(judge(&["--test", "cases"]).env("POSTERN_RTL_VERILOG", &flat))?;
    }
    if wanted("board") {
        println!("\nThe Versa board: frames from pins to pins");
        let circuit = Circuit::new("board")?;
        verilog::emit_board("versa-ecp5", "0", "0", &circuit.source())?;
        let flat = circuit.flat()?;
        run(judge(&["--test", "board_pins", "-E", "test(versa)"])
            .env("POSTERN_BOARD_VERILOG", &flat))?;
    }
    Ok(())
}

/// The tests as `cargo xtask test` builds them.
fn judge(tests: &[&str]) -> std::process::Command {
    let mut command = cargo(["nextest", "run", "--profile", "fuzz"]);
    command.args(WITH).args(tests);
    command
}

/// A circuit on its way from Verilog to netlist and back.
struct Circuit {
    folder: PathBuf,
}

impl Circuit {
    fn new(name: &str) -> Result<Self> {
        let folder = target().join("netlist").join(name);
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        Ok(Self { folder })
    }

    /// Where its Verilog belongs.
    fn source(&self) -> PathBuf {
        self.folder.join("circuit.v")
    }

    /// Its netlist as Verilog that can be simulated.
    fn flat(&self) -> Result<PathBuf> {
        println!("    synthesising: takes minutes");
        ecp5::synthesise(&self.folder, &["circuit.v"], TOP)?;
        ecp5::flatten(&self.folder, TOP, &root().join(CELLS))?;
        let flat = self.folder.join("flat.v");
        let text = [
            // Two bits of an output that follow each other look like a loop.
            "/* verilator lint_off UNOPTFLAT */\n",
            &fs::read_to_string(&flat).map_err(at(&flat))?,
            &fs::read_to_string(root().join(BLOCK_RAM)).map_err(at(Path::new(BLOCK_RAM)))?,
        ];
        fs::write(&flat, text.concat()).map_err(at(&flat))?;
        Ok(flat)
    }
}
