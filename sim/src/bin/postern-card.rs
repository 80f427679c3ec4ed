//! Serves a simulated card to another process as a vfio-user PCI device.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use clap::{Parser, ValueEnum};
use sim::server::{Device, Server, ServerError};
use sim::wire::{PORT_NAMES, Wire};
use sim::{Card, Model};

const EXAMPLE: &str = "Example:
  postern-card --engine model --socket card.sock --port outside=pcap:in.pcap,out.pcap
  postern-card --engine model --socket card.sock --port outside=tap:out0 --port inside=tap:in0

It prints `postern-card: ready on SOCKET` when clients may connect. One client is served at a time;
the card keeps its tables when a client leaves, and forwards on. Without --port the clock moves only
when the client says so; with it, captures are played as soon as the client has enabled the card,
and frames of a TAP device enter as they come. A TAP device that does not exist is made.";

/// Serve a simulated card as a vfio-user PCI device.
#[derive(Parser)]
#[command(name = "postern-card", version, after_help = EXAMPLE)]
struct Arguments {
    /// What the card is made of.
    #[arg(long, value_enum, default_value_t = Engine::Rtl)]
    engine: Engine,
    /// Unix socket to listen on.
    #[arg(long)]
    socket: PathBuf,
    /// What a port (`outside` or `inside`) leads to: two captures or a TAP device.
    #[arg(long = "port", value_name = "PORT=pcap:IN,OUT|PORT=tap:NAME")]
    ports: Vec<PortArgument>,
    /// Exit when the first client leaves.
    #[arg(long)]
    once: bool,
    /// Exit when standard input closes, so that the card ends with the process that holds its other end.
    #[arg(long)]
    exit_with_stdin: bool,
}

/// The two cards.
#[derive(Clone, Copy, ValueEnum)]
enum Engine {
    /// The circuits, clocked (needs a build with the feature `verilator`).
    Rtl,
    /// The behavioural model.
    Model,
}

/// A port and its far end.
#[derive(Clone)]
struct PortArgument {
    port: usize,
    end: End,
}

/// What a port can lead to.
#[derive(Clone)]
enum End {
    Captures { input: PathBuf, output: PathBuf },
    Tap(String),
}

impl FromStr for PortArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, target) = text.split_once('=').ok_or("expected NAME=pcap:IN,OUT")?;
        let port = PORT_NAMES
            .iter()
            .position(|known| *known == name)
            .ok_or_else(|| {
                format!(
                    "no port `{name}`: the ports are {}",
                    PORT_NAMES.join(" and ")
                )
            })?;
        let end = match target.split_once(':') {
            Some(("tap", name)) => End::Tap(name.to_owned()),
            Some(("pcap", files)) => {
                let (input, output) = files
                    .split_once(',')
                    .ok_or("expected two files with a comma between them")?;
                End::Captures {
                    input: input.into(),
                    output: output.into(),
                }
            }
            _ => return Err("expected `pcap:IN,OUT` or `tap:NAME` behind the `=`".into()),
        };
        Ok(Self { port, end })
    }
}

fn main() -> ExitCode {
    match serve(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("postern-card: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let card = make_card(arguments.engine)?;
    let mut device = make_device(card, &arguments.ports)?;
    let server = Server::bind(&arguments.socket)?;
    if arguments.exit_with_stdin {
        exit_with_stdin(arguments.socket.clone());
    }
    println!("postern-card: ready on {}", arguments.socket.display());
    io::stdout().flush()?;
    loop {
        match server.serve_client(&mut device) {
            Err(error) if error.is_client_fault() => eprintln!("postern-card: {error}"),
            outcome => outcome?,
        }
        if arguments.once {
            return Ok(());
        }
    }
}

#[cfg(feature = "verilator")]
fn make_card(engine: Engine) -> Result<Box<dyn Card>, String> {
    Ok(match engine {
        Engine::Model => Box::new(Model::new(64)),
        Engine::Rtl => Box::new(sim::Verilated::with_rings()),
    })
}

#[cfg(not(feature = "verilator"))]
fn make_card(engine: Engine) -> Result<Box<dyn Card>, String> {
    match engine {
        Engine::Model => Ok(Box::new(Model::new(64))),
        Engine::Rtl => Err(
            "this build has no RTL: build with `--features verilator`, or use `--engine model`"
                .into(),
        ),
    }
}

fn make_device(card: Box<dyn Card>, ports: &[PortArgument]) -> Result<Device, ServerError> {
    if ports.is_empty() {
        return Ok(Device::new(card));
    }
    let mut wire = Wire::new();
    for port in ports {
        match &port.end {
            End::Captures { input, output } => wire.connect(port.port, input, output)?,
            End::Tap(name) => wire.connect_tap(port.port, name)?,
        }
    }
    Ok(Device::wired(card, wire))
}

/// Ends the process when standard input does: a parent's death closes it, whatever the parent died of.
fn exit_with_stdin(socket: PathBuf) {
    std::thread::spawn(move || {
        let mut sink = [0; 256];
        // An error ends the wait just as the end of input does.
        while matches!(io::stdin().read(&mut sink), Ok(count) if count > 0) {}
        // The process ends either way; a socket that cannot be removed is replaced by the next bind.
        let _ = std::fs::remove_file(&socket);
        std::process::exit(0);
    });
}
