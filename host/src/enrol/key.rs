//! Which key a certificate is asked for, and which one a request keeps that was begun before.

use crate::pki::certificate::KeyKind;
use crate::pki::key::{DEFAULT_LABEL, Wanted};
use crate::pki::{self, Key, Settings, Trustpoint};
use crate::store::{self, Store};

/// The key of a request that was begun before, if it is to be kept: one that waits for its authority keeps its key, and one
/// that was interrupted keeps a new one.
pub(super) fn begun(store: &Store, trustpoint: &Trustpoint) -> Result<Option<Key>, store::Error> {
    let Some(pending) = &trustpoint.pending else {
        return Ok(None);
    };
    let waits = !pending.memo.is_empty();
    let old = trustpoint.key_label.as_ref();
    let is_new = !waits && old.is_some_and(|old| *old != pending.key_label);
    if !waits && !is_new {
        return Ok(None);
    }
    store.key(&pending.key_label)
}

/// The key for a certificate, and whether it is new. A certificate that is renewed keeps its key, unless a new one is
/// wanted; otherwise it is the key that the trustpoint names, or the one for all that name none.
pub fn choose_key(
    store: &Store,
    settings: &Settings,
    trustpoint: &Trustpoint,
    regenerates: bool,
) -> Result<(Key, bool), store::Error> {
    if let Some(label) = trustpoint
        .key_label
        .as_deref()
        .filter(|_| trustpoint.identity.is_some())
    {
        let old = store.named(label)?;
        if !regenerates {
            return Ok((old, false));
        }
        if old.uri().is_some() {
            return Err(store::Error::Pki(pki::Error::Key(
                "no key is made in a token by itself: `postern crypto key --token` makes one, and `keypair` names it",
            )));
        }
        let mut label = Trustpoint::next_key_label(label);
        while store.key(&label)?.is_some() {
            label = Trustpoint::next_key_label(&label);
        }
        return Ok((Key::generate(&label, like(&old))?, true));
    }
    let label = settings.key_label.as_deref().unwrap_or(DEFAULT_LABEL);
    let wanted = match &settings.key_label {
        Some(_) => settings.key_wanted,
        None => Some(Wanted::Rsa(2048)),
    };
    match (store.key(label)?, wanted) {
        (Some(key), _) => Ok((key, false)),
        (None, Some(wanted)) => Ok((Key::generate(label, wanted)?, true)),
        (None, None) => Err(store::Error::NoKey(label.to_owned())),
    }
}

/// A key of the same kind.
fn like(key: &Key) -> Wanted {
    match key.kind() {
        KeyKind::Ecdsa(bits) => Wanted::Ecdsa(u32::try_from(bits).unwrap_or(256)),
        KeyKind::Ed25519 => Wanted::Ed25519,
        KeyKind::Rsa(bits @ (3072 | 4096)) => Wanted::Rsa(u32::try_from(bits).unwrap_or(2048)),
        _ => Wanted::Rsa(2048),
    }
}
