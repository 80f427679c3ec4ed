//! `postern run` between the two networks.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use super::process;
use crate::networks::Lab;
use crate::process::{Result, target};

/// A running firewall. It is killed when it is dropped.
pub struct Firewall {
    process: Child,
    log: PathBuf,
}

impl Firewall {
    /// Starts it on the card of a lab and waits until it runs.
    pub fn start(configuration: &Path, lab: &Lab, folder: &Path) -> Result<Self> {
        let log = folder.join("postern.log");
        let mut command = Command::new(target().join("debug/postern"));
        command.args(["run", "--config"]).arg(configuration);
        command.args(["--nic", &format!("vfio-user:{}", lab.socket().display())]);
        let process = process::spawn_until(&mut command, &log, "postern: running on")?;
        Ok(Self { process, log })
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
