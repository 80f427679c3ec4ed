//! Asks a running firewall.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{ANSWER, REFUSAL, SOCKET};
use crate::show::Format;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens.
    #[error(
        "no firewall runs with the state directory {directory} ({source}): start `postern run --state {directory}`, or name the directory of the one that runs with --state"
    )]
    NotRunning {
        /// Where it was looked for.
        directory: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It did not answer, or not to the end.
    #[error("the firewall does not answer: {0}")]
    Silent(#[source] io::Error),
    /// It will not answer this.
    #[error("{0}")]
    Refused(String),
}

/// Whether a firewall runs with a state directory.
pub fn is_running(directory: &Path) -> bool {
    UnixStream::connect(directory.join(SOCKET)).is_ok()
}

/// Asks for the answer to one command.
pub fn ask(directory: &Path, format: Format, command: &str) -> Result<String, Error> {
    let stream = UnixStream::connect(directory.join(SOCKET));
    let stream = stream.map_err(|source| Error::NotRunning {
        directory: directory.to_owned(),
        source,
    })?;
    converse(stream, format, command).map_err(Error::Silent)?
}

fn converse(
    mut stream: UnixStream,
    format: Format,
    command: &str,
) -> io::Result<Result<String, Error>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // More lines than one are no question.
    let command = command.replace(|letter: char| letter.is_control(), " ");
    stream.write_all(format!("{format} {command}\n").as_bytes())?;
    let mut text = String::new();
    stream.take(ANSWER_BYTES).read_to_string(&mut text)?;
    let cut = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let (head, body) = text.split_once('\n').ok_or_else(cut)?;
    let is_whole = |length: &str| length.parse() == Ok(body.len());
    if head.strip_prefix(ANSWER).is_some_and(is_whole) {
        return Ok(Ok(body.to_owned()));
    }
    match head.strip_prefix(REFUSAL).is_some_and(is_whole) {
        true => Ok(Err(Error::Refused(body.to_owned()))),
        false => Err(cut()),
    }
}

/// Longer than the firewall may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest answer.
const ANSWER_BYTES: u64 = 64 << 20;
