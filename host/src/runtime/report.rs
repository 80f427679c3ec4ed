//! What a replay found, for programs and for people.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::Duration;

use layout::desc::{Reason, Verdict as CardVerdict};
use layout::table::HOST_FRAME_BYTES;
use serde::Serialize;

use super::capture::Captured;
use super::{Error, Outcome, Runtime};
use crate::config::{Source, Span};
use crate::policy::Model;
use crate::policy::model::{AceId, InterfaceId, NatId};
use crate::punt::{self, Report};
use crate::simulator::Left;
use crate::wire::{Link, Packet};

/// What became of a frame in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Sent on.
    Forward,
    /// Discarded.
    Drop,
    /// Kept by the host: it waits for other fragments or a next hop.
    Punt,
    /// For the device itself.
    Local,
}

/// Who decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Path {
    /// The card alone.
    Card,
    /// The host, to which the card punted it.
    Host,
}

/// One received frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Receiving interface.
    pub port: String,
    /// Number in its capture, from 1.
    pub index: u64,
    /// What became of it.
    pub verdict: Verdict,
    /// Who decided.
    pub path: Path,
    /// Interface it left on.
    pub egress: Option<String>,
    /// Why: the card's reason, or the host's if it came to the host.
    pub reason: &'static str,
    /// Why the card punted it, if it did.
    pub punted: Option<&'static str>,
    /// The access-list line that judged it or its connection.
    pub ace: Option<String>,
    /// The NAT line that translates it or its connection.
    pub nat_rule: Option<String>,
    /// What it was.
    pub received: String,
    /// What it left as.
    pub sent: Option<String>,
    /// Bytes the capture left out of it.
    #[serde(skip_serializing_if = "is_zero")]
    pub cut_bytes: u32,
    /// Clock of its first beat into the card.
    pub cycles_in: Option<u64>,
    /// Clock of the last beat of what it led to.
    pub cycles_out: Option<u64>,
}

impl Record {
    /// A record of a frame that nothing is known of yet.
    pub fn new(describer: &Describer<'_>, interface: InterfaceId, captured: &Captured) -> Self {
        Self {
            port: describer.interface_name(interface).to_owned(),
            index: captured.number,
            verdict: Verdict::Drop,
            path: Path::Card,
            egress: None,
            reason: "",
            punted: None,
            ace: None,
            nat_rule: None,
            received: summary(&captured.frame),
            sent: None,
            cut_bytes: captured
                .wire_bytes
                .saturating_sub(captured.frame.len() as u32),
            cycles_in: None,
            cycles_out: None,
        }
    }

    /// Fills in what a frame of this length led to.
    pub fn set_outcome(&mut self, describer: &Describer<'_>, bytes: usize, outcome: &Outcome) {
        let reason = Reason::from_code(outcome.verdict.metadata.reason);
        let card_reason = reason.map_or("unknown", Reason::name);
        let egress = outcome.left.first().and_then(|left| describer.egress(left));
        self.reason = card_reason;
        self.ace = outcome.origin.ace.and_then(|ace| describer.ace(ace));
        self.nat_rule = outcome.origin.nat.map(|nat| describer.nat(nat));
        self.egress = egress.map(|id| describer.interface_name(id).to_owned());
        self.sent = outcome.left.first().map(|left| summary(&left.frame));
        self.cycles_in = Some(outcome.verdict.cycle_first);
        self.cycles_out = outcome.left.last().map(|left| left.cycle_last);
        match (&outcome.report, reason.map(Reason::verdict)) {
            (Some(report), _) => {
                self.punted = Some(card_reason);
                self.set_report(describer, report);
            }
            (None, Some(CardVerdict::Forward)) => self.verdict = Verdict::Forward,
            (None, Some(CardVerdict::Punt)) => {
                self.punted = Some(card_reason);
                self.reason = match bytes > HOST_FRAME_BYTES {
                    true => "too-long-for-host",
                    false => "punt-overflow",
                };
            }
            (None, _) => {}
        }
    }

    /// Fills in what the host did; what it does not say stays as the card said it.
    fn set_report(&mut self, describer: &Describer<'_>, report: &Report) {
        self.path = Path::Host;
        self.reason = report.reason;
        self.verdict = match report.verdict {
            punt::Verdict::Forward => Verdict::Forward,
            punt::Verdict::Held => Verdict::Punt,
            punt::Verdict::Local => Verdict::Local,
            punt::Verdict::Drop(_) => Verdict::Drop,
        };
        if let Some(ace) = report.ace.and_then(|ace| describer.ace(ace)) {
            self.ace = Some(ace);
        }
        if let Some(nat) = report.nat {
            self.nat_rule = Some(describer.nat(nat));
        }
        if self.egress.is_none() {
            self.egress = report
                .egress
                .map(|id| describer.interface_name(id).to_owned());
        }
    }
}

/// A counter of the card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Counter {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: u64,
}

/// First packets that an access-list line judged in the card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hits {
    /// The line.
    pub ace: String,
    /// Packets.
    pub hits: u64,
}

/// All that a replay found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Replayed {
    /// One a received frame, in the order of time.
    pub packets: Vec<Record>,
    /// System log: seconds since 1970 and text.
    pub log: Vec<String>,
    /// How MAC addresses came about.
    pub mac_addresses: &'static str,
    /// Access-list lines that judged packets in the card.
    pub access_list_hits: Vec<Hits>,
    /// The card's counters.
    pub counters: Vec<Counter>,
    /// Frames that the host dropped, by reason.
    pub host_drops: BTreeMap<&'static str, u64>,
    /// Connections that are left.
    pub conns: usize,
    /// Flow entries that are left in the card.
    pub flows: usize,
}

impl Replayed {
    /// Adds an event of the system log.
    pub fn add_event(&mut self, time: Duration, event: &dyn fmt::Display) {
        self.log.push(format!(
            "{}.{:06} {event}",
            time.as_secs(),
            time.subsec_micros()
        ));
    }

    /// Reads counters and hits out of the card.
    pub fn read_out(
        &mut self,
        runtime: &mut Runtime,
        describer: &Describer<'_>,
    ) -> Result<(), Error> {
        let counters = runtime.nic().counters()?;
        self.counters = counters
            .iter()
            .map(|counter| Counter {
                name: counter.name,
                value: counter.value,
            })
            .collect();
        let hits = runtime.nic().policy_hits()?;
        let mut by_line: BTreeMap<(u32, String), u64> = BTreeMap::new();
        for (origin, hits) in runtime
            .image()
            .acl_origins
            .iter()
            .zip(hits)
            .filter(|(_, hits)| *hits > 0)
        {
            let Some((span, text)) = origin.ace().and_then(|ace| describer.ace_line(ace)) else {
                continue;
            };
            *by_line.entry((span.line, text)).or_default() += hits;
        }
        self.access_list_hits = by_line
            .into_iter()
            .map(|((_, ace), hits)| Hits { ace, hits })
            .collect();
        self.mac_addresses = MAC_ADDRESSES;
        self.host_drops = runtime.slow_path().drops().clone();
        self.conns = runtime.slow_path().conns().len();
        self.flows = runtime.nic().flow_count();
        Ok(())
    }

    /// Prints who dealt with what, alike frames together.
    pub fn write_table(&self, out: &mut impl std::io::Write) -> std::io::Result<()> {
        for (title, verdict, path) in SECTIONS {
            let records: Vec<&Record> = self
                .packets
                .iter()
                .filter(|record| (record.verdict, record.path) == (*verdict, *path))
                .collect();
            if records.is_empty() {
                continue;
            }
            writeln!(out, "{title}: {}", frames(records.len()))?;
            write_rows(out, &records)?;
            writeln!(out)?;
        }
        let total = self.packets.len();
        let in_card = self
            .packets
            .iter()
            .filter(|record| record.path == Path::Card)
            .count();
        writeln!(
            out,
            "{} received; {in_card} never left the card, {} went to the host",
            frames(total),
            total - in_card
        )?;
        writeln!(
            out,
            "{} connections and {} flow entries at the end",
            self.conns, self.flows
        )
    }
}

/// Names parts of a configuration as its author wrote them.
pub struct Describer<'a> {
    source: &'a Source,
    model: &'a Model,
}

impl<'a> Describer<'a> {
    /// For a configuration and its meaning.
    pub fn new(source: &'a Source, model: &'a Model) -> Self {
        Self { source, model }
    }

    /// The meaning.
    pub fn model(&self) -> &'a Model {
        self.model
    }

    /// `nameif`.
    pub fn interface_name(&self, id: InterfaceId) -> &'a str {
        &self.model.interface(id).name
    }

    /// The interface a frame left on: that with the port and the tag, else the first one on the port.
    pub fn egress(&self, left: &Left) -> Option<InterfaceId> {
        let vid = Link::parse(&left.frame).ok().and_then(|link| link.vid);
        let on_port = |id: &InterfaceId| self.model.interface(*id).port == Some(left.port);
        let ids = || self.model.interface_ids().filter(on_port);
        let exact = ids().find(|id| self.model.interface(*id).vlan == vid);
        exact.or_else(|| ids().next())
    }

    /// An access-list line and its number.
    pub fn ace(&self, ace: AceId) -> Option<String> {
        self.ace_line(ace).map(|(_, text)| text)
    }

    /// A NAT line, with the object it stands in, and its number.
    pub fn nat(&self, nat: NatId) -> String {
        let rule = self.model.nat_rule(nat);
        let line = self.line(rule.span);
        match &rule.object {
            Some(object) => format!("object network {}: {line}", object.name),
            None => line,
        }
    }

    fn ace_line(&self, ace: AceId) -> Option<(Span, String)> {
        let (entry, _) = self.model.ace(ace)?;
        Some((entry.span, self.line(entry.span)))
    }

    fn line(&self, span: Span) -> String {
        format!("{} (line {})", self.source.command(span), span.line)
    }
}

/// What a frame is, in a few words.
fn summary(frame: &[u8]) -> String {
    match (Packet::parse(frame), Link::parse(frame)) {
        (Ok(packet), _) => packet.tuple.to_string(),
        (Err(_), Ok(link)) => match link.ethertype {
            0x0800 => format!("malformed IPv4, {} bytes", frame.len()),
            0x0806 => "ARP".to_owned(),
            other => format!("EtherType {other:#06x}"),
        },
        (Err(_), Err(_)) => format!("runt, {} bytes", frame.len()),
    }
}

/// Rows of the table: alike frames are one row, in the order of their first.
fn write_rows(out: &mut impl std::io::Write, records: &[&Record]) -> std::io::Result<()> {
    let mut rows: Vec<(String, usize)> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for record in records {
        let row = row(record);
        match places.get(&row) {
            Some(place) => {
                let (_, count): &mut (String, usize) = &mut rows[*place];
                *count += 1;
            }
            None => {
                places.insert(row.clone(), rows.len());
                rows.push((row, 1));
            }
        }
    }
    for (row, count) in rows.iter().take(ROWS) {
        let mut lines = row.lines();
        writeln!(out, "  {count:>5} x {}", lines.next().unwrap_or_default())?;
        lines.try_for_each(|line| writeln!(out, "          {line}"))?;
    }
    if rows.len() > ROWS {
        writeln!(
            out,
            "        ... and {} more rows, see report.json",
            rows.len() - ROWS
        )?;
    }
    Ok(())
}

fn row(record: &Record) -> String {
    let mut row = record.port.clone();
    if let Some(egress) = &record.egress {
        // Writing to a string cannot fail.
        let _ = write!(row, " -> {egress}");
    }
    let _ = write!(row, "  {}  [{}", record.received, record.reason);
    if let Some(punted) = record.punted.filter(|punted| *punted != record.reason) {
        let _ = write!(row, ", punted: {punted}");
    }
    row.push(']');
    if let Some(sent) = record
        .sent
        .as_ref()
        .filter(|sent| **sent != record.received)
    {
        let _ = write!(row, "\n=> {sent}");
    }
    for line in [&record.ace, &record.nat_rule].into_iter().flatten() {
        let _ = write!(row, "\nby {line}");
    }
    row
}

fn frames(count: usize) -> String {
    match count {
        1 => "1 frame".to_owned(),
        count => format!("{count} frames"),
    }
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

/// Sections of the table.
const SECTIONS: &[(&str, Verdict, Path)] = &[
    ("Forwarded in the card", Verdict::Forward, Path::Card),
    (
        "Forwarded with the host's help",
        Verdict::Forward,
        Path::Host,
    ),
    ("Dropped in the card", Verdict::Drop, Path::Card),
    ("Dropped by the host", Verdict::Drop, Path::Host),
    ("For the device itself", Verdict::Local, Path::Host),
    ("Kept by the host", Verdict::Punt, Path::Host),
];
/// Rows of one section.
const ROWS: usize = 40;
/// For the report.
const MAC_ADDRESSES: &str = "Interfaces have 02:50:53:54:00 and their number. A next hop has the address that its own frames \
     carried in the captures, until such a frame comes 02:00 and its IPv4 address.";
