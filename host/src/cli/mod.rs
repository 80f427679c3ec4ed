//! The commands, one file each, in the order `--help` prints them.
//!
//! Exit codes: 0 done, 1 the configuration has errors or the question has a negative answer, 2 wrong usage or a
//! failure to read or write.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// `postern check`.
pub mod check;
/// `postern packet-tracer`.
pub mod packet_tracer;
/// `postern replay`.
pub mod replay;
/// `postern run`.
pub mod run;
/// `postern load`.
pub mod load;
/// `postern flash`.
pub mod flash;
/// What somebody types while a command runs.
pub mod input;
/// `postern crypto`.
pub mod crypto;
/// `postern shell`.
pub mod shell;
/// `postern show`.
pub mod show;
/// `postern nic`.
pub mod nic;
/// Findings drawn for people or written for programs.
pub mod report;

/// A presence-federation firewall in a SmartNIC, configured in ASA command language.
#[derive(Debug, Parser)]
#[command(name = "postern", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a configuration and print what is wrong with it
    Check(check::Arguments),
    /// Tell what happens to a packet, phase by phase
    PacketTracer(packet_tracer::Arguments),
    /// Run captures through a configuration and a simulated card
    Replay(replay::Arguments),
    /// Be a firewall: load a configuration into a card and serve it
    Run(run::Arguments),
    /// Load a configuration into a board over its serial line, and leave it alone
    Load(load::Arguments),
    /// Program a board with a bitstream that fits this program
    Flash(flash::Arguments),
    /// Make keys, enrol trustpoints, import and export certificates
    Crypto(crypto::Arguments),
    /// Type commands as at the console of the device
    Shell(shell::Arguments),
    /// Show what is stored, or what a running firewall does
    Show(show::Arguments),
    /// List cards, bind one to vfio-pci, or show what one says of itself
    #[command(subcommand)]
    Nic(nic::Command),
}

/// What a command answers: the exit code, or why it could not do its work.
pub type Outcome = Result<ExitCode, Failure>;

/// Why a command could not do its work; leads to exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A file could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file as named by the user.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The question cannot be understood.
    #[error("{0}")]
    Usage(String),
    /// A simulated card failed.
    #[error(transparent)]
    Card(#[from] crate::runtime::Error),
    /// Keys and certificates could not be read or kept.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// A key or a certificate is not what it should be.
    #[error(transparent)]
    Pki(#[from] crate::pki::Error),
    /// An authority's server gave no certificate.
    #[error(transparent)]
    Enrol(#[from] crate::enrol::Error),
    /// A board was not programmed.
    #[error(transparent)]
    Flash(#[from] flash::Error),
    /// A running firewall has no answer.
    #[error(transparent)]
    Control(#[from] crate::control::client::Error),
    /// A file could not be written.
    #[error("cannot write {path}: {source}; it is as it was")]
    Keep {
        /// The file as named by the user.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Whoever types has gone.
    #[error("nothing more was typed: {0}")]
    Input(#[source] std::io::Error),
    /// The answer could not be written.
    #[error("cannot write the answer: {0}")]
    Write(#[from] std::io::Error),
}

/// Parses the arguments and runs one command.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // Nothing is left to tell the user when this cannot be printed.
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let outcome = match arguments.command {
        Command::Check(arguments) => check::run(&arguments),
        Command::PacketTracer(arguments) => packet_tracer::run(&arguments),
        Command::Replay(arguments) => Ok(replay::run(&arguments)),
        Command::Run(arguments) => run::run(&arguments),
        Command::Load(arguments) => load::run(&arguments),
        Command::Flash(arguments) => flash::run(&arguments),
        Command::Crypto(arguments) => crypto::run(&arguments),
        Command::Shell(arguments) => shell::run(&arguments),
        Command::Show(arguments) => show::run(&arguments),
        Command::Nic(command) => nic::run(&command),
    };
    outcome.unwrap_or_else(|failure| match failure {
        // The reader of a pipe has seen enough.
        Failure::Write(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        failure => {
            eprintln!("postern: {failure}");
            ExitCode::from(2)
        }
    })
}

/// What is wrong with the argument of `--dry-run`.
fn no_such_class(name: &str) -> String {
    format!(
        "--dry-run {name}: no class of that name inspects SIP; `show running-config` lists `class` under `policy-map`"
    )
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Arguments;

    #[test]
    fn the_description_of_the_arguments_is_consistent() {
        Arguments::command().debug_assert();
    }
}
