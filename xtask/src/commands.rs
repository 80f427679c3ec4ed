//! The commands that only call cargo.

use crate::dependencies;
use crate::formal::formal;
use crate::process::{Result, cargo, run};
use crate::requirements::{self, FORMAL, NAMESPACES, NEXTEST, SIMULATION, SYNTHESIS};
use crate::steps::Steps;

/// Everything that must hold before a change lands.
pub fn test() -> Result {
    requirements::ensure(&[SIMULATION, NAMESPACES, NEXTEST, FORMAL])?;
    let mut steps = Steps::new(5);
    steps.step("format", format);
    steps.step("lints", clippy);
    steps.step("dependency directions", dependencies::check);
    steps.step("proofs", formal);
    // Last, so that the summary of the tests stays in sight.
    steps.step("tests", || {
        run(&mut cargo(["nextest", "run", "--workspace"]))
    });
    steps.finish()
}

/// Installs everything that any command needs.
pub fn setup() -> Result {
    requirements::ensure(&[SIMULATION, NAMESPACES, NEXTEST, FORMAL, SYNTHESIS])
}

/// Formatting, lints and dependency directions.
pub fn lint() -> Result {
    let mut steps = Steps::new(3);
    steps.step("format", format);
    steps.step("lints", clippy);
    steps.step("dependency directions", dependencies::check);
    steps.finish()
}

fn format() -> Result {
    run(&mut cargo(["fmt", "--all", "--check"]))
}

fn clippy() -> Result {
    run(&mut cargo([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}
