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
    let built = Built::new(&board, &folder, top, &text, options.seeds)?;
    report(&folder, top, &board, &built)
}

/// A circuit behind a scan wrapper, placed and routed.
pub struct Built {
    /// Flip-flops of the wrapper, counted with the rest.
    wrapper_flip_flops: usize,
    cells: Cells,
    /// By seed.
    routed: Vec<Routed>,
}

impl Built {
    /// Builds the circuit `top` of this text, which is `circuit.v` in the folder.
    pub fn new(board: &Board, folder: &Path, top: &str, text: &str, seeds: u32) -> Result<Self> {
        let scan = Scan::new(top, text)?;
        let wrapper = folder.join("wrapper.v");
        fs::write(&wrapper, scan.verilog()).map_err(at(&wrapper))?;
        let cells = ecp5::synthesise(folder, &["circuit.v", "wrapper.v"], WRAPPER)?;
        let route = Route {
            folder,
            board,
            constraints: &[],
        };
        Ok(Self {
            wrapper_flip_flops: scan.flip_flops(),
            cells,
            routed: route.all(seeds)?,
        })
    }

    /// How many cells there are of a kind.
    pub fn count(&self, kind: &str) -> usize {
        self.cells.values().filter(|cell| *cell == kind).count()
    }

    /// What block RAM, where there is any, allows the clock at most.
    fn limit(&self, board: &Board) -> f64 {
        match self.count("DP16KD") {
            0 => f64::INFINITY,
            _ => board.block_ram_limit_mhz,
        }
    }

    /// Fmax of the slowest seed.
    pub fn worst_mhz(&self, board: &Board) -> f64 {
        let seeds = self.routed.iter().map(Routed::mhz);
        seeds.fold(self.limit(board), f64::min)
    }
}

fn report(folder: &Path, top: &str, board: &Board, built: &Built) -> Result {
    let limit = built.limit(board);
    let (ebr, available) = (built.count("DP16KD"), board.block_ram);
    let target_mhz = board.target_mhz;
    let worst = built.worst_mhz(board);
    let blocks = memory_by_block(&built.cells);
    let (budgets, over) = budgets(board, &blocks);
    let text = format!(
        "{}{budgets}{}\n  worst {worst:.1} MHz, target {target_mhz} MHz\n",
        resources(top, board, built, &blocks),
        seeds(built, limit),
    );
    print!("\n{text}");
    let fmax: Vec<_> = built
        .routed
        .iter()
        .map(|seed| json!({ "seed": seed.seed, "fmax_mhz": seed.mhz().min(limit) }))
        .collect();
    let record = json!({
        "top": top, "device": board.device, "wrapper_flip_flops": built.wrapper_flip_flops,
        "lut4": built.count("LUT4"), "ccu2c": built.count("CCU2C"), "flip_flops": built.count("TRELLIS_FF"),
        "lut_ram": built.count("TRELLIS_DPR16X4"), "block_ram": ebr, "block_ram_available": available,
        "blocks": blocks, "seeds": fmax, "worst_mhz": worst, "target_mhz": target_mhz,
    });
    for (name, content) in [
        ("report.txt", text),
        ("report.json", format!("{record:#}\n")),
    ] {
        let path = folder.join(name);
        fs::write(&path, content).map_err(at(&path))?;
    }
    if worst < target_mhz || ebr > available {
        return Err(Failure::Check(format!(
            "{top} does not meet {target_mhz} MHz in {available} block RAMs"
        )));
    }
    match over.is_empty() {
        true => Ok(()),
        false => Err(Failure::Check(format!(
            "over the block RAM budget: {}",
            over.join(", ")
        ))),
    }
}

/// What the circuit takes of the device.
fn resources(top: &str, board: &Board, built: &Built, blocks: &Blocks) -> String {
    let mut text = format!(
        "{top} on {}, behind a scan wrapper of {} flip-flops (included)\n\n  \
         LUT4 {}   carry pairs {}   flip-flops {}   LUT RAM {} (16x4)   \
         block RAM {} of {}\n\n  block            block RAM  LUT RAM\n",
        board.device,
        built.wrapper_flip_flops,
        built.count("LUT4"),
        built.count("CCU2C"),
        built.count("TRELLIS_FF"),
        built.count("TRELLIS_DPR16X4"),
        built.count("DP16KD"),
        board.block_ram,
    );
    for (block, (ebr, lutram)) in blocks {
        let _ = writeln!(text, "  {block:16} {ebr:9}  {lutram:7}");
    }
    text
}

/// Block RAM of each group with a budget, and the groups that are over it.
fn budgets<'a>(board: &'a Board, blocks: &Blocks) -> (String, Vec<&'a str>) {
    let (mut text, mut over) = (String::from("\n"), Vec::new());
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
    (text, over)
}

/// Fmax of each seed, with its slowest path.
fn seeds(built: &Built, limit: f64) -> String {
    let mut text = String::from("\n  seed     Fmax   slowest path\n");
    for seed in &built.routed {
        let (from, to) = seed.worst_path().unwrap_or_default();
        let mhz = seed.mhz().min(limit);
        let _ = writeln!(text, "  {:4} {mhz:8.1}   {from} -> {to}", seed.seed);
    }
    text
}

/// Block RAMs and LUT RAMs by block.
type Blocks<'a> = BTreeMap<&'a str, (usize, usize)>;

/// Block RAMs and LUT RAMs of each block directly inside the circuit, or inside its core: memories keep their path
/// (`core.core.flow.ways.…`) through synthesis, logic does not.
fn memory_by_block(cells: &Cells) -> Blocks<'_> {
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
