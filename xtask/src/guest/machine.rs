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
const LIFE_SECONDS: &str = "600";
/// What the guest should say it has not said after this.
const PATIENCE: Duration = Duration::from_secs(180);

/// Begins the lines of what runs in the background.
pub const BACKGROUND: &str = "run: ";

/// A running guest.
pub struct Machine {
    process: Child,
    console: ChildStdin,
    lines: Receiver<String>,
    /// Lines that nobody has waited for yet: of commands, and of what runs in the background.
    foreground: Vec<String>,
    background: Vec<String>,
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
            foreground: Vec::new(),
            background: Vec::new(),
            commands: 0,
        })
    }

    /// Waits for a line of a command and returns it; those before it are forgotten.
    pub fn await_line(&mut self, part: &str) -> Result<String> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = position(&self.foreground, part) {
                let line = self.foreground.drain(..=at).next_back();
                return Ok(line.unwrap_or_default());
            }
            self.receive(until, part)?;
        }
    }

    /// Waits for a line of what runs in the background, whose lines begin with [`BACKGROUND`]; others wait on.
    pub fn await_background(&mut self, part: &str) -> Result<String> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = position(&self.background, part) {
                return Ok(self.background.remove(at));
            }
            self.receive(until, part)?;
        }
    }

    /// Runs a command, which may leave something running in the background.
    pub fn run(&mut self, command: &str) -> Result<Answer> {
        self.send(command)?;
        self.finish()
    }

    /// Begins a command; [`Machine::finish`] ends it.
    pub fn send(&mut self, command: &str) -> Result {
        self.foreground.clear();
        self.commands += 1;
        writeln!(self.console, "{} {command}", self.commands)
            .and_then(|()| self.console.flush())
            .map_err(|source| Failure::Check(format!("the guest takes no commands: {source}")))
    }

    /// Waits until the command that began last has ended.
    pub fn finish(&mut self) -> Result<Answer> {
        let end = format!("guest: ended {} ", self.commands);
        let until = Instant::now() + PATIENCE;
        loop {
            let Some(at) = position(&self.foreground, &end) else {
                self.receive(until, &end)?;
                continue;
            };
            let mut lines: Vec<String> = self.foreground.drain(..=at).collect();
            let last = lines.pop().unwrap_or_default();
            let (before, status) = last.split_once(&end).unwrap_or_default();
            // A command may end in the middle of a line.
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

    /// Waits for a line and puts it where it belongs.
    fn receive(&mut self, until: Instant, wanted: &str) -> Result {
        let left = until.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(left) {
            Ok(line) if line.starts_with(BACKGROUND) => self.background.push(line),
            Ok(line) => self.foreground.push(line),
            Err(error) => {
                let state = match error {
                    RecvTimeoutError::Timeout => "is silent".to_owned(),
                    RecvTimeoutError::Disconnected => self.process.wait().map_or_else(
                        |error| error.to_string(),
                        |status| format!("has ended with {status}"),
                    ),
                };
                let said = [&self.foreground[..], &self.background].concat();
                return Err(Failure::Check(format!(
                    "the guest {state}; wanted `{wanted}`, last it said:\n{}",
                    said.join("\n")
                )));
            }
        }
        Ok(())
    }
}

fn position(lines: &[String], part: &str) -> Option<usize> {
    lines.iter().position(|line| line.contains(part))
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
        // The timer works; on a busy machine its check comes too late to see that, and the kernel gives up.
        (
            "-append",
            "console=ttyS0 quiet loglevel=1 panic=-1 intel_iommu=on no_timer_check nowatchdog",
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
