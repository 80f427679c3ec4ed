//! The real `postern` as a child process, with a simulated card to start.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// How a command ended and what it said.
#[derive(Debug)]
pub struct Answer {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Answer {
    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs `postern` with nothing to read.
pub fn postern<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Answer {
    postern_reading("", arguments)
}

/// Runs `postern` with a text on its standard input.
pub fn postern_reading<S: AsRef<OsStr>>(
    input: &str,
    arguments: impl IntoIterator<Item = S>,
) -> Answer {
    let stdin = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(stdin.path(), input).expect("room");
    let output = Command::new(env!("CARGO_BIN_EXE_postern"))
        .args(arguments)
        .env("POSTERN_CARD_BIN", card_program())
        .stdin(Stdio::from(
            std::fs::File::open(stdin.path()).expect("the file"),
        ))
        .output()
        .expect("the program runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Answer {
        code: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// A folder of `tests/cases`.
pub fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cases")
        .join(name)
}

/// Engines of this build.
pub const ENGINES: &[&str] = &[
    "model",
    #[cfg(feature = "verilator")]
    "rtl",
];

/// `postern-card` beside `postern`. Cargo builds it for tests of the whole workspace, and not for those of this package
/// alone.
pub fn card_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let program = Path::new(env!("CARGO_BIN_EXE_postern")).with_file_name("postern-card");
        if !program.is_file() {
            let folder = program
                .ancestors()
                .nth(2)
                .expect("target, profile, program");
            let mut cargo = Command::new(env!("CARGO"));
            cargo
                .args(["build", "--package", "sim", "--bin", "postern-card"])
                .args(["--target-dir".as_ref(), folder.as_os_str()])
                .current_dir(env!("CARGO_MANIFEST_DIR"));
            if cfg!(feature = "verilator") {
                cargo.args(["--features", "verilator"]);
            }
            if !cfg!(debug_assertions) {
                cargo.arg("--release");
            }
            assert!(cargo.status().expect("cargo runs").success());
        }
        program
    })
}
