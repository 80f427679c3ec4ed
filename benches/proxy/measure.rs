//! What processes use, and what is made of many figures.

use std::fs;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};

/// A process and its children, and theirs.
fn tree(process: u32) -> Vec<u32> {
    let path = format!("/proc/{process}/task/{process}/children");
    let children = fs::read_to_string(path).unwrap_or_default();
    let mut all = vec![process];
    for child in children.split_whitespace() {
        all.extend(tree(child.parse().expect("a number")));
    }
    all
}

/// CPU time of all threads that run.
pub fn cpu(process: u32) -> Duration {
    let mut ns = 0;
    for process in tree(process) {
        let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
        for task in tasks {
            let path = task.expect("a task").path().join("schedstat");
            // It may have ended.
            let text = fs::read_to_string(path).unwrap_or_default();
            let spent = text.split(' ').next().and_then(|word| word.parse().ok());
            ns += spent.unwrap_or(0);
        }
    }
    Duration::from_nanos(ns)
}

/// Memory in user space; what several processes share is counted once.
pub fn memory_bytes(process: u32) -> u64 {
    let of = |process: u32| {
        let path = format!("/proc/{process}/smaps_rollup");
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with("Pss:"));
        let word = line.and_then(|line| line.split_whitespace().nth(1));
        word.and_then(|word| word.parse().ok()).unwrap_or(0)
    };
    tree(process).into_iter().map(of).sum::<u64>() * 1024
}

/// The figure below which a share of all lie.
pub fn percentile(figures: &mut [f64], share: f64) -> f64 {
    figures.sort_by(f64::total_cmp);
    let last = figures.len() - 1;
    figures[(last as f64 * share).round() as usize]
}

pub fn median(figures: &mut [f64]) -> f64 {
    percentile(figures, 0.5)
}

/// `model name` of the first processor.
pub fn cpu_model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{}, {cores} cores", name.unwrap_or("unknown processor"))
}

/// Connections of which a process holds two sockets each, shared out among as many processes as the limit of open
/// files makes necessary: one, where an operator may raise it.
pub fn shares(connections: usize) -> Vec<usize> {
    let processes = connections.div_ceil(most_connections());
    let share = |at| connections * (at + 1) / processes - connections * at / processes;
    (0..processes).map(share).collect()
}

/// What one process may hold; no more than is ever asked of it.
pub fn most_connections() -> usize {
    let files = getrlimit(Resource::Nofile).current;
    let files = files.map_or(usize::MAX, |files| files as usize);
    (files.saturating_sub(OTHER_FILES) / 2).min(MOST)
}

/// Connections of the largest measurement.
pub const MOST: usize = 10_000;
/// Files of a proxy that are no connections'.
const OTHER_FILES: usize = 100;
