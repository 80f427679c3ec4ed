//! The TLS proxy: a connection of one peer ends here, and another to the peer behind begins here.
//!
//! Comes in: bytes of two TCP connections, and the time. Goes out: bytes for both, and what was learnt of them. The
//! *server leg* faces whoever dialled, the *client leg* whom we dial. Nothing here owns a socket or a clock; the text
//! between the legs is inspected by somebody else.

/// Whom a certificate names (RFC 5922).
pub mod identity;
/// Whether a peer's certificate is trusted.
pub mod verify;
/// What we show.
pub mod keys;
/// Who signs certificates that are made on the fly.
pub mod issuer;
/// One `tls-proxy` of the configuration, ready for connections.
pub mod proxy;
/// What goes wrong, in words.
pub mod words;
/// What looks at the text between the legs.
pub mod inspect;
/// One leg.
mod leg;
/// Two legs.
pub mod session;
/// How many sessions there may be.
pub mod limits;
/// All sessions.
pub mod sessions;
/// `show tls-proxy`.
pub mod show;

pub use inspect::{Inspect, PassThrough, Refusal};
pub use issuer::LocalIssuer;
pub use proxy::Proxy;
pub use session::{Session, Side};
pub use sessions::Sessions;
pub use verify::Trust;

#[cfg(test)]
pub(crate) mod tests;
