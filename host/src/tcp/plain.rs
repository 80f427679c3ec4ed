//! A session without TLS: text of one peer goes through inspection to the other.
//!
//! As in a TLS session an end becomes an end and a reset a reset, and text is taken from a peer only while the other
//! side has room for it.

use std::collections::VecDeque;
use std::time::Duration;

use super::carried::Carried;
use crate::punt::Event;
use crate::tls::Refusal;
use crate::tls::inspect::Inspect;
use crate::tls::session::{Effect, End, HALF_CLOSED_LIMIT, Place, Side};

/// A session between two peers.
pub struct Plain {
    dialler: Place,
    dialled: Place,
    inspect: Box<dyn Inspect>,
    is_connected: bool,
    /// Text that may go on, by who sent it.
    onward: [Vec<u8>; 2],
    /// Who will send no more.
    has_ended: [bool; 2],
    ends: [End; 2],
    is_over: bool,
    half_closed: Option<Duration>,
    effects: VecDeque<Effect>,
}

impl Plain {
    /// A session for a peer that has just connected.
    pub fn new(dialler: Place, dialled: Place, inspect: Box<dyn Inspect>) -> Self {
        Self {
            dialler,
            dialled,
            inspect,
            is_connected: false,
            onward: [Vec::new(), Vec::new()],
            has_ended: [false; 2],
            ends: [End::Open; 2],
            is_over: false,
            half_closed: None,
            effects: VecDeque::from([Effect::Dial]),
        }
    }

    /// Who dialled waits for nothing more; who was dialled may still say something.
    fn settle(&mut self) {
        for from in [0, 1] {
            let is_sent = self.onward[from].is_empty();
            if self.has_ended[from] && is_sent && self.is_connected {
                self.ends[1 - from] = End::Finish;
            }
        }
        self.is_over |= self.ends == [End::Finish; 2];
    }

    fn log_end(&mut self, reason: &str) {
        let (dialler, dialled) = (&self.dialler, &self.dialled);
        self.effects.push_back(Effect::Log(Event {
            severity: 5,
            id: TERMINATED,
            text: format!(
                "tcp flow from {dialler} to {dialled} terminated by inspection engine, reason - {reason}"
            ),
        }));
    }

    fn judge(&mut self, result: Result<(), Refusal>) {
        let Err(refusal) = result else {
            return;
        };
        self.log_end(&refusal.reason);
        self.stop(match refusal.is_reset {
            true => End::Reset,
            false => End::Finish,
        });
    }

    fn stop(&mut self, end: End) {
        self.ends = [end; 2];
        self.is_over = true;
        self.onward = [Vec::new(), Vec::new()];
    }
}

impl Carried for Plain {
    fn handle_bytes(&mut self, now: Duration, side: Side, bytes: &[u8]) {
        if !self.is_over {
            let onward = &mut self.onward[side as usize];
            let result = self
                .inspect
                .handle_text(now, side.direction(), bytes, onward);
            self.judge(result);
        }
    }

    fn handle_end(&mut self, now: Duration, side: Side) {
        if self.is_over || std::mem::replace(&mut self.has_ended[side as usize], true) {
            return;
        }
        self.half_closed.get_or_insert(now);
        let onward = &mut self.onward[side as usize];
        let result = self.inspect.handle_end(now, side.direction(), onward);
        self.judge(result);
        self.settle();
    }

    fn handle_reset(&mut self, _: Duration, _: Side) {
        self.stop(End::Reset);
    }

    fn handle_connected(&mut self, _: Duration) {
        self.is_connected = true;
        self.settle();
    }

    /// The peer that dialled sees what it would have seen without us: its connection is reset.
    fn handle_unreachable(&mut self, reason: &str) {
        self.log_end(&format!("it cannot be reached: {reason}"));
        self.stop(End::Reset);
    }

    /// Nothing is asked about a peer without a certificate.
    fn handle_answer(&mut self, _: Duration, _: Side) {}

    fn handle_time(&mut self, now: Duration) {
        if self.next_deadline().is_some_and(|due| due <= now) {
            self.stop(End::Reset);
        }
    }

    fn next_deadline(&self) -> Option<Duration> {
        let since = self.half_closed.filter(|_| !self.is_over)?;
        Some(since + HALF_CLOSED_LIMIT)
    }

    fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    fn wants_bytes(&self, side: Side) -> bool {
        let index = side as usize;
        !self.is_over && !self.has_ended[index] && self.onward[index].is_empty()
    }

    fn take_bytes(&mut self, side: Side, out: &mut Vec<u8>) {
        out.append(&mut self.onward[side.other() as usize]);
        self.settle();
    }

    fn end(&self, side: Side) -> End {
        self.ends[side as usize]
    }

    fn is_over(&self) -> bool {
        self.is_over
    }

    fn places(&self) -> (&Place, &Place) {
        (&self.dialler, &self.dialled)
    }
}

/// A flow that inspection ended.
const TERMINATED: u32 = 507_003;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::inspect::Direction;

    struct Shout;

    impl Inspect for Shout {
        fn handle_text(
            &mut self,
            _: Duration,
            _: Direction,
            text: &[u8],
            onward: &mut Vec<u8>,
        ) -> Result<(), Refusal> {
            if text == b"reset" || text == b"close" {
                return Err(Refusal {
                    reason: "it says so".into(),
                    is_reset: text == b"reset",
                });
            }
            onward.extend(text.to_ascii_uppercase());
            Ok(())
        }

        fn handle_end(
            &mut self,
            _: Duration,
            _: Direction,
            _: &mut Vec<u8>,
        ) -> Result<(), Refusal> {
            Ok(())
        }
    }

    const NOW: Duration = Duration::from_secs(1);

    fn session() -> Plain {
        let place = |interface: &str, address: &str| Place {
            interface: interface.into(),
            address: address.parse().expect("an address"),
        };
        let (dialler, dialled) = (
            place("outside", "198.51.100.7:5060"),
            place("inside", "10.0.0.2:5060"),
        );
        let mut session = Plain::new(dialler, dialled, Box::new(Shout));
        assert_eq!(session.poll_effect(), Some(Effect::Dial));
        session
    }

    fn taken(session: &mut Plain, side: Side) -> Vec<u8> {
        let mut out = Vec::new();
        session.take_bytes(side, &mut out);
        out
    }

    #[test]
    fn text_goes_through_and_is_held_until_it_has_left() {
        let mut session = session();
        session.handle_bytes(NOW, Side::Server, b"hello");
        assert!(!session.wants_bytes(Side::Server) && session.wants_bytes(Side::Client));
        session.handle_connected(NOW);
        assert_eq!(taken(&mut session, Side::Client), b"HELLO");
        assert!(session.wants_bytes(Side::Server));
        session.handle_bytes(NOW, Side::Client, b"yes");
        assert_eq!(taken(&mut session, Side::Server), b"YES");
    }

    #[test]
    fn one_side_may_end_before_the_other() {
        let mut session = session();
        session.handle_bytes(NOW, Side::Server, b"last");
        session.handle_end(NOW, Side::Server);
        assert_eq!(session.end(Side::Client), End::Open, "nobody is there yet");
        session.handle_connected(NOW);
        assert_eq!(session.end(Side::Client), End::Open, "text comes first");
        assert_eq!(taken(&mut session, Side::Client), b"LAST");
        assert_eq!(
            (session.end(Side::Client), session.is_over()),
            (End::Finish, false)
        );
        session.handle_bytes(NOW, Side::Client, b"answer");
        session.handle_end(NOW, Side::Client);
        assert_eq!(taken(&mut session, Side::Server), b"ANSWER");
        assert!(session.is_over());
        assert_eq!(session.end(Side::Server), End::Finish);
    }

    #[test]
    fn a_reset_and_a_peer_that_cannot_be_reached_reset_the_other() {
        let mut gone = session();
        gone.handle_reset(NOW, Side::Server);
        assert_eq!((gone.end(Side::Client), gone.is_over()), (End::Reset, true));
        let mut unreachable = session();
        unreachable.handle_unreachable("no");
        assert_eq!(unreachable.end(Side::Server), End::Reset);
    }

    #[test]
    fn inspection_ends_it_as_it_wants_and_says_why() {
        for (text, end) in [(b"reset", End::Reset), (b"close", End::Finish)] {
            let mut session = session();
            session.handle_connected(NOW);
            session.handle_bytes(NOW, Side::Server, text);
            assert_eq!(
                [session.end(Side::Server), session.end(Side::Client)],
                [end; 2]
            );
            assert!(session.is_over() && !session.wants_bytes(Side::Server));
            let Some(Effect::Log(event)) = session.poll_effect() else {
                panic!("no line");
            };
            assert_eq!(
                event.to_string(),
                "%ASA-5-507003: tcp flow from outside:198.51.100.7/5060 to inside:10.0.0.2/5060 \
                 terminated by inspection engine, reason - it says so"
            );
        }
    }

    #[test]
    fn half_a_session_does_not_stay_for_ever() {
        let mut session = session();
        session.handle_connected(NOW);
        session.handle_end(NOW, Side::Client);
        assert_eq!(session.next_deadline(), Some(NOW + HALF_CLOSED_LIMIT));
        session.handle_time(NOW + HALF_CLOSED_LIMIT);
        assert_eq!(
            (session.end(Side::Server), session.is_over()),
            (End::Reset, true)
        );
    }
}
