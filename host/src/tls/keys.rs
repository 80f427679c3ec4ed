//! What we show: the certificates and the signing key of a trustpoint.
//!
//! The private key leaves the store, goes into the TLS library, and is wiped here.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use crate::pki::{self, Certificate, Key, Trustpoint};

/// A certificate chain with its key, ready to be shown.
#[derive(Clone)]
pub struct Identity {
    /// The trustpoint it comes from.
    pub trustpoint: String,
    certified: Arc<CertifiedKey>,
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
            certified: Arc::new(certified),
        })
    }

    /// For the TLS library, either leg.
    pub(super) fn resolver(&self) -> Arc<SingleCertAndKey> {
        Arc::new(SingleCertAndKey::from(Arc::clone(&self.certified)))
    }
}
