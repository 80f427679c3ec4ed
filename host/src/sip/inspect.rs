//! The inspector: messages and time in, effects out.
//!
//! A message is read, judged by the inspect map, translated, and noted in its session, in this order. What is refused
//! leaves no trace but a count. Pinholes follow from what passed.

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use super::address::{addresses, param, vias};
use super::edits::Edits;
use super::effect::Effect;
use super::event::{Event, Place, title};
use super::fault::Fault;
use super::field::Field;
use super::fixup::{Candidates, Context, Found, fix_up};
use super::limits::Limits;
use super::memory::Memory;
use super::message::{Framing, Message};
use super::pinhole::PinholeId;
use super::rate::Sources;
use super::reason::Reason;
use super::rules::Rules;
use super::scan::ipv4;
use super::sessions::Sessions;
use super::timeouts::Timeouts;
use super::translate::{Protocol, Translator, Way};
use crate::flow::seeded::{Map, Seeded};
use crate::flow::{Handle, Time};

/// What an inspector is made from.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// The inspect map.
    pub rules: Rules,
    /// Timers.
    pub timeouts: Timeouts,
    /// Bounds.
    pub limits: Limits,
    /// ICE.
    pub candidates: Candidates,
    /// Secret of hashes: fixed in replay.
    pub seed: u64,
}

/// How a message came.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// When.
    pub now: Time,
    /// Which way it goes.
    pub way: Way,
    /// Over what.
    pub protocol: Protocol,
    /// Over TLS.
    pub is_tls: bool,
    /// Who sent it, as it came.
    pub source: Place<'a>,
    /// To whom, as it came.
    pub destination: Place<'a>,
}

/// What an inspector counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Messages.
    pub messages: u64,
    /// Messages sent on with a change.
    pub rewritten: u64,
    /// Messages dropped, by reason.
    pub drops: BTreeMap<&'static str, u64>,
    /// Connections reset.
    pub resets: u64,
    /// Pinholes opened.
    pub opened: u64,
    /// Messages that keep an address of the real side in an identifier.
    pub kept: u64,
}

/// Inspects SIP for one class.
#[derive(Clone, Debug)]
pub struct Inspector {
    pub(super) rules: Rules,
    pub(super) timeouts: Timeouts,
    candidates: Candidates,
    seed: Seeded,
    pub(super) sessions: Sessions,
    pub(super) pinholes: Map<PinholeId, Handle>,
    pub(super) next_pinhole: u64,
    sources: Sources,
    pub(super) stats: Stats,
}

impl Inspector {
    /// An inspector without sessions.
    pub fn new(setup: Setup) -> Self {
        let Setup {
            rules,
            timeouts,
            limits,
            candidates,
            seed,
        } = setup;
        Self {
            rules,
            timeouts,
            candidates,
            seed: Seeded(seed),
            sessions: Sessions::new(limits.sessions, seed),
            pinholes: Map::with_hasher(Seeded(seed)),
            next_pinhole: 0,
            sources: Sources::new(limits.sources, limits.begin_rate, limits.begin_burst, seed),
            stats: Stats::default(),
        }
    }

    /// The sessions.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// What was counted.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Whether a stream that is not SIP may pass: what a framer calls foreign.
    pub fn lets_foreign_pass(&self) -> bool {
        self.rules.parameters.traffic_non_sip
    }

    /// Pinholes open.
    pub fn open_pinholes(&self) -> usize {
        self.pinholes.len()
    }

    /// Deals with a datagram, or with a message that a framer cut from a stream.
    pub fn handle_message(
        &mut self,
        arrival: &Arrival<'_>,
        bytes: &[u8],
        translator: &mut dyn Translator,
        effects: &mut Vec<Effect>,
    ) {
        self.stats.messages += 1;
        let end = match self.pass(arrival, bytes, translator, effects) {
            Ok(out) => Effect::Forward(out),
            Err(end) => end,
        };
        if let Effect::Drop(reason) | Effect::DropConnection(reason) | Effect::Reset(reason) = &end
        {
            *self.stats.drops.entry(reason.name()).or_default() += 1;
            self.stats.resets += u64::from(matches!(end, Effect::Reset(_)));
        }
        effects.push(end);
    }

    /// A line of the log that says what would be written otherwise in a message. Changes nothing here.
    pub fn show_changes(
        &self,
        arrival: &Arrival<'_>,
        bytes: &[u8],
        translator: &mut dyn Translator,
    ) -> Event {
        let title = Message::parse(bytes, framing(arrival.protocol)).map(|message| title(&message));
        let what = match self.diff(arrival, bytes, translator) {
            Ok(diff) if diff.is_empty() => "nothing would change".to_owned(),
            Ok(diff) => format!("would change\n{}", diff.trim_end()),
            Err(fault) => fault.to_string(),
        };
        let message = title.as_deref().unwrap_or("message");
        Event::dry_run(message, [arrival.source, arrival.destination], &what)
    }

    /// What would be written otherwise in a message, as a diff. Changes nothing here.
    pub(super) fn diff(
        &self,
        arrival: &Arrival<'_>,
        bytes: &[u8],
        translator: &mut dyn Translator,
    ) -> Result<String, Fault> {
        let message = Message::parse(bytes, framing(arrival.protocol))?;
        let session = self
            .session_of(&message)
            .and_then(|handle| self.sessions.get(handle));
        let mut memory = session.map_or_else(Memory::default, |session| session.memory.clone());
        let context = self.context(arrival);
        let (edits, _) = fix_up(&message, context, translator, &mut memory);
        Ok(edits.diff(message.bytes))
    }

    fn context(&self, arrival: &Arrival<'_>) -> Context {
        Context {
            way: arrival.way,
            protocol: arrival.protocol,
            is_tls: arrival.is_tls,
            is_private: self.rules.parameters.ip_address_privacy,
            candidates: self.candidates,
            seed: self.seed,
        }
    }

    fn pass(
        &mut self,
        arrival: &Arrival<'_>,
        bytes: &[u8],
        translator: &mut dyn Translator,
        effects: &mut Vec<Effect>,
    ) -> Result<Vec<u8>, Effect> {
        let message = match Message::parse(bytes, framing(arrival.protocol)) {
            Ok(message) => message,
            Err(Fault::NotSip) if self.rules.parameters.traffic_non_sip => {
                return Ok(bytes.to_vec());
            }
            Err(Fault::NotSip) => return Err(Effect::Drop(Reason::NonSip)),
            Err(fault) => return Err(self.malformed(arrival, fault, effects)),
        };
        // CVE-2018-15454: floods of these have stopped inspectors. Nobody can answer there.
        if message.code().is_none() && has_unspecified_via(&message) {
            return Err(Effect::Drop(Reason::ViaUnspecified));
        }
        let tags = self.tags(&message);
        let mut edits = Edits::default();
        self.check(arrival, &message, tags, &mut edits, effects)?;
        let handle = self.enter(arrival, &message, effects)?;
        let (changes, found) = self.translate(arrival, &message, handle, edits, translator);
        self.refuse_untranslatable(arrival, &message, &found, effects)?;
        let out = if changes.is_empty() {
            message.bytes.to_vec()
        } else {
            self.stats.rewritten += 1;
            changes.apply(message.bytes)
        };
        if let Some(handle) = handle {
            self.name_outside(&out, handle, arrival)?;
            self.follow(arrival, &message, handle, tags, &found, effects);
        }
        Ok(out)
    }

    fn malformed(&self, arrival: &Arrival<'_>, fault: Fault, effects: &mut Vec<Effect>) -> Effect {
        effects.push(Effect::Log(Event::acted(
            "malformed",
            "Dropped",
            "message",
            [arrival.source, arrival.destination],
            &fault.to_string(),
        )));
        let reason = Reason::Fault(fault);
        match arrival.protocol {
            // Behind a message that cannot be delimited nobody knows where the next one begins.
            Protocol::Tcp => Effect::DropConnection(reason),
            Protocol::Udp => Effect::Drop(reason),
        }
    }

    /// Hashes of the tags of From and To.
    pub(super) fn tags(&self, message: &Message<'_>) -> [Option<u64>; 2] {
        [Field::From, Field::To].map(|field| {
            let list = addresses(message.bytes, message.header(field)?);
            let tag = param(message.bytes, &list.values.first()?.params, "tag")?.value?;
            Some(self.seed.hash_one(tag.of(message.bytes)))
        })
    }

    pub(super) fn method_key(&self, message: &Message<'_>) -> u64 {
        self.seed.hash_one(message.method())
    }

    pub(super) fn session_of(&self, message: &Message<'_>) -> Option<Handle> {
        let key = self.sessions.key(message.value(Field::CallId));
        self.sessions.find(key)
    }

    /// The session of a message; a request begins one.
    fn enter(
        &mut self,
        arrival: &Arrival<'_>,
        message: &Message<'_>,
        effects: &mut Vec<Effect>,
    ) -> Result<Option<Handle>, Effect> {
        let call_id = message.value(Field::CallId);
        let key = self.sessions.key(call_id);
        let found = self.sessions.find(key);
        let begins = message.code().is_none() && !matches!(message.method(), b"ACK" | b"CANCEL");
        if found.is_some() || !begins {
            return Ok(found);
        }
        let source = *arrival.source.socket.ip();
        if !self.sources.take(arrival.now, source) {
            return Err(Effect::Drop(Reason::SourceRate));
        }
        match self.sessions.victim() {
            Ok(victim) => {
                if let Some(victim) = victim {
                    self.end(victim, effects);
                }
            }
            Err(()) => return Err(Effect::Drop(Reason::SessionsFull)),
        }
        let handle = self.sessions.insert(arrival.now, key, call_id, source);
        self.sessions.schedule(handle, &self.timeouts);
        Ok(Some(handle))
    }

    /// The changes of a message: what the map masks, then what NAT needs.
    fn translate(
        &mut self,
        arrival: &Arrival<'_>,
        message: &Message<'_>,
        handle: Option<Handle>,
        masks: Edits,
        translator: &mut dyn Translator,
    ) -> (Edits, Found) {
        let context = self.context(arrival);
        let mut alone = Memory::default();
        let session = handle.and_then(|handle| self.sessions.get_mut(handle));
        let memory = session.map_or(&mut alone, |session| &mut session.memory);
        let (mut edits, found) = fix_up(message, context, translator, memory);
        edits.prefer(masks);
        self.stats.kept += u64::from(!found.kept.is_empty());
        (edits, found)
    }

    fn refuse_untranslatable(
        &self,
        arrival: &Arrival<'_>,
        message: &Message<'_>,
        found: &Found,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Effect> {
        let (reason, why) = match (found.failed, found.is_hidden) {
            (Some(end), _) => (Reason::XlateFailed, format!("no translation for {end}")),
            (None, true) => (Reason::Hidden, Reason::Hidden.to_string()),
            (None, false) => return Ok(()),
        };
        effects.push(Effect::Log(Event::acted(
            "inspection",
            "Dropped",
            &title(message),
            [arrival.source, arrival.destination],
            &why,
        )));
        Err(Effect::Drop(reason))
    }

    /// With private addresses the mapped side sees another Call-ID, by which answers come.
    fn name_outside(
        &mut self,
        out: &[u8],
        handle: Handle,
        arrival: &Arrival<'_>,
    ) -> Result<(), Effect> {
        if !self.rules.parameters.ip_address_privacy || arrival.way == Way::Inbound {
            return Ok(());
        }
        let Ok(message) = Message::parse(out, framing(arrival.protocol)) else {
            return Ok(());
        };
        let key = self.sessions.key(message.value(Field::CallId));
        if self.sessions.alias(handle, key) {
            Ok(())
        } else {
            Err(Effect::Drop(Reason::CallIdTaken))
        }
    }

    /// When [`Inspector::handle_timeout`] has something to do.
    pub fn next_deadline(&self) -> Option<Time> {
        self.sessions.next_deadline()
    }

    /// Ends what is due.
    pub fn handle_timeout(&mut self, now: Time, effects: &mut Vec<Effect>) {
        while let Some(handle) = self.sessions.pop(now) {
            let ends = self
                .sessions
                .get(handle)
                .and_then(|session| session.ends(&self.timeouts));
            if ends.is_some_and(|ends| ends <= now) {
                self.end(handle, effects);
                continue;
            }
            self.close_where(handle, effects, |held| {
                held.until.is_some_and(|until| until <= now)
            });
            self.sessions.schedule(handle, &self.timeouts);
        }
    }
}

fn framing(protocol: Protocol) -> Framing {
    match protocol {
        Protocol::Udp => Framing::Datagram,
        Protocol::Tcp => Framing::Stream,
    }
}

/// Whether the topmost Via names no address.
fn has_unspecified_via(message: &Message<'_>) -> bool {
    let Some(value) = message.header(Field::Via) else {
        return false;
    };
    let list = vias(message.bytes, value);
    let first = list.values.first();
    let address = first.and_then(|via| ipv4(via.host.of(message.bytes)));
    address.is_some_and(|address| address.is_unspecified())
}
