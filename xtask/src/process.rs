//! Child processes: started from the workspace root, named when they fail.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Output};

/// What stops a command.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Only the user can install this; the text is the line to run.
    #[error("{what} missing. Run this line, then repeat the command:\n\n    {line}\n")]
    Missing {
        /// Names of the packages.
        what: String,
        /// One shell line.
        line: String,
    },
    /// A program could not be started.
    #[error("cannot start `{program}`: {source}")]
    Start {
        /// The program and its arguments.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// A program ran and reported failure.
    #[error("`{program}` ended with {status}")]
    Ended {
        /// The program and its arguments.
        program: String,
        /// How.
        status: ExitStatus,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A check of our own did not hold.
    #[error("{0}")]
    Check(String),
}

impl Failure {
    /// 2 for what the user must install, 1 for all else.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(if matches!(self, Self::Missing { .. }) {
            2
        } else {
            1
        })
    }
}

/// The outcome of every step.
pub type Result<T = ()> = std::result::Result<T, Failure>;

/// The workspace root.
pub fn root() -> PathBuf {
    // Cargo sets the variable for `cargo run`; the fallback serves a binary started by hand.
    let manifest =
        env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&manifest)
        .parent()
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Where generated things go: cargo's target directory.
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A command that runs in the workspace root.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// The cargo that started us, in the workspace root.
pub fn cargo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

/// Shows a command, runs it with our terminal, and fails if it does.
pub fn run(command: &mut Command) -> Result {
    println!("    $ {}", line(command));
    let status = command
        .status()
        .map_err(|source| start_failure(command, source))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::Ended {
            program: line(command),
            status,
        })
    }
}

/// Runs a command silently and returns what it printed, whatever its exit status.
pub fn output(command: &mut Command) -> Result<Output> {
    command
        .output()
        .map_err(|source| start_failure(command, source))
}

/// Runs a command silently and returns its standard output; fails, showing what it printed, if it does.
pub fn capture(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    if !output.status.success() {
        eprint!("{}", String::from_utf8_lossy(&output.stdout));
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        return Err(Failure::Ended {
            program: line(command),
            status: output.status,
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Turns an input or output error into a failure that names the file.
pub fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Failure + '_ {
    move |source| Failure::File {
        path: path.to_path_buf(),
        source,
    }
}

/// Puts a file beside others under its own name, which it returns.
///
/// What the WebAssembly build of a tool reads must be in the folder where it runs: other paths it may not see, those below
/// `/tmp` for one.
pub fn copy_into(file: &Path, folder: &Path) -> Result<String> {
    let name = file.file_name().unwrap_or_default();
    fs::copy(file, folder.join(name)).map_err(at(file))?;
    Ok(name.to_string_lossy().into_owned())
}

fn start_failure(command: &Command, source: std::io::Error) -> Failure {
    Failure::Start {
        program: line(command),
        source,
    }
}

fn line(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}
