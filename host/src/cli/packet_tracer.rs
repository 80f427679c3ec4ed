//! `postern packet-tracer`: what happens to a packet, told phase by phase.
//!
//! The words after the options are the device's own: `input IF tcp SRC SPORT DST DPORT`, `input IF icmp SRC TYPE CODE
//! [ID] DST`, `input IF rawip SRC PROTO DST`. Ports may be names. This engine asks the evaluator, which walks the
//! configuration; engines that run the packet through a card's tables start from the same [`Request`].

use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use layout::table::Key;

use crate::config::ast::primitive::Transport;
use crate::config::{self, Parsed, names};
use crate::policy::trace::{Trace, trace};
use crate::policy::{self, Model};

/// Arguments of `packet-tracer`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Configuration file.
    #[arg(long)]
    pub config: PathBuf,
    /// How the answer is printed.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// input IF {tcp|udp} SRC SPORT DST DPORT, input IF icmp SRC TYPE CODE [ID] DST, or input IF rawip SRC PROTO DST.
    #[arg(required = true, num_args = 1..)]
    pub packet: Vec<String>,
}

/// How the answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// As the device prints it.
    Text,
    /// One JSON object.
    Json,
}

/// A configuration and the packet asked about.
#[derive(Debug)]
pub struct Request {
    /// The configuration as read.
    pub parsed: Parsed,
    /// What it means.
    pub model: Model,
    /// The packet as the card's lookups see it.
    pub key: Key,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The packet is not described as it should be.
    #[error(
        "{0}\nusage: input IF {{tcp|udp}} SRC SPORT DST DPORT | input IF icmp SRC TYPE CODE [ID] DST | input IF rawip SRC PROTO DST"
    )]
    Packet(String),
    /// No such interface.
    #[error("there is no interface {name}; the configuration has {known}")]
    Interface {
        /// As asked.
        name: String,
        /// Names there are.
        known: String,
    },
}

/// Runs the command. Exit code 0 for an answer, also when the packet is dropped; 2 when there is none.
pub fn run(arguments: &Arguments) -> ExitCode {
    match Request::new(arguments).map(|request| request.evaluate()) {
        Ok(answer) => {
            print(arguments.format, &answer);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Prints an answer.
pub fn print(format: Format, answer: &Trace) {
    match format {
        Format::Text => println!("{answer}"),
        Format::Json => println!("{:#}", answer.to_json()),
    }
}

impl Request {
    /// Reads the configuration and the packet's description.
    pub fn new(arguments: &Arguments) -> Result<Self, Error> {
        let path = arguments.config.clone();
        let text = std::fs::read_to_string(&path).map_err(|source| Error::Read { path, source })?;
        let parsed = config::parse(&text);
        let (model, _) = policy::lower(&parsed.config);
        let words: Vec<&str> = arguments.packet.iter().map(String::as_str).collect();
        let key = packet(&model, &words)?;
        Ok(Self { parsed, model, key })
    }

    /// The evaluator's answer.
    pub fn evaluate(&self) -> Trace {
        let decision = policy::decide(&self.model, &self.key);
        trace(&self.parsed, &self.model, &self.key, &decision, None)
    }
}

/// Reads the words that describe a packet.
pub fn packet(model: &Model, words: &[&str]) -> Result<Key, Error> {
    let words = words.strip_suffix(&["detailed"]).unwrap_or(words);
    let ["input", interface, protocol, rest @ ..] = words else {
        return Err(Error::Packet("the packet begins with `input`".to_owned()));
    };
    let interface = model
        .interface_named(interface)
        .ok_or_else(|| Error::Interface {
            name: (*interface).to_owned(),
            known: join(model.interfaces.iter().map(|interface| &interface.name)),
        })?
        .0;
    match (*protocol, rest) {
        (word @ ("tcp" | "udp"), &[src, sport, dst, dport]) => {
            let (proto, transport) = match word {
                "tcp" => (6, Transport::Tcp),
                _ => (17, Transport::Udp),
            };
            Ok(Key {
                interface,
                proto,
                src: address(src)?,
                sport: port(transport, sport)?,
                dst: address(dst)?,
                dport: port(transport, dport)?,
            })
        }
        ("icmp", &[src, kind, code, dst]) => icmp(interface, [src, kind, code, "0", dst]),
        ("icmp", &[src, kind, code, id, dst]) => icmp(interface, [src, kind, code, id, dst]),
        ("rawip", &[src, proto, dst]) => Ok(Key {
            interface,
            proto: number(proto, "protocol")?,
            src: address(src)?,
            dst: address(dst)?,
            ..Key::default()
        }),
        _ => Err(Error::Packet(format!("cannot read `{}`", words.join(" ")))),
    }
}

fn icmp(interface: u8, [src, kind, code, id, dst]: [&str; 5]) -> Result<Key, Error> {
    let kind = names::icmp_number(names::IcmpVersion::V4, kind)
        .map_or_else(|| number(kind, "ICMP type"), Ok)?;
    let code: u8 = number(code, "ICMP code")?;
    Ok(Key {
        interface,
        proto: 1,
        src: address(src)?,
        sport: number(id, "ICMP identifier")?,
        dst: address(dst)?,
        dport: u16::from(kind) << 8 | u16::from(code),
    })
}

fn address(word: &str) -> Result<u32, Error> {
    word.parse::<Ipv4Addr>()
        .map(Ipv4Addr::to_bits)
        .map_err(|_| Error::Packet(format!("`{word}` is not an IPv4 address")))
}

fn port(transport: Transport, word: &str) -> Result<u16, Error> {
    names::port_number(transport, word).map_or_else(|| number(word, "port"), Ok)
}

fn number<N: std::str::FromStr>(word: &str, what: &str) -> Result<N, Error> {
    word.parse()
        .map_err(|_| Error::Packet(format!("`{word}` is not a {what}")))
}

fn join(words: impl Iterator<Item = impl fmt::Display>) -> String {
    let words: Vec<String> = words.map(|word| word.to_string()).collect();
    words.join(", ")
}
