//! Child processes that run beside us: their output goes to a file, and what they say in it is waited for.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::networks::{Lab, Side};
use crate::process::{Failure, Result, at, capture};

/// What has not been said after this will not be.
const PATIENCE: Duration = Duration::from_secs(60);
/// Who has not ended after this is killed.
const GRACE: Duration = Duration::from_secs(5);
/// Time between two looks at a file.
const LOOK: Duration = Duration::from_millis(50);

/// Starts a program whose output goes to a file.
pub fn spawn(command: &mut Command, log: &Path) -> Result<Child> {
    let output = File::create(log).map_err(at(log))?;
    let errors = output.try_clone().map_err(at(log))?;
    let child = command
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn();
    child.map_err(|source| Failure::Start {
        program: format!("{command:?}"),
        source,
    })
}

/// The same, and waits until it has said something.
pub fn spawn_until(command: &mut Command, log: &Path, words: &str) -> Result<Child> {
    let mut child = spawn(command, log)?;
    match await_words(log, words) {
        Ok(_) => Ok(child),
        Err(failure) => {
            end(&mut child);
            Err(failure)
        }
    }
}

/// Waits until a file has these words; returns all of the file.
pub fn await_words(log: &Path, words: &str) -> Result<String> {
    let end = Instant::now() + PATIENCE;
    loop {
        let text = fs::read(log).map_err(at(log))?;
        let text = String::from_utf8_lossy(&text);
        if text.contains(words) {
            return Ok(text.into_owned());
        }
        if Instant::now() > end {
            let last: Vec<&str> = text.lines().rev().take(20).collect();
            let last: Vec<&str> = last.into_iter().rev().collect();
            return Err(Failure::Check(format!(
                "no `{words}` in {}, which ends with\n{}",
                log.display(),
                last.join("\n")
            )));
        }
        thread::sleep(LOOK);
    }
}

/// Runs a program to its end, silently.
pub fn run(command: &mut Command) -> Result {
    capture(command).map(drop)
}

/// Ends a program: it is asked first, since some have children to end.
pub fn end(child: &mut Child) {
    let process = Pid::from_child(child);
    let end = Instant::now() + GRACE;
    // Each fails only if it has ended already.
    let _ = kill_process(process, Signal::TERM);
    while matches!(child.try_wait(), Ok(None)) && Instant::now() < end {
        thread::sleep(LOOK);
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// Waits until a program that is run again and again says something.
pub fn await_answer(program: impl Fn() -> Command, arguments: &[&str]) -> Result {
    let end = Instant::now() + PATIENCE;
    while capture(program().args(arguments))?.trim().is_empty() {
        if Instant::now() > end {
            return Err(Failure::Check(format!("{arguments:?}: no answer")));
        }
        thread::sleep(LOOK);
    }
    Ok(())
}

/// Waits until somebody listens in a network.
pub fn await_port(lab: &Lab, side: Side, address: &str) -> Result {
    let end = Instant::now() + PATIENCE;
    while let Err(error) = lab.connect(side, address) {
        if Instant::now() > end {
            return Err(Failure::Check(format!(
                "nobody listens at {address}: {error}"
            )));
        }
        thread::sleep(LOOK);
    }
    Ok(())
}
