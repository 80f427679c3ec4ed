//! What a relay carries between two sockets: a machine that knows no sockets.

use std::time::Duration;

use crate::tls::Session;
use crate::tls::session::{Effect, End, Place, Side};

/// A session of two peers. The methods are those of [`Session`], which says what each is for.
pub trait Carried {
    /// Takes bytes of a peer, while it [wants](Carried::wants_bytes) them.
    fn handle_bytes(&mut self, now: Duration, side: Side, bytes: &[u8]);
    /// A peer sends no more.
    fn handle_end(&mut self, now: Duration, side: Side);
    /// A peer has gone.
    fn handle_reset(&mut self, now: Duration, side: Side);
    /// The peer behind was reached.
    fn handle_connected(&mut self, now: Duration);
    /// The peer behind was not reached.
    fn handle_unreachable(&mut self, reason: &str);
    /// A question was answered, or will not be.
    fn handle_answer(&mut self, now: Duration, side: Side);
    /// Does what is due.
    fn handle_time(&mut self, now: Duration);
    /// When something is due.
    fn next_deadline(&self) -> Option<Duration>;
    /// The next thing to do.
    fn poll_effect(&mut self) -> Option<Effect>;
    /// Whether bytes of a peer can be taken.
    fn wants_bytes(&self, side: Side) -> bool;
    /// Appends bytes for a peer, once those of the last call have left.
    fn take_bytes(&mut self, side: Side, out: &mut Vec<u8>);
    /// How a connection is to end.
    fn end(&self, side: Side) -> End;
    /// Nothing more is read from either peer.
    fn is_over(&self) -> bool;
    /// Who dialled and who was dialled.
    fn places(&self) -> (&Place, &Place);
}

impl Carried for Session {
    fn handle_bytes(&mut self, now: Duration, side: Side, bytes: &[u8]) {
        Session::handle_bytes(self, now, side, bytes);
    }

    fn handle_end(&mut self, now: Duration, side: Side) {
        Session::handle_end(self, now, side);
    }

    fn handle_reset(&mut self, now: Duration, side: Side) {
        Session::handle_reset(self, now, side);
    }

    fn handle_connected(&mut self, now: Duration) {
        Session::handle_connected(self, now);
    }

    fn handle_unreachable(&mut self, reason: &str) {
        Session::handle_unreachable(self, reason);
    }

    fn handle_answer(&mut self, now: Duration, side: Side) {
        Session::handle_answer(self, now, side);
    }

    fn handle_time(&mut self, now: Duration) {
        Session::handle_time(self, now);
    }

    fn next_deadline(&self) -> Option<Duration> {
        Session::next_deadline(self)
    }

    fn poll_effect(&mut self) -> Option<Effect> {
        Session::poll_effect(self)
    }

    fn wants_bytes(&self, side: Side) -> bool {
        Session::wants_bytes(self, side)
    }

    fn take_bytes(&mut self, side: Side, out: &mut Vec<u8>) {
        Session::take_bytes(self, side, out);
    }

    fn end(&self, side: Side) -> End {
        Session::end(self, side)
    }

    fn is_over(&self) -> bool {
        Session::is_over(self)
    }

    fn places(&self) -> (&Place, &Place) {
        Session::places(self)
    }
}
