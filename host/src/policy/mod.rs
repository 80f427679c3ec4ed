//! What a configuration means.
//!
//! Comes in: the tree of `config`. Goes out: a [`Model`] in which every name is resolved, the evaluator's
//! [`Decision`] about a first packet, the card's table [`Image`], and findings that need the whole
//! configuration. Nothing here does IO or reads a clock.

/// Findings that need the whole configuration.
pub mod check;
/// The model to the card's tables.
pub mod compile;
/// The evaluator's answer.
pub mod decision;
/// The evaluator: walks the model for one packet; judges the compiler.
pub mod eval;
/// Time ranges and the time they are judged at.
mod clock;
/// The card's tables and the report of how they came about.
pub mod image;
/// The tree to the model.
pub mod lower;
/// The resolved configuration.
pub mod model;
/// Sets of addresses and ports.
pub mod range;
/// A decision told in the phases of packet-tracer.
pub mod trace;

pub use check::{Checked, check};
pub use compile::compile;
pub use decision::{AclBasis, Decision, DropReason, SourceTranslation, Verdict};
pub use eval::{Through, decide, decide_through, translate_source};
pub use image::{Capacity, FitReport, Image};
pub use lower::lower;
pub use model::Model;
