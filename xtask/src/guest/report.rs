//! What was measured, step by step: each value is printed, and the first that is wrong ends the run.

use std::fmt::Debug;

use serde_json::Value;

use crate::process::{Failure, Result};

/// Fails, naming both, unless a measured value is the expected one.
pub fn equal<T: PartialEq + Debug>(what: &str, measured: T, expected: T) -> Result {
    is(
        what,
        &measured,
        measured == expected,
        &format!("{expected:?}"),
    )
}

/// Fails unless a measured value holds what is claimed of it.
pub fn is(what: &str, measured: &impl Debug, holds: bool, expected: &str) -> Result {
    match holds {
        true => {
            println!("    {what}: {measured:?}");
            Ok(())
        }
        false => Err(Failure::Check(format!(
            "{what}: measured {measured:?}, expected {expected}"
        ))),
    }
}

/// A text that was printed somewhere, as JSON.
pub fn json(text: &str) -> Result<Value> {
    // What the console printed before it does not belong to it.
    let start = text.find(['{', '[']).unwrap_or(0);
    serde_json::from_str(&text[start..])
        .map_err(|error| Failure::Check(format!("not JSON ({error}): {text}")))
}

/// A number inside JSON.
pub fn number(value: &Value, pointer: &str) -> Result<u64> {
    let found = value.pointer(pointer).and_then(Value::as_u64);
    found.ok_or_else(|| Failure::Check(format!("no number {pointer} in {value}")))
}
