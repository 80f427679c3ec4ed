//! What looks at the text between the legs.
//!
//! Comes in: text from one side, in pieces as it arrives. Goes out: text for the other side, or that it must not go on.

use std::time::Duration;

/// Which way text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// From the peer that dialled.
    Forward,
    /// To the peer that dialled.
    Backward,
}

/// Why text must not go on. Both connections end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// In words, for the log.
    pub reason: String,
    /// The connections are reset rather than closed.
    pub is_reset: bool,
}

/// Looks at the text of one session.
///
/// What it holds back it must bound: nothing else does.
pub trait Inspect: Send {
    /// Takes a piece of text; appends what may go on to `onward`.
    fn handle_text(
        &mut self,
        now: Duration,
        direction: Direction,
        text: &[u8],
        onward: &mut Vec<u8>,
    ) -> Result<(), Refusal>;

    /// No more text comes from this side. What is held back and may go on is appended to `onward`.
    fn handle_end(
        &mut self,
        now: Duration,
        direction: Direction,
        onward: &mut Vec<u8>,
    ) -> Result<(), Refusal>;
}

/// Lets everything through.
#[derive(Clone, Copy, Debug, Default)]
pub struct PassThrough;

impl Inspect for PassThrough {
    fn handle_text(
        &mut self,
        _: Duration,
        _: Direction,
        text: &[u8],
        onward: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        onward.extend_from_slice(text);
        Ok(())
    }

    fn handle_end(&mut self, _: Duration, _: Direction, _: &mut Vec<u8>) -> Result<(), Refusal> {
        Ok(())
    }
}
