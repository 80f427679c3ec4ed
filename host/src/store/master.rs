//! The 32 bytes that private keys are sealed with, and where they are.
//!
//! In a file of the state directory, unless another place is named: another file, the systemd credential `postern.key`, or
//! a token. A token keeps a secret key that it does not hand out; the bytes are what it makes of a fixed text with it, so whoever
//! has the state directory without the token has nothing.

use std::convert::Infallible;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use aws_lc_rs::rand;
use zeroize::Zeroizing;

use super::Error;
use crate::pki::key::Sealer;
use crate::token;

/// Where the bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Master {
    /// In a file.
    File(PathBuf),
    /// In a token, at this `pkcs11:` URI.
    Token(String),
}

impl FromStr for Master {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.starts_with("pkcs11:") {
            true => Self::Token(text.to_owned()),
            false => Self::File(text.into()),
        })
    }
}

/// Reads the bytes, from the place that is named or else from one that is known; makes them if the store is new.
pub(super) fn sealer(
    named: Option<&Master>,
    directory: &Path,
    is_new: bool,
) -> Result<Sealer, Error> {
    let bytes = match (named, credential()) {
        (Some(Master::Token(uri)), _) => token::sealing_bytes(uri, is_new)?,
        (Some(Master::File(path)), _) => from_file(path, is_new, PRIVATE)?,
        // A service manager grants its service access by a list, which shows as bits of the group.
        (None, Some(path)) => from_file(&path, is_new, NOT_PUBLIC)?,
        (None, None) => from_file(&directory.join("master.key"), is_new, PRIVATE)?,
    };
    Ok(Sealer::new(&bytes)?)
}

/// The key that a service manager hands over (systemd: `LoadCredentialEncrypted=postern.key`).
fn credential() -> Option<PathBuf> {
    let directory = std::env::var_os("CREDENTIALS_DIRECTORY")?;
    Some(PathBuf::from(directory).join("postern.key")).filter(|path| path.exists())
}

type Bytes = Zeroizing<[u8; Sealer::KEY_BYTES]>;

fn from_file(path: &Path, is_new: bool, others: u32) -> Result<Bytes, Error> {
    let in_file = |source| Error::File {
        path: path.to_owned(),
        source,
    };
    let wrong = |reason| Error::KeyFile {
        path: path.to_owned(),
        reason,
    };
    let mut bytes = Bytes::default();
    if is_new && !path.exists() {
        rand::fill(&mut *bytes).map_err(|_| wrong("there are no random numbers to make it of"))?;
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(in_file)?;
        file.write_all(&*bytes).map_err(in_file)?;
        file.sync_all().map_err(in_file)?;
        return Ok(bytes);
    }
    let mut file = fs::File::open(path).map_err(in_file)?;
    let about = file.metadata().map_err(in_file)?;
    if about.mode() & others != 0 {
        return Err(wrong("others may read it: `chmod 600` it"));
    }
    if about.len() != Sealer::KEY_BYTES as u64 {
        return Err(wrong("a key file is 32 bytes"));
    }
    file.read_exact(&mut *bytes).map_err(in_file)?;
    Ok(bytes)
}

/// Bits of a file's mode that a key file does not have.
const PRIVATE: u32 = 0o077;
/// Bits of a file's mode that a credential does not have.
const NOT_PUBLIC: u32 = 0o007;
