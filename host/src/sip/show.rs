//! `show sip`.

use std::fmt;

use super::dialog::{Session, State};
use crate::flow::Time;
use crate::flow::show::Clock;

/// The two lines of a session.
pub struct ShowSession<'a> {
    /// The session.
    pub session: &'a Session,
    /// Time of the command.
    pub now: Time,
}

impl fmt::Display for ShowSession<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { session, now } = self;
        let idle = Clock(now.saturating_sub(session.last));
        writeln!(f, "call-id {}", session.call_id.escape_ascii())?;
        writeln!(f, "    state {}, idle {idle}", state(session.state))
    }
}

/// A state as `show sip` names it.
pub fn state(state: State) -> &'static str {
    match state {
        State::Transient => "Call init",
        State::Active => "Active",
        State::Ended => "Disconnecting",
    }
}
