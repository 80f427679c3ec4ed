//! Whether a peer's certificate was revoked, asked after its handshake and before it is heard.
//!
//! What is known already is answered at once. Otherwise questions go out as effects; until they are answered nothing is
//! read from the peer, nothing is sent to it, and what it has said is held.

use std::time::Duration;

use super::{Effect, Session, Side};
use crate::pki::Date;
use crate::pki::revocation::Standing;
use crate::tls::verify::{Distrust, Reason};

/// How far the check for revocation of a peer's certificate is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Check {
    /// It has not begun.
    #[default]
    Before,
    /// So many questions are open.
    Asked(usize),
    /// The peer is heard.
    Done,
}

impl Session {
    /// One of the questions of [`Effect::Ask`] was answered, or will not be: the ledger knows which.
    pub fn handle_answer(&mut self, now: Duration, side: Side) {
        self.proxy.set_time(now);
        let Check::Asked(left) = &mut self.checks[side as usize] else {
            return;
        };
        *left = left.saturating_sub(1);
        if *left == 0 && !self.is_over() {
            self.check_revocation(now, side);
            self.advance(now);
        }
    }

    /// Hears the peer if its certificate was not revoked; asks whoever knows, if it must.
    pub(super) fn check_revocation(&mut self, now: Duration, side: Side) {
        let index = side as usize;
        let standing = match &self.peers[index] {
            Some(peer) => self.proxy.trust().standing(peer, Date::from(now)),
            None => Standing::Clear(Vec::new()),
        };
        match standing {
            Standing::Clear(passed) => {
                for trouble in passed {
                    self.log_passed(side, &trouble);
                }
                self.checks[index] = Check::Done;
                if side == Side::Server {
                    self.dial();
                }
                let held = std::mem::take(&mut self.held[index]);
                self.take_text(now, side, &held);
            }
            Standing::Refused(trouble) => {
                let subject = match &self.peers[index] {
                    Some(peer) => peer.certificate.subject.clone(),
                    None => String::new(),
                };
                let reason = Reason::Revocation(trouble);
                self.fail(side, &Distrust { subject, reason }.to_string());
            }
            Standing::Asked(questions) => {
                self.checks[index] = Check::Asked(questions.len());
                for question in questions {
                    self.effects
                        .push_back(Effect::Ask(side, Box::new(question)));
                }
            }
        }
    }

    /// Whether what this peer says is heard: its certificate was checked to the end.
    pub(super) fn is_heard(&self, side: Side) -> bool {
        self.checks[side as usize] == Check::Done
    }
}
