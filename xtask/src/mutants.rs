//! Deliberate faults in the printed Verilog of the card: the test suite must notice each of them.
//!
//! `tests/mutants.toml` lists them and the tests that judge. The tests build the card from the file
//! that `POSTERN_RTL_VERILOG` names (sim/build.rs), one fault at a time.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use serde::Deserialize;

use crate::mutation::Mutation;
use crate::process::{Failure, Result, at, cargo, output, root, target};
use crate::requirements::{self, NEXTEST, SIMULATION};
use crate::verilog;

/// Which faults to try.
#[derive(Args)]
pub struct Options {
    /// Only the first few, as continuous integration does
    #[arg(long)]
    slice: bool,
    /// Only those whose name contains this
    #[arg(long)]
    only: Option<String>,
}

impl Options {
    /// What continuous integration runs.
    pub const SLICE: Self = Self {
        slice: true,
        only: None,
    };
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    /// Arguments of `cargo nextest run` for the tests that judge.
    suite: Vec<String>,
    /// So many from the top make the slice.
    slice: usize,
    /// Frames that the suite may take to notice.
    frames: u64,
    mutation: Vec<Mutation>,
}

/// Nextest's exit code when everything was built and a test failed.
const TEST_FAILED: i32 = 100;

/// Tries the faults; fails if one survives or the sound card does not pass.
pub fn mutants(options: &Options) -> Result {
    requirements::ensure(&[SIMULATION, NEXTEST])?;
    let list = root().join("tests/mutants.toml");
    let text = fs::read_to_string(&list).map_err(at(&list))?;
    let plan: Plan = toml::from_str(&text)
        .map_err(|error| Failure::Check(format!("{}: {error}", list.display())))?;
    let folder = target().join("mutants");
    fs::create_dir_all(&folder).map_err(at(&folder))?;
    let sound = verilog::emit_top(&folder.join("sound.v"))?;
    // All patterns are tried before the first slow build: none may have gone stale.
    let broken = plan
        .mutation
        .iter()
        .map(|fault| Ok((fault, fault.apply(&sound)?)));
    let mut broken = broken.collect::<Result<Vec<_>>>()?;
    if options.slice {
        broken.truncate(plan.slice);
    }
    if let Some(part) = &options.only {
        broken.retain(|(fault, _)| fault.name.contains(part.as_str()));
    }

    let judge = Judge {
        suite: &plan.suite,
        frames: plan.frames,
        folder,
    };
    if judge.notices("sound card", &sound)? {
        return Err(Failure::Check(
            "the suite fails on the sound card: see its log".into(),
        ));
    }
    let mut survivors = Vec::new();
    for (fault, verilog) in &broken {
        if !judge.notices(&fault.name, verilog)? {
            survivors.push(fault.name.as_str());
        }
    }
    println!(
        "    {} of {} faults caught",
        broken.len() - survivors.len(),
        broken.len()
    );
    if survivors.is_empty() {
        return Ok(());
    }
    Err(Failure::Check(format!(
        "no test noticed: {}",
        survivors.join(", ")
    )))
}

/// Runs the suite on one circuit after the other.
struct Judge<'a> {
    suite: &'a [String],
    frames: u64,
    folder: PathBuf,
}

impl Judge<'_> {
    /// Whether a test fails on a card made of this Verilog.
    fn notices(&self, name: &str, verilog: &str) -> Result<bool> {
        let file = self.folder.join("card.v");
        fs::write(&file, verilog).map_err(at(&file))?;
        let started = Instant::now();
        let mut suite = cargo(["nextest", "run", "--profile", "mutants"]);
        let ended = output(
            suite
                .args(self.suite)
                .env("POSTERN_RTL_VERILOG", &file)
                .env("POSTERN_PACKETS", self.frames.to_string()),
        )?;
        let log = self.folder.join(format!("{}.log", name.replace(' ', "-")));
        fs::write(&log, [ended.stdout, ended.stderr].concat()).map_err(at(&log))?;
        let noticed = match ended.status.code() {
            Some(0) => false,
            Some(TEST_FAILED) => true,
            _ => return Err(unfinished(name, &log)),
        };
        let word = if noticed { "caught" } else { "passes" };
        println!(
            "    {word}  {:4.0} s  {name}",
            started.elapsed().as_secs_f32()
        );
        Ok(noticed)
    }
}

fn unfinished(name: &str, log: &Path) -> Failure {
    Failure::Check(format!(
        "{name}: the suite did not get as far as running, see {}",
        log.display()
    ))
}
