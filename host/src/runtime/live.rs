//! A card that runs by itself: what it punts is served as it comes, what is due is done when it is due.
//!
//! One thread. It sleeps until the card raises an event, a deadline comes, or somebody asks it to stop; a card without
//! rings is looked at now and then. When it ends, however it ends, the card goes on forwarding the flows it has.

use std::collections::BTreeMap;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use layout::csr::{CONTROL_DROP_NOT_SYN, CONTROL_ENABLE, MSIX_VECTORS};
use layout::table::{FlowStats, INTERFACES, Interface, Key};
use vmm_sys_util::poll::PollContext;

use super::effects::{Surroundings, perform};
use super::link::{self, Link};
use super::questions::{self, Questions};
use super::{Error, Shared, lock, random};
use crate::flow::{Leg, Limits, Time, conn};
use crate::nic::host_path::Wake;
use crate::nic::{self, Inheritance, Nic};
use crate::policy::model::ClassId;
use crate::policy::{Image, Model};
use crate::punt::{Adopted, Effect, Event, Inherited, Resolution, Setup, SlowPath};
use crate::vfio::Device;
use crate::wire::Tuple;

/// What becomes of flows that the card has from an earlier runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tables {
    /// They go on, as far as the configuration permits.
    Adopt,
    /// The card is emptied.
    Clear,
}

/// A running card and the slow path beside it.
pub struct Live<L> {
    nic: Nic,
    slow_path: Shared,
    outside: Outside<L>,
    adopted: Adopted,
    questions: Option<Questions>,
    /// Ring errors that the log knows of.
    errors: u16,
}

/// The world beside card and slow path.
struct Outside<L> {
    log: L,
    /// The TLS proxies, if there are any.
    proxies: Option<Link>,
    /// Frames that the card did not take, by reason.
    refused: BTreeMap<&'static str, u64>,
}

impl<L: FnMut(&Event)> Live<L> {
    /// Loads a policy into a card, which forwards from then on. `log` gets every event. Connections of
    /// classes that inspect end at `proxies`; without, they are forwarded as they are.
    pub fn start(
        now: Time,
        device: Box<dyn Device>,
        tables: Tables,
        model: Arc<Model>,
        image: &Image,
        mut proxies: Option<Link>,
        log: L,
    ) -> Result<Self, Error> {
        let (mut nic, inheritance) = match tables {
            Tables::Adopt => Nic::adopt(device)?,
            Tables::Clear => (Nic::bring_up(device)?, Inheritance::default()),
        };
        let interfaces = with_addresses(&image.interfaces, &inheritance.interfaces);
        let inherited = keep_interfaces(&mut nic, &interfaces, inheritance)?;
        nic.set_epoch(conn::epoch(now))?;
        let mut slow_path = SlowPath::new(Setup {
            model,
            interfaces,
            resolution: Resolution::Ask,
            limits: Limits::default(),
            seed: random(),
            has_proxy: proxies.is_some(),
        });
        let mut effects = Vec::new();
        let adopted = slow_path.adopt(now, &inherited, &mut effects);
        let mut slow_path = Arc::new(Mutex::new(slow_path));
        if let Some(proxies) = &mut proxies {
            proxies.attach(&slow_path);
        }
        let mut outside = Outside {
            log,
            proxies,
            refused: BTreeMap::new(),
        };
        perform(now, &mut nic, &mut slow_path, effects, &mut outside)?;
        nic.load_policy(&image.acl, &image.destinations)?;
        nic.set_control(CONTROL_ENABLE | CONTROL_DROP_NOT_SYN)?;
        let vectors = nic.device().interrupt_count().unwrap_or(0);
        let wake = match vectors >= MSIX_VECTORS {
            true => Wake::Events,
            false => Wake::Polling,
        };
        nic.start_rings(wake)?;
        Ok(Self {
            nic,
            slow_path,
            outside,
            adopted,
            questions: None,
            errors: 0,
        })
    }

    /// Answers these from then on.
    pub fn answer(&mut self, questions: Questions) {
        self.questions = Some(questions);
    }

    /// Serves the card until `stop` becomes readable.
    pub fn run(&mut self, clock: impl Fn() -> Time, stop: &impl AsRawFd) -> Result<(), Error> {
        let failed = |error: vmm_sys_util::errno::Error| {
            Error::Wait(std::io::Error::from_raw_os_error(error.errno()))
        };
        let poll = PollContext::<Token>::new().map_err(failed)?;
        poll.add(stop, Token::Stop).map_err(failed)?;
        for event in self.nic.events() {
            poll.add(event, Token::Card).map_err(failed)?;
        }
        if let Some(proxies) = &self.outside.proxies {
            poll.add(proxies, Token::Proxies).map_err(failed)?;
        }
        if let Some(questions) = &self.questions {
            poll.add(questions, Token::Questions).map_err(failed)?;
        }
        let mut looks: Vec<questions::Look> = Vec::new();
        loop {
            // Events first: what is raised after this is seen by the next wait.
            self.nic.take_events();
            let is_busy = self.turn(clock())?;
            // A turn lies between question and answer: what whoever asks has changed before, the card knows by then.
            for look in std::mem::take(&mut looks) {
                look(&mut self.nic);
            }
            let timeout = match is_busy {
                true => Duration::ZERO,
                false => self.sleep(clock()),
            };
            let events = poll.wait_timeout(timeout).map_err(failed)?;
            if events
                .iter_readable()
                .any(|event| event.token() == Token::Stop)
            {
                return Ok(());
            }
            if let Some(questions) = &self.questions
                && events
                    .iter_readable()
                    .any(|event| event.token() == Token::Questions)
            {
                looks = questions.take();
            }
        }
    }

    /// Does what is due and serves a batch of punted frames. Returns whether there may be more.
    pub fn turn(&mut self, now: Time) -> Result<bool, Error> {
        let mut effects = Vec::new();
        {
            let mut slow_path = lock(&self.slow_path);
            if slow_path.next_deadline().is_some_and(|due| due <= now) {
                slow_path.poll(now, &mut effects);
            }
            slow_path.tell_pinholes(&mut effects);
        }
        let slow_path = &self.slow_path;
        let taken = self.nic.take_punts(BATCH, |metadata, frame| {
            lock(slow_path).handle_punt(now, metadata, frame, &mut effects);
        })?;
        let sent = self.take_proxied(now, &mut effects);
        perform(
            now,
            &mut self.nic,
            &mut self.slow_path,
            effects,
            &mut self.outside,
        )?;
        self.nic.flush()?;
        let errors = self.nic.ring_errors();
        let lost = errors.wrapping_sub(std::mem::replace(&mut self.errors, errors));
        if lost > 0 {
            *self.outside.refused.entry("lost-in-rings").or_default() += u64::from(lost);
        }
        Ok(taken == BATCH || sent == BATCH)
    }

    /// Sends a batch of what the proxies send; gives how many packets that were.
    fn take_proxied(&mut self, now: Time, effects: &mut Vec<Effect>) -> usize {
        let Some(proxies) = &mut self.outside.proxies else {
            return 0;
        };
        let mut packet = [0; LONGEST_PACKET];
        for count in 0..BATCH {
            // A device that fails is empty: its connections time out, everything else goes on.
            let Ok(Some(length)) = proxies.receive(&mut packet) else {
                return count;
            };
            lock(&self.slow_path).handle_proxied(now, &packet[..length], effects);
        }
        BATCH
    }

    /// Moves the host path back to the windows, and leaves the card alone. Flows go on.
    pub fn stop(mut self) -> Result<(), Error> {
        Ok(self.nic.stop_rings()?)
    }

    /// What was taken over from an earlier runtime.
    pub fn adopted(&self) -> Adopted {
        self.adopted
    }

    /// The driver.
    pub fn nic(&mut self) -> &mut Nic {
        &mut self.nic
    }

    /// The slow path.
    pub fn slow_path(&self) -> MutexGuard<'_, SlowPath> {
        lock(&self.slow_path)
    }

    /// The slow path, for other threads.
    pub fn shared(&self) -> Shared {
        self.slow_path.clone()
    }

    /// Frames that were lost between host and card, by reason.
    pub fn refused(&self) -> &BTreeMap<&'static str, u64> {
        &self.outside.refused
    }

    /// How long nothing needs to be done unless the card says so.
    fn sleep(&self, now: Time) -> Duration {
        let due = lock(&self.slow_path).next_deadline();
        let left = due.map_or(LONGEST_SLEEP, |due| {
            due.saturating_sub(now).min(LONGEST_SLEEP)
        });
        match self.nic.events().is_empty() {
            true => left.min(LOOK_AGAIN),
            false => left,
        }
    }
}

impl<L: FnMut(&Event)> Surroundings for Outside<L> {
    fn inject(&mut self, nic: &mut Nic, port: u8, lookup: bool, frame: &[u8]) -> Result<(), Error> {
        // One frame that cannot be sent, or a port that stands still, is no reason to stop serving the others.
        let name = match nic.queue(port, lookup, frame) {
            Ok(()) => return Ok(()),
            Err(nic::Error::FrameLength { .. }) => "frame-length",
            Err(nic::Error::InjectRefused { .. }) => "refused",
            Err(nic::Error::InjectBusy) => "port-stalled",
            Err(error) => return Err(error.into()),
        };
        *self.refused.entry(name).or_default() += 1;
        Ok(())
    }

    fn begin_proxied(&mut self, class: ClassId, forward: &Leg) {
        if let Some(proxies) = &mut self.proxies {
            proxies.begin(class, forward);
        }
    }

    fn begin_look(&mut self, seen: &Tuple) {
        if let Some(proxies) = &mut self.proxies {
            proxies.begin_look(seen);
        }
    }

    fn end_proxied(&mut self, seen: &Tuple) {
        if let Some(proxies) = &mut self.proxies {
            proxies.end(seen);
        }
    }

    fn terminate(&mut self, datagram: &[u8]) {
        let Some(proxies) = &mut self.proxies else {
            return;
        };
        // As on a wire: TCP sends again what does not get through.
        if let Err(error) = proxies.send(datagram) {
            let name = match link::is_full(&error) {
                true => "proxy-busy",
                false => "proxy-failed",
            };
            *self.refused.entry(name).or_default() += 1;
        }
    }

    fn installed(&mut self, _: Key) {}

    fn removed(&mut self, _: &Key) {}

    fn log(&mut self, event: Event) {
        (self.log)(&event);
    }
}

/// What a wait is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    Card,
    Stop,
    Proxies,
    Questions,
}

impl vmm_sys_util::poll::PollToken for Token {
    fn as_raw_token(&self) -> u64 {
        *self as u64
    }

    fn from_raw_token(data: u64) -> Self {
        match data {
            0 => Token::Card,
            1 => Token::Stop,
            2 => Token::Proxies,
            _ => Token::Questions,
        }
    }
}

/// The interfaces of a configuration with MAC addresses: those they had, or new ones of our own.
pub(super) fn with_addresses(wanted: &[Interface], found: &[Interface]) -> Vec<Interface> {
    // Locally administered and unicast; the low byte is left to the interface number.
    let fresh = 0x0200_0000_0000 | random() & 0x00ff_ffff_ff00;
    let known = found.iter().find(|interface| interface.valid);
    let base = known.map_or(fresh, |interface| interface.mac & !0xff);
    let with_address = |(index, interface): (usize, &Interface)| Interface {
        mac: match found.get(index) {
            Some(found) if found.valid => found.mac,
            _ => base | index as u64,
        },
        ..*interface
    };
    wanted.iter().enumerate().map(with_address).collect()
}

/// Writes the interfaces that are not on the card yet, and gives up the flows that meant others.
fn keep_interfaces(
    nic: &mut Nic,
    wanted: &[Interface],
    inheritance: Inheritance,
) -> Result<Inherited, Error> {
    let absent = Interface::default();
    let of = |list: &[Interface], index: u8| *list.get(usize::from(index)).unwrap_or(&absent);
    let is_same = |index: u8| of(wanted, index) == of(&inheritance.interfaces, index);
    let egress = |adjacency: u8| {
        inheritance
            .adjacencies
            .get(usize::from(adjacency))
            .map_or(u8::MAX, |entry| entry.interface)
    };
    let mut inherited = Inherited {
        epoch: inheritance.epoch,
        adjacencies: inheritance.adjacencies.clone(),
        entries: Vec::new(),
    };
    for (entry, totals) in &inheritance.flows {
        if is_same(entry.interface) && is_same(egress(entry.adjacency)) {
            let stats: FlowStats = totals.as_stats();
            inherited.entries.push((*entry, stats));
        } else {
            nic.remove_flow(&entry.key())?;
        }
    }
    for index in 0..INTERFACES as u8 {
        if !is_same(index) {
            nic.set_interface(index.into(), &of(wanted, index))?;
        }
    }
    Ok(inherited)
}

/// Frames served before deadlines are looked at again.
const BATCH: usize = 64;
/// Longest packet of the proxies.
const LONGEST_PACKET: usize = 65_535;
/// So that a clock that was wrong does no harm for ever.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// How often a card that raises no events is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(1);
