//! `postern check CONFIG [--format text|json]`.

use std::io::{Read, Write};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::{Failure, Outcome, report};
use crate::config::{self, MAX_TEXT_BYTES};
use crate::pki::Settings;
use crate::policy;

const EXAMPLE: &str = "\
Example:
  postern check firewall.cfg
  ssh firewall show running-config | postern check - --format json

Exit code: 0 without errors, 1 with errors (warnings do not count), 2 when the file cannot be read.";

/// Arguments of `check`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub struct Arguments {
    /// Configuration in ASA command language; `-` reads standard input
    config: String,
    /// How to print the findings
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// How findings and answers are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Prints all findings about a configuration; exit code 1 when it has errors.
pub fn run(arguments: &Arguments) -> Outcome {
    let text = read(&arguments.config)?;
    let parsed = config::parse(&text);
    let mut checked = policy::check(&parsed);
    checked
        .diagnostics
        .extend(Settings::findings(&parsed.config));
    checked.diagnostics.sort_by_key(|finding| finding.span.line);
    let (file, source) = (&arguments.config, &parsed.source);
    let mut out = std::io::stdout().lock();
    match arguments.format {
        Format::Text => report::write_text(&mut out, file, source, &checked.diagnostics)?,
        Format::Json => report::write_json(&mut out, file, source, &checked.diagnostics)?,
    }
    out.flush()?;
    Ok(if checked.has_errors() {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    })
}

/// Reads a configuration, at most one byte more than the parser accepts. Bytes that are not UTF-8 (an old device's
/// Latin-1 in a description) become replacement characters.
pub fn read(path: &str) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let limit = MAX_TEXT_BYTES as u64 + 1;
    let result = if path == "-" {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    match result {
        Ok(_) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(source) => Err(Failure::Read {
            path: path.to_owned(),
            source,
        }),
    }
}
