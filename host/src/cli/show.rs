//! `postern show COMMAND … [--state DIR] [--format text|json]`.
//!
//! What is stored is read here; everything else is asked of the firewall that runs with the state directory.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;

use super::check::Format;
use super::crypto::{self, Place};
use super::{Failure, Outcome};
use crate::control::client;
use crate::show;

const EXAMPLE: &str = "\
Example:
  postern show crypto ca certificates --state state

Of what is stored:
  crypto ca {certificates | crls | trustpoints} [TRUSTPOINT]
  crypto key mypubkey {rsa | ecdsa | eddsa}
Of a running firewall:
  conn [detail] [address A]              connections
  xlate                                  dynamic translations
  tls-proxy                              limits, license and proxies
  tls-proxy session [count | detail]     their sessions
  sip                                    sessions of SIP inspection
  service-policy                         what inspection counted
  access-list [NAME]                     lines and their hits
  running-config                         what it runs with, passwords too";

/// Arguments of `show`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub struct Arguments {
    #[command(flatten)]
    place: Place,
    /// How to print the answer
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// What to show
    #[arg(required = true, value_name = "WORD")]
    words: Vec<String>,
}

/// Prints what was asked for.
pub fn run(arguments: &Arguments) -> Outcome {
    let words: Vec<&str> = arguments.words.iter().map(String::as_str).collect();
    let format = match arguments.format {
        Format::Text => show::Format::Text,
        Format::Json => show::Format::Json,
    };
    let (text, is_found) = answer(&arguments.place, format, &words)?;
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(ExitCode::from(u8::from(!is_found)))
}

/// What the words behind `show` ask for, and whether it is there.
pub fn answer(
    place: &Place,
    format: show::Format,
    words: &[&str],
) -> Result<(String, bool), Failure> {
    if let ["crypto", words @ ..] = words {
        return match format {
            show::Format::Text => crypto::show(place, words),
            show::Format::Json => Err(Failure::Usage(
                "`show crypto` prints text: leave --format away".into(),
            )),
        };
    }
    let command = format!("show {}", words.join(" "));
    Ok((client::ask(place.directory(), format, &command)?, true))
}
