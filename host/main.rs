//! The `postern` command.

fn main() -> std::process::ExitCode {
    host::cli::main()
}
