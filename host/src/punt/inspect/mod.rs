//! Inspection of signalling: what messages say is translated, what they announce is let through.
//!
//! Comes in: messages of connections whose class names an inspector, as datagrams that were punted or as text that a
//! proxy took out of a stream. Goes out: the message, or that it must not go on. Translations and pinholes that follow
//! are kept here, beside those of the packets, so that a packet finds what a message announced.

/// Ends of pinholes as entries of the card.
pub mod cover;
/// A connection whose text is inspected.
mod channel;
/// Messages in datagrams.
mod datagram;
/// Ends that messages announce.
mod ends;
/// Pinholes.
mod pinholes;
/// Messages of Skinny.
mod skinny;
/// Translations of what messages say.
mod translator;

use std::collections::BTreeSet;

use crate::config::ast::mpf::InspectProtocol;
use crate::flow::seeded::{Map, Seeded};
use crate::flow::{Direction, Handle, Time};
use crate::policy::model::{ClassId, InterfaceId};
use crate::policy::{Model, Through};
use crate::punt::effect::Effect;
use crate::punt::event::Event;
use crate::punt::slow_path::SlowPath;
use crate::sip::rules::Names;
use crate::sip::skinny::Inspector as SkinnyInspector;
use crate::sip::{self, Inspector, Limits, Pinhole, Purpose, Rules, Timeouts, Way};
pub use channel::Channel;
use channel::number;
use cover::SeenEnd;
use ends::{Ends, RealEnd};
pub(super) use pinholes::{Open, PinholeKey};
use pinholes::{Opener, Pinholes};
use translator::ByRules;

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inspected {
    /// It goes on as this.
    Forward(Vec<u8>),
    /// It is dropped.
    Drop(&'static str),
    /// It is dropped, and its connection ends.
    End {
        /// Why.
        reason: &'static str,
        /// By a reset.
        is_reset: bool,
    },
}

/// Inspectors, and what they let through.
#[derive(Clone, Debug)]
pub(super) struct Inspection {
    sip: Vec<Inspector>,
    skinny: Vec<SkinnyInspector>,
    /// The inspector of each class.
    of_class: Vec<Option<Opener>>,
    faults: Vec<String>,
    /// Classes whose messages pass as they are.
    dry: BTreeSet<ClassId>,
    timeouts: Timeouts,
    ends: Ends,
    pub(super) pinholes: Pinholes,
    /// Pinholes through which connections began.
    entered: Map<Handle, PinholeKey>,
}

impl Inspection {
    /// An inspector for each inspect map: classes with the same map share it, since what one side subscribes to comes by
    /// a connection of the other's.
    pub fn new(model: &Model, seed: u64) -> Self {
        let mut own = Self {
            sip: Vec::new(),
            skinny: Vec::new(),
            of_class: Vec::new(),
            faults: Vec::new(),
            dry: BTreeSet::new(),
            timeouts: Timeouts::of(&model.timeouts),
            ends: Ends::new(MOST_ENDS, seed),
            pinholes: Pinholes::new(seed),
            entered: Map::with_hasher(Seeded(seed)),
        };
        let mut made = Vec::new();
        for class in &model.classes {
            let Some(inspect) = &class.inspect else {
                own.of_class.push(None);
                continue;
            };
            let wanted = (inspect.protocol, inspect.map.as_deref());
            let known = made.iter().find(|(known, _)| *known == wanted);
            let opener = match known {
                Some((_, known)) => *known,
                None => own.make(model, inspect.protocol, wanted.1, seed),
            };
            made.push((wanted, opener));
            own.of_class.push(opener);
        }
        own
    }

    /// Makes an inspector, unless its map cannot be used.
    fn make(
        &mut self,
        model: &Model,
        protocol: InspectProtocol,
        map: Option<&str>,
        seed: u64,
    ) -> Option<Opener> {
        if protocol == InspectProtocol::Skinny {
            self.skinny.push(skinny::inspector(model, map));
            return Some(Opener::Skinny(self.skinny.len() - 1));
        }
        match rules(model, map) {
            Ok(rules) => {
                self.sip.push(Inspector::new(sip::Setup {
                    rules,
                    timeouts: self.timeouts,
                    limits: Limits::default(),
                    seed,
                    ..sip::Setup::default()
                }));
                Some(Opener::Sip(self.sip.len() - 1))
            }
            Err(unusable) => {
                self.faults.push(unusable.to_string());
                None
            }
        }
    }

    /// When [`SlowPath::poll_inspection`] has something to do.
    pub fn next_deadline(&self) -> Option<Time> {
        let inspectors = self.sip.iter().map(Inspector::next_deadline);
        let others = [self.ends.next_deadline(), self.pinholes.next_deadline()];
        inspectors.chain(others).flatten().min()
    }
}

impl Inspection {
    /// The inspector of a class.
    fn opener(&self, class: ClassId) -> Option<Opener> {
        self.of_class.get(usize::from(class.0)).copied().flatten()
    }

    /// Tells an inspector that a pinhole is closed already. Skinny closes it again with its channel, which does no harm.
    fn tell_closed(&mut self, key: PinholeKey) {
        if let Opener::Sip(number) = key.opener {
            self.sip[number].handle_closed(key.id);
        }
    }
}

impl From<sip::Event> for Event {
    fn from(event: sip::Event) -> Self {
        let sip::Event { severity, id, text } = event;
        Self { severity, id, text }
    }
}

/// What a map asks for; a class without a map has the defaults.
fn rules(model: &Model, map: Option<&str>) -> Result<Rules, sip::rules::Unusable> {
    let mut maps = model.inspect_maps.iter();
    let map = map.and_then(|name| {
        maps.find(|map| map.protocol == InspectProtocol::Sip && map.name.node == name)
    });
    match map {
        Some(map) => Rules::of(map, Names::of(model)),
        None => Ok(Rules::default()),
    }
}

impl SlowPath {
    /// Inspect maps that cannot be used, in words. Messages that they were to judge do not pass.
    pub fn inspection_faults(&self) -> &[String] {
        &self.inspection.faults
    }

    /// Messages of a class pass as they came from now on; what inspection would have changed is logged.
    pub fn run_dry(&mut self, class: ClassId) {
        self.inspection.dry.insert(class);
    }

    /// The inspectors of SIP.
    pub fn inspectors(&self) -> &[Inspector] {
        &self.inspection.sip
    }

    /// The inspector of a class, if that inspects SIP.
    pub fn inspector_of(&self, class: ClassId) -> Option<&Inspector> {
        match self.inspection.opener(class)? {
            Opener::Sip(number) => self.inspection.sip.get(number),
            Opener::Skinny(_) => None,
        }
    }

    /// Pinholes open.
    pub fn open_pinholes(&self) -> usize {
        self.inspection.pinholes.len()
    }

    /// Judges and translates one message of a connection.
    pub fn inspect(
        &mut self,
        now: Time,
        channel: &Channel,
        direction: Direction,
        bytes: &[u8],
        effects: &mut Vec<Effect>,
    ) -> Inspected {
        let model = self.model.clone();
        let inspection = &mut self.inspection;
        let Some(Opener::Sip(number)) = inspection.opener(channel.class) else {
            return Inspected::End {
                reason: "its inspect map cannot be used",
                is_reset: true,
            };
        };
        let arrival = channel.arrival(&model, now, direction);
        let is_dry = inspection.dry.contains(&channel.class);
        let mut translator = ByRules {
            now,
            model: &model,
            channel,
            is_dry,
            timeouts: &inspection.timeouts,
            xlates: &mut self.xlates,
            ends: &mut inspection.ends,
            effects,
        };
        if is_dry {
            let shown = inspection.sip[number].show_changes(&arrival, bytes, &mut translator);
            effects.push(Effect::Log(shown.into()));
            return Inspected::Forward(bytes.to_vec());
        }
        let mut wanted = Vec::new();
        let inspector = &mut inspection.sip[number];
        inspector.handle_message(&arrival, bytes, &mut translator, &mut wanted);
        let end = self.carry_out(now, Opener::Sip(number), Some(channel), wanted, effects);
        end.unwrap_or(Inspected::Drop("not inspected"))
    }

    /// Does what an inspector wants; gives what becomes of the message. Without a channel nothing opens.
    fn carry_out(
        &mut self,
        now: Time,
        opener: Opener,
        channel: Option<&Channel>,
        wanted: Vec<sip::Effect>,
        effects: &mut Vec<Effect>,
    ) -> Option<Inspected> {
        let mut end = None;
        for effect in wanted {
            match effect {
                sip::Effect::Forward(bytes) => end = Some(Inspected::Forward(bytes)),
                sip::Effect::Drop(reason) => end = Some(Inspected::Drop(reason.name())),
                sip::Effect::DropConnection(reason) => {
                    end = Some(Inspected::End {
                        reason: reason.name(),
                        is_reset: false,
                    });
                }
                sip::Effect::Reset(reason) => {
                    end = Some(Inspected::End {
                        reason: reason.name(),
                        is_reset: true,
                    });
                }
                sip::Effect::OpenPinhole { id, pinhole } => {
                    let key = PinholeKey { opener, id };
                    if let Some(channel) = channel {
                        self.open_pinhole(now, key, channel, &pinhole);
                    }
                }
                sip::Effect::ClosePinhole { id } => {
                    self.close_pinhole(now, PinholeKey { opener, id }, effects);
                }
                sip::Effect::Log(event) => effects.push(Effect::Log(event.into())),
            }
        }
        end
    }

    fn open_pinhole(&mut self, now: Time, key: PinholeKey, channel: &Channel, pinhole: &Pinhole) {
        let Pinhole {
            purpose,
            protocol,
            way,
            to,
            from,
            idle,
        } = *pinhole;
        let inspect = match purpose {
            Purpose::Signalling => self.class_of_answers(channel, way),
            Purpose::Media | Purpose::Control => None,
        };
        // What should be inspected and cannot be must not pass.
        let is_blind = purpose == Purpose::Signalling && inspect.is_none();
        if is_blind || self.inspection.pinholes.len() >= MOST_PINHOLES {
            self.inspection.tell_closed(key);
            return;
        }
        let proto = number(protocol);
        let (ingress, egress, seen) = match way {
            Way::Inbound => (channel.mapped, channel.real, to.mapped),
            Way::Outbound => (channel.real, channel.mapped, to.real),
        };
        let real = RealEnd {
            interfaces: [channel.real, channel.mapped],
            proto,
            socket: to.real,
        };
        let lease = self.inspection.ends.get(&real);
        let xlate = lease
            .filter(|_| way == Way::Inbound)
            .map(|lease| lease.xlate);
        let xlate = xlate.filter(|xlate| self.xlates.hold(now, *xlate));
        let through = Through {
            egress: InterfaceId(egress),
            destination: ((*to.real.ip()).into(), to.real.port()),
            inspect,
        };
        let end = SeenEnd {
            interface: ingress,
            proto,
            address: (*seen.ip()).into(),
            mask: u32::MAX,
            port: seen.port(),
        };
        let open = Open::new(end, from, through, xlate, idle);
        self.inspection.pinholes.open(now, key, open);
    }

    /// The class of a connection that is dialled because of what a channel said: who dials the other way meets another
    /// proxy.
    fn class_of_answers(&self, channel: &Channel, way: Way) -> Option<ClassId> {
        if !channel.is_tls || way == channel.forward {
            return Some(channel.class);
        }
        self.model.class(channel.class).inspect.as_ref()?.answering
    }

    fn close_pinhole(&mut self, now: Time, key: PinholeKey, effects: &mut Vec<Effect>) {
        let closed = self.inspection.pinholes.close(key);
        if let Some(xlate) = closed.and_then(|open| open.xlate) {
            self.release(now, xlate, effects);
        }
    }

    /// A connection began through a pinhole.
    pub(super) fn enter_pinhole(&mut self, now: Time, conn: Handle, key: PinholeKey) {
        self.inspection.pinholes.enter(now, key);
        self.inspection.entered.insert(conn, key);
    }

    /// A connection is over.
    pub(super) fn leave_pinhole(&mut self, now: Time, conn: Handle) {
        if let Some(key) = self.inspection.entered.remove(&conn) {
            self.inspection.pinholes.leave(now, key);
        }
    }

    /// Does what is due.
    pub(super) fn poll_inspection(&mut self, now: Time, effects: &mut Vec<Effect>) {
        for number in 0..self.inspection.sip.len() {
            let mut wanted = Vec::new();
            self.inspection.sip[number].handle_timeout(now, &mut wanted);
            self.carry_out(now, Opener::Sip(number), None, wanted, effects);
        }
        while let Some(key) = self.inspection.pinholes.poll(now) {
            self.inspection.tell_closed(key);
            self.close_pinhole(now, key, effects);
        }
        while let Some(xlate) = self.inspection.ends.poll(now) {
            self.release(now, xlate, effects);
        }
        self.tell_pinholes(effects);
    }

    /// Tells the card which pinholes there are, and where a proof is looked for, if that changed. To be called before a
    /// message goes on that may have opened one.
    pub fn tell_pinholes(&mut self, effects: &mut Vec<Effect>) {
        if let Some(mut ends) = self.inspection.pinholes.changes() {
            ends.extend(self.proof_ends());
            effects.push(Effect::SetPinholes { ends });
        }
    }

    /// How long a connection that carries SIP may be idle: `timeout sip`, zero for ever.
    pub(super) fn signalling_idle(&self, class: Option<ClassId>) -> Option<Time> {
        self.carries_sip(class)?;
        Some(self.inspection.timeouts.sip.unwrap_or_default())
    }

    /// A class, if it inspects SIP.
    pub(super) fn carries_sip(&self, class: Option<ClassId>) -> Option<ClassId> {
        let inspect = self.model.class(class?).inspect.as_ref()?;
        (inspect.protocol == InspectProtocol::Sip).then_some(class?)
    }
}

/// Ends whose translation is held; more than that are refused.
const MOST_ENDS: usize = 16_384;
/// Pinholes; more than that are not opened.
const MOST_PINHOLES: usize = 65_536;
