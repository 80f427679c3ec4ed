//! A simulated card started as a child process on a private socket.
//!
//! The program is `postern-card`. It gets a socket in a directory that only we can enter, says
//! `ready` on its standard output when it listens, and is killed when the [`Child`] is dropped.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::Error;
use super::user::Client;

/// Which of the two simulated cards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Engine {
    /// The RTL, translated by Verilator and clocked.
    Rtl,
    /// The model that executes table entries in software.
    Model,
}

impl Engine {
    /// As on command lines and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Rtl => "rtl",
            Engine::Model => "model",
        }
    }
}

/// What a simulated card is made of, and where its ports lead.
#[derive(Clone, Debug)]
pub struct Wiring {
    /// Which card.
    pub engine: Engine,
    /// What each port leads to, as `postern-card --port` takes it. With none the clock moves only when told to.
    pub ports: Vec<String>,
}

/// A running `postern-card`. Holding it means that the process lives and its socket is private.
pub struct Child {
    process: std::process::Child,
    directory: tempfile::TempDir,
}

impl Child {
    /// Starts the card and waits until it listens.
    pub fn start(engine: Engine) -> Result<Self, Error> {
        Self::start_wired(&Wiring {
            engine,
            ports: Vec::new(),
        })
    }

    /// Starts the card with its ports connected, and waits until it listens.
    pub fn start_wired(wiring: &Wiring) -> Result<Self, Error> {
        Self::start_program(&find_program()?, wiring)
    }

    fn start_program(program: &Path, wiring: &Wiring) -> Result<Self, Error> {
        let failed = |source| Error::Start {
            program: program.to_owned(),
            source,
        };
        // Created with mode 0700: nobody else can reach the socket.
        let directory = tempfile::Builder::new()
            .prefix("postern-")
            .tempdir()
            .map_err(failed)?;
        let process = Command::new(program)
            .args([
                "--exit-with-stdin",
                "--engine",
                wiring.engine.name(),
                "--socket",
            ])
            .arg(directory.path().join(SOCKET))
            .args(wiring.ports.iter().map(|port| format!("--port={port}")))
            // A Ctrl-C is for us: the card must still answer while we stop.
            .process_group(0)
            // Held open by us alone, so that the card can tell when we are gone.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let mut child = Self { process, directory };
        child.await_ready(program)?;
        Ok(child)
    }

    /// Opens the card.
    pub fn connect(&self) -> Result<Client, Error> {
        Client::connect(&self.directory.path().join(SOCKET), REQUEST_LIMIT)
    }

    fn await_ready(&mut self, program: &Path) -> Result<(), Error> {
        let not_ready = |what: String| Error::NotReady {
            program: program.to_owned(),
            what,
        };
        let Some(stdout) = self.process.stdout.take() else {
            return Err(not_ready("its output is not connected".into()));
        };
        let (sender, lines) = mpsc::channel();
        // A pipe cannot be read with a time limit, a channel can. The thread ends with the process.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // After `ready` nobody listens; the pipe is still emptied so that the card never blocks.
                let _ = sender.send(line);
            }
        });
        match lines.recv_timeout(START_LIMIT) {
            Ok(line) if line.starts_with(READY) => Ok(()),
            Ok(line) => Err(not_ready(format!("it said `{line}`"))),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                Err(not_ready(format!("silent for {START_LIMIT:?}")))
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                let status = self
                    .process
                    .wait()
                    .map_or_else(|error| error.to_string(), |status| status.to_string());
                Err(not_ready(status))
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Either fails only if the process has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `POSTERN_CARD_BIN`, else beside this executable (or one folder up, where cargo puts test
/// executables' neighbours), else on `PATH`.
fn find_program() -> Result<PathBuf, Error> {
    if let Some(path) = std::env::var_os("POSTERN_CARD_BIN") {
        let path = PathBuf::from(path);
        return match path.is_file() {
            true => Ok(path),
            false => Err(Error::NoCardProgram {
                looked_at: format!("POSTERN_CARD_BIN={}", path.display()),
            }),
        };
    }
    let mut folders: Vec<PathBuf> = Vec::new();
    if let Some(folder) = std::env::current_exe()
        .ok()
        .as_deref()
        .and_then(Path::parent)
    {
        folders.push(folder.to_owned());
        folders.extend(folder.parent().map(Path::to_owned));
    }
    let beside = folders
        .iter()
        .map(|folder| folder.display().to_string())
        .collect::<Vec<_>>()
        .join(", ");
    folders.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    folders
        .into_iter()
        .map(|folder| folder.join("postern-card"))
        .find(|path| path.is_file())
        .ok_or_else(|| Error::NoCardProgram {
            looked_at: format!("{beside} and PATH"),
        })
}

/// Name of the socket in the private directory.
const SOCKET: &str = "card.sock";
/// Begin of the line that says the card listens.
const READY: &str = "postern-card: ready";
/// Loading a Verilated card takes a fraction of a second.
const START_LIMIT: Duration = Duration::from_secs(20);
/// The longest request runs the simulated clock; see `simulator::RUN_CLOCKS`.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);
