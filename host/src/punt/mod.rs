//! A punted packet to a list of effects.
//!
//! Comes in: metadata and frame from the card, and the time. Goes out: a [`Report`] of what became
//! of the frame and [`Effect`]s for the runtime to carry out. No IO and no clock.

/// What the slow path wants done.
pub mod effect;
/// System log messages.
pub mod event;
/// What became of a punted frame.
pub mod report;

pub use effect::Effect;
pub use event::Event;
pub use report::{Drop, Report, Verdict};
