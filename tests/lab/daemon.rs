//! `postern run` as a child process, and what it says.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tempfile::TempDir;

use crate::command::{Answer, postern};

/// What should be said has not been said after this.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running firewall. It is killed when it is dropped.
pub struct Daemon {
    process: Child,
    lines: Receiver<String>,
    state: PathBuf,
    /// Where the state is, if that is to go.
    _folder: Option<Arc<TempDir>>,
}

impl Daemon {
    /// Starts it on a served card and waits until it runs. Returns what it said before, too.
    pub fn start(config: &Path, socket: &Path) -> (Self, Vec<String>) {
        let state = tempfile::tempdir().expect("a folder");
        Self::start_with(config, socket, state.into(), &[])
    }

    /// The same, with a state directory and more words.
    pub fn start_with(
        config: &Path,
        socket: &Path,
        state: Arc<TempDir>,
        words: &[&str],
    ) -> (Self, Vec<String>) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
        command.arg("run").args(words);
        let (mut daemon, said) = Self::begin(command, config, socket, state.path());
        daemon._folder = Some(state);
        (daemon, said)
    }

    /// The same, by a command that begins with `postern run`.
    pub fn begin(
        mut command: Command,
        config: &Path,
        socket: &Path,
        state: &Path,
    ) -> (Self, Vec<String>) {
        let mut process = command
            .arg("--config")
            .arg(config)
            .args(["--nic", &format!("vfio-user:{}", socket.display())])
            .arg("--state")
            .arg(state)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program");
        let errors = BufReader::new(process.stderr.take().expect("piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            errors
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        let daemon = Self {
            process,
            lines,
            state: state.to_owned(),
            _folder: None,
        };
        let said = daemon.await_line("postern: running on");
        (daemon, said)
    }

    /// Waits for a line; returns all lines until then, it included.
    pub fn await_line(&self, part: &str) -> Vec<String> {
        let mut said = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => said.push(line),
                Err(error) => panic!("no `{part}` ({error}) in {said:#?}"),
            }
            if said.last().is_some_and(|line| line.contains(part)) {
                return said;
            }
        }
    }

    /// `postern show …`.
    pub fn show(&self, words: &str) -> Answer {
        let state = self.state.display().to_string();
        let head = ["show", "--state", &state];
        postern(head.into_iter().chain(words.split(' ')))
    }

    /// Kills it as a crash does: it has no say in it.
    pub fn crash(mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("an end");
    }

    /// Asks it to stop and waits.
    pub fn stop(mut self) -> ExitStatus {
        let process = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(process, rustix::process::Signal::TERM).expect("it runs");
        self.process.wait().expect("an end")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Either fails only if it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
