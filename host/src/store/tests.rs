use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

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
fn a_renewal_survives_a_restart_in_every_state() {
    let directory = tempfile::tempdir().expect("a directory");
    let (mut trustpoint, key) = enrolled("a");
    let open = || Store::open(directory.path(), None).expect("a store");
    open().save(Some(&trustpoint), Some(&key)).expect("saved");
    let next = Key::generate("next", Wanted::Ecdsa(256)).expect("a key");
    trustpoint.begin(&next);
    trustpoint.wait(b"memo".to_vec());
    open().save(Some(&trustpoint), Some(&next)).expect("saved");
    assert_eq!(open().trustpoint("a").expect("read"), trustpoint);
    let settings = Settings::default();
    trustpoint
        .sign_itself(&settings, &next, Date(1))
        .expect("made");
    assert!(trustpoint.previous.is_some());
    open().save(Some(&trustpoint), None).expect("saved");
    assert_eq!(open().trustpoint("a").expect("read"), trustpoint);
    assert_eq!(open().users_of("a_key").expect("read"), ["a"]);
    let needless = trustpoint.settle();
    open()
        .change(Some(&trustpoint), None, needless.as_deref())
        .expect("saved");
    assert_eq!(open().trustpoint("a").expect("read"), trustpoint);
    assert!(
        open().key("a_key").expect("read").is_none(),
        "its key went with it"
    );
    assert!(open().key("next").expect("read").is_some());
}

#[test]
fn a_key_that_another_trustpoint_has_does_not_go() {
    let directory = tempfile::tempdir().expect("a directory");
    let (trustpoint, key) = enrolled("a");
    let store = Store::open(directory.path(), None).expect("a store");
    store.save(Some(&trustpoint), Some(&key)).expect("saved");
    store.change(None, None, Some("a_key")).expect("saved");
    assert!(store.key("a_key").expect("read").is_some());
}

#[test]
fn a_key_that_is_zeroized_is_nowhere_in_the_file_and_the_rest_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let open = || Store::open(directory.path(), None).expect("a store");
    let (trustpoint, key) = enrolled("a");
    let (other, other_key) = enrolled("b");
    open().save(Some(&trustpoint), Some(&key)).expect("saved");
    open().save(Some(&other), Some(&other_key)).expect("saved");
    let sealed = |store: &Store| {
        let transaction = store.database.begin_read().expect("open");
        let table = transaction.open_table(KEYS).expect("a table");
        table
            .get("a_key")
            .expect("read")
            .map(|row| row.value().to_vec())
    };
    let sealed = sealed(&open()).expect("the key");
    let is_there = || {
        let bytes = fs::read(directory.path().join("state.redb")).expect("the file");
        bytes.windows(24).any(|window| window == &sealed[..24])
    };
    assert!(is_there());
    open().zeroize("a_key").expect("removed");
    assert!(!is_there());
    assert!(matches!(open().zeroize("a_key"), Err(Error::NoKey(_))));
    assert_eq!(
        open().trustpoints().expect("read"),
        [trustpoint, other.clone()]
    );
    let left = open().key_of(&other).expect("the other key");
    assert_eq!(left.pkcs8(), other_key.pkcs8());
}

#[test]
fn what_is_wiped_is_wiped_wherever_it_stands_and_nothing_else_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("file");
    fs::write(&path, b"-secret-and-secretsecret").expect("written");
    wipe(&path, b"secret").expect("ours");
    let left = fs::read(&path).expect("the file");
    assert_eq!(left, b"-\0\0\0\0\0\0-and-\0\0\0\0\0\0\0\0\0\0\0\0");
}

#[test]
fn an_account_is_sealed_under_its_own_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(directory.path(), None).expect("a store");
    store
        .save_account("https://a", b"account of a")
        .expect("saved");
    let read = |name| {
        store
            .account(name)
            .expect("read")
            .map(|found| found.to_vec())
    };
    assert_eq!(read("https://a"), Some(b"account of a".to_vec()));
    assert_eq!(read("https://b"), None);
    drop(store);
    let bytes = fs::read(directory.path().join("state.redb")).expect("the file");
    assert!(!bytes.windows(12).any(|window| window == b"account of a"));
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
