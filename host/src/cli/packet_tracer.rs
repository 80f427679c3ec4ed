//! `postern packet-tracer`: what happens to a packet, told phase by phase.
//!
//! The words after the options are the device's own: `input IF tcp SRC SPORT DST DPORT`, `input IF icmp SRC TYPE CODE
//! [ID] DST`, `input IF rawip SRC PROTO DST`. Ports may be names. Those of SCTP must be there and are not looked at, as
//! on the card. This engine asks the evaluator, which walks the
//! configuration; engines that run the packet through a card's tables start from the same [`Request`].

use std::fmt;
use std::io::Write;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use clap::{Args, ValueEnum};
use layout::table::Key;

use super::check::{Format, read};
use super::{Failure, Outcome};

use crate::config::ast::primitive::Transport;
use crate::config::{self, Parsed, names};
use crate::policy::trace::{Trace, trace};
use crate::policy::{self, Model};
use crate::runtime::clock;
use crate::runtime::report::Describer;
use crate::runtime::tracer::{CardTrace, trace_on_card};
use crate::vfio::child::Engine;

const EXAMPLE: &str = "\
Example:
  postern packet-tracer --config firewall.cfg input outside tcp 192.0.2.254 40000 192.0.2.1 5061
  postern packet-tracer --config firewall.cfg --engine model input inside icmp 10.0.0.2 echo 0 192.0.2.254

Exit code: 0 with an answer, also when the packet is dropped; 2 when there is none.";

/// Arguments of `packet-tracer`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub struct Arguments {
    /// Configuration file.
    #[arg(long)]
    pub config: String,
    /// Who answers: the configuration's evaluator alone, or also a simulated card.
    #[arg(long, value_enum, default_value_t = Answerer::Eval)]
    pub engine: Answerer,
    /// How the answer is printed.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// input IF {tcp|udp|sctp} SRC SPORT DST DPORT, input IF icmp SRC TYPE CODE [ID] DST, or input IF rawip SRC PROTO DST.
    #[arg(required = true, num_args = 1..)]
    pub packet: Vec<String>,
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Answerer {
    /// The evaluator, which walks the configuration.
    Eval,
    /// The evaluator, then the model card with the slow path beside it.
    Model,
    /// The evaluator, then the RTL card with the slow path beside it.
    Rtl,
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

/// Runs the command. An answer is an answer, also when the packet is dropped: exit code 0.
pub fn run(arguments: &Arguments) -> Outcome {
    let request = Request::new(arguments)?;
    let engine = match arguments.engine {
        Answerer::Eval => None,
        Answerer::Model => Some(Engine::Model),
        Answerer::Rtl => Some(Engine::Rtl),
    };
    let card = engine
        .map(|engine| request.run_on_card(engine))
        .transpose()?;
    print(arguments.format, &request.evaluate(), card.as_ref())?;
    Ok(ExitCode::SUCCESS)
}

/// Prints an answer, with what a card did if one was asked.
pub fn print(format: Format, answer: &Trace, card: Option<&CardTrace>) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match format {
        Format::Text => {
            write!(out, "{answer}")?;
            if let Some(card) = card {
                write!(out, "\n{card}")?;
            }
        }
        Format::Json => {
            let mut json = answer.to_json();
            if let Some(card) = card {
                json["card"] = serde_json::to_value(card)?;
            }
            writeln!(out, "{json:#}")?;
        }
    }
    out.flush()
}

impl Request {
    /// Reads the configuration and the packet's description.
    pub fn new(arguments: &Arguments) -> Result<Self, Failure> {
        let parsed = config::parse(&read(&arguments.config)?);
        let checked = policy::check(&parsed);
        let errors = checked.errors();
        let mut model = checked.model;
        if let Ok(now) = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
            model.set_clock(clock::instant(now));
        }
        if errors > 0 {
            eprintln!(
                "postern: {} has {errors} errors; what is left is traced (see `postern check`)",
                arguments.config
            );
        }
        let words: Vec<&str> = arguments.packet.iter().map(String::as_str).collect();
        let key = packet(&model, &words)?;
        Ok(Self { parsed, model, key })
    }

    /// The card's answer.
    pub fn run_on_card(&self, engine: Engine) -> Result<CardTrace, Failure> {
        let describer = Describer::new(&self.parsed.source, &self.model);
        trace_on_card(engine, Arc::new(self.model.clone()), &describer, &self.key)?
            .ok_or_else(|| Failure::Usage("the interface is not on the card".to_owned()))
    }

    /// The evaluator's answer.
    pub fn evaluate(&self) -> Trace {
        let decision = policy::decide(&self.model, &self.key);
        trace(&self.parsed, &self.model, &self.key, &decision, None)
    }
}

/// How a packet is described.
const USAGE: &str = "input IF {tcp|udp|sctp} SRC SPORT DST DPORT, input IF icmp SRC TYPE CODE [ID] DST, or \
                     input IF rawip SRC PROTO DST";

fn unreadable(what: impl fmt::Display) -> Failure {
    Failure::Usage(format!("{what}; a packet is described by {USAGE}"))
}

/// Reads the words that describe a packet.
pub fn packet(model: &Model, words: &[&str]) -> Result<Key, Failure> {
    let words = words.strip_suffix(&["detailed"]).unwrap_or(words);
    let ["input", interface, protocol, rest @ ..] = words else {
        return Err(unreadable("the description begins with `input`"));
    };
    let interface = model
        .interface_named(interface)
        .ok_or_else(|| {
            let known = join(model.interfaces.iter().map(|interface| &interface.name));
            unreadable(format!("there is no interface {interface}, only {known}"))
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
        ("sctp", &[src, sport, dst, dport]) => {
            port(Transport::Sctp, sport)?;
            port(Transport::Sctp, dport)?;
            rawip(interface, [src, "132", dst])
        }
        ("icmp", &[src, kind, code, dst]) => icmp(interface, [src, kind, code, "0", dst]),
        ("icmp", &[src, kind, code, id, dst]) => icmp(interface, [src, kind, code, id, dst]),
        ("rawip", &[src, proto, dst]) => rawip(interface, [src, proto, dst]),
        _ => Err(unreadable(format!("cannot read `{}`", words.join(" ")))),
    }
}

fn icmp(interface: u8, [src, kind, code, id, dst]: [&str; 5]) -> Result<Key, Failure> {
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

fn rawip(interface: u8, [src, proto, dst]: [&str; 3]) -> Result<Key, Failure> {
    Ok(Key {
        interface,
        proto: number(proto, "protocol")?,
        src: address(src)?,
        dst: address(dst)?,
        ..Key::default()
    })
}

fn address(word: &str) -> Result<u32, Failure> {
    word.parse::<Ipv4Addr>()
        .map(Ipv4Addr::to_bits)
        .map_err(|_| unreadable(format!("`{word}` is not an IPv4 address")))
}

fn port(transport: Transport, word: &str) -> Result<u16, Failure> {
    names::port_number(transport, word).map_or_else(|| number(word, "port"), Ok)
}

fn number<N: std::str::FromStr>(word: &str, what: &str) -> Result<N, Failure> {
    word.parse()
        .map_err(|_| unreadable(format!("`{word}` is not a {what}")))
}

fn join(words: impl Iterator<Item = impl fmt::Display>) -> String {
    let words: Vec<String> = words.map(|word| word.to_string()).collect();
    words.join(", ")
}
