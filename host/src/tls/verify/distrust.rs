//! Why a peer is not trusted, in words for a log line.

use std::fmt;
use std::sync::Arc;

use rustls::{CertificateError, Error, OtherError};

use super::Usage;
use crate::pki::Date;
use crate::pki::certificate::KeyKind;
use crate::pki::revocation::Trouble;

/// Why a peer is not trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distrust {
    /// Whom its certificate names, if it can be read.
    pub subject: String,
    /// What is wrong.
    pub reason: Reason,
}

/// What is wrong with a peer's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is none.
    Unreadable(String),
    /// No trustpoint holds the authority that signed it.
    UnknownAuthority(String),
    /// It, or one above it, is too old.
    Expired {
        /// Its last moment.
        at: Date,
        /// The time here.
        now: Date,
    },
    /// It, or one above it, is not valid yet.
    NotYet {
        /// Its first moment.
        from: Date,
        /// The time here.
        now: Date,
    },
    /// It is not for this side of a connection.
    Purpose(Usage),
    /// A trustpoint holds another certificate of this name.
    PinChanged {
        /// The trustpoint.
        trustpoint: String,
        /// Digest of what it holds.
        held: String,
        /// Digest of what the peer shows.
        shown: String,
    },
    /// It names others than was asked for.
    Name {
        /// Who was asked for.
        wanted: String,
        /// Whom it names.
        found: Vec<String>,
    },
    /// Its key is too weak, or of a kind that no connection uses.
    Key(KeyKind),
    /// A signature in the chain is wrong or too weak.
    Signature,
    /// It, or one above it, was revoked, or that could not be found out.
    Revocation(Trouble),
    /// Something else that the rules of certificates forbid.
    Other(String),
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the certificate of {} ", self.subject)?;
        match &self.reason {
            Reason::Unreadable(why) => write!(f, "cannot be read: {why}"),
            Reason::UnknownAuthority(issuer) => {
                write!(f, "is signed by {issuer}, which no trustpoint holds")
            }
            Reason::Expired { at, now } => {
                write!(f, "or of its authority expired at {at}; it is {now} here")
            }
            Reason::NotYet { from, now } => write!(
                f,
                "or of its authority is not valid before {from}; it is {now} here: is the clock right?"
            ),
            Reason::Purpose(Usage::Client) => {
                f.write_str("is not for clients: its extended key usage lacks clientAuth")
            }
            Reason::Purpose(Usage::Server) => {
                f.write_str("is not for servers: its extended key usage lacks serverAuth")
            }
            Reason::PinChanged {
                trustpoint,
                held,
                shown,
            } => write!(
                f,
                "is not the one that trustpoint {trustpoint} holds: SHA-256 {shown} instead of {held}"
            ),
            Reason::Name { wanted, found } => {
                write!(f, "is not for {wanted}, but for {}", found.join(", "))
            }
            Reason::Key(kind) => write!(f, "has a key that is not accepted: {kind}"),
            Reason::Revocation(trouble) if trouble.subject() == self.subject => {
                write!(f, "{trouble}")
            }
            Reason::Revocation(trouble) => {
                write!(f, "hangs on that of {}, which {trouble}", trouble.subject())
            }
            Reason::Signature => f.write_str("has a chain with a wrong or weak signature"),
            Reason::Other(why) => write!(f, "is not acceptable: {why}"),
        }
    }
}

impl std::error::Error for Distrust {}

impl From<Distrust> for Error {
    fn from(distrust: Distrust) -> Self {
        Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(distrust))))
    }
}
