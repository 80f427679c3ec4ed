//! Keys, certificates and trustpoints.
//!
//! Comes in: the `crypto ca trustpoint` blocks of a configuration, certificates as they are pasted or imported, and
//! the time. Goes out: requests, self-signed certificates, trustpoints in their states, and what is wrong with a
//! certificate, in words. Nothing here reads a file or asks a server.

/// X.500 names as the command language writes them.
pub mod name;
/// Points in time as the device prints them.
pub mod date;
/// What a certificate says.
pub mod certificate;
/// Keys that never leave a token.
pub mod token;
/// Key pairs, and their sealed form.
pub mod key;
/// Signatures and digests of messages.
pub mod signature;
/// `show crypto key mypubkey`.
pub mod mypubkey;
/// `crypto ca trustpoint`: settings.
pub mod settings;
/// Certificate requests and self-signed certificates.
pub mod request;
/// PEM and PKCS#12.
pub mod bundle;
/// Several certificates, brought into order.
pub mod chain;
/// Trustpoints and their states.
pub mod trustpoint;
/// Enrolment over the network: what to ask an authority's server, and what it answered.
pub mod enrol;
/// Whether a certificate was revoked.
pub mod revocation;
/// `show crypto ca`.
pub mod show;

pub use certificate::Certificate;
pub use date::Date;
pub use key::Key;
pub use settings::Settings;
pub use trustpoint::Trustpoint;

/// Why something about keys or certificates cannot be done.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// A subject name cannot be read.
    #[error("subject-name {name:?}: {reason}")]
    Name {
        /// The name as written.
        name: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A line of a trustpoint cannot be read.
    #[error("crypto ca trustpoint {trustpoint}: `{line}`: {reason}")]
    Line {
        /// The trustpoint.
        trustpoint: String,
        /// The line.
        line: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// Bytes that should be a certificate are not.
    #[error("this is not a certificate: {0}")]
    NotACertificate(&'static str),
    /// A key cannot be made or read.
    #[error("{0}")]
    Key(&'static str),
    /// A sealed key does not open.
    #[error(
        "key {0} does not open: the key file is not the one it was sealed with, or the store is damaged"
    )]
    Sealed(String),
    /// A PKCS#12 file cannot be read or written.
    #[error("PKCS#12: {0}")]
    Bundle(String),
    /// Several certificates are not a chain.
    #[error("certificate chain: {0}")]
    Chain(String),
    /// A signed or encrypted message cannot be made or read.
    #[error("{0}")]
    Message(String),
    /// A certificate or request could not be made.
    #[error("cannot make the {what}: {reason}")]
    Make {
        /// What was to be made.
        what: &'static str,
        /// Why not.
        reason: String,
    },
    /// An authority's server did not do what was asked.
    #[error("{protocol}: {reason}")]
    Enrol {
        /// SCEP, EST, CMP or ACME.
        protocol: &'static str,
        /// What it said, or what is wrong with what it said.
        reason: String,
    },
    /// The trustpoint is not in a state for this.
    #[error("trustpoint {trustpoint}: {reason}")]
    State {
        /// The trustpoint.
        trustpoint: String,
        /// What is wrong, and what to do.
        reason: String,
    },
}
