//! Named steps with a running time; a failed step does not hide the ones after it.

use std::time::{Duration, Instant};

use crate::process::{Failure, Result};

/// A run of steps: prints each as it starts, remembers how it ended.
pub struct Steps {
    started: Instant,
    planned: usize,
    ended: Vec<Ended>,
}

struct Ended {
    name: &'static str,
    took: Duration,
    outcome: Result,
}

impl Steps {
    /// A run of this many steps.
    pub fn new(planned: usize) -> Self {
        Self {
            started: Instant::now(),
            planned,
            ended: Vec::new(),
        }
    }

    /// Runs one step.
    pub fn step(&mut self, name: &'static str, action: impl FnOnce() -> Result) {
        let number = self.ended.len() + 1;
        let so_far = clock(self.started.elapsed());
        println!("\n[{number}/{}] {name}  ({so_far} so far)", self.planned);
        let started = Instant::now();
        let outcome = action();
        let took = started.elapsed();
        match &outcome {
            Ok(()) => println!("    ok, {}", clock(took)),
            Err(failure) => println!("    FAILED after {}: {failure}", clock(took)),
        }
        self.ended.push(Ended {
            name,
            took,
            outcome,
        });
    }

    /// Prints the summary; fails if a step did.
    pub fn finish(self) -> Result {
        println!("\nSummary after {}", clock(self.started.elapsed()));
        for Ended {
            name,
            took,
            outcome,
        } in &self.ended
        {
            let word = if outcome.is_ok() { "ok    " } else { "FAILED" };
            println!("  {word}  {:>6}  {name}", clock(*took));
        }
        let failed: Vec<_> = self
            .ended
            .iter()
            .filter(|step| step.outcome.is_err())
            .map(|step| step.name)
            .collect();
        if failed.is_empty() {
            return Ok(());
        }
        Err(Failure::Check(format!("failed: {}", failed.join(", "))))
    }
}

/// Minutes and seconds.
pub fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}
