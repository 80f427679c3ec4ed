//! Who signs certificates that are made on the fly (`client ldc issuer`), to be renewed beneath the proxies.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::keys::Identity;
use crate::pki::{self, Certificate, Date, Key, request};

/// A trustpoint that signs, wherever it does.
#[derive(Clone)]
pub struct LocalIssuer {
    /// The trustpoint.
    pub trustpoint: String,
    held: Arc<Mutex<Held>>,
}

struct Held {
    signing: Arc<Signing>,
    /// It has signed since it was renewed.
    is_used: bool,
}

struct Signing {
    certificate: Certificate,
    key: Arc<Key>,
    /// The key of the certificates that are made, if it is another.
    own_key: Option<Arc<Key>>,
}

impl fmt::Debug for LocalIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalIssuer({})", self.trustpoint)
    }
}

impl LocalIssuer {
    /// One that signs with `key`; what it makes is for `own_key`, or without one for `key` too.
    pub fn new(trustpoint: &str, certificate: Certificate, key: Key, own_key: Option<Key>) -> Self {
        let signing = Signing {
            certificate,
            key: Arc::new(key),
            own_key: own_key.map(Arc::new),
        };
        Self {
            trustpoint: trustpoint.to_owned(),
            held: Arc::new(Mutex::new(Held {
                signing: Arc::new(signing),
                is_used: false,
            })),
        }
    }

    /// Signs with another certificate from the next connection on, wherever this one is in use.
    pub fn renew(&self, certificate: Certificate, key: Key) {
        let mut held = self.held();
        held.signing = Arc::new(Signing {
            certificate,
            key: Arc::new(key),
            own_key: held.signing.own_key.clone(),
        });
        held.is_used = false;
    }

    /// Whether it signs with this certificate.
    pub fn signs_with(&self, certificate: &Certificate) -> bool {
        self.held().signing.certificate.der == certificate.der
    }

    /// Whether anybody has been shown what it signed since it was renewed.
    pub fn is_used(&self) -> bool {
        self.held().is_used
    }

    /// What a peer is shown as.
    pub(crate) fn identity(&self, peer: &Certificate, now: Date) -> Result<Identity, pki::Error> {
        let signing = Arc::clone(&self.held().signing);
        let own_key = signing.own_key.as_ref().unwrap_or(&signing.key);
        let above = &signing.certificate;
        let made = request::local(peer, own_key, above, &signing.key, now)?;
        let chain: &[&Certificate] = match above.is_self_signed {
            true => &[&made],
            false => &[&made, above],
        };
        let identity = Identity::of_chain(&self.trustpoint, chain, own_key)?;
        let mut held = self.held();
        held.is_used |= Arc::ptr_eq(&held.signing, &signing);
        Ok(identity)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
