//! The open tools for the ECP5: yosys to a netlist, nextpnr to a placed and routed design, ecppack to a bitstream.
//!
//! Programs on PATH are taken first, else those of the Python packages. Fmax is what nextpnr's timing model says of the slow
//! corner; nothing here has run on silicon.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::pool;
use crate::process::{Failure, Result, at, capture, command, copy_into, output, root, run};
use crate::requirements::{find_program, venv_program};

/// What the mapping to LUTs takes for the way from one LUT to the next.
///
/// Yosys' own is 300 ps. In a device that is three quarters full the way costs 700 and more, and rows of LUTs weigh more
/// against carry chains than it thinks.
const WIRE_DELAY_PS: u32 = 700;

/// How much the placer weighs a late path against the length of all wires.
///
/// Nextpnr's own is 10, with which it leaves a few registers of a late path far apart to keep the rest short. One netlist,
/// placed with the same seed, was estimated at 89 MHz with 10 and at 116 with this. The price is crowded wires, on which
/// nextpnr's other router, `router2`, comes to no end.
const PLACER_TIMING_WEIGHT: u32 = 30;

/// `board.toml` of a board.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Board {
    pub device: String,
    /// Arguments of nextpnr that name the device.
    pub nextpnr: Vec<String>,
    pub target_mhz: f64,
    /// The data sheet's limit for block RAM; nextpnr does not model it.
    pub block_ram_limit_mhz: f64,
    pub block_ram: usize,
    /// LUTs of four inputs.
    pub lut4: usize,
    #[serde(default)]
    pub budget: Vec<Budget>,
}

/// Block RAMs that some blocks may take together.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    pub what: String,
    pub blocks: Vec<String>,
    pub block_ram: usize,
}

impl Board {
    /// The board with this folder in `bitstreams`.
    pub fn read(name: &str) -> Result<Self> {
        let path = root().join("bitstreams").join(name).join("board.toml");
        let text = fs::read_to_string(&path).map_err(at(&path))?;
        toml::from_str(&text)
            .map_err(|error| Failure::Check(format!("{}: {error}", path.display())))
    }
}

/// Cell types by instance path.
pub type Cells = BTreeMap<String, String>;

/// What yosys writes and nextpnr reads, in a folder.
const NETLIST: &str = "netlist.json";

/// What ecppack writes: what is flashed, and the same for a JTAG player.
pub const BITSTREAM: &str = "postern.bit";
pub const SVF: &str = "postern.svf";

/// The programs of the flow.
const PROGRAMS: [&str; 3] = ["yosys", "nextpnr-ecp5", "ecppack"];

/// A program of the flow, behind all other work of the machine.
fn tool(name: &str) -> Command {
    // All or none: a netlist of one yosys is not the netlist of another.
    let program = match PROGRAMS
        .iter()
        .all(|program| find_program(program).is_some())
    {
        true => PathBuf::from(name),
        false => venv_program(&format!("yowasp-{name}")),
    };
    let mut nice = command("nice");
    nice.args(["-n", "10"]).arg(program);
    nice
}

/// What the programs of the flow say of themselves, by name.
pub fn versions() -> Result<BTreeMap<&'static str, String>> {
    let version = |program| {
        let text = told_version(program)?;
        let named = text.lines().find(|line| line.contains(char::is_numeric));
        let line = named.unwrap_or_default().trim().to_owned();
        Ok((program, line))
    };
    PROGRAMS.into_iter().map(version).collect()
}

/// What a program of the flow prints when asked for its version.
fn told_version(program: &str) -> Result<String> {
    let told = output(tool(program).arg("--version"))?;
    let text = [told.stdout, told.stderr].concat();
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Maps Verilog files of `folder` to the device's cells: `netlist.json` there. Returns the cells of `top`.
pub fn synthesise(folder: &Path, files: &[&str], top: &str) -> Result<Cells> {
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
        "read_verilog -sv {files}; synth_ecp5 -top {top} -run begin:map_luts; \
         abc9 -W {WIRE_DELAY_PS}; clean; synth_ecp5 -top {top} -run map_cells: -json netlist.json",
        files = files.join(" "),
    );
    run(tool("yosys")
        .current_dir(folder)
        .args(["-q", "-l", "yosys.log", "-p", &script]))?;
    let mut netlist: Netlist = read(&folder.join(NETLIST))?;
    let module = netlist.modules.remove(top);
    let cells = module.map(|module| module.cells).unwrap_or_default();
    Ok(cells
        .into_iter()
        .map(|(path, cell)| (path, cell.r#type))
        .collect())
}

/// Turns the `netlist.json` of a folder into `flat.v` there: one module in which every cell is what the models in `cells` say
/// of it, and cells without a model stay.
pub fn flatten(folder: &Path, top: &str, cells: &Path) -> Result {
    let models = copy_into(cells, folder)?;
    // Nets are split into bits: a simulator would take two bits of one net that follow each other for a loop.
    let script = format!(
        "read_json netlist.json; delete =* ={top} %d; read_verilog {models}; hierarchy -top {top}; proc; flatten; opt_clean; \
         splitnets; rename -hide; clean; write_verilog -noattr flat.v"
    );
    run(tool("yosys")
        .current_dir(folder)
        .args(["-q", "-l", "flat.log", "-p", &script]))
}

/// What nextpnr reports for one seed.
#[derive(Deserialize)]
pub struct Routed {
    #[serde(default)]
    pub seed: u32,
    pub fmax: BTreeMap<String, Fmax>,
    #[serde(default)]
    pub utilization: BTreeMap<String, Utilization>,
    #[serde(default)]
    critical_paths: Vec<CriticalPath>,
}

/// How fast a clock may be.
#[derive(Deserialize)]
pub struct Fmax {
    pub achieved: f64,
    pub constraint: f64,
}

/// A clock of a seed, as the manifest has it.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    pub name: String,
    pub constraint_mhz: f64,
    pub fmax_mhz: f64,
}

/// How many of a kind of cell there are and are used.
#[derive(Deserialize)]
pub struct Utilization {
    pub available: usize,
    pub used: usize,
}

/// The longest path from one clock to another, or to the same.
#[derive(Deserialize)]
pub struct CriticalPath {
    /// Edge and net of the clock.
    from: String,
    to: String,
    path: Vec<Hop>,
}

#[derive(Deserialize)]
struct Hop {
    /// `clk-to-q`, `routing`, `logic`, `setup` …
    r#type: String,
    /// Nanoseconds.
    delay: f64,
    from: End,
    to: End,
}

#[derive(Deserialize)]
struct End {
    cell: String,
}

impl CriticalPath {
    /// Whether it ends on the edge of the clock that it begins on.
    pub fn within_a_clock(&self) -> bool {
        self.from == self.to
    }

    /// Nanoseconds.
    pub fn delay(&self) -> f64 {
        self.path.iter().map(|hop| hop.delay).sum()
    }

    /// Nanoseconds of the hops of a kind.
    pub fn delay_of(&self, kind: &str) -> f64 {
        self.of(kind).map(|hop| hop.delay).sum()
    }

    /// How many hops are of a kind.
    pub fn hops_of(&self, kind: &str) -> usize {
        self.of(kind).count()
    }

    /// First and last cell.
    pub fn ends(&self) -> Option<(&str, &str)> {
        Some((&self.path.first()?.from.cell, &self.path.last()?.to.cell))
    }

    fn of(&self, kind: &str) -> impl Iterator<Item = &Hop> {
        self.path.iter().filter(move |hop| hop.r#type == kind)
    }
}

impl Routed {
    /// Fmax of the slowest clock.
    pub fn mhz(&self) -> f64 {
        self.fmax
            .values()
            .map(|clock| clock.achieved)
            .fold(f64::INFINITY, f64::min)
    }

    /// What the clock with least to spare reaches of what it must.
    pub fn margin(&self) -> f64 {
        self.fmax
            .values()
            .map(|clock| clock.achieved / clock.constraint)
            .fold(f64::INFINITY, f64::min)
    }

    /// First and last cell of the slowest path.
    pub fn worst_path(&self) -> Option<(&str, &str)> {
        self.critical_paths.first()?.ends()
    }

    /// The longest path of each pair of clocks.
    pub fn paths(&self) -> impl Iterator<Item = &CriticalPath> {
        self.critical_paths.iter()
    }

    /// The clocks by name. Block RAM bounds the clock it runs on.
    pub fn clocks(&self, board: &Board) -> impl Iterator<Item = Clock> {
        let limit = board.block_ram_limit_mhz;
        self.fmax.iter().map(move |(name, fmax)| Clock {
            name: name.trim_start_matches("$glbnet$").into(),
            constraint_mhz: fmax.constraint,
            fmax_mhz: fmax.achieved.min(limit),
        })
    }
}

/// How to place and route the `netlist.json` of a folder.
pub struct Route<'a> {
    pub folder: &'a Path,
    pub board: &'a Board,
    /// Files of pins and clocks, in the folder; without any nextpnr chooses pins, and one clock of the board's target is meant.
    pub constraints: &'a [String],
}

impl Route<'_> {
    /// Seeds 1 to `seeds`, as many at once as there are cores.
    pub fn all(&self, seeds: u32) -> Result<Vec<Routed>> {
        let seeds: Vec<u32> = (1..=seeds).collect();
        pool::each(&seeds, |seed| self.one(*seed))
            .into_iter()
            .collect()
    }

    /// One seed: `route-SEED.json`, `.log` and, with constraints, `.config` in the folder. What is there already for the same
    /// netlist, constraints and tool is taken as it is: a seed takes half an hour.
    pub fn one(&self, seed: u32) -> Result<Routed> {
        let report = format!("route-{seed}.json");
        let arguments = self.arguments(seed, &report);
        let stamp = self.stamp(&arguments)?;
        let stamped = self.folder.join(format!("route-{seed}.stamp"));
        if fs::read_to_string(&stamped).is_ok_and(|before| before == stamp) {
            println!("    seed {seed} was placed and routed before");
        } else {
            println!("    placing and routing, seed {seed}: takes minutes");
            capture(
                tool("nextpnr-ecp5")
                    .current_dir(self.folder)
                    .args(&arguments),
            )?;
            fs::write(&stamped, stamp).map_err(at(&stamped))?;
        }
        let mut routed: Routed = read(&self.folder.join(report))?;
        routed.seed = seed;
        Ok(routed)
    }

    fn arguments(&self, seed: u32, report: &str) -> Vec<String> {
        let mut arguments = self.board.nextpnr.clone();
        arguments.extend(["--json".into(), NETLIST.into()]);
        match self.constraints.is_empty() {
            true => arguments.extend(["--freq".into(), self.board.target_mhz.to_string()]),
            false => arguments.extend(["--textcfg".into(), config(seed)]),
        }
        for file in self.constraints {
            arguments.extend(["--lpf".into(), file.clone()]);
        }
        // Quiet on our terminal; the log can be followed while it runs.
        let log = format!("route-{seed}.log");
        let rest = [
            "--seed",
            &seed.to_string(),
            "--placer-heap-timingweight",
            &PLACER_TIMING_WEIGHT.to_string(),
            "--timing-allow-fail",
            "--report",
            report,
            "--quiet",
            "--log",
            &log,
        ];
        arguments.extend(rest.map(String::from));
        arguments
    }

    /// All that the outcome of a seed follows from.
    fn stamp(&self, arguments: &[String]) -> Result<String> {
        let mut sums = command("sha256sum");
        sums.current_dir(self.folder)
            .arg(NETLIST)
            .args(self.constraints);
        Ok(format!(
            "{}{}{}\n",
            told_version("nextpnr-ecp5")?,
            capture(&mut sums)?,
            arguments.join(" "),
        ))
    }

    /// Packs what a seed was routed to: [`BITSTREAM`] and [`SVF`] in the folder.
    pub fn pack(&self, seed: u32) -> Result {
        let config = config(seed);
        capture(
            tool("ecppack")
                .current_dir(self.folder)
                .args(["--svf", SVF, &config, BITSTREAM]),
        )?;
        Ok(())
    }
}

fn config(seed: u32) -> String {
    format!("route-{seed}.config")
}

/// Reads JSON that one of the tools wrote.
fn read<T: for<'de> Deserialize<'de>>(path: &PathBuf) -> Result<T> {
    let text = fs::read_to_string(path).map_err(at(path))?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::Check(format!("{}: {error}", path.display())))
}
