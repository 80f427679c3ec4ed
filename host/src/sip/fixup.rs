//! Fix-up: addresses of the real side leave as mapped ones, and come back as they were.
//!
//! Comes in: a message and the way it goes. Goes out: [`Edits`], and the ends that the sender wants to be reached at.
//! Addresses that are no end of a translation stay, so what a user agent already wrote for the outside is not touched.
//! Names are never touched. Presence and text bodies are not read.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::net::{Ipv4Addr, SocketAddrV4};

use super::address::{Scheme, Uri, addresses, param, uri, vias};
use super::edits::Edits;
use super::field::{Field, Shape};
use super::limits::XLATES;
use super::memory::{Memory, Place, Written};
use super::message::{Message, StartLine};
use super::parts::{Kind, parts};
use super::scan::{Span, ipv4};
use super::translate::{Mapping, Protocol, Translator, Way};
use crate::flow::seeded::Seeded;

/// What is done with ICE candidates of the real side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Candidates {
    /// Those of a medium's own end are translated, others with an address of the real side are removed.
    #[default]
    Rewrite,
    /// All with an address of the real side are removed.
    Remove,
    /// They stay, as an ASA leaves them: addresses of the real side are seen.
    Keep,
}

/// What the caller knows about a message.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// The way it goes.
    pub way: Way,
    /// What it came over.
    pub protocol: Protocol,
    /// Over TLS: another default port.
    pub is_tls: bool,
    /// `ip-address-privacy`: also identifiers and credentials are translated.
    pub is_private: bool,
    /// ICE.
    pub candidates: Candidates,
    /// Secret of hashes.
    pub seed: Seeded,
}

/// A real end and how the mapped side sees it; equal without a translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct End {
    /// As it is.
    pub real: SocketAddrV4,
    /// As it is seen.
    pub mapped: SocketAddrV4,
}

/// Where the sender of a message wants to be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Said by Via, Contact …
    pub field: Field,
    /// Over this.
    pub protocol: Protocol,
    /// There.
    pub end: End,
}

/// Ends of a medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaEnd {
    /// Which `m=` line.
    pub index: usize,
    /// Over this.
    pub protocol: Protocol,
    /// Media.
    pub rtp: End,
    /// Control.
    pub rtcp: Option<End>,
}

/// What was found on the way.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Where the sender wants answers and requests.
    pub reaches: Vec<Reach>,
    /// Where the sender wants media; empty too when it describes none.
    pub media: Vec<MediaEnd>,
    /// There is a session description.
    pub has_sdp: bool,
    /// It does not follow its grammar or is over the limits.
    pub is_sdp_broken: bool,
    /// A description that cannot be read since it is encoded, or too many parts.
    pub is_hidden: bool,
    /// An end for which no translation could be made.
    pub failed: Option<SocketAddrV4>,
    /// Fields that keep an address of the real side.
    pub kept: Vec<Field>,
}

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Packets go there, so a missing port means the default one.
    Reachable,
    /// It names somebody; a missing port means nothing.
    Identity,
}

/// Kinds of fields with addresses that do not stand behind a user, and a place of its own.
const SENT_BY: u64 = 1;
const RECEIVED: u64 = 2;
pub(super) const ORIGIN: Place = Place { user: 3, field: 3 };
/// Kinds of fields with addresses in free text and in URIs.
pub(super) const TEXT: u64 = 4;
const URI: u64 = 5;
const ALONE: u64 = 6;

pub(super) struct Fixer<'a> {
    pub bytes: &'a [u8],
    pub context: Context,
    pub translator: &'a mut dyn Translator,
    pub memory: &'a mut Memory,
    pub edits: Edits,
    pub found: Found,
    /// What an address with a port in free text is taken for.
    pub text_protocol: Protocol,
    /// Ends that translations were asked for.
    asked: usize,
    /// Addresses met so far.
    counts: BTreeMap<(u64, Field), u64>,
    /// Mapped and real address of the Request-URI.
    target: Option<End>,
}

/// Works out what must change in a message.
pub fn fix_up(
    message: &Message<'_>,
    context: Context,
    translator: &mut dyn Translator,
    memory: &mut Memory,
) -> (Edits, Found) {
    let mut fixer = Fixer {
        bytes: message.bytes,
        context,
        translator,
        memory,
        edits: Edits::default(),
        found: Found::default(),
        text_protocol: context.protocol,
        asked: 0,
        counts: BTreeMap::new(),
        target: None,
    };
    fixer.start_line(message);
    for (at, header) in message.headers.iter().enumerate() {
        let is_first = message.headers[..at]
            .iter()
            .all(|before| before.field != header.field);
        fixer.header(message, header.field, header.value, is_first);
    }
    fixer.body(message);
    (fixer.edits, fixer.found)
}

impl Fixer<'_> {
    fn start_line(&mut self, message: &Message<'_>) {
        match message.start {
            StartLine::Request { uri: span, .. } => {
                let parsed = uri(self.bytes, span);
                self.target = self.uri_end(&parsed, Role::Reachable, Field::Contact);
                self.sweep(span, Field::Other);
            }
            StartLine::Response { .. } => {
                let line = self.bytes.split(|byte| *byte == b'\r').next();
                self.sweep(Span::new(0, line.map_or(0, <[u8]>::len)), Field::Other);
            }
        }
    }

    fn header(&mut self, message: &Message<'_>, field: Field, value: Span, is_first: bool) {
        match field.shape() {
            Shape::Vias => self.vias(message, value, is_first),
            Shape::Reachable => self.addresses(field, value, Role::Reachable, is_first),
            Shape::Identity => self.addresses(field, value, Role::Identity, false),
            Shape::Opaque | Shape::Text => {}
        }
        self.sweep(value, field);
    }

    fn vias(&mut self, message: &Message<'_>, value: Span, is_first: bool) {
        for (at, via) in vias(self.bytes, value).values.iter().enumerate() {
            let is_tls = via.transport.of(self.bytes).eq_ignore_ascii_case(b"TLS");
            let is_udp = via.transport.of(self.bytes).eq_ignore_ascii_case(b"UDP");
            let protocol = if is_udp { Protocol::Udp } else { Protocol::Tcp };
            let default = default_port(is_tls);
            let place = self.via_place(SENT_BY);
            let end = self.end(
                via.host,
                via.port,
                Role::Reachable,
                (protocol, default),
                place,
            );
            if let Some(end) = end.filter(|_| is_first && at == 0 && message.code().is_none()) {
                self.found.reaches.push(Reach {
                    field: Field::Via,
                    protocol,
                    end,
                });
            }
            self.received(via, protocol, default);
            self.keep_identifier(&via.params, "branch");
        }
    }

    fn via_place(&mut self, kind: u64) -> Place {
        Place {
            user: kind,
            field: self.nth(kind, Field::Via),
        }
    }

    /// `received` and `rport`: where the request really came from.
    fn received(&mut self, via: &super::address::Via, protocol: Protocol, default: u16) {
        let bytes = self.bytes;
        let value = |name| param(bytes, &via.params, name).and_then(|param| param.value);
        let (Some(host), rport) = (value("received"), value("rport")) else {
            return;
        };
        let Some(address) = ipv4(host.of(bytes)) else {
            return;
        };
        let written_rport = rport.and_then(|span| {
            let port = super::scan::number(span.of(bytes))?.try_into().ok()?;
            Some((span, port))
        });
        let port = written_rport.map(|(_, port)| port);
        let place = self.via_place(RECEIVED);
        let transport = (protocol, default);
        let new = self.translate((address, port), Role::Identity, transport, place);
        self.edits
            .claim_or_replace(host, new.map(|new| new.0.to_string()));
        if let Some((span, _)) = written_rport {
            let port = new.map(|new| new.1.unwrap_or(default).to_string());
            self.edits.claim_or_replace(span, port);
        }
    }

    fn addresses(&mut self, field: Field, value: Span, role: Role, is_first: bool) {
        for (at, address) in addresses(self.bytes, value).values.iter().enumerate() {
            let parsed = uri(self.bytes, address.uri);
            let end = self.uri_end(&parsed, role, field);
            if field == Field::Contact && is_first && at == 0 {
                let (protocol, _) = self.transport(&parsed);
                self.found.reaches.extend(end.map(|end| Reach {
                    field,
                    protocol,
                    end,
                }));
            }
            self.keep_identifier(&address.params, "tag");
            if field == Field::ReferTo && !self.context.is_private {
                // `?Replaces=` names a dialog by its Call-ID.
                self.edits.claim(parsed.headers);
            }
        }
    }

    /// A tag or branch is compared byte by byte with what was said before.
    fn keep_identifier(&mut self, params: &[super::address::Param], name: &str) {
        let value = param(self.bytes, params, name).and_then(|param| param.value);
        if let Some(value) = value.filter(|_| !self.context.is_private) {
            self.edits.claim(value);
        }
    }

    /// A number for the next address of a field: the same on the way out and back.
    pub fn nth(&mut self, kind: u64, field: Field) -> u64 {
        let count = self.counts.entry((kind, field)).or_default();
        *count += 1;
        self.context.seed.hash_one((kind, field as u64, *count))
    }

    fn uri_end(&mut self, parsed: &Uri, role: Role, field: Field) -> Option<End> {
        let place = Place {
            user: self.context.seed.hash_one(parsed.user.of(self.bytes)),
            field: self.nth(URI, field),
        };
        let transport = self.transport(parsed);
        self.end(parsed.host, parsed.port, role, transport, place)
    }

    /// Protocol and default port of a URI. One that does not say is reached as the message came.
    fn transport(&self, parsed: &Uri) -> (Protocol, u16) {
        let said = param(self.bytes, &parsed.params, "transport")
            .and_then(|param| param.value)
            .map(|value| value.of(self.bytes));
        let is = |name: &str| said.is_some_and(|said| said.eq_ignore_ascii_case(name.as_bytes()));
        let is_tls =
            is("tls") || parsed.scheme == Scheme::Sips || said.is_none() && self.context.is_tls;
        let protocol = match said {
            _ if is_tls => Protocol::Tcp,
            Some(_) if is("udp") => Protocol::Udp,
            Some(_) => Protocol::Tcp,
            None => self.context.protocol,
        };
        (protocol, default_port(is_tls))
    }

    /// Translates `host[:port]` in place. Returns the end it stands for, if it is an address.
    fn end(
        &mut self,
        host: Span,
        port: Option<(Span, u16)>,
        role: Role,
        transport: (Protocol, u16),
        place: Place,
    ) -> Option<End> {
        let address = ipv4(host.of(self.bytes)).filter(is_usable)?;
        let written = (address, port.map(|(_, port)| port));
        let new = self.translate(written, role, transport, place);
        let span = Span::new(host.start, port.map_or(host.end, |(span, _)| span.end));
        self.edits.claim_or_replace(span, new.map(text));
        let socket =
            |written: Written| SocketAddrV4::new(written.0, written.1.unwrap_or(transport.1));
        let (before, after) = (socket(written), socket(new.unwrap_or(written)));
        Some(match self.context.way {
            Way::Outbound => End {
                real: before,
                mapped: after,
            },
            Way::Inbound => End {
                real: after,
                mapped: before,
            },
        })
    }

    /// How an address is written on the other side; `None` if as here.
    pub fn translate(
        &mut self,
        written: Written,
        role: Role,
        (protocol, default): (Protocol, u16),
        place: Place,
    ) -> Option<Written> {
        let has_port = written.1 != Some(0) && (role == Role::Reachable || written.1.is_some());
        let port = has_port.then(|| written.1.unwrap_or(default));
        let new = match self.context.way {
            Way::Outbound => self.outward(written, port, (protocol, default), place),
            Way::Inbound => self.inward(written, port, (protocol, default), place),
        }?;
        match self.context.way {
            Way::Outbound => self.memory.note(written, new, place),
            Way::Inbound => self.memory.note(new, written, place),
        }
        (new != written).then_some(new)
    }

    fn outward(
        &mut self,
        written: Written,
        port: Option<u16>,
        (protocol, default): (Protocol, u16),
        place: Place,
    ) -> Option<Written> {
        let known = self.memory.mapped(written, place);
        let Some(port) = port else {
            let address = self.translator.map_address(written.0);
            return known.or(address.map(|address| (address, written.1)));
        };
        let real = SocketAddrV4::new(written.0, port);
        // One message must not take all ports of an address.
        let mapping = match self.asked {
            XLATES => Mapping::Failed,
            _ => self.translator.map(protocol, real),
        };
        self.asked += usize::from(matches!(mapping, Mapping::To(_)));
        match mapping {
            Mapping::Same => None,
            Mapping::To(mapped) => {
                let is_same = |known: &Written| {
                    known.0 == *mapped.ip() && known.1.unwrap_or(default) == mapped.port()
                };
                Some(
                    known
                        .filter(is_same)
                        .unwrap_or(spell(mapped, written.1, default)),
                )
            }
            Mapping::Failed => {
                self.found.failed.get_or_insert(real);
                None
            }
        }
    }

    fn inward(
        &mut self,
        written: Written,
        port: Option<u16>,
        (protocol, default): (Protocol, u16),
        place: Place,
    ) -> Option<Written> {
        if let Some(real) = self.memory.real(written, place) {
            return Some(real);
        }
        if let Some(port) = port {
            let mapped = SocketAddrV4::new(written.0, port);
            let real = self.translator.unmap(protocol, mapped)?;
            return Some(spell(real, written.1, default));
        }
        // Behind PAT an address alone says nothing, but a request says whom it is for.
        let target = self.target.filter(|end| *end.mapped.ip() == written.0);
        let address = target.map(|end| *end.real.ip());
        let address = address.or_else(|| self.translator.unmap_address(written.0));
        address.map(|address| (address, written.1))
    }

    /// The place of an address in a description that goes with no medium.
    pub fn place_alone(&mut self) -> Place {
        Place {
            user: ALONE,
            field: self.nth(ALONE, Field::Other),
        }
    }

    /// How an address of a description is written on the other side, whatever the port.
    pub fn written_alone(&mut self, address: Ipv4Addr, place: Place) -> Option<Ipv4Addr> {
        if !is_usable(&address) {
            return None;
        }
        let transport = (self.text_protocol, 0);
        let new = self.translate((address, None), Role::Identity, transport, place);
        new.map(|new| new.0)
    }

    /// Notes an address of a description that was translated with its medium.
    pub fn note_alone(&mut self, here: Ipv4Addr, there: Ipv4Addr, place: Place) {
        let (here, there) = ((here, None), (there, None));
        match self.context.way {
            Way::Outbound => self.memory.note(here, there, place),
            Way::Inbound => self.memory.note(there, here, place),
        }
    }

    fn body(&mut self, message: &Message<'_>) {
        let Some(parts) = parts(message) else {
            self.found.is_hidden = true;
            return;
        };
        for part in &parts {
            match part.kind {
                Kind::Sdp if part.is_encoded => self.found.is_hidden = true,
                Kind::Sdp => self.description(part.body),
                Kind::Fragment if !part.is_encoded => self.sweep(part.body, Field::Other),
                Kind::Fragment | Kind::Other => {}
            }
        }
        for part in &parts {
            if let Some(length) = part.length {
                self.resize(length, part.body);
            }
        }
        for length in message.all(Field::ContentLength) {
            self.resize(length, message.body);
        }
    }

    /// Writes the new length of a body, if it has one.
    fn resize(&mut self, length: Span, body: Span) {
        let growth = self.edits.growth(body);
        let new = body.len().saturating_add_signed(growth);
        if growth != 0 {
            self.edits.replace(length, new.to_string().into_bytes());
        }
    }
}

/// An end as it is written where another one stood: with a port if that one had one, or if it must.
fn spell(end: SocketAddrV4, port: Option<u16>, default: u16) -> Written {
    let needs_port = port.is_some() || end.port() != default;
    (*end.ip(), needs_port.then_some(end.port()))
}

pub(super) fn text((address, port): Written) -> String {
    match port {
        Some(port) => format!("{address}:{port}"),
        None => address.to_string(),
    }
}

/// RFC 3261 §19.1.2.
fn default_port(is_tls: bool) -> u16 {
    if is_tls { 5061 } else { 5060 }
}

/// Whether packets can go to an address at all: a flood with sent-by 0.0.0.0 must not make translations.
pub(super) fn is_usable(address: &Ipv4Addr) -> bool {
    !(address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        || address.is_broadcast())
}
