//! The bitstream of a board, its manifest, and whether both can be made again.
//!
//! `postern.bit` and `postern.svf` go beside the board's `board.toml`, and are not kept in the tree; `manifest.toml`, which
//! says what they are made of, and `timing.txt`, what every seed came to, are. The seed whose slowest clock has most to spare
//! is taken. The 7-series board ends before Vivado (`series7.rs`).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::ecp5::{self, Board, Clock, Route, Routed};
use crate::process::{Failure, Result, at, capture, command, copy_into, root, target};
use crate::requirements::{self, SYNTHESIS};
use crate::series7;
use crate::timing;
use crate::verilog;

/// What to build.
#[derive(Args)]
pub struct Options {
    /// Board, a folder of `bitstreams`
    #[arg(long, value_parser = ["versa-ecp5", series7::BOARD])]
    board: String,
    /// Placement seeds to try
    #[arg(long, default_value_t = 5)]
    seeds: u32,
    /// Make the bitstream of the manifest again, with its seed, and compare
    #[arg(long, conflicts_with = "seeds")]
    verify: bool,
}

/// What a bitstream is and what it was made of; `postern flash` reads it.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    board: String,
    device: String,
    git_commit: String,
    seed: u32,
    layout_hash: String,
    sha256: String,
    tools: BTreeMap<String, String>,
    tables: BTreeMap<String, usize>,
    resources: BTreeMap<String, usize>,
    clocks: Vec<Clock>,
}

/// Builds the bitstream, or checks that it can be built again.
pub fn bitstream(options: &Options) -> Result {
    if options.board == series7::BOARD {
        if options.verify {
            return Err(Failure::Check("only Vivado makes this bitstream".into()));
        }
        let commit = git(&["rev-parse", "HEAD"])?;
        return series7::prepare(&commit, &time_of(&commit)?);
    }
    requirements::ensure(&[SYNTHESIS])?;
    let home = root().join("bitstreams").join(&options.board);
    let mut folder = target().join("bitstream").join(&options.board);
    if options.verify {
        // Nothing made before may be taken for made again.
        folder.push("again");
        let _ = fs::remove_dir_all(&folder);
    }
    fs::create_dir_all(&folder).map_err(at(&folder))?;
    let board = Board::read(&options.board)?;
    let build = Build {
        name: &options.board,
        board: &board,
        home: &home,
        folder: &folder,
    };
    match options.verify {
        false => build.make(options.seeds),
        true => build.verify(),
    }
}

struct Build<'a> {
    name: &'a str,
    board: &'a Board,
    /// Where the bitstream belongs.
    home: &'a Path,
    /// Where it is made.
    folder: &'a Path,
}

impl Build<'_> {
    fn make(&self, seeds: u32) -> Result {
        let commit = git(&["rev-parse", "HEAD"])?;
        let constraints = self.synthesise(&commit)?;
        let route = self.route(&constraints);
        let routed = route.all(seeds)?;
        let report = timing::report(self.board, &routed);
        print!("\n{report}");
        let path = self.home.join("timing.txt");
        fs::write(&path, report).map_err(at(&path))?;
        let best = routed
            .iter()
            .max_by(|one, other| one.margin().total_cmp(&other.margin()))
            .ok_or_else(|| Failure::Check("no seed to try".into()))?;
        route.pack(best.seed)?;
        for product in [ecp5::BITSTREAM, ecp5::SVF] {
            copy_into(&self.folder.join(product), self.home)?;
        }
        let manifest = self.manifest(&commit, best)?;
        let path = self.home.join("manifest.toml");
        let text = toml::to_string(&manifest)
            .map_err(|error| Failure::Check(format!("{}: {error}", path.display())))?;
        fs::write(&path, text).map_err(at(&path))?;
        println!(
            "\n  {} of seed {}, {}",
            self.home.join(ecp5::BITSTREAM).display(),
            best.seed,
            path.display()
        );
        let worst = routed
            .iter()
            .map(Routed::margin)
            .fold(f64::INFINITY, f64::min);
        if worst < 1.0 {
            return Err(Failure::Check(format!(
                "a seed misses a constraint: its slowest clock reaches {:.0} % of what it must",
                100.0 * worst
            )));
        }
        Ok(())
    }

    /// The same again, bit for bit.
    fn verify(&self) -> Result {
        let path = self.home.join("manifest.toml");
        let text = fs::read_to_string(&path).map_err(at(&path))?;
        let told: Manifest = toml::from_str(&text)
            .map_err(|error| Failure::Check(format!("{}: {error}", path.display())))?;
        let home = self.home.to_string_lossy();
        let sources = ["hdl", "xtask/src/ecp5.rs", &home];
        let changed = git(&[
            &["diff", "--name-only", &told.git_commit, "--"],
            &sources[..],
        ]
        .concat())?;
        let changed: Vec<&str> = changed
            .lines()
            .filter(|file| {
                !file.ends_with(".md")
                    && !file.ends_with("manifest.toml")
                    && !file.ends_with("timing.txt")
            })
            .collect();
        if !changed.is_empty() {
            return Err(Failure::Check(format!(
                "the manifest is of commit {}, and since then these changed: {}. Check that commit out, or build anew",
                told.git_commit,
                changed.join(", ")
            )));
        }
        let constraints = self.synthesise(&told.git_commit)?;
        let route = self.route(&constraints);
        let routed = route.one(told.seed)?;
        route.pack(told.seed)?;
        let made = self.manifest(&told.git_commit, &routed)?;
        if made != told {
            return Err(Failure::Check(format!(
                "built again, it is another bitstream.\n  manifest: {told:?}\n  now:      {made:?}"
            )));
        }
        println!("  the same bitstream again, SHA-256 {}", made.sha256);
        Ok(())
    }

    /// Verilog, netlist and constraints in the folder. Returns the names of the constraint files.
    fn synthesise(&self, commit: &str) -> Result<Vec<String>> {
        let time = time_of(commit)?;
        verilog::emit_board(
            self.name,
            commit.get(..8).unwrap_or_default(),
            &time,
            &self.folder.join("board.v"),
        )?;
        println!("    synthesising: takes minutes");
        ecp5::synthesise(self.folder, &["board.v"], "postern")?;
        let folder = self.home.join("constraints");
        let mut files = Vec::new();
        for entry in fs::read_dir(&folder).map_err(at(&folder))? {
            files.push(copy_into(&entry.map_err(at(&folder))?.path(), self.folder)?);
        }
        files.sort();
        Ok(files)
    }

    fn route<'b>(&'b self, constraints: &'b [String]) -> Route<'b> {
        Route {
            folder: self.folder,
            board: self.board,
            constraints,
        }
    }

    fn manifest(&self, commit: &str, routed: &Routed) -> Result<Manifest> {
        let sum = capture(command("sha256sum").arg(self.folder.join(ecp5::BITSTREAM)))?;
        let tables = [
            ("acl", layout::table::ACL_SLOTS),
            ("destination", layout::table::DESTINATIONS),
            ("flow", layout::table::FLOW_SLOTS),
            ("adjacency", layout::table::ADJACENCIES),
            ("interface", layout::table::INTERFACES),
        ];
        Ok(Manifest {
            board: self.name.into(),
            device: self.board.device.clone(),
            git_commit: commit.into(),
            seed: routed.seed,
            layout_hash: format!("{:016x}", layout::LAYOUT_HASH),
            sha256: sum.split_whitespace().next().unwrap_or_default().into(),
            tools: ecp5::versions()?
                .into_iter()
                .map(|(program, version)| (program.replace("-ecp5", ""), version))
                .collect(),
            tables: tables.map(|(name, size)| (name.into(), size)).into(),
            resources: routed
                .utilization
                .iter()
                .filter(|(_, count)| count.used > 0)
                .map(|(kind, count)| (kind.clone(), count.used))
                .collect(),
            clocks: routed.clocks(self.board).collect(),
        })
    }
}

/// When a commit was made, seconds since 1970: what a board shows as its build time.
fn time_of(commit: &str) -> Result<String> {
    git(&["show", "--no-patch", "--format=%ct", commit])
}

fn git(arguments: &[&str]) -> Result<String> {
    Ok(capture(command("git").args(arguments))?.trim().to_owned())
}
