//! The programs of the product, and the one that probes from inside a guest.

use std::path::PathBuf;

use crate::process::{Result, cargo, run, target};

/// Builds them as the tests do: with any other selection cargo would choose other features, and the card would be
/// Verilated once more. Returns where they are.
pub fn build() -> Result<PathBuf> {
    run(&mut cargo([
        "build",
        "--workspace",
        "--features",
        "verilator",
        "--bins",
        "--example",
        "guest_probe",
    ]))?;
    Ok(target().join("debug"))
}
