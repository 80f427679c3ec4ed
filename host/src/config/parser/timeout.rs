//! `timeout`.

use super::{Mode, Parser};
use crate::config::ast::timeout::{TIMERS, Timer};
use crate::config::cursor::{Cursor, Failure, Lookup, Taken, look_up};
use crate::config::source::Spanned;

/// `timeout TIMER H:M:S [TIMER H:M:S …]`.
pub fn timeout(p: &mut Parser, c: &mut Cursor) -> Taken<Mode> {
    if c.is_negated && c.is_at_end() {
        p.config.timeouts.set.clear();
        return Ok(Mode::Global);
    }
    let mut set = Vec::new();
    while set.is_empty() || !c.is_at_end() {
        let timer = take_timer(c)?;
        let seconds = if c.is_negated && c.is_at_end() {
            0
        } else {
            c.take_duration()?.node
        };
        // The device prints this word behind its default.
        if timer == Timer::Uauth {
            c.eat("absolute");
        }
        set.push((timer, seconds));
    }
    let timeouts = &mut p.config.timeouts.set;
    for (timer, seconds) in set {
        if c.is_negated {
            timeouts.remove(&timer);
        } else {
            timeouts.insert(timer, Spanned::new(seconds, c.span()));
        }
    }
    Ok(Mode::Global)
}

fn take_timer(c: &mut Cursor) -> Taken<Timer> {
    let token = c.peek().ok_or(Failure::Incomplete("a timer"))?;
    let table = TIMERS.map(|info| (info.keyword, info.timer));
    if matches!(look_up(token.text, &table), Lookup::Unknown) {
        return Err(Failure::Outside);
    }
    c.take_keyword("a timer", &table)
}
