//! Enrolment over the network, without a network.
//!
//! Comes in: what a trustpoint is to be, its key, the answers of an authority's server and the time. Goes out: what to
//! ask the server next, how long to wait, and at the end certificates. Whoever drives a protocol owns the HTTP client,
//! the clock and the store.

/// What every protocol is told.
pub mod order;
/// Signed and encrypted messages, and bundles of certificates.
pub mod cms;
/// SCEP.
pub mod scep;
/// EST.
pub mod est;
/// When to ask for the next certificate.
pub mod schedule;
/// CMP.
pub mod cmp;
/// Whether what was issued can be used.
pub mod judge;

#[cfg(test)]
pub(super) mod testing;

use der::asn1::ObjectIdentifier;

use super::{Certificate, Date, Error};

pub use judge::accept;
pub use order::{Identity, Order, Proof};

/// Most bytes of an answer that anybody reads; a chain of certificates is a few thousand.
pub const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// One HTTP exchange that a protocol wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// GET without a body, POST with one.
    pub body: Option<Body>,
    /// Where to, `http` or `https`.
    pub url: String,
    /// Media type that is expected back, empty for any.
    pub accept: &'static str,
}

/// What is posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Media type.
    pub content_type: &'static str,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// What the server answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Media type, lower case, without parameters.
    pub content_type: String,
    /// Seconds of a `Retry-After`.
    pub retry_after: Option<u32>,
    /// At most [`MAX_ANSWER_BYTES`].
    pub body: Vec<u8>,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask the server.
    Ask(Ask),
    /// The authority wants time: keep [`Protocol::memo`], and call [`Protocol::resume`] after so many seconds, or
    /// after the period of `enrollment retry` where the server names none.
    Wait(Option<u32>),
    /// The authority's certificates, not yet trusted: the operator, or a fingerprint, confirms them.
    Authorities(Vec<Certificate>),
    /// The certificate, and those between it and the authority, nearest first; the authority itself where the server
    /// proved that it is the right one before any was confirmed. [`accept`] judges them.
    Issued(Vec<Certificate>),
}

/// A conversation with an authority's server: one certificate, or the authority's own.
pub trait Protocol: Send {
    /// The first question.
    fn start(&mut self, now: Date) -> Result<Next, Error>;
    /// Takes an answer.
    fn answer(&mut self, answer: &Answer, now: Date) -> Result<Next, Error>;
    /// Asks whether the certificate is there by now.
    fn resume(&mut self, now: Date) -> Result<Next, Error>;
    /// What must survive a restart while the authority wants time; no secrets.
    fn memo(&self) -> Vec<u8>;
}

/// Says which protocol an error of a lower layer comes from.
fn said_by(protocol: &'static str, error: Error) -> Error {
    match error {
        Error::Enrol { .. } => error,
        other => Error::Enrol {
            protocol,
            reason: other.to_string(),
        },
    }
}

/// Purpose of an authority's own certificate for messages (RFC 6402 §2.10).
const CMC_CA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.27");
/// Purpose of a registrar's certificate for messages (RFC 6402 §2.10).
const CMC_RA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.28");
