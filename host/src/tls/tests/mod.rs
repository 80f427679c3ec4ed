//! Sessions between two peers that are rustls and not us, in memory, with a clock of our own.

/// Authorities, certificates, peers, and the bench that carries bytes between them.
pub(crate) mod bench;
/// What two peers get through a session.
mod flows;
/// Peers whose certificates are checked for revocation.
mod revocation;
/// What a peer does wrong, and what comes of it.
mod failures;
