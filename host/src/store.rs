//! What must survive a restart: trustpoints and keys, in one transactional file.
//!
//! Comes in: a directory. It holds `state.redb` and `master.key`, the 32 bytes that private keys are sealed with; the
//! key file may lie elsewhere. A command either writes all it has to, or nothing. The file is held by one process at a
//! time, and by none for longer than it reads or writes.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use zeroize::Zeroizing;

use crate::pki::key::Sealer;
use crate::pki::{self, Certificate, Key, Trustpoint};

/// Revocation lists that were fetched.
mod lists;
/// Where keys in tokens are.
mod tokens;

/// Label → sealed key.
const KEYS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("keys");
/// Trustpoint, part, number → certificate.
const CERTIFICATES: TableDefinition<'_, (&str, u8, u32), &[u8]> =
    TableDefinition::new("certificates");
/// Trustpoint → label of its key, and whether a request is out.
const TRUSTPOINTS: TableDefinition<'_, &str, (&str, bool)> = TableDefinition::new("trustpoints");

/// Parts of a trustpoint, as numbered in the file.
const AUTHORITY: u8 = 0;
const IDENTITY: u8 = 1;
const BETWEEN: u8 = 2;

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
    #[error("there is no key {0}: `crypto key generate` makes one")]
    NoKey(String),
}

/// An open store.
pub struct Store {
    database: Database,
    sealer: Sealer,
}

impl Store {
    /// Opens the store of a directory, making both if they are not there.
    pub fn open(directory: &Path, key_file: Option<&Path>) -> Result<Self, Error> {
        let in_file = |path: &Path| {
            let path = path.to_owned();
            |source| Error::File { path, source }
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(in_file(directory))?;
        let path = directory.join("state.redb");
        let own_key_file = directory.join("master.key");
        let key_file = key_file.unwrap_or(&own_key_file);
        // Before the key: a store without its key must not get another one.
        let is_new = !path.exists();
        let sealer = read_sealer(key_file, is_new)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(in_file(&path))?;
        let backend = FileBackend::new(file).map_err(broken)?;
        let database = Database::builder()
            .create_with_backend(backend)
            .map_err(broken)?;
        let store = Self { database, sealer };
        let transaction = store.database.begin_write().map_err(broken)?;
        transaction.open_table(KEYS).map_err(broken)?;
        transaction.open_table(CERTIFICATES).map_err(broken)?;
        transaction.open_table(TRUSTPOINTS).map_err(broken)?;
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

    /// The key of a trustpoint.
    pub fn key_of(&self, trustpoint: &Trustpoint) -> Result<Key, Error> {
        let label = trustpoint.key_label.as_deref();
        let label = label.ok_or_else(|| trustpoint.not_enrolled())?;
        self.key(label)?
            .ok_or_else(|| Error::NoKey(label.to_owned()))
    }

    /// A trustpoint; one of which nothing is stored is only defined.
    pub fn trustpoint(&self, name: &str) -> Result<Trustpoint, Error> {
        let transaction = self.database.begin_read().map_err(broken)?;
        let heads = transaction.open_table(TRUSTPOINTS).map_err(broken)?;
        let table = transaction.open_table(CERTIFICATES).map_err(broken)?;
        let mut trustpoint = Trustpoint::new(name);
        if let Some(head) = heads.get(name).map_err(broken)? {
            let (label, is_pending) = head.value();
            trustpoint.key_label = Some(label.to_owned()).filter(|label| !label.is_empty());
            trustpoint.is_pending = is_pending;
        }
        for row in table.range(parts_of(name)).map_err(broken)? {
            let (key, der) = row.map_err(broken)?;
            let certificate = Certificate::parse(der.value())?;
            match key.value().1 {
                AUTHORITY => trustpoint.authority = Some(certificate),
                IDENTITY => trustpoint.identity = Some(certificate),
                _ => trustpoint.between.push(certificate),
            }
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
            let name = trustpoint.name.as_str();
            let mut heads = transaction.open_table(TRUSTPOINTS).map_err(broken)?;
            let label = trustpoint.key_label.as_deref().unwrap_or_default();
            heads
                .insert(name, (label, trustpoint.is_pending))
                .map_err(broken)?;
            let mut table = transaction.open_table(CERTIFICATES).map_err(broken)?;
            table
                .retain_in(parts_of(name), |_, _| false)
                .map_err(broken)?;
            for (part, number, certificate) in parts(trustpoint) {
                table
                    .insert((name, part, number), certificate.der.as_ref())
                    .map_err(broken)?;
            }
        }
        transaction.commit().map_err(broken)
    }
}

fn parts(trustpoint: &Trustpoint) -> impl Iterator<Item = (u8, u32, &Certificate)> {
    let single = |part, certificate| move |found| (part, certificate, found);
    let authority = trustpoint.authority.iter().map(single(AUTHORITY, 0));
    let identity = trustpoint.identity.iter().map(single(IDENTITY, 0));
    let between = (0..).zip(&trustpoint.between);
    authority
        .chain(identity)
        .chain(between.map(|(number, certificate)| (BETWEEN, number, certificate)))
}

fn parts_of(name: &str) -> std::ops::RangeInclusive<(&str, u8, u32)> {
    (name, 0, 0)..=(name, u8::MAX, u32::MAX)
}

fn broken(error: impl Into<redb::Error>) -> Error {
    Error::Database(Box::new(error.into()))
}

/// Reads the key file; makes it if the store is new.
fn read_sealer(path: &Path, is_new: bool) -> Result<Sealer, Error> {
    let in_file = |source| Error::File {
        path: path.to_owned(),
        source,
    };
    let wrong = |reason| Error::KeyFile {
        path: path.to_owned(),
        reason,
    };
    let mut bytes = Zeroizing::new([0; Sealer::KEY_BYTES]);
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
    } else {
        let mut file = fs::File::open(path).map_err(in_file)?;
        let about = file.metadata().map_err(in_file)?;
        if about.mode() & 0o077 != 0 {
            return Err(wrong("others may read it: `chmod 600` it"));
        }
        if about.len() != Sealer::KEY_BYTES as u64 {
            return Err(wrong("a key file is 32 bytes"));
        }
        file.read_exact(&mut *bytes).map_err(in_file)?;
    }
    Ok(Sealer::new(&bytes)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::pki::key::Wanted;
    use crate::pki::{Date, Settings};

    fn enrolled(name: &str) -> (Trustpoint, Key) {
        let settings = Settings {
            name: name.into(),
            ..Settings::default()
        };
        let key = Key::generate(&format!("{name}_key"), Wanted::Ecdsa(256)).expect("a key");
        let mut trustpoint = Trustpoint::new(name);
        trustpoint
            .sign_itself(&settings, &key, Date(0))
            .expect("a certificate");
        let copies = [trustpoint.identity.clone(), trustpoint.identity.clone()];
        trustpoint.between = copies.into_iter().flatten().collect();
        (trustpoint, key)
    }

    #[test]
    fn what_was_saved_is_there_after_it_was_closed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("state");
        let ((a, a_key), (b, b_key)) = (enrolled("a"), enrolled("b"));
        {
            let store = Store::open(&path, None).expect("a store");
            store.save(Some(&b), Some(&b_key)).expect("saved");
            store.save(Some(&a), Some(&a_key)).expect("saved");
        }
        let store = Store::open(&path, None).expect("a store");
        assert_eq!(store.trustpoints().expect("read"), [a.clone(), b.clone()]);
        assert_eq!(store.key_of(&a).expect("a key").pkcs8(), a_key.pkcs8());
        let mut less = b.clone();
        less.between.clear();
        store.save(Some(&less), None).expect("saved");
        assert_eq!(store.trustpoints().expect("read"), [a, less]);
    }

    #[test]
    fn private_keys_are_not_in_the_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let (trustpoint, key) = enrolled("a");
        let store = Store::open(directory.path(), None).expect("a store");
        store.save(Some(&trustpoint), Some(&key)).expect("saved");
        drop(store);
        let bytes = fs::read(directory.path().join("state.redb")).expect("the file");
        let contains = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
        assert!(contains(key.public_key()), "the certificate is there");
        // The private number of a P-256 key in PKCS#8.
        assert!(!contains(&key.pkcs8()[36..68]));
        let mode = |name| {
            fs::metadata(directory.path().join(name))
                .expect("the file")
                .mode()
                & 0o777
        };
        assert_eq!((mode("state.redb"), mode("master.key")), (0o600, 0o600));
    }

    #[test]
    fn a_store_does_not_open_without_its_own_key_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let (trustpoint, key) = enrolled("a");
        let store = Store::open(directory.path(), None).expect("a store");
        store.save(Some(&trustpoint), Some(&key)).expect("saved");
        drop(store);
        let path = directory.path().join("master.key");
        let bytes = fs::read(&path).expect("the key");
        fs::remove_file(&path).expect("removed");
        assert!(matches!(
            Store::open(directory.path(), None),
            Err(Error::File { .. })
        ));
        let write = |bytes: &[u8], mode| {
            fs::write(&path, bytes).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("ours");
        };
        write(&bytes, 0o644);
        assert!(matches!(
            Store::open(directory.path(), None),
            Err(Error::KeyFile { .. })
        ));
        write(&bytes[1..], 0o600);
        assert!(matches!(
            Store::open(directory.path(), None),
            Err(Error::KeyFile { .. })
        ));
        write(&[0; 32], 0o600);
        let store = Store::open(directory.path(), None).expect("a store");
        let refused = store.key_of(&trustpoint).expect_err("another key");
        assert!(
            refused.to_string().contains("key a_key does not open"),
            "{refused}"
        );
    }
}
