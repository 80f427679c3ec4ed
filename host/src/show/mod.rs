//! What an operator may ask of a running firewall, and how it is answered: in the device's words, or for programs.
//!
//! Comes in: one line of text, and the tables that it is about. Goes out: text or JSON, of at most [`MOST_ROWS`] rows. No
//! line makes it panic.

/// One line of text as a question.
pub mod question;
/// `show conn`.
pub mod flow;
/// `show xlate`.
pub mod xlate;
/// `show tls-proxy`, `show tls-proxy session`.
pub mod tls;
/// `show sip`, `show service-policy`.
pub mod inspect;
/// `show access-list`.
pub mod access_list;

use serde_json::Value;

pub use question::{Format, Question, Request};

/// Rows of one answer. A table may hold many times more, and nobody reads them all.
pub const MOST_ROWS: usize = 10_000;

/// The last line of an answer that does not tell all.
fn left_out(rows: usize) -> String {
    match rows.saturating_sub(MOST_ROWS) {
        0 => String::new(),
        more => format!("{more} more are not shown\n"),
    }
}

/// JSON as people like to read it.
fn pretty(value: &Value) -> String {
    // Names and numbers can always be written.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}
