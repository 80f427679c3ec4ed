//! Deliberate faults in the printed Verilog of the cards: the test suite must notice each of them.
//!
//! `tests/mutants.toml` lists them and the tests that judge. The tests build a card from the file
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
    /// The same for the card with rings.
    rings: Option<Box<Plan>>,
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
    let mut cards = vec![Card {
        name: "sound card",
        sound: verilog::emit_top(&folder.join("sound.v"))?,
        plan: &plan,
    }];
    if let Some(plan) = &plan.rings {
        cards.push(Card {
            name: "sound card with rings",
            sound: verilog::emit_card(&folder.join("sound-rings.v"))?,
            plan,
        });
    }
    // All patterns are tried before the first slow build: none may have gone stale.
    let broken = cards
        .iter()
        .map(|card| card.broken(options))
        .collect::<Result<Vec<_>>>()?;
    let (mut count, mut survivors) = (0, Vec::new());
    for (card, broken) in cards.iter().zip(&broken) {
        if broken.is_empty() {
            continue;
        }
        count += broken.len();
        survivors.extend(card.judge(&folder, broken)?);
    }
    println!("    {} of {count} faults caught", count - survivors.len());
    if survivors.is_empty() {
        return Ok(());
    }
    Err(Failure::Check(format!(
        "no test noticed: {}",
        survivors.join(", ")
    )))
}

/// A card and what is planned for it.
struct Card<'a> {
    name: &'static str,
    sound: String,
    plan: &'a Plan,
}

impl<'a> Card<'a> {
    /// The faults to try, each with the Verilog that has it.
    fn broken(&self, options: &Options) -> Result<Vec<(&'a Mutation, String)>> {
        let broken = self
            .plan
            .mutation
            .iter()
            .map(|fault| Ok((fault, fault.apply(&self.sound)?)));
        let mut broken = broken.collect::<Result<Vec<_>>>()?;
        if options.slice {
            broken.truncate(self.plan.slice);
        }
        if let Some(part) = &options.only {
            broken.retain(|(fault, _)| fault.name.contains(part.as_str()));
        }
        Ok(broken)
    }

    /// The names of the faults that no test noticed.
    fn judge(&self, folder: &Path, broken: &[(&'a Mutation, String)]) -> Result<Vec<&'a str>> {
        let judge = Judge {
            suite: &self.plan.suite,
            frames: self.plan.frames,
            folder: folder.to_owned(),
        };
        if judge.notices(self.name, &self.sound)? {
            return Err(Failure::Check(format!(
                "the suite fails on the {}: see its log",
                self.name
            )));
        }
        let mut survivors = Vec::new();
        for (fault, verilog) in broken {
            if !judge.notices(&fault.name, verilog)? {
                survivors.push(fault.name.as_str());
            }
        }
        Ok(survivors)
    }
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
