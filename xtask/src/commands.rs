//! The commands that only call cargo.

use crate::dependencies;
use crate::formal::formal;
use crate::guest;
use crate::lab;
use clap::Args;

use crate::mutants::{self, mutants};
use crate::process::{Result, cargo, command, run, target};
use crate::programs;
use crate::requirements::{
    self, AUTHORITIES, FEDERATION, FORMAL, GUEST, LAB, NAMESPACES, NEXTEST, PEERS, ROOT_COMPLEX,
    SCANNERS, SIMULATION, SYNTHESIS, TOKENS,
};
use crate::root_complex::root_complex;
use crate::steps::Steps;

/// Configuration of the demonstration; its captures are made for it.
const DEMO_CONFIGURATION: &str = "tests/cases/seed-corrected/setup.cfg";

/// Frames through the RTL card: shows what was forwarded, rewritten, denied by which line, punted why.
/// Then, for root, two enterprises that federate through it.
pub fn demo() -> Result {
    requirements::ensure(&[SIMULATION])?;
    if rustix::process::geteuid().is_root() {
        requirements::ensure(&[FEDERATION])?;
    }
    println!("Building postern and the simulated card; the first time takes some minutes");
    run(cargo([
        "build",
        "--release",
        "--package",
        "postern",
        "--package",
        "sim",
    ])
    .args([
        "--features",
        "verilator",
        "--bin",
        "postern",
        "--bin",
        "postern-card",
        "--example",
        "demo_captures",
    ]))?;
    let folder = target().join("demo");
    let release = target().join("release");
    println!("\nMaking captures, then replaying them through the card");
    run(command(release.join("examples/demo_captures")).arg(&folder))?;
    let received = |port: &str| {
        let capture = folder.join(format!("{port}.pcap"));
        format!("{port}={}", capture.display())
    };
    run(command(release.join("postern"))
        .args(["replay", "--config", DEMO_CONFIGURATION])
        .args(["--rx", &received("outside"), "--rx", &received("inside")])
        .arg("--out")
        .arg(folder.join("left")))?;
    println!(
        "\nWhat left each interface, and every verdict: {}",
        folder.join("left").display()
    );
    println!("\nTwo enterprises, and the firewall between them on the same card");
    lab::play_if_root(&release)
}

/// Everything that must hold before a change lands.
pub fn test() -> Result {
    requirements::ensure(&[
        SIMULATION,
        NAMESPACES,
        NEXTEST,
        FORMAL,
        ROOT_COMPLEX,
        GUEST,
        LAB,
        PEERS,
        AUTHORITIES,
        TOKENS,
        FEDERATION,
    ])?;
    let mut steps = Steps::new(9);
    steps.step("format", format);
    steps.step("lints", clippy);
    steps.step("dependency directions", dependencies::check);
    steps.step("proofs", formal);
    steps.step("endpoint under a root complex", root_complex);
    steps.step("program in a guest", guest::guest_test_if_root);
    steps.step("two enterprises", || lab::play_if_root(&programs::build()?));
    steps.step("tests", || {
        run(&mut cargo([
            "nextest",
            "run",
            "--workspace",
            "--features",
            "verilator",
        ]))
    });
    // Last: whoever needs the sound card after a fault has to build it again.
    steps.step("deliberate faults", || mutants(&mutants::Options::SLICE));
    steps.finish()
}

/// Every protocol of enrolment against a server that nobody here wrote, a renewal beneath a live session, and a kill in
/// the middle of each.
pub fn enrol_test() -> Result {
    requirements::ensure(&[AUTHORITIES, NEXTEST])?;
    println!("Building the EST server; the first time takes some minutes");
    run(cargo([
        "build",
        "--quiet",
        "--manifest-path",
        "tests/enrol/est-server/Cargo.toml",
    ])
    .arg("--target-dir")
    .arg(target().join("est-server")))?;
    run(&mut cargo([
        "nextest",
        "run",
        "--status-level",
        "pass",
        "--test",
        "enrol",
        "--test",
        "protocols",
    ]))
}

/// Which frames to fuzz with.
#[derive(Args)]
pub struct FuzzOptions {
    /// Frames for each pair of judges
    #[arg(long, default_value_t = 10_000_000)]
    packets: u64,
    /// First seed; the run goes up from there
    #[arg(long, default_value_t = 1_000_000)]
    first_seed: u64,
}

/// Random policies and frames, far more than the tests take: RTL against model, compiler against evaluator, rings on a
/// bad bus.
pub fn fuzz(options: &FuzzOptions) -> Result {
    requirements::ensure(&[SIMULATION, NEXTEST])?;
    run(cargo([
        "nextest",
        "run",
        "--cargo-profile",
        "release",
        "--profile",
        "fuzz",
    ])
    .args([
        "--features",
        "verilator",
        "--test",
        "pipeline",
        "--test",
        "compile",
        "--test",
        "dma",
        "-E",
        "test(rtl_64_bit_equals_the_model) | test(tables_say_what_the_evaluator_says) \
         | test(nothing_is_lost_doubled_or_changed_whatever_the_bus_does)",
    ])
    .env("POSTERN_PACKETS", options.packets.to_string())
    .env("POSTERN_FIRST_SEED", options.first_seed.to_string()))
}

/// Every benchmark; synthesis is `cargo xtask synth`.
pub fn bench() -> Result {
    requirements::ensure(&[SIMULATION])?;
    run(&mut cargo([
        "bench",
        "--workspace",
        "--features",
        "verilator",
        "--benches",
    ]))
}

/// Installs everything that any command needs.
pub fn setup() -> Result {
    requirements::ensure(&[
        SIMULATION,
        NAMESPACES,
        NEXTEST,
        FORMAL,
        SYNTHESIS,
        ROOT_COMPLEX,
        GUEST,
        LAB,
        PEERS,
        AUTHORITIES,
        TOKENS,
        FEDERATION,
        SCANNERS,
    ])
}

/// Formatting, lints and dependency directions.
pub fn lint() -> Result {
    // The lints also see the code behind the feature `verilator`, whose build runs it.
    requirements::ensure(&[SIMULATION])?;
    let mut steps = Steps::new(3);
    steps.step("format", format);
    steps.step("lints", clippy);
    steps.step("dependency directions", dependencies::check);
    steps.finish()
}

fn format() -> Result {
    run(&mut cargo(["fmt", "--all", "--check"]))
}

fn clippy() -> Result {
    run(&mut cargo([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    // The fuzz targets are a workspace of their own, which shares what is built.
    run(cargo([
        "check",
        "--manifest-path",
        "fuzz/Cargo.toml",
        "--target-dir",
    ])
    .arg(target()))
}
