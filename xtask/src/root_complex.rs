//! The printed endpoint under the root complex of cocotbext-pcie: `tests/cocotb`.

use std::fs;

use crate::process::{Result, at, command, root, run, target};
use crate::requirements::{self, ROOT_COMPLEX, SIMULATION, venv_program};
use crate::verilog;

/// Enumerates the endpoint, reads and writes its registers, lets it read and write host memory and interrupt.
pub fn root_complex() -> Result {
    requirements::ensure(&[SIMULATION, ROOT_COMPLEX])?;
    let folder = target().join("cocotb");
    fs::create_dir_all(&folder).map_err(at(&folder))?;
    let endpoint = folder.join("endpoint.v");
    verilog::emit_module("endpoint", &endpoint)?;
    run(command(venv_program("python"))
        .arg(root().join("tests/cocotb/run.py"))
        .args([endpoint, folder.join("build")]))
}
