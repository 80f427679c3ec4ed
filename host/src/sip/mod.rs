//! SIP inspection: what NAT breaks in messages is mended, what no peer should send is refused.
//!
//! Comes in: bytes of a datagram or of a stream, who sent them, the time, and a [`Translator`] that answers for the
//! addresses of the firewall. Goes out: [`Effect`]s. A message without an address to translate leaves byte for byte as it
//! came. No byte string makes it panic, and all that it keeps is bounded by [`limits`].

/// How much of everything is kept and read.
pub mod limits;
/// Spans of a message and a cursor.
pub mod scan;
/// Header fields: names, compact forms, grammar.
pub mod field;
/// What is wrong with a message.
pub mod fault;
/// A message as spans of its bytes.
pub mod message;
/// Bytes of a stream in, whole messages out.
pub mod frame;
/// Addresses in headers: Via values, name-addr lists, URIs.
pub mod address;
/// What a strict reader finds wrong.
pub mod strict;
/// The parts of a body.
pub mod parts;
/// Session descriptions as spans.
pub mod sdp;
/// Whom the inspector asks for translations.
pub mod translate;
/// How addresses were written on each side.
pub mod memory;
/// Replacements, and their diff.
pub mod edits;
/// Addresses of the real side leave as mapped ones.
pub mod fixup;
/// Fix-up of free text.
mod text;
/// Fix-up of session descriptions.
mod media;
/// How fast something may happen.
pub mod rate;
/// Inspect maps, ready to judge.
pub mod rules;
/// The timers of `timeout sip`.
pub mod timeouts;
/// What a message lets through.
pub mod pinhole;
/// Why a message does not pass.
pub mod reason;
/// System log messages.
pub mod event;
/// What an inspector wants done.
pub mod effect;
/// One session and its life.
pub mod dialog;
/// All sessions by Call-ID.
pub mod sessions;
/// The inspector: messages and time in, effects out.
pub mod inspect;
/// The inspect map's judgement of a message.
mod check;
/// What follows from a message that passed.
mod follow;
/// `show sip`.
pub mod show;
/// Skinny (SCCP) messages.
pub mod skinny;

pub use effect::Effect;
pub use event::{Event, Place};
pub use fault::Fault;
pub use field::Field;
pub use fixup::{Candidates, End};
pub use frame::{Frame, Framer};
pub use inspect::{Arrival, Inspector, Setup};
pub use limits::Limits;
pub use message::{Framing, Message};
pub use pinhole::{Pinhole, PinholeId, Purpose};
pub use reason::Reason;
pub use rules::Rules;
pub use timeouts::Timeouts;
pub use translate::{Mapping, Protocol, Translator, Way};

#[cfg(test)]
mod tests;
