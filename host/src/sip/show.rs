//! `show sip`.

use std::fmt;

use super::dialog::{Session, State};
use super::inspect::Inspector;
use crate::flow::Time;
use crate::flow::show::Clock;

/// Prints the sessions of an inspector.
pub struct ShowSip<'a> {
    /// The inspector.
    pub inspector: &'a Inspector,
    /// Time of the command.
    pub now: Time,
}

impl fmt::Display for ShowSip<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sessions: Vec<&Session> = self.inspector.sessions().iter().collect();
        sessions.sort_by(|a, b| (a.began, &a.call_id).cmp(&(b.began, &b.call_id)));
        writeln!(f, "Total: {}", sessions.len())?;
        for session in sessions {
            let state = match session.state {
                State::Transient => "Call init",
                State::Active => "Active",
                State::Ended => "Disconnecting",
            };
            let idle = Clock(self.now.saturating_sub(session.last));
            writeln!(f, "call-id {}", session.call_id.escape_ascii())?;
            writeln!(f, "    state {state}, idle {idle}")?;
        }
        Ok(())
    }
}
