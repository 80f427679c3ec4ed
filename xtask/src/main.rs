//! `cargo xtask`: installs what a job needs, then runs the tools that do it.
//!
//! Orchestration only: everything a packet or a configuration meets lives in the product's crates.
//! Exit code 0: done; 1: something failed; 2: something is missing that only the user may install.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The commands themselves, short ones; the longer ones have their own files.
mod commands;
/// The Verilog that `hdl` prints.
mod verilog;
/// Deliberate faults in it.
mod mutation;
/// Proofs about it.
mod formal;
/// The endpoint under a root complex that nobody here wrote.
mod root_complex;
/// The program that ships on a guest's real VFIO.
mod guest;
/// What is built for guest and lab.
mod programs;
/// A simulated card between two private networks.
#[path = "../../tests/support/lab.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod networks;
/// Two enterprises and the firewall between them.
mod lab;
/// The open tools for the ECP5.
mod ecp5;
/// What the card costs on an ECP5, and how fast it runs.
mod synth;
/// The same of other widths and access lists.
mod sizes;
/// The plot of them.
mod chart;
/// What Vivado needs for the 7-series board.
mod series7;
/// The bitstream of a board.
mod bitstream;
/// What its seeds came to.
mod timing;
/// Netlists under the tests of what they were made of.
mod netlist;
/// Faults in the card that the tests must notice.
mod mutants;
/// Bytes from outside against every parser.
mod parsers;
/// A wrapper that brings a circuit down to three pins.
mod scan;
/// Who may depend on whom.
mod dependencies;
/// Running child processes, and what can go wrong with them.
mod process;
/// Many things at once.
mod pool;
/// What each command needs on the machine, as data; checking and installing it.
mod requirements;
/// Named steps with a running time and a closing summary.
mod steps;

/// Builds, tests and measures Postern on a machine that has Rust and gcc.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Replay an example through the RTL card and print what became of every frame
    Demo,
    /// Everything that must hold before a change lands; what continuous integration runs
    Test,
    /// Proofs about the printed Verilog, and faults that must break them
    Formal,
    /// The PCIe endpoint under the root complex of cocotbext-pcie
    RootComplex,
    /// The program that ships, in a guest under QEMU, on the simulated card as a PCI device
    GuestTest(guest::Options),
    /// Two enterprises with real SIP and XMPP servers, and the firewall between them
    Lab(lab::Options),
    /// Enrolment with every protocol, against the servers of others
    EnrolTest,
    /// Synthesis, placement and routing for the ECP5: resources and Fmax for several seeds
    Synth(synth::Options),
    /// What the core costs with other widths and access lists: table and plot in `docs`; hours
    Sizes(sizes::Options),
    /// The bitstream of a board, timed for several seeds, with its manifest
    Bitstream(bitstream::Options),
    /// What yosys makes of core, card and board, under the tests of the Verilog it was made of
    Netlist(netlist::Options),
    /// Deliberate faults in the card, each of which the tests must notice
    Mutants(mutants::Options),
    /// Install everything that any command needs
    Setup,
    /// Benchmarks
    Bench,
    /// Millions of random frames: RTL against model, compiler against evaluator
    Fuzz(commands::FuzzOptions),
    /// Bytes from outside against every parser: the targets of `fuzz/`, ten minutes each
    FuzzParsers(parsers::Options),
    /// Formatting, lints and dependency directions
    Lint,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Demo => commands::demo(),
        Command::Test => commands::test(),
        Command::Bench => commands::bench(),
        Command::Fuzz(options) => commands::fuzz(&options),
        Command::FuzzParsers(options) => parsers::fuzz_parsers(&options),
        Command::Formal => formal::formal(),
        Command::RootComplex => root_complex::root_complex(),
        Command::GuestTest(options) => guest::guest_test(&options),
        Command::EnrolTest => commands::enrol_test(),
        Command::Lab(options) => lab::lab(&options),
        Command::Synth(options) => synth::synth(&options),
        Command::Sizes(options) => sizes::sizes(&options),
        Command::Bitstream(options) => bitstream::bitstream(&options),
        Command::Netlist(options) => netlist::netlist(&options),
        Command::Mutants(options) => mutants::mutants(&options),
        Command::Setup => commands::setup(),
        Command::Lint => commands::lint(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nerror: {failure}");
            failure.exit_code()
        }
    }
}
