//! Whether a certificate was revoked: what is known, and whom to ask for more.
//!
//! Comes in: the path of a peer that is trusted otherwise, what its trustpoint says of `revocation-check`, answers to
//! questions, the time. Goes out: that it stands, that it does not, or questions. Whoever asks them owns the HTTP client.
//! RFC 5280 §6.3, RFC 6960.

/// A certificate that is asked about.
mod subject;
/// What an authority signed.
mod signed;
/// Revocation lists.
pub mod list;
/// The forms of OCSP messages.
mod message;
/// OCSP.
pub mod ocsp;
/// `show crypto ca crls`.
pub mod show;
/// What is known, and the order in which more is asked for.
mod ledger;

use std::fmt;

pub use ledger::{Key, Known, Learnt, Ledger, Question, Standing};
pub use list::List;
pub use ocsp::Response;
pub use subject::Link;

use super::Date;

/// How a certificate stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is not revoked.
    Good,
    /// It is.
    Revoked {
        /// Since when.
        at: Date,
        /// Why, if that is said.
        reason: Option<&'static str>,
    },
    /// The responder does not know it.
    Unknown,
}

/// Why a certificate does not stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It was revoked.
    Revoked {
        /// Whom it names.
        subject: String,
        /// Since when.
        at: Date,
        /// Why, if that is said.
        reason: Option<&'static str>,
        /// Who says so.
        place: String,
    },
    /// Nobody says how it stands, and `revocation-check` does not end with `none`.
    Unanswered {
        /// Whom it names.
        subject: String,
        /// What was tried, and how it ended.
        tried: Vec<String>,
    },
}

impl Trouble {
    /// Whom the certificate names.
    pub fn subject(&self) -> &str {
        match self {
            Self::Revoked { subject, .. } | Self::Unanswered { subject, .. } => subject,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Revoked {
                at, reason, place, ..
            } => {
                let reason = reason.unwrap_or("no reason given");
                write!(f, "was revoked at {at} ({reason}), says {place}")
            }
            Self::Unanswered { tried, .. } => {
                write!(f, "may be revoked, nobody knows: {}", tried.join("; "))
            }
        }
    }
}

/// Longest list that is fetched; those of large public authorities are one or two million bytes.
pub const MAX_LIST_BYTES: usize = 4 << 20;

/// How far a clock of an authority may be ahead of ours.
const SKEW_SECONDS: i64 = 300;

#[cfg(test)]
pub(crate) mod tests;
