//! What we show: the certificates and the signing key of a trustpoint, with what a responder says of them.
//!
//! The private key leaves the store, goes into the TLS library, and is wiped here.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::pki::{self, Certificate, Key, Trustpoint};

/// A certificate chain with its key, ready to be shown.
#[derive(Clone)]
pub struct Identity {
    /// The trustpoint it comes from.
    pub trustpoint: String,
    /// The certificate that signed ours, if it is another.
    issuer: Option<CertificateDer<'static>>,
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
        let mut identity = Self::of_chain(&trustpoint.name, &trustpoint.chain()?, key)?;
        let above = trustpoint.between.first().or(trustpoint.authority.as_ref());
        let signs = |own: &Certificate| above.filter(|above| own.is_signed_by(above));
        let issuer = trustpoint.identity.as_ref().and_then(signs);
        identity.issuer = issuer.map(|issuer| issuer.der.clone());
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
            issuer: None,
            shown: Arc::new(Shown(Mutex::new(Arc::new(certified)))),
        })
    }

    /// Our certificate and the one that signed it, if a responder could be asked about it.
    pub fn link(&self) -> Option<[CertificateDer<'static>; 2]> {
        let own = self.shown.now().cert.first()?.clone();
        Some([own, self.issuer.clone()?])
    }

    /// Shows what a responder says of our certificate, or nothing any more, from the next connection on.
    pub fn staple(&self, response: Option<Vec<u8>>) {
        let mut held = self.shown.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut certified = CertifiedKey::clone(&held);
        certified.ocsp = response;
        *held = Arc::new(certified);
    }

    /// For the TLS library, either leg.
    pub(super) fn resolver(&self) -> Arc<Shown> {
        Arc::clone(&self.shown)
    }
}

/// What is shown now.
pub(super) struct Shown(Mutex<Arc<CertifiedKey>>);

impl Shown {
    fn now(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.now())
    }
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.now())
    }

    fn has_certs(&self) -> bool {
        true
    }
}
