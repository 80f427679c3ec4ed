//! What we show: the certificates and the signing key of a trustpoint.
//!
//! The private key leaves the store, goes into the TLS library, and is wiped here.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::pki::{self, Certificate, Key, Trustpoint};

/// A certificate chain with its key, ready to be shown.
#[derive(Clone)]
pub struct Identity {
    /// The trustpoint it comes from.
    pub trustpoint: String,
    shown: Arc<Shown>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.trustpoint)
    }
}

impl Identity {
    /// Of a trustpoint that is enrolled.
    pub fn new(trustpoint: &Trustpoint, key: &Key) -> Result<Self, pki::Error> {
        Self::of_chain(&trustpoint.name, &trustpoint.chain()?, key)
    }

    /// Of certificates that were made on the fly.
    pub fn of_chain(name: &str, chain: &[&Certificate], key: &Key) -> Result<Self, pki::Error> {
        let signing = any_supported_type(&key.for_tls())
            .map_err(|_| pki::Error::Key("the key cannot sign in connections"))?;
        let chain = chain.iter().map(|certificate| certificate.der.clone());
        let certified = CertifiedKey::new(chain.collect(), signing);
        certified.keys_match().map_err(|_| {
            pki::Error::Key("the certificate of the trustpoint belongs to another key")
        })?;
        Ok(Self {
            trustpoint: name.to_owned(),
            shown: Arc::new(Shown {
                certified: Mutex::new(Arc::new(certified)),
                is_used: AtomicBool::new(false),
            }),
        })
    }

    /// Shows another certificate from the next connection on, wherever this one is in use.
    pub fn renew(&self, next: &Identity) {
        let certified = next.shown.now();
        let mut held = self
            .shown
            .certified
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *held = certified;
        self.shown.is_used.store(false, Ordering::Relaxed);
    }

    /// Whether this certificate is shown now.
    pub fn shows(&self, certificate: &Certificate) -> bool {
        self.shown.now().cert.first() == Some(&certificate.der)
    }

    /// Whether the certificate that is shown now has been shown to anybody.
    pub fn is_used(&self) -> bool {
        self.shown.is_used.load(Ordering::Relaxed)
    }

    /// For the TLS library, either leg.
    pub(super) fn resolver(&self) -> Arc<Shown> {
        Arc::clone(&self.shown)
    }
}

/// What is shown now.
pub(super) struct Shown {
    certified: Mutex<Arc<CertifiedKey>>,
    is_used: AtomicBool,
}

impl Shown {
    fn now(&self) -> Arc<CertifiedKey> {
        Arc::clone(
            &self
                .certified
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    fn used(&self) -> Arc<CertifiedKey> {
        self.is_used.store(true, Ordering::Relaxed);
        self.now()
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.used())
    }
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.used())
    }

    fn has_certs(&self) -> bool {
        true
    }
}
