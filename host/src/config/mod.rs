//! ASA configuration text to a tree and back.
//!
//! Comes in: text as a person pasted it, with prompts, comments and broken lines. Goes out: the [`Config`] tree, in
//! which no name is resolved yet, and diagnostics; printing gives the text back as `show running-config`
//! would. What the commands *mean* is the business of `policy`. Nothing here does IO.

/// Text to lines of words.
mod lexer;
/// Words of a line to values.
mod cursor;
/// Names of ports, ICMP types, protocols.
pub mod names;
/// The tree.
pub mod ast;
/// Lines to the tree.
mod parser;
/// The tree to text.
mod print;
/// Findings.
pub mod diagnostic;
/// Text, spans, lines.
pub mod source;

pub use ast::{Config, Kept, Lost, Overwritten};
pub use cursor::{Keywords, Lookup, in_full, look_up};
pub use diagnostic::{Diagnostic, Related, Severity};
pub use lexer::{MAX_LINE_BYTES, MAX_TEXT_BYTES};
pub use parser::{Editor, Entered, parse};
pub use source::{Flag, Name, Source, Span, Spanned};

/// A text and all that was understood of it.
#[derive(Clone, Debug, Default)]
pub struct Parsed {
    /// The text; spans point into it.
    pub source: Source,
    /// The tree of all commands that were accepted.
    pub config: Config,
    /// What later lines replaced in objects, in order.
    pub overwritten: Vec<Overwritten>,
    /// Findings in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

impl Parsed {
    /// Whether the text may not be used.
    pub fn has_errors(&self) -> bool {
        self.diagnostics
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error)
    }
}
