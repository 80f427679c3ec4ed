//! What the core costs, and how fast it is, with other widths of its streams and other sizes of its access list.
//!
//! A size takes half an hour and more, the largest two hours, so each is kept in `docs/sizes.json` when it is done; `docs/sizes.md`
//! and `docs/sizes.svg` are made of that file.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::chart;
use crate::ecp5::Board;
use crate::pool;
use crate::process::{Failure, Result, at, capture, command, root, target};
use crate::requirements::{self, SYNTHESIS};
use crate::synth::Built;
use crate::verilog;

/// All sizes fit this device; its folder in `bitstreams` says what it has.
const DEVICE: &str = "lfe5um5g-85f";

/// A size of the core: bits of a stream, pages of the access list.
type Size = (usize, usize);

/// Widths with the access list of the default build, then access lists with its width.
const SIZES: [Size; 8] = [
    (64, 32),
    (128, 32),
    (256, 32),
    (512, 32),
    (64, 8),
    (64, 16),
    (64, 64),
    (64, 128),
];

/// Pages up to which nextpnr's default placer does. With twice as many its wires are half as long again as those of the other one,
/// and half of the arcs are left after an hour of routing. With 32 pages the other one is 1 % slower at 64 bits, 3 % faster at 128,
/// 12 % slower at 256.
const PAGES_OF_HEAP: usize = 64;

/// What places a size: a name that nextpnr knows.
fn placer(pages: usize) -> &'static str {
    if pages > PAGES_OF_HEAP {
        "static"
    } else {
        "heap"
    }
}

/// Which sizes to build.
#[derive(Args)]
pub struct Options {
    /// Only this one, as WIDTH/PAGES: 512/32
    #[arg(long, value_parser = parse)]
    only: Option<Size>,
    /// Build none; write table and plot of what was measured before
    #[arg(long, conflicts_with = "only")]
    draw: bool,
}

/// What was measured of a size.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    pub width: usize,
    pub pages: usize,
    pub lut4: usize,
    pub carry_pairs: usize,
    pub flip_flops: usize,
    pub lut_ram: usize,
    pub block_ram: usize,
    /// Of nextpnr.
    pub placer: String,
    /// Of seed 1.
    pub fmax_mhz: f64,
    pub commit: String,
}

impl Measured {
    /// Rules that the access list holds.
    pub fn rules(&self) -> usize {
        self.pages * layout::table::ACL_LANES
    }
}

/// Builds sizes, as many at once as there are cores, and writes table and plot after each.
pub fn sizes(options: &Options) -> Result {
    let docs = root().join("docs");
    fs::create_dir_all(&docs).map_err(at(&docs))?;
    let path = docs.join("sizes.json");
    let kept = Kept::read(&path)?;
    if options.draw {
        return draw(&kept.all);
    }
    requirements::ensure(&[SYNTHESIS])?;
    let is_wanted = |size: &Size| options.only.is_none_or(|only| only == *size);
    let wanted: Vec<Size> = SIZES.into_iter().filter(is_wanted).collect();
    let (kept, printing) = (Mutex::new(kept), Mutex::new(()));
    let build = |size: &Size| {
        let measured = measure(*size, &printing)?;
        held(&kept).take(measured)
    };
    pool::each(&wanted, build).into_iter().collect()
}

/// What was measured, now and before.
struct Kept<'a> {
    path: &'a Path,
    all: Vec<Measured>,
}

impl<'a> Kept<'a> {
    fn read(path: &'a Path) -> Result<Self> {
        let all = match fs::read_to_string(path) {
            Ok(text) => serde_json::from_str(&text)
                .map_err(|error| Failure::Check(format!("{}: {error}", path.display())))?,
            Err(_) => Vec::new(),
        };
        Ok(Self { path, all })
    }

    fn take(&mut self, measured: Measured) -> Result {
        let size = (measured.width, measured.pages);
        self.all.retain(|one| (one.width, one.pages) != size);
        self.all.push(measured);
        self.all.sort_by_key(|one| (one.width, one.pages));
        let text = serde_json::to_string_pretty(&self.all)
            .map_err(|error| Failure::Check(error.to_string()))?;
        fs::write(self.path, text + "\n").map_err(at(self.path))?;
        draw(&self.all)
    }
}

fn held<T>(one: &Mutex<T>) -> MutexGuard<'_, T> {
    one.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Builds one. All print their Verilog with one program in one place, each with its own: one at a time.
fn measure((width, pages): Size, printing: &Mutex<()>) -> Result<Measured> {
    println!("  streams of {width} bits, {pages} pages of access list");
    let placer = placer(pages);
    let mut board = Board::read(DEVICE)?;
    board
        .nextpnr
        .extend(["--placer", placer].map(str::to_owned));
    let folder = target().join("sizes").join(format!("{width}-{pages}"));
    fs::create_dir_all(&folder).map_err(at(&folder))?;
    let printer = held(printing);
    let text = verilog::emit_size(&folder.join("circuit.v"), width, pages)?;
    drop(printer);
    let built = Built::new(&board, &folder, "postern", &text, 1)?;
    let commit = capture(command("git").args(["rev-parse", "--short=8", "HEAD"]))?;
    Ok(Measured {
        width,
        pages,
        lut4: built.count("LUT4"),
        carry_pairs: built.count("CCU2C"),
        flip_flops: built.count("TRELLIS_FF"),
        lut_ram: built.count("TRELLIS_DPR16X4"),
        block_ram: built.count("DP16KD"),
        placer: placer.to_owned(),
        fmax_mhz: built.worst_mhz(&board),
        commit: commit.trim().to_owned(),
    })
}

/// Writes table and plot.
fn draw(all: &[Measured]) -> Result {
    let board = Board::read(DEVICE)?;
    let docs = root().join("docs");
    let table = docs.join("sizes.md");
    fs::write(&table, markdown(&board, all)).map_err(at(&table))?;
    chart::sizes(&docs.join("sizes.svg"), &board, all)
}

fn markdown(board: &Board, all: &[Measured]) -> String {
    let mut text = format!(
        "# Sizes of the core\n\n\
         Made by `cargo xtask sizes`; not to be edited. The core without rings behind a scan wrapper (its flip-flops are counted), \
         on {}, seed 1. Fmax is what nextpnr says of the slow corner, at most the {} MHz of block RAM. A lookup in the access list \
         takes a clock a page and one.\n\n![Fmax and resources](sizes.svg)\n\n\
         | stream, bits | rules | LUT4 | carry pairs | flip-flops | LUT RAM (16x4) | block RAM of {} | placer | Fmax, MHz | Gb/s at Fmax | lookups, M/s | commit |\n\
         |---:|---:|---:|---:|---:|---:|---:|---|---:|---:|---:|---|\n",
        board.device, board.block_ram_limit_mhz, board.block_ram,
    );
    for one in all {
        text += &format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {:.1} | {:.1} | {:.2} | {} |\n",
            one.width,
            one.rules(),
            one.lut4,
            one.carry_pairs,
            one.flip_flops,
            one.lut_ram,
            one.block_ram,
            one.placer,
            one.fmax_mhz,
            one.fmax_mhz * one.width as f64 / 1000.0,
            one.fmax_mhz / (one.pages + 1) as f64,
            one.commit,
        );
    }
    text
}

/// `512/32`.
fn parse(text: &str) -> std::result::Result<Size, String> {
    let known = SIZES.map(|(width, pages)| format!("{width}/{pages}"));
    match known.iter().position(|known| known == text) {
        Some(index) => Ok(SIZES[index]),
        None => Err(format!("one of {}", known.join(", "))),
    }
}
