//! `postern run` between the two networks.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use serde_json::Value;

use super::certificates::PASSPHRASE;
use super::process;
use crate::networks::Lab;
use crate::process::{Failure, Result, at, capture};

/// A running firewall. It is killed when it is dropped.
pub struct Firewall {
    process: Child,
    log: PathBuf,
    program: PathBuf,
    state: PathBuf,
}

impl Firewall {
    /// Imports its identities, starts it on the card of a lab and waits until it runs.
    pub fn start(
        program: &Path,
        configuration: &Path,
        identities: &[(&str, &Path)],
        lab: &Lab,
        folder: &Path,
    ) -> Result<Self> {
        let (log, state) = (folder.join("postern.log"), folder.join("state"));
        for (trustpoint, bundle) in identities {
            let mut import = Command::new(program);
            import.args(["crypto", "--config"]).arg(configuration);
            import.arg("--state").arg(&state);
            import.args(["ca", "import", trustpoint, "pkcs12", PASSPHRASE]);
            import.arg("nointeractive");
            import.stdin(File::open(bundle).map_err(at(bundle))?);
            process::run(&mut import)?;
        }
        let mut command = Command::new(program);
        command.args(["run", "--config"]).arg(configuration);
        command.arg("--state").arg(&state);
        command.args(["--nic", &format!("vfio-user:{}", lab.socket().display())]);
        let process = process::spawn_until(&mut command, &log, "postern: running on")?;
        Ok(Self {
            process,
            log,
            program: program.to_owned(),
            state,
        })
    }

    /// Connections with an address, and who carries them.
    pub fn conns(&self, address: &str) -> Result<Value> {
        let mut show = Command::new(&self.program);
        show.args(["show", "conn", "address", address, "--format", "json"]);
        show.arg("--state").arg(&self.state);
        let answer = capture(&mut show)?;
        serde_json::from_str(&answer)
            .map_err(|error| Failure::Check(format!("{error} in the answer {answer}")))
    }

    /// Waits for a line in its log.
    pub fn await_line(&self, part: &str) -> Result {
        process::await_words(&self.log, part).map(drop)
    }
}

impl Drop for Firewall {
    fn drop(&mut self) {
        process::end(&mut self.process);
    }
}
