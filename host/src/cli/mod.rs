//! The commands, one file each, in the order `--help` prints them.

/// `postern packet-tracer`.
pub mod packet_tracer;

/// Parses the arguments and runs one command.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
