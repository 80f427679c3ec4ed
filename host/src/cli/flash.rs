//! `postern flash --board BOARD FILE`.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};

use aws_lc_rs::digest;
use clap::{Args, ValueEnum};

use super::Outcome;
use crate::bitstream::{MAX_TEXT_BYTES, Manifest, Refusal, Sha256};

const HELP: &str = "\
Example:
  postern flash --board versa-ecp5 bitstreams/versa-ecp5/postern.bit

manifest.toml beside the file must be of the same build, for this board, and for the register map of this program.
The file goes into the FPGA itself, which keeps it until its power goes. openFPGALoader does the work
(Debian: apt install openfpgaloader) and needs access to the board's USB adapter.

Exit code: 0 programmed, 2 refused or failed.";

/// Arguments of `flash`.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub struct Arguments {
    /// The board
    #[arg(long, value_enum)]
    board: Board,
    /// The bitstream
    file: PathBuf,
}

/// A board that can be programmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Board {
    /// Lattice Versa ECP5-5G
    VersaEcp5,
}

impl Board {
    /// As manifests and command lines name it.
    fn name(self) -> &'static str {
        match self {
            Board::VersaEcp5 => "versa-ecp5",
        }
    }

    /// What openFPGALoader calls a board that is programmed in the same way: it knows no Versa, whose adapter is the
    /// FT2232 of Lattice's evaluation board.
    fn loader_name(self) -> &'static str {
        match self {
            Board::VersaEcp5 => "ecp5_evn",
        }
    }
}

/// Why a board was not programmed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A bitstream is not for us.
    #[error("{} {refusal}", path.display())]
    Refused {
        /// The manifest.
        path: PathBuf,
        /// Why.
        refusal: Refusal,
    },
    /// There is no openFPGALoader.
    #[error("openFPGALoader is not installed: apt install openfpgaloader")]
    NoLoader,
    /// It cannot be started.
    #[error("cannot run openFPGALoader: {0}")]
    Loader(std::io::Error),
    /// It failed.
    #[error(
        "openFPGALoader failed ({0}); see that the board has power, its USB cable is plugged in, and you may use it"
    )]
    Failed(ExitStatus),
}

/// Programs a board.
pub fn run(arguments: &Arguments) -> Outcome {
    program(arguments.board, &arguments.file)?;
    Ok(ExitCode::SUCCESS)
}

fn program(board: Board, file: &Path) -> Result<(), Error> {
    let path = file.with_file_name("manifest.toml");
    let text = read(&path, MAX_TEXT_BYTES)?;
    let refused = |refusal| Error::Refused {
        path: path.clone(),
        refusal,
    };
    let manifest = Manifest::parse(&String::from_utf8_lossy(&text)).map_err(refused)?;
    let bitstream = read(file, MAX_BITSTREAM_BYTES)?;
    manifest
        .judge(board.name(), sha256(&bitstream))
        .map_err(refused)?;
    eprintln!(
        "postern: {} for {} ({}), commit {}, layout {:#018x}",
        file.display(),
        manifest.board,
        manifest.device,
        manifest.git_commit,
        manifest.layout_hash
    );
    let status = Command::new("openFPGALoader")
        .args(["-b", board.loader_name()])
        .arg(file)
        .status()
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::NoLoader,
            _ => Error::Loader(error),
        })?;
    match status.success() {
        true => Ok(()),
        false => Err(Error::Failed(status)),
    }
}

/// Reads a file, at most one byte more than `most`.
fn read(path: &Path, most: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(most as u64 + 1).read_to_end(&mut bytes))
        .map_err(|source| Error::Read {
            path: path.into(),
            source,
        })?;
    Ok(bytes)
}

fn sha256(bytes: &[u8]) -> Sha256 {
    let mut sum = [0; 32];
    sum.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    Sha256(sum)
}

/// Far more than the largest ECP5 takes; what is longer has another digest.
const MAX_BITSTREAM_BYTES: usize = 16 << 20;
