//! `postern replay`: captures through a configuration and a simulated card.

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::no_such_class;
use crate::config::{self, Parsed};
use crate::policy::{self, Model};
use crate::runtime::capture::{Capture, CaptureError};
use crate::runtime::lockstep::LockStep;
use crate::runtime::replay::{self, Input, Replay};
use crate::runtime::report::{Describer, Replayed};
use crate::runtime::{self, clock};
use crate::simulator::{self, Simulator};
use crate::vfio::child::Engine;

const EXAMPLE: &str = "\
Example:
  postern replay --config firewall.cfg --rx outside=a.pcap --rx inside=b.pcapng --out result --engine model

Exit code: 0 when all packets were replayed, 1 when the configuration has errors or a capture is broken, 2 for all else.";

/// Arguments of `replay`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub struct Arguments {
    /// Configuration in ASA command language
    #[arg(long, value_name = "CONFIG")]
    config: PathBuf,
    /// An interface and the capture (pcap or pcapng) that it receives; may be given several times
    #[arg(long, value_name = "NAMEIF=FILE", required = true)]
    rx: Vec<Rx>,
    /// Folder for `NAMEIF.pcap` (what left each interface) and `report.json`
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Which simulated card
    #[arg(long, value_enum, default_value_t = Engine::Rtl)]
    engine: Engine,
    /// A class whose SIP messages pass as they are; what would have changed is in the log. May be given several times
    #[arg(long, value_name = "CLASS")]
    dry_run: Vec<String>,
    /// Write the waves of the RTL card to this file
    #[arg(long, value_name = "FILE")]
    wave: Option<PathBuf>,
    /// How to print the summary
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// How the summary is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs: what `report.json` holds
    Json,
}

/// `NAMEIF=FILE`.
#[derive(Clone, Debug)]
struct Rx {
    interface: String,
    file: PathBuf,
}

impl FromStr for Rx {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (interface, file) = text.split_once('=').ok_or("expected NAMEIF=FILE")?;
        Ok(Self {
            interface: interface.to_owned(),
            file: file.into(),
        })
    }
}

/// Why there is no replay, or only a part.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot read {}: {source}", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}: {count} errors in the configuration; `postern check` shows them", path.display())]
    Configuration { path: PathBuf, count: usize },
    #[error("there is no interface {name} on the card; the configuration has {known}")]
    Interface { name: String, known: String },
    #[error("{}", no_such_class(.0))]
    Class(String),
    #[error("cannot write {}: {source}", path.display())]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(transparent)]
    Capture(#[from] CaptureError),
    #[error(transparent)]
    Card(#[from] runtime::Error),
    #[error("no waves: {0} (only the RTL card has them)")]
    Wave(#[from] simulator::Error),
    #[error(transparent)]
    Replay(#[from] replay::Error),
}

impl Error {
    /// 1 for what the user gave us, 2 for what we could not do.
    fn exit_code(&self) -> ExitCode {
        match self {
            Error::Configuration { .. }
            | Error::Capture(_)
            | Error::Replay(replay::Error::Capture(_)) => 1.into(),
            _ => 2.into(),
        }
    }
}

/// Replays captures. Exit code 1 when the configuration has errors or a capture breaks off; what came
/// before the break is written all the same.
pub fn run(arguments: &Arguments) -> ExitCode {
    match replay(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("postern: {error}");
            error.exit_code()
        }
    }
}

fn replay(arguments: &Arguments) -> Result<(), Error> {
    let (parsed, mut model) = load(&arguments.config)?;
    let replay = Replay::new(open_inputs(&arguments.rx, &model)?)?;
    model.set_clock(clock::instant(replay.begin()));
    let model = Arc::new(model);
    let mut card = LockStep::start(arguments.engine, model.clone())?;
    for name in &arguments.dry_run {
        let mut classes = model.sip_classes(name).peekable();
        classes.peek().ok_or_else(|| Error::Class(name.clone()))?;
        classes.for_each(|class| card.run_dry(class));
    }
    if let Some(path) = &arguments.wave {
        Simulator::of(card.nic().device())?.start_wave(path)?;
    }
    let bar = progress_bar(&arguments.rx);
    let describer = Describer::new(&parsed.source, &model);
    let outputs = create_folder(&arguments.out)
        .and_then(|()| Ok(replay::Outputs::create(&model, &arguments.out)?))?;
    let mut replayed = Replayed::default();
    let outcome = replay.run(&mut card, &describer, outputs, &mut replayed, |bytes| {
        bar.inc(bytes as u64 + PCAP_RECORD_BYTES)
    });
    bar.finish_and_clear();
    if arguments.wave.is_some() {
        Simulator::of(card.nic().device())?.stop_wave()?;
    }
    // What was found before a break is worth having.
    replayed.read_out(&mut card, &describer)?;
    write_report(&arguments.out.join("report.json"), &replayed)?;
    print(arguments.format, &replayed)?;
    Ok(outcome?)
}

/// Reads a configuration that may be loaded.
fn load(path: &Path) -> Result<(Parsed, Model), Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    // As `check` reads it; the parser refuses what is too long.
    let text = String::from_utf8_lossy(&bytes);
    let parsed = config::parse(&text);
    let checked = policy::check(&parsed);
    match checked.errors() {
        0 => Ok((parsed, checked.model)),
        count => Err(Error::Configuration {
            path: path.to_owned(),
            count,
        }),
    }
}

fn open_inputs(rx: &[Rx], model: &Model) -> Result<Vec<Input>, Error> {
    rx.iter()
        .map(
            |Rx {
                 interface: name,
                 file,
             }| {
                let unknown = || {
                    let on_card = model
                        .interfaces
                        .iter()
                        .filter(|interface| interface.port.is_some());
                    let known: Vec<&str> =
                        on_card.map(|interface| interface.name.as_str()).collect();
                    Error::Interface {
                        name: name.clone(),
                        known: known.join(", "),
                    }
                };
                let interface = model.interface_named(name).ok_or_else(unknown)?;
                let port = model.interface(interface).port.ok_or_else(unknown)?;
                Ok(Input {
                    interface,
                    port,
                    capture: Capture::open(file)?,
                })
            },
        )
        .collect()
}

fn create_folder(path: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(path).map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })
}

fn write_report(path: &Path, replayed: &Replayed) -> Result<(), Error> {
    let failed = |source| Error::Write {
        path: path.to_owned(),
        source,
    };
    let mut file = BufWriter::new(File::create(path).map_err(failed)?);
    serde_json::to_writer_pretty(&mut file, replayed).map_err(|error| failed(error.into()))?;
    file.write_all(b"\n")
        .and_then(|()| file.flush())
        .map_err(failed)
}

fn print(format: Format, replayed: &Replayed) -> Result<(), Error> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let printed = match format {
        Format::Text => replayed.write_table(&mut out),
        Format::Json => serde_json::to_writer_pretty(&mut out, replayed)
            .map_err(Into::into)
            .and_then(|()| writeln!(out)),
    };
    match printed.and_then(|()| out.flush()) {
        // The reader of a pipe has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed.map_err(|source| Error::Write {
            path: "the summary".into(),
            source,
        }),
    }
}

/// On standard error, and only where somebody sees it move.
fn progress_bar(rx: &[Rx]) -> ProgressBar {
    let total = rx
        .iter()
        .filter_map(|rx| std::fs::metadata(&rx.file).ok())
        .map(|file| file.len())
        .sum();
    let target = match std::io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let bar = ProgressBar::with_draw_target(Some(total), target);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {percent:>3} %  {eta} left") {
        bar.set_style(style);
    }
    bar
}

/// What a pcap file keeps beside the frame.
const PCAP_RECORD_BYTES: u64 = 16;
