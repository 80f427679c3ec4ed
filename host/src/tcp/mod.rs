//! The kernel's TCP as the two ends of connections whose text is inspected, with TLS or without.
//!
//! Comes in: IPv4 packets of connections that are to be inspected, with the peers' own addresses. Goes out: packets for
//! both peers, again with the peers' own addresses: the peer that dialled sees the one it dialled, and the other way
//! round. Between them the kernel ends both connections, and a session, of `tls` or a plain one, sits between its sockets.
//! A connection that is for ourselves has one end only, and whoever answers it.
//!
//! All of it lives in a network namespace that no name points to: when the process is gone, however it went, so are
//! device, routes and sockets.

/// The namespace: device, routes, sockets for any address.
mod network;
/// What a relay carries.
mod carried;
/// A session without TLS.
mod plain;
/// One session and its two sockets.
mod relay;
/// All of them, on a thread of their own.
mod service;
/// Packets in and out.
pub mod adapter;

pub use adapter::{Adapter, Assigned, Duty, Error, Secured};
