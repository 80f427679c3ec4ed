//! What nextpnr says of a board's seeds: resources, Fmax of every clock, and the paths with least to spare.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::ecp5::{Board, Routed};

/// How many paths are told.
const PATHS: usize = 10;

/// The report of all seeds, as text.
pub fn report(board: &Board, routed: &[Routed]) -> String {
    format!(
        "{}\n{}\n{}",
        resources(routed),
        clocks(board, routed),
        paths(routed)
    )
}

/// What of the device is used: the same with every seed.
fn resources(routed: &[Routed]) -> String {
    let mut text = String::new();
    let used = routed.iter().take(1).flat_map(|seed| &seed.utilization);
    for (kind, count) in used.filter(|(_, count)| count.used > 0) {
        let percent = 100.0 * count.used as f64 / count.available.max(1) as f64;
        let _ = writeln!(
            text,
            "  {kind:16} {:6} of {:6}  {percent:5.1} %",
            count.used, count.available
        );
    }
    text
}

/// Fmax of every clock: least, median and greatest, then by seed.
fn clocks(board: &Board, routed: &[Routed]) -> String {
    let mut by_clock: BTreeMap<String, (f64, Vec<f64>)> = BTreeMap::new();
    for clock in routed.iter().flat_map(|seed| seed.clocks(board)) {
        let entry = by_clock.entry(clock.name).or_default();
        entry.0 = clock.constraint_mhz;
        entry.1.push(clock.fmax_mhz);
    }
    let mut text = String::from(
        "  clock                      must   least  median  greatest   by seed, MHz\n",
    );
    for (name, (constraint, mut fmax)) in by_clock {
        let seeds: Vec<String> = fmax.iter().map(|mhz| format!("{mhz:.1}")).collect();
        fmax.sort_by(f64::total_cmp);
        let (least, greatest) = (fmax[0], fmax[fmax.len() - 1]);
        let _ = writeln!(
            text,
            "  {name:24} {constraint:6.1}  {least:6.1}  {:6.1}    {greatest:6.1}   {}",
            fmax[fmax.len() / 2],
            seeds.join(" ")
        );
    }
    text
}

/// The longest paths from a clock to the same clock. nextpnr tells the longest of each pair of clocks and seed.
fn paths(routed: &[Routed]) -> String {
    let mut paths: Vec<_> = routed
        .iter()
        .flat_map(|seed| seed.paths().map(move |path| (seed.seed, path)))
        .filter(|(_, path)| path.within_a_clock())
        .collect();
    paths.sort_by(|(_, one), (_, other)| other.delay().total_cmp(&one.delay()));
    let mut text =
        String::from("  longest paths\n  seed     ns  of it wires  LUTs and carries   from, to\n");
    for (seed, path) in paths.iter().take(PATHS) {
        let (from, to) = path.ends().unwrap_or_default();
        let _ = writeln!(
            text,
            "  {seed:4} {:6.2} {:12.2} {:17}   {from}\n{:47}{to}",
            path.delay(),
            path.delay_of("routing"),
            path.hops_of("logic"),
            "",
        );
    }
    text
}
