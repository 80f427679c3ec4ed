//! What we show: the certificates and the signing key of a trustpoint, with what a responder says of them.
//!
//! The private key leaves the store, goes into the TLS library, and is wiped here.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::issuer::LocalIssuer;
use crate::pki::{self, Certificate, Key, Trustpoint};

/// What proxies have of trustpoints, to be renewed beneath them.
#[derive(Clone, Debug, Default)]
pub struct Renewable {
    /// What is shown.
    pub identities: Vec<Identity>,
    /// What signs certificates that are made on the fly.
    pub issuers: Vec<LocalIssuer>,
}

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
        let identity = Self::of_chain(&trustpoint.name, &trustpoint.chain()?, key)?;
        let above = trustpoint.between.first().or(trustpoint.authority.as_ref());
        let signs = |own: &Certificate| above.filter(|above| own.is_signed_by(above));
        let issuer = trustpoint.identity.as_ref().and_then(signs);
        identity.shown.held().issuer = issuer.map(|issuer| issuer.der.clone());
        Ok(identity)
    }

    /// Of certificates that were made on the fly.
    pub fn of_chain(name: &str, chain: &[&Certificate], key: &Key) -> Result<Self, pki::Error> {
        let signing = key.signer()?;
        let chain = chain.iter().map(|certificate| certificate.der.clone());
        let certified = CertifiedKey::new(chain.collect(), signing);
        certified.keys_match().map_err(|_| {
            pki::Error::Key("the certificate of the trustpoint belongs to another key")
        })?;
        Ok(Self {
            trustpoint: name.to_owned(),
            shown: Arc::new(Shown {
                held: Mutex::new(Held {
                    certified: Arc::new(certified),
                    issuer: None,
                }),
                is_used: AtomicBool::new(false),
            }),
        })
    }

    /// Shows another certificate from the next connection on, wherever this one is in use.
    pub fn renew(&self, next: &Identity) {
        let next = next.shown.held().clone();
        *self.shown.held() = next;
        self.shown.is_used.store(false, Ordering::Relaxed);
    }

    /// Whether this certificate is shown now.
    pub fn shows(&self, certificate: &Certificate) -> bool {
        self.shown.held().certified.cert.first() == Some(&certificate.der)
    }

    /// Whether the certificate that is shown now has been shown to anybody.
    pub fn is_used(&self) -> bool {
        self.shown.is_used.load(Ordering::Relaxed)
    }

    /// Our certificate and the one that signed it, if a responder could be asked about it.
    pub fn link(&self) -> Option<[CertificateDer<'static>; 2]> {
        let held = self.shown.held();
        Some([held.certified.cert.first()?.clone(), held.issuer.clone()?])
    }

    /// Shows what a responder says of our certificate, or nothing any more, from the next connection on; nothing changes
    /// if another certificate is shown by now.
    pub fn staple(&self, own: &CertificateDer<'_>, response: Option<Vec<u8>>) {
        let mut held = self.shown.held();
        if held.certified.cert.first() == Some(own) {
            let mut certified = CertifiedKey::clone(&held.certified);
            certified.ocsp = response;
            held.certified = Arc::new(certified);
        }
    }

    /// For the TLS library, either leg.
    pub(super) fn resolver(&self) -> Arc<Shown> {
        Arc::clone(&self.shown)
    }
}

/// What is shown now.
pub(super) struct Shown {
    held: Mutex<Held>,
    is_used: AtomicBool,
}

#[derive(Clone)]
struct Held {
    certified: Arc<CertifiedKey>,
    /// The certificate that signed ours, if it is another.
    issuer: Option<CertificateDer<'static>>,
}

impl Shown {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn used(&self) -> Arc<CertifiedKey> {
        self.is_used.store(true, Ordering::Relaxed);
        Arc::clone(&self.held().certified)
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
