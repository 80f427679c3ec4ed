//! What every protocol is told: where to ask, for whom, and who may answer.

use zeroize::Zeroizing;

use crate::pki::{Certificate, Key, Settings};

/// What a certificate is asked for with.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// Where the authority's server is, `http` or `https`.
    pub url: &'a str,
    /// Whom the certificate is to name.
    pub settings: &'a Settings,
    /// The key it is for; another than the current one to change keys.
    pub key: &'a Key,
    /// Certificates of the authority that an operator confirmed.
    pub authorities: &'a [Certificate],
    /// [`super::Protocol::memo`] of an enrolment that waits, to [`super::Protocol::resume`] it; else empty.
    pub memo: &'a [u8],
}

/// A certificate that is held already, to ask for the next one with.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// The certificate.
    pub certificate: &'a Certificate,
    /// Those between it and the authority, nearest first.
    pub between: &'a [Certificate],
    /// Its key.
    pub key: &'a Key,
}

/// How an authority knows whom it talks to.
#[derive(Clone, Debug)]
pub enum Proof<'a> {
    /// A secret that the authority gave out, and the reference it gave with it.
    Secret {
        /// What the authority finds the secret by.
        reference: String,
        /// The secret.
        secret: Zeroizing<String>,
    },
    /// A certificate that the authority trusts.
    Signature(Identity<'a>),
}
