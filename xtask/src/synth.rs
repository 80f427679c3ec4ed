//! Synthesis, placement and routing of the 64-bit card for the ECP5 of the Versa board.
//!
//! What it costs and how fast it runs, for several seeds, printed and kept in `target/synth`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::ecp5::{self, Board, Budget, Cells, Route, Routed};
use crate::process::{Failure, Result, at, target};
use crate::requirements::{self, SYNTHESIS};
use crate::scan::{Scan, WRAPPER};
use crate::verilog;

/// Board to build for; its folder in `bitstreams` says what it has.
const BOARD: &str = "versa-ecp5";

/// What to build.
#[derive(Args)]
pub struct Options {
    /// Placement seeds to try
    #[arg(long, default_value_t = 3)]
    seeds: u32,
    /// Verilog to build instead of the card
    #[arg(long, requires = "top")]
    verilog: Option<PathBuf>,
    /// Top module of that Verilog
    #[arg(long, requires = "verilog")]
    top: Option<String>,
}

/// Builds, prints the tables, and fails if the slowest seed misses the target.
pub fn synth(options: &Options) -> Result {
    requirements::ensure(&[SYNTHESIS])?;
    let board = Board::read(BOARD)?;
    let top = options.top.as_deref().unwrap_or("postern");
    let folder = target().join("synth").join(top);
    fs::create_dir_all(&folder).map_err(at(&folder))?;
    let circuit = folder.join("circuit.v");
    let text = match &options.verilog {
        None => verilog::emit_top(&circuit)?,
        Some(given) => {
            fs::copy(given, &circuit).map_err(at(given))?;
            fs::read_to_string(&circuit).map_err(at(&circuit))?
        }
    };
    let scan = Scan::new(top, &text)?;
    let wrapper = folder.join("wrapper.v");
    fs::write(&wrapper, scan.verilog()).map_err(at(&wrapper))?;
    let cells = ecp5::synthesise(&folder, &["circuit.v", "wrapper.v"], WRAPPER)?;
    let route = Route {
        folder: &folder,
        board: &board,
        constraints: &[],
    };
    let routed = route.all(options.seeds)?;
    report(&folder, top, &board, &scan, &cells, &routed)
}

fn report(
    folder: &Path,
    top: &str,
    board: &Board,
    scan: &Scan,
    cells: &Cells,
    routed: &[Routed],
) -> Result {
    let count = |kind: &str| cells.values().filter(|cell| *cell == kind).count();
    let (lut, carry, ff) = (count("LUT4"), count("CCU2C"), count("TRELLIS_FF"));
    let (ebr, lutram) = (count("DP16KD"), count("TRELLIS_DPR16X4"));
    let limit = if ebr > 0 {
        board.block_ram_limit_mhz
    } else {
        f64::INFINITY
    };
    let blocks = memory_by_block(cells);
    let Board {
        device,
        block_ram: available,
        target_mhz,
        ..
    } = board;

    let mut text = format!(
        "{top} on {device}, behind a scan wrapper of {} flip-flops (included)\n\n  \
         LUT4 {lut}   carry pairs {carry}   flip-flops {ff}   LUT RAM {lutram} (16x4)   \
         block RAM {ebr} of {available}\n\n  block            block RAM  LUT RAM\n",
        scan.flip_flops(),
    );
    for (block, (ebr, lutram)) in &blocks {
        let _ = writeln!(text, "  {block:16} {ebr:9}  {lutram:7}");
    }
    let mut over = Vec::new();
    let _ = writeln!(text);
    for Budget {
        what,
        blocks: members,
        block_ram,
    } in &board.budget
    {
        let taken = |name: &String| blocks.get(name.as_str()).map_or(0, |(ebr, _)| *ebr);
        let taken: usize = members.iter().map(taken).sum();
        let _ = writeln!(text, "  {taken:3} of {block_ram:3}  {what}");
        if taken > *block_ram {
            over.push(what.as_str());
        }
    }
    let _ = writeln!(text, "\n  seed     Fmax   slowest path");
    for seed in routed {
        let (from, to) = seed.worst_path().unwrap_or_default();
        let mhz = seed.mhz().min(limit);
        let _ = writeln!(text, "  {:4} {mhz:8.1}   {from} -> {to}", seed.seed);
    }
    let worst = routed.iter().map(Routed::mhz).fold(limit, f64::min);
    let _ = writeln!(text, "\n  worst {worst:.1} MHz, target {target_mhz} MHz");
    let seeds: Vec<_> = routed
        .iter()
        .map(|seed| json!({ "seed": seed.seed, "fmax_mhz": seed.mhz().min(limit) }))
        .collect();
    let record = json!({
        "top": top, "device": device, "wrapper_flip_flops": scan.flip_flops(),
        "lut4": lut, "ccu2c": carry, "flip_flops": ff, "lut_ram": lutram,
        "block_ram": ebr, "block_ram_available": available,
        "blocks": blocks, "seeds": seeds, "worst_mhz": worst, "target_mhz": target_mhz,
    });
    print!("\n{text}");
    for (name, content) in [
        ("report.txt", text),
        ("report.json", format!("{record:#}\n")),
    ] {
        let path = folder.join(name);
        fs::write(&path, content).map_err(at(&path))?;
    }
    if worst < *target_mhz || ebr > *available {
        return Err(Failure::Check(format!(
            "{top} does not meet {target_mhz} MHz in {available} block RAMs"
        )));
    }
    if !over.is_empty() {
        return Err(Failure::Check(format!(
            "over the block RAM budget: {}",
            over.join(", ")
        )));
    }
    Ok(())
}

/// Block RAMs and LUT RAMs of each block directly inside the circuit, or inside its core: memories keep their path
/// (`core.core.flow.ways.…`) through synthesis, logic does not.
fn memory_by_block(cells: &Cells) -> BTreeMap<&str, (usize, usize)> {
    let mut blocks = BTreeMap::new();
    for (path, kind) in cells {
        let block = path
            .strip_prefix("core.")
            .map(|path| path.strip_prefix("core.").unwrap_or(path))
            .and_then(|path| path.split('.').next());
        let (ebr, lutram): &mut (usize, usize) = match kind.as_str() {
            "DP16KD" | "TRELLIS_DPR16X4" => blocks.entry(block.unwrap_or("?")).or_default(),
            _ => continue,
        };
        *if kind == "DP16KD" { ebr } else { lutram } += 1;
    }
    blocks
}
