//! A guest under QEMU's own translator, with a console on which commands are given and lines come back.
//!
//! QEMU's exit code says nothing about the guest, and a guest that hangs does not end it: `timeout` ends the process
//! group, whatever becomes of us.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::software::Software;
use crate::process::{Failure, Result, at};

/// QEMU is ended after this many seconds.
const LIFE_SECONDS: &str = "280";
/// What the guest should say it has not said after this.
const PATIENCE: Duration = Duration::from_secs(90);

/// A running guest.
pub struct Machine {
    process: Child,
    console: ChildStdin,
    lines: Receiver<String>,
    /// Lines that came while another was waited for.
    passed: Vec<String>,
    commands: u32,
}

/// What a command in the guest printed, and its exit status.
pub struct Answer {
    /// Its lines.
    pub lines: Vec<String>,
    /// 0 is success.
    pub status: i32,
}

impl Answer {
    /// The lines as one text.
    pub fn text(&self) -> String {
        self.lines.join("\n")
    }
}

impl Machine {
    /// Boots a guest with the card behind this socket. What it says is also written to `log`.
    pub fn boot(software: &Software, image: &Path, socket: &Path, log: &Path) -> Result<Self> {
        let qemu = qemu(software, image, socket)?;
        let mut command = Command::new("timeout");
        command
            .args(["--kill-after=5", LIFE_SECONDS])
            .arg(qemu.get_program())
            .args(qemu.get_args())
            .envs(
                qemu.get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = command.spawn().map_err(|source| Failure::Start {
            program: "timeout qemu".into(),
            source,
        })?;
        let missing = || Failure::Check("QEMU's console is not connected".into());
        let console = process.stdin.take().ok_or_else(missing)?;
        let output = process.stdout.take().ok_or_else(missing)?;
        let mut copy = File::create(log).map_err(at(log))?;
        let (sender, lines) = channel();
        // A pipe cannot be read with a time limit, a channel can. Ends with QEMU.
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            while output
                .read_until(b'\n', &mut line)
                .is_ok_and(|count| count > 0)
            {
                // The copy is for people: that it is not written is no reason to stop.
                let _ = copy.write_all(&line);
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                line.clear();
                if sender.send(text).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            process,
            console,
            lines,
            passed: Vec::new(),
            commands: 0,
        })
    }

    /// Waits for a line that has not been waited for yet and returns it.
    pub fn await_line(&mut self, part: &str) -> Result<String> {
        if let Some(at) = self.passed.iter().position(|line| line.contains(part)) {
            return Ok(self.passed.drain(..=at).next_back().unwrap_or_default());
        }
        let until = Instant::now() + PATIENCE;
        loop {
            let line = self.next_line(until, part)?;
            if line.contains(part) {
                self.passed.clear();
                return Ok(line);
            }
            self.passed.push(line);
        }
    }

    /// Runs a command, which may leave something running in the background.
    pub fn run(&mut self, command: &str) -> Result<Answer> {
        self.send(command)?;
        self.finish()
    }

    /// Begins a command; [`Machine::finish`] ends it.
    pub fn send(&mut self, command: &str) -> Result {
        self.passed.clear();
        self.commands += 1;
        writeln!(self.console, "{} {command}", self.commands)
            .and_then(|()| self.console.flush())
            .map_err(|source| Failure::Check(format!("the guest takes no commands: {source}")))
    }

    /// Waits until the command that began last has ended.
    pub fn finish(&mut self) -> Result<Answer> {
        let end = format!("guest: ended {} ", self.commands);
        let until = Instant::now() + PATIENCE;
        let mut lines = std::mem::take(&mut self.passed);
        loop {
            let line = self.next_line(until, &end)?;
            // A command may end in the middle of a line.
            let Some((before, status)) = line.split_once(&end) else {
                lines.push(line);
                continue;
            };
            if !before.is_empty() {
                lines.push(before.to_owned());
            }
            return Ok(Answer {
                lines,
                status: status.parse().unwrap_or(-1),
            });
        }
    }

    /// Powers the guest off and waits for QEMU's end.
    pub fn power_off(mut self) -> Result {
        self.send("poweroff -f")?;
        while self.lines.recv_timeout(PATIENCE).is_ok() {}
        Ok(())
    }

    fn next_line(&mut self, until: Instant, wanted: &str) -> Result<String> {
        let left = until.saturating_duration_since(Instant::now());
        self.lines.recv_timeout(left).map_err(|error| {
            let state = match error {
                RecvTimeoutError::Timeout => "is silent".to_owned(),
                RecvTimeoutError::Disconnected => self.process.wait().map_or_else(
                    |error| error.to_string(),
                    |status| format!("has ended with {status}"),
                ),
            };
            Failure::Check(format!(
                "the guest {state}; wanted `{wanted}`, last it said:\n{}",
                self.passed.join("\n")
            ))
        })
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.process.id())
            .ok()
            .and_then(Pid::from_raw)
        {
            // Fails when all of it has ended already.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.process.wait();
    }
}

/// A PC with an IOMMU that remaps interrupts, and memory that other processes can map: without either there is no VFIO,
/// or no DMA.
fn qemu(software: &Software, image: &Path, socket: &Path) -> Result<Command> {
    // A card that is slow for a moment must not be given up: QEMU waits 5 s unless told.
    let card = serde_json::json!({
        "driver": "vfio-user-pci",
        "bus": "downstream",
        "socket": {"path": socket, "type": "unix"},
        "x-msg-timeout": 60_000,
    });
    let mut qemu = software.qemu();
    let settings = [
        ("-machine", "q35,memory-backend=ram"),
        ("-accel", "tcg,thread=multi"),
        ("-cpu", "max"),
        ("-smp", "2"),
        ("-m", "1024"),
        ("-object", "memory-backend-memfd,id=ram,size=1024M,share=on"),
        ("-display", "none"),
        ("-chardev", "stdio,id=console,signal=off"),
        ("-serial", "chardev:console"),
        ("-device", "intel-iommu,caching-mode=on,intremap=on"),
        // A function on the root bus itself would have no link.
        ("-device", "pcie-root-port,id=downstream,chassis=1,slot=1"),
        (
            "-append",
            "console=ttyS0 quiet loglevel=1 panic=-1 intel_iommu=on",
        ),
    ];
    for (name, value) in settings {
        qemu.args([name, value]);
    }
    qemu.args(["-nodefaults", "-no-user-config", "-no-reboot"])
        .args(["-device", &card.to_string()])
        .arg("-kernel")
        .arg(software.kernel()?)
        .arg("-initrd")
        .arg(image);
    Ok(qemu)
}
