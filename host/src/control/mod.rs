//! The socket where a running firewall is asked.
//!
//! Comes in: a line of text, from whoever may open the socket. Goes out: `ok` and the number of bytes, or `error`, in the
//! first line, the answer behind it, and the end. One question a connection.

/// Answers: a socket in the state directory, on a thread of its own.
pub mod server;
/// Asks.
pub mod client;
/// What questions are answered from.
pub mod desk;

/// Name of the socket in the state directory.
const SOCKET: &str = "control.sock";
/// First line of an answer.
const ANSWER: &str = "ok ";
/// First line of a refusal.
const REFUSAL: &str = "error ";
