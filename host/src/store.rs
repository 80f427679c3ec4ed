//! What must survive a restart: trustpoints and keys, in one transactional file.
//!
//! Comes in: a directory. It holds `state.redb` and, unless they are elsewhere, the bytes that private keys are sealed with
//! ([`Master`]). A command either writes all it has to, or nothing. The file is held by one process at a time, and by none for
//! longer than it reads or writes.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use zeroize::Zeroizing;

use crate::pki::key::Sealer;
use crate::pki::trustpoint::{Pending, Previous};
use crate::pki::{self, Certificate, Key, Trustpoint};

/// Revocation lists that were fetched.
mod lists;
/// What keys are sealed with.
mod master;
/// Where keys in tokens are.
mod tokens;

pub use master::Master;

/// Label → sealed key.
const KEYS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("keys");
/// Trustpoint, part, number → certificate.
const CERTIFICATES: TableDefinition<'_, (&str, u8, u32), &[u8]> =
    TableDefinition::new("certificates");
/// Trustpoint → label of its key, and whether a request is out.
const TRUSTPOINTS: TableDefinition<'_, &str, (&str, bool)> = TableDefinition::new("trustpoints");
/// Trustpoint → label of the key of the request that is out, and what its protocol remembers.
const REQUESTS: TableDefinition<'_, &str, (&str, &[u8])> = TableDefinition::new("requests");
/// Trustpoint → label of the key of the certificate that was replaced.
const REPLACED: TableDefinition<'_, &str, &str> = TableDefinition::new("replaced");
/// Directory of an authority → sealed account.
const ACCOUNTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("accounts");

/// Parts of a trustpoint, as numbered in the file.
const AUTHORITY: u8 = 0;
const IDENTITY: u8 = 1;
const BETWEEN: u8 = 2;
const REPLACED_IDENTITY: u8 = 3;
const REPLACED_BETWEEN: u8 = 4;

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory cannot be read or made.
    #[error("cannot use {path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The key file could be read by others, or is not one.
    #[error("{path}: {reason}")]
    KeyFile {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The database does not work.
    #[error("the store: {0}")]
    Database(#[source] Box<redb::Error>),
    /// What it holds cannot be used.
    #[error(transparent)]
    Pki(#[from] pki::Error),
    /// A token does not work.
    #[error(transparent)]
    Token(#[from] crate::token::Error),
    /// There is no such key.
    #[error("there is no key {0}: `postern crypto key generate rsa label {0}` makes it")]
    NoKey(String),
}

/// An open store.
pub struct Store {
    database: Database,
    sealer: Sealer,
    path: PathBuf,
}

impl Store {
    /// Opens the store of a directory, making both if they are not there.
    pub fn open(directory: &Path, master: Option<&Master>) -> Result<Self, Error> {
        let in_file = |path: &Path| {
            let path = path.to_owned();
            |source| Error::File { path, source }
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(in_file(directory))?;
        let path = file_in(directory);
        // Before the key: a store without its key must not get another one.
        let is_new = !path.exists();
        let sealer = master::sealer(master, directory, is_new)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(in_file(&path))?;
        // Another command has it for as long as it reads or writes, and no longer.
        file.lock().map_err(in_file(&path))?;
        let backend = FileBackend::new(file).map_err(broken)?;
        let database = Database::builder()
            .create_with_backend(backend)
            .map_err(broken)?;
        let store = Self {
            database,
            sealer,
            path,
        };
        let transaction = store.database.begin_write().map_err(broken)?;
        transaction.open_table(KEYS).map_err(broken)?;
        transaction.open_table(CERTIFICATES).map_err(broken)?;
        transaction.open_table(TRUSTPOINTS).map_err(broken)?;
        transaction.open_table(REQUESTS).map_err(broken)?;
        transaction.open_table(REPLACED).map_err(broken)?;
        transaction.open_table(ACCOUNTS).map_err(broken)?;
        transaction.commit().map_err(broken)?;
        Ok(store)
    }

    /// A key, if there is one of this label.
    pub fn key(&self, label: &str) -> Result<Option<Key>, Error> {
        let transaction = self.database.begin_read().map_err(broken)?;
        let table = transaction.open_table(KEYS).map_err(broken)?;
        let sealed = table.get(label).map_err(broken)?;
        Ok(match sealed {
            Some(sealed) => Some(Key::open(label, sealed.value(), &self.sealer)?),
            None => self.token_key(label)?,
        })
    }

    /// All keys, by label.
    pub fn keys(&self) -> Result<Vec<Key>, Error> {
        let transaction = self.database.begin_read().map_err(broken)?;
        let table = transaction.open_table(KEYS).map_err(broken)?;
        let mut found = Vec::new();
        for row in table.iter().map_err(broken)? {
            let (label, sealed) = row.map_err(broken)?;
            found.push(Key::open(label.value(), sealed.value(), &self.sealer)?);
        }
        found.extend(self.token_keys()?);
        Ok(found)
    }

    /// The key of a trustpoint's certificate.
    pub fn key_of(&self, trustpoint: &Trustpoint) -> Result<Key, Error> {
        let label = trustpoint.key_label.as_deref();
        self.named(label.ok_or_else(|| trustpoint.not_enrolled())?)
    }

    /// The key that an answer to a trustpoint's request belongs to.
    pub fn wanted_key_of(&self, trustpoint: &Trustpoint) -> Result<Key, Error> {
        let label = trustpoint.wanted_key();
        self.named(label.ok_or_else(|| trustpoint.not_enrolled())?)
    }

    /// A key that must be there.
    pub fn named(&self, label: &str) -> Result<Key, Error> {
        self.key(label)?
            .ok_or_else(|| Error::NoKey(label.to_owned()))
    }

    /// An account at an authority, as it was given to [`Store::save_account`].
    pub fn account(&self, directory: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let transaction = self.database.begin_read().map_err(broken)?;
        let table = transaction.open_table(ACCOUNTS).map_err(broken)?;
        let sealed = table.get(directory).map_err(broken)?;
        Ok(match sealed {
            Some(sealed) => Some(
                self.sealer
                    .open(&account_label(directory), sealed.value())?,
            ),
            None => None,
        })
    }

    /// Keeps an account at an authority, sealed as keys are.
    pub fn save_account(&self, directory: &str, account: &[u8]) -> Result<(), Error> {
        let sealed = self.sealer.seal(&account_label(directory), account)?;
        let transaction = self.database.begin_write().map_err(broken)?;
        {
            let mut table = transaction.open_table(ACCOUNTS).map_err(broken)?;
            table.insert(directory, sealed.as_slice()).map_err(broken)?;
        }
        transaction.commit().map_err(broken)
    }

    /// A trustpoint; one of which nothing is stored is only defined.
    pub fn trustpoint(&self, name: &str) -> Result<Trustpoint, Error> {
        let transaction = self.database.begin_read().map_err(broken)?;
        let heads = transaction.open_table(TRUSTPOINTS).map_err(broken)?;
        let table = transaction.open_table(CERTIFICATES).map_err(broken)?;
        let mut trustpoint = Trustpoint::new(name);
        if let Some(head) = heads.get(name).map_err(broken)? {
            let (label, _) = head.value();
            trustpoint.key_label = Some(label.to_owned()).filter(|label| !label.is_empty());
        }
        let requests = transaction.open_table(REQUESTS).map_err(broken)?;
        trustpoint.pending = requests.get(name).map_err(broken)?.map(|row| Pending {
            key_label: row.value().0.to_owned(),
            memo: row.value().1.to_owned(),
        });
        let mut replaced = (None, Vec::new());
        for row in table.range(parts_of(name)).map_err(broken)? {
            let (key, der) = row.map_err(broken)?;
            let certificate = Certificate::parse(der.value())?;
            match key.value().1 {
                AUTHORITY => trustpoint.authority = Some(certificate),
                IDENTITY => trustpoint.identity = Some(certificate),
                REPLACED_IDENTITY => replaced.0 = Some(certificate),
                REPLACED_BETWEEN => replaced.1.push(certificate),
                _ => trustpoint.between.push(certificate),
            }
        }
        let label = transaction.open_table(REPLACED).map_err(broken)?;
        if let (Some(identity), Some(label)) = (replaced.0, label.get(name).map_err(broken)?) {
            trustpoint.previous = Some(Previous {
                identity,
                between: replaced.1,
                key_label: label.value().to_owned(),
            });
        }
        Ok(trustpoint)
    }

    /// All trustpoints of which something is stored, by name.
    pub fn trustpoints(&self) -> Result<Vec<Trustpoint>, Error> {
        let transaction = self.database.begin_read().map_err(broken)?;
        let heads = transaction.open_table(TRUSTPOINTS).map_err(broken)?;
        let mut names = Vec::new();
        for row in heads.iter().map_err(broken)? {
            names.push(row.map_err(broken)?.0.value().to_owned());
        }
        names.iter().map(|name| self.trustpoint(name)).collect()
    }

    /// Stores a trustpoint as it is now, and a key with it, in one transaction.
    pub fn save(&self, trustpoint: Option<&Trustpoint>, key: Option<&Key>) -> Result<(), Error> {
        self.change(trustpoint, key, None)
    }

    /// As [`Store::save`]; `needless` is the label of a key that goes in the same transaction, unless another trustpoint
    /// has it.
    pub fn change(
        &self,
        trustpoint: Option<&Trustpoint>,
        key: Option<&Key>,
        needless: Option<&str>,
    ) -> Result<(), Error> {
        let transaction = self.database.begin_write().map_err(broken)?;
        if let Some(key) = key.filter(|key| key.uri().is_some()) {
            tokens::save(&transaction, key)?;
        } else if let Some(key) = key {
            let sealed = key.seal(&self.sealer)?;
            let mut table = transaction.open_table(KEYS).map_err(broken)?;
            table
                .insert(key.label.as_str(), sealed.as_slice())
                .map_err(broken)?;
        }
        if let Some(trustpoint) = trustpoint {
            write_trustpoint(&transaction, trustpoint)?;
        }
        if let Some(label) = needless
            && users(&transaction, label)?.is_empty()
        {
            let mut table = transaction.open_table(KEYS).map_err(broken)?;
            table.remove(label).map_err(broken)?;
        }
        transaction.commit().map_err(broken)
    }

    /// Removes a trustpoint with its certificates. Keys stay.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        let transaction = self.database.begin_write().map_err(broken)?;
        // One with nothing in it has no rows but its own.
        write_trustpoint(&transaction, &Trustpoint::new(name))?;
        {
            let mut heads = transaction.open_table(TRUSTPOINTS).map_err(broken)?;
            heads.remove(name).map_err(broken)?;
        }
        transaction.commit().map_err(broken)
    }

    /// Trustpoints that have a key of this label.
    pub fn users_of(&self, label: &str) -> Result<Vec<String>, Error> {
        // Nothing is written: dropped, the transaction leaves no trace.
        users(&self.database.begin_write().map_err(broken)?, label)
    }

    /// Removes a key for good: afterwards not even its sealed bytes are in the file.
    pub fn zeroize(self, label: &str) -> Result<(), Error> {
        let sealed = {
            let transaction = self.database.begin_write().map_err(broken)?;
            let removed = {
                let mut table = transaction.open_table(KEYS).map_err(broken)?;
                let removed = table.remove(label).map_err(broken)?;
                removed.map(|sealed| sealed.value().to_vec())
            };
            transaction.commit().map_err(broken)?;
            removed.ok_or_else(|| Error::NoKey(label.to_owned()))?
        };
        // The file keeps the state before the last commit, to go back to after a crash; then that one is without it too.
        for _ in 0..2 {
            let transaction = self.database.begin_write().map_err(broken)?;
            write_mark(&transaction)?;
            transaction.commit().map_err(broken)?;
        }
        drop(self.database);
        let in_file = |source| Error::File {
            path: self.path.clone(),
            source,
        };
        wipe(&self.path, &sealed).map_err(in_file)
    }
}

/// The file of the store in a directory.
pub fn file_in(directory: &Path) -> PathBuf {
    directory.join("state.redb")
}

fn write_trustpoint(transaction: &WriteTransaction, trustpoint: &Trustpoint) -> Result<(), Error> {
    let name = trustpoint.name.as_str();
    let mut heads = transaction.open_table(TRUSTPOINTS).map_err(broken)?;
    let label = trustpoint.key_label.as_deref().unwrap_or_default();
    heads
        .insert(name, (label, trustpoint.pending.is_some()))
        .map_err(broken)?;
    let mut requests = transaction.open_table(REQUESTS).map_err(broken)?;
    match &trustpoint.pending {
        Some(pending) => {
            let row = (pending.key_label.as_str(), pending.memo.as_slice());
            requests.insert(name, row).map_err(broken)?
        }
        None => requests.remove(name).map_err(broken)?,
    };
    let mut replaced = transaction.open_table(REPLACED).map_err(broken)?;
    match &trustpoint.previous {
        Some(previous) => replaced
            .insert(name, previous.key_label.as_str())
            .map_err(broken)?,
        None => replaced.remove(name).map_err(broken)?,
    };
    let mut table = transaction.open_table(CERTIFICATES).map_err(broken)?;
    table
        .retain_in(parts_of(name), |_, _| false)
        .map_err(broken)?;
    for (part, number, certificate) in parts(trustpoint) {
        table
            .insert((name, part, number), certificate.der.as_ref())
            .map_err(broken)?;
    }
    Ok(())
}

/// What an account is sealed under, so that nobody takes it for a key.
fn account_label(directory: &str) -> String {
    format!("account {directory}")
}

/// Makes the next commit one that writes.
fn write_mark(transaction: &WriteTransaction) -> Result<(), Error> {
    let mut table = transaction.open_table(ACCOUNTS).map_err(broken)?;
    table.insert("", [].as_slice()).map_err(broken)?;
    table.remove("").map_err(broken)?;
    Ok(())
}

/// Trustpoints whose certificate, request or certificate before has a key.
fn users(transaction: &WriteTransaction, label: &str) -> Result<Vec<String>, Error> {
    let mut found = names(transaction, TRUSTPOINTS, |(own, _)| own == label)?;
    found.extend(names(transaction, REQUESTS, |(own, _)| own == label)?);
    found.extend(names(transaction, REPLACED, |own| own == label)?);
    found.sort();
    found.dedup();
    Ok(found)
}

/// Names of the rows that are meant.
fn names<V: redb::Value>(
    transaction: &WriteTransaction,
    table: TableDefinition<'_, &'static str, V>,
    is_meant: impl for<'a> Fn(V::SelfType<'a>) -> bool,
) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    let table = transaction.open_table(table).map_err(broken)?;
    for row in table.iter().map_err(broken)? {
        let (name, value) = row.map_err(broken)?;
        found.extend(is_meant(value.value()).then(|| name.value().to_owned()));
    }
    Ok(found)
}

/// Overwrites every copy of some bytes in a file that nobody has open.
fn wipe(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    file.lock()?;
    let mut held = Vec::new();
    file.read_to_end(&mut held)?;
    let zeros = vec![0; bytes.len()];
    for (at, window) in held.windows(bytes.len()).enumerate() {
        if window == bytes {
            file.seek(SeekFrom::Start(at as u64))?;
            file.write_all(&zeros)?;
        }
    }
    file.sync_all()
}

fn parts(trustpoint: &Trustpoint) -> impl Iterator<Item = (u8, u32, &Certificate)> {
    let single = |part, certificate| move |found| (part, certificate, found);
    let authority = trustpoint.authority.iter().map(single(AUTHORITY, 0));
    let identity = trustpoint.identity.iter().map(single(IDENTITY, 0));
    let numbered = |part| move |(number, certificate)| (part, number, certificate);
    let between = (0..).zip(&trustpoint.between).map(numbered(BETWEEN));
    let previous = trustpoint.previous.iter();
    let replaced = previous.flat_map(move |previous| {
        let between = (0..).zip(&previous.between).map(numbered(REPLACED_BETWEEN));
        std::iter::once((REPLACED_IDENTITY, 0, &previous.identity)).chain(between)
    });
    authority.chain(identity).chain(between).chain(replaced)
}

fn parts_of(name: &str) -> std::ops::RangeInclusive<(&str, u8, u32)> {
    (name, 0, 0)..=(name, u8::MAX, u32::MAX)
}

fn broken(error: impl Into<redb::Error>) -> Error {
    Error::Database(Box::new(error.into()))
}

#[cfg(test)]
mod tests;
