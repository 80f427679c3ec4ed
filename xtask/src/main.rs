//! Orchestration only.

fn main() {}
