//! Where lines of the log go.

use std::io::{self, Write};
use std::sync::Arc;

use crate::punt::Event;

/// Takes lines of the log, from any thread.
pub type Log = Arc<dyn Fn(&Event) + Send + Sync>;

/// Writes a line to standard error in one piece: it has no buffer, so each piece would be a system call, and lines of several
/// threads would mix.
pub fn to_stderr(event: &Event) {
    let line = format!("{event}\n");
    // Where nobody reads the log there is nobody to tell.
    let _ = io::stderr().write_all(line.as_bytes());
}
