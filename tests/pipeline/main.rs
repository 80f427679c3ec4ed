//! The RTL card against the model card: random tables, random and adversarial frames, a busy host.
//!
//! Seeds are fixed, so a run is repeatable; `POSTERN_SEED=N` runs one case, `POSTERN_FIRST_SEED=N`
//! starts elsewhere, `POSTERN_PACKETS=N` says how many frames. A failing case leaves
//! `target/failures/<seed>/` and the command that repeats it.

use std::path::PathBuf;

use sim::{Card, Model};

/// Repeatable random choices.
mod random;
/// Tables.
mod world;
/// Frames for the tables.
mod traffic;
/// What the host does meanwhile.
mod host_actions;
/// One case on two cards.
mod duel;
/// A card the comparison must find fault with.
mod faulty;

use duel::{Failure, Tally, Wave};
use faulty::{Fault, Faulty};

/// Runs cases until this many frames were judged, or the one case that is asked for.
fn compare(width: usize, frames: u64, subject: &mut dyn Card) {
    let mut reference = Model::new(width);
    let one = number("POSTERN_SEED");
    let frames = number("POSTERN_PACKETS").unwrap_or(frames);
    let mut seed = one.or(number("POSTERN_FIRST_SEED")).unwrap_or(1);
    let mut total = Tally::default();
    while total.frames < frames {
        match duel::run(seed, subject, &mut reference, None) {
            Ok(case) => {
                total.frames += case.frames;
                total.clocks += case.clocks;
            }
            Err(failure) => {
                let directory = keep(width, seed, &failure, subject, &mut reference);
                panic!(
                    "seed {seed}, round {}, {width} bit: {}\nin {}; again: POSTERN_SEED={seed} cargo nextest run \
                     --features verilator --test pipeline",
                    failure.round,
                    failure.what,
                    directory.display()
                );
            }
        }
        if one.is_some() {
            break;
        }
        seed += 1;
    }
    let Tally { frames, clocks } = total;
    println!("{frames} frames in {clocks} clocks, seeds up to {seed}, {width} bit");
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}={text} is not a number")),
    )
}

/// Leaves input, logs and, from a card that has one, the wave of the failing round.
fn keep(
    width: usize,
    seed: u64,
    failure: &Failure,
    subject: &mut dyn Card,
    reference: &mut dyn Card,
) -> PathBuf {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("..");
    let directory = target.join("failures").join(format!("{seed}-{width}"));
    std::fs::create_dir_all(&directory).expect("a directory for the failure");
    let put = |name: &str, lines: &[String]| {
        std::fs::write(directory.join(name), lines.join("\n")).expect("a file of the failure");
    };
    put("what.txt", std::slice::from_ref(&failure.what));
    put("input.txt", &failure.input);
    put("subject.txt", &failure.logs[0]);
    put("reference.txt", &failure.logs[1]);
    let path = directory.join("wave.vcd");
    subject.reset();
    if subject.start_wave(&path).is_ok() {
        subject.stop_wave();
        let wave = Wave {
            round: failure.round,
            path: &path,
        };
        // It fails again, with the wave open.
        let _ = duel::run(seed, subject, reference, Some(&wave));
    }
    directory
}

#[test]
fn model_agrees_with_itself() {
    compare(64, 20_000, &mut Model::new(64));
}

#[test]
fn every_planted_fault_is_found() {
    for fault in Fault::ALL {
        let found = (1..20).any(|seed| {
            duel::run(seed, &mut Faulty::new(fault), &mut Model::new(64), None).is_err()
        });
        assert!(found, "{fault:?}");
    }
}

#[cfg(feature = "verilator")]
#[test]
fn rtl_64_bit_equals_the_model() {
    compare(64, 200_000, &mut sim::Verilated::new(64));
}

/// The same core behind its endpoint: registers are packets of the link.
#[cfg(feature = "verilator")]
#[test]
fn rtl_with_rings_equals_the_model() {
    compare(64, 20_000, &mut sim::Verilated::with_rings());
}

/// A broken circuit that stands in for the 64-bit card is built alone; then there is nothing to do here.
#[cfg(feature = "verilator")]
#[test]
fn rtl_of_other_widths_equals_the_model() {
    for width in sim::verilated::WIDTHS.iter().filter(|width| **width != 64) {
        compare(*width, 50_000, &mut sim::Verilated::new(*width));
    }
}
