//! Skinny inspection: prefix lengths and message numbers are checked, addresses translated, media let through.
//!
//! Comes in: messages of one TCP connection between a phone and its call manager, cut by [`Framer`]. Goes out: effects.
//! The caller keeps a [`Connection`] for each and ends it with the connection.

/// Messages and how they are cut from a stream.
pub mod message;
#[cfg(test)]
mod tests;

use std::net::SocketAddrV4;

use super::effect::Effect;
use super::event::Event;
use super::fixup::{End, is_usable};
use super::inspect::Arrival;
use super::pinhole::{Pinhole, PinholeId, Purpose};
use super::reason::Reason;
use super::translate::{Mapping, Protocol, Translator, Way};
use crate::config::ast::inspect::{
    InspectClass, InspectCondition, InspectMap, InspectMatch, InspectVerdict, MatchSubject,
    Parameter,
};
use crate::config::ast::mpf::InspectProtocol;
use crate::flow::Time;

pub use message::{Frame, Framer, Kind, Message};

/// Media pinholes of one connection.
const PINHOLES: usize = 64;

/// `policy-map type inspect skinny`, ready to judge messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// `enforce-registration`.
    pub enforces_registration: bool,
    /// `message-id max`.
    pub message_id_max: u32,
    /// `sccp-prefix-len min` and `max`.
    pub prefix_length: [u32; 2],
    /// `timeout media`.
    pub media: Option<Time>,
    /// Numbers that are dropped, and whether that is logged: `match message-id`.
    dropped: Vec<(InspectMatch, bool)>,
}

impl Default for Rules {
    /// As a device has them.
    fn default() -> Self {
        Self {
            enforces_registration: false,
            message_id_max: 0x181,
            prefix_length: [4, message::MESSAGE_BYTES as u32],
            media: Some(Time::from_secs(5 * 60)),
            dropped: Vec::new(),
        }
    }
}

impl Rules {
    /// Makes a map ready. `classes` are those of the configuration.
    pub fn of(map: &InspectMap, classes: &[InspectClass]) -> Self {
        let mut own = Self::default();
        for line in &map.parameters {
            match line.node {
                Parameter::EnforceRegistration => own.enforces_registration = true,
                Parameter::MessageIdMax(id) => own.message_id_max = id,
                Parameter::PrefixLengthMin(length) => own.prefix_length[0] = length,
                Parameter::PrefixLengthMax(length) => own.prefix_length[1] = length,
                Parameter::MediaTimeout(seconds) => {
                    own.media = (seconds > 0).then(|| Time::from_secs(seconds.into()));
                }
                _ => {}
            }
        }
        for rule in &map.rules {
            let Some(action) = rule.action.as_ref().map(|action| action.node) else {
                continue;
            };
            let matches: Vec<&InspectMatch> = match &rule.condition.node {
                InspectCondition::Match(own) => vec![own],
                InspectCondition::Class(name) => classes
                    .iter()
                    .filter(|class| {
                        class.protocol == InspectProtocol::Skinny && class.name == *name
                    })
                    .flat_map(|class| class.matches.iter().map(|own| &own.node))
                    .collect(),
            };
            if action.verdict == Some(InspectVerdict::Drop) {
                let entries = matches.into_iter().map(|own| (own.clone(), action.log));
                own.dropped.extend(entries);
            }
        }
        own
    }

    /// Whether a number is dropped, and whether that is logged.
    fn drops(&self, id: u32) -> Option<bool> {
        let mut dropped = self.dropped.iter();
        let found = dropped.find(|(own, _)| match own.subject {
            MatchSubject::MessageId(low, high) => (low..=high).contains(&id) != own.negated,
            _ => false,
        });
        found.map(|(_, log)| *log)
    }
}

/// What is known of one connection.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    is_registered: bool,
    /// Party, pinhole.
    pinholes: Vec<(u32, PinholeId, Pinhole)>,
}

/// Inspects Skinny for one class.
#[derive(Clone, Debug, Default)]
pub struct Inspector {
    rules: Rules,
    next_pinhole: u64,
    /// Messages.
    pub messages: u64,
    /// Messages dropped.
    pub drops: u64,
}

impl Inspector {
    /// An inspector.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            ..Self::default()
        }
    }

    /// Deals with one message of a connection.
    pub fn handle_message(
        &mut self,
        connection: &mut Connection,
        arrival: &Arrival<'_>,
        bytes: &[u8],
        translator: &mut dyn Translator,
        effects: &mut Vec<Effect>,
    ) {
        self.messages += 1;
        let end = match self.judge(connection, arrival, bytes, effects) {
            Ok(message) => self.pass(connection, arrival, &message, translator, effects),
            Err(reason) => Effect::Drop(reason),
        };
        self.drops += u64::from(!matches!(end, Effect::Forward(_)));
        effects.push(end);
    }

    /// The checks of the map.
    fn judge<'a>(
        &self,
        connection: &mut Connection,
        arrival: &Arrival<'_>,
        bytes: &'a [u8],
        effects: &mut Vec<Effect>,
    ) -> Result<Message<'a>, Reason> {
        let ends = format!("for {} to {}", arrival.source, arrival.destination);
        let mut log = |id, text: String| {
            effects.push(Effect::Log(Event {
                severity: 4,
                id,
                text: format!("Dropping Skinny message {ends}, {text}"),
            }));
        };
        let length = bytes.len().saturating_sub(message::PREFIX_BYTES) as u64;
        let [low, high] = self.rules.prefix_length;
        if length < low.max(4).into() {
            log(608002, format!("SCCP Prefix length {length} too small"));
            return Err(Reason::PrefixLength);
        }
        if length > high.into() {
            log(608003, format!("SCCP Prefix length {length} too large"));
            return Err(Reason::PrefixLength);
        }
        let message = Message::parse(bytes).ok_or(Reason::PrefixLength)?;
        if message.id > self.rules.message_id_max {
            log(
                608004,
                format!("message id {:#06x} not allowed", message.id),
            );
            return Err(Reason::MessageId);
        }
        if let Some(is_logged) = self.rules.drops(message.id) {
            if is_logged {
                log(
                    608004,
                    format!("message id {:#06x} not allowed", message.id),
                );
            }
            return Err(Reason::Rule);
        }
        let needs_registration = !matches!(
            message.kind(),
            Kind::Register | Kind::RegisterAck | Kind::Unregistered
        );
        if self.rules.enforces_registration && needs_registration && !connection.is_registered {
            log(
                608005,
                format!("message id {:#06x} registration not complete", message.id),
            );
            return Err(Reason::NotRegistered);
        }
        connection.is_registered |= message.kind() == Kind::RegisterAck;
        Ok(message)
    }

    /// Translates a message and lets its media through.
    fn pass(
        &mut self,
        connection: &mut Connection,
        arrival: &Arrival<'_>,
        message: &Message<'_>,
        translator: &mut dyn Translator,
        effects: &mut Vec<Effect>,
    ) -> Effect {
        if message.kind() == Kind::CloseReceive {
            let party = message.party();
            close(connection, effects, |own| Some(own) == party);
        }
        let named = message.socket().filter(|socket| is_usable(socket.ip()));
        let Some(socket) = named else {
            return Effect::Forward(message.bytes.to_vec());
        };
        if message.kind() == Kind::Register {
            let mapped = match arrival.way {
                Way::Outbound => translator.map_address(*socket.ip()),
                Way::Inbound => None,
            };
            let socket = SocketAddrV4::new(mapped.unwrap_or(*socket.ip()), 0);
            return Effect::Forward(message.with_socket(socket));
        }
        let Some((rtp, rtcp)) = media_ends(arrival.way, socket, translator) else {
            return Effect::Drop(Reason::XlateFailed);
        };
        if message.kind() == Kind::ReceiveAck {
            for (purpose, to) in [(Purpose::Media, Some(rtp)), (Purpose::Control, rtcp)] {
                if let Some(to) = to.filter(|_| socket.port() != 0) {
                    self.open(connection, arrival, message, purpose, to, effects);
                }
            }
        }
        let other_side = match arrival.way {
            Way::Outbound => rtp.mapped,
            Way::Inbound => rtp.real,
        };
        Effect::Forward(message.with_socket(other_side))
    }

    fn open(
        &mut self,
        connection: &mut Connection,
        arrival: &Arrival<'_>,
        message: &Message<'_>,
        purpose: Purpose,
        to: End,
        effects: &mut Vec<Effect>,
    ) {
        let pinhole = Pinhole {
            purpose,
            protocol: Protocol::Udp,
            way: arrival.way.back(),
            to,
            from: None,
            idle: self.rules.media,
        };
        let mut open = connection.pinholes.iter();
        let is_open = open.any(|(.., own)| own.is_alike(&pinhole));
        let Some(party) = message.party().filter(|_| !is_open) else {
            return;
        };
        if connection.pinholes.len() >= PINHOLES {
            return;
        }
        let id = PinholeId(self.next_pinhole);
        self.next_pinhole += 1;
        connection.pinholes.push((party, id, pinhole));
        effects.push(Effect::Log(Event::pre_allocated(
            608001,
            "Skinny",
            &pinhole,
            [arrival.source.interface, arrival.destination.interface],
            "OpenReceiveChannelAck",
        )));
        effects.push(Effect::OpenPinhole { id, pinhole });
    }
}

/// Closes what a connection opened, when it ends.
pub fn handle_end(mut connection: Connection, effects: &mut Vec<Effect>) {
    close(&mut connection, effects, |_| true);
}

fn close(connection: &mut Connection, effects: &mut Vec<Effect>, is_meant: impl Fn(u32) -> bool) {
    connection.pinholes.retain(|(party, id, _)| {
        let stays = !is_meant(*party);
        if !stays {
            effects.push(Effect::ClosePinhole { id: *id });
        }
        stays
    });
}

/// The ends of a medium on both sides, control packets beside it; `None` if no translation can be made.
fn media_ends(
    way: Way,
    rtp: SocketAddrV4,
    translator: &mut dyn Translator,
) -> Option<(End, Option<End>)> {
    let beside = rtp.port().checked_add(1).filter(|_| rtp.port() != 0);
    let rtcp = beside.map(|port| SocketAddrV4::new(*rtp.ip(), port));
    if way == Way::Inbound {
        let mut end = |mapped| End {
            real: translator.unmap(Protocol::Udp, mapped).unwrap_or(mapped),
            mapped,
        };
        return Some((end(rtp), rtcp.map(&mut end)));
    }
    let end = |real, mapping| match mapping {
        Mapping::Same => Some(End { real, mapped: real }),
        Mapping::To(mapped) => Some(End { real, mapped }),
        Mapping::Failed => None,
    };
    let [first, second] = translator.map_media(rtp, rtcp);
    let rtcp = match rtcp {
        Some(rtcp) => Some(end(rtcp, second)?),
        None => None,
    };
    Some((end(rtp, first)?, rtcp))
}
