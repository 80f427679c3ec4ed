//! Events in the words and numbers of ASA's system log.

use std::fmt;

/// A system log message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Severity: 0 emergencies to 7 debugging.
    pub severity: u8,
    /// Message number.
    pub id: u32,
    /// Text after the number.
    pub text: String,
}

impl Event {
    /// A message.
    pub fn new(severity: u8, id: u32, text: impl fmt::Display) -> Self {
        Self {
            severity,
            id,
            text: text.to_string(),
        }
    }
}

/// Prints `%ASA-6-302013: Built ...`.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%ASA-{}-{}: {}", self.severity, self.id, self.text)
    }
}
