//! The one place where card, clock and pure machines meet.
//!
//! A frame is received by the card; what the card punts goes to the slow path, whose effects are
//! carried out here; and so on until nothing is left to do. Time is what the caller says it is.

/// Effects of the slow path, carried out.
mod effects;
/// TLS proxies, from the configuration and the store.
pub mod proxies;
/// The same, followed while the firewall runs.
pub mod serving;
/// Whoever asks about certificates.
pub mod answers;
/// The way from a running card to them and back.
pub mod link;
/// Addresses of the card as the place where authorities find proofs.
pub mod door;
/// Certificates that stay valid.
pub mod renewal;
/// Inspection of what they carry.
pub mod streams;
/// Its log.
pub mod log;
/// Questions to it, from other threads.
pub mod questions;
/// A card that runs by itself.
pub mod live;
/// A card that is loaded and left alone.
pub mod stand_alone;
/// A simulated card, started and loaded.
pub mod lockstep;
/// Captures in and out.
pub mod capture;
/// Time of captures and of the machine.
pub mod clock;
/// Captures through a configuration, packet by packet.
pub mod replay;
/// One packet through a card, for packet-tracer.
pub mod tracer;
/// What a replay found, for programs and for people.
pub mod report;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use layout::csr::{CONTROL_DROP_NOT_SYN, CONTROL_ENABLE, CONTROL_PROMISCUOUS};
use layout::desc::{Metadata, Verdict as CardVerdict};
use layout::table::{Interface, Key};

use crate::flow::{Limits, Time};
use crate::nic::{self, Nic};
use crate::policy::image::{AclOrigin, DestinationOrigin};
use crate::policy::model::{AceId, ClassId, NatId};
use crate::policy::{Image, Model};
use crate::punt::{Effect, Event as LogEvent, Report, Resolution, Setup, SlowPath};
use crate::simulator::{self, Event, Left, Simulator, Verdict};
use effects::Surroundings;

/// Why the runtime stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The driver failed.
    #[error(transparent)]
    Nic(#[from] nic::Error),
    /// The lock-step with a simulated card failed.
    #[error(transparent)]
    Simulator(#[from] simulator::Error),
    /// The TLS proxies cannot be made.
    #[error(transparent)]
    Proxies(#[from] link::Error),
    /// The system does not let us wait.
    #[error("cannot wait for the card")]
    Wait(#[source] std::io::Error),
    /// The card said nothing about a frame.
    #[error("the card gave no verdict on a frame")]
    NoVerdict,
    /// Card and slow path hand a frame to each other for ever.
    #[error("a frame went between card and host {ROUNDS} times without an end")]
    Loop,
}

/// The slow path of a card that runs: the proxies' thread asks it what messages mean.
pub type Shared = Arc<Mutex<SlowPath>>;

/// What is behind a lock, also when its holder panicked.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A card in lock-step and the slow path beside it.
pub struct Runtime {
    nic: Nic,
    slow_path: SlowPath,
    image: Image,
    /// What judged and what translates the connection of each installed flow.
    origins: HashMap<Key, Origin>,
    log: Vec<LogEvent>,
}

/// The lines of the configuration behind a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The access-control element that permitted it.
    pub ace: Option<AceId>,
    /// The NAT rule that translates it.
    pub nat: Option<NatId>,
}

/// All that one received frame led to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What the card decided at first sight.
    pub verdict: Verdict,
    /// Lines of the configuration it acted on.
    pub origin: Origin,
    /// What the host did with it, if the card punted it and had room to.
    pub report: Option<Report>,
    /// Frames that left, in order.
    pub left: Vec<Left>,
}

/// What the lock-step saw.
#[derive(Default)]
struct Seen {
    verdicts: Vec<Verdict>,
    left: Vec<Left>,
    /// Punted frames that the host has not taken yet.
    waiting: usize,
}

impl Runtime {
    /// Loads the policy into a card that was brought up, and enables it. MAC addresses of
    /// interfaces and next hops are made up: in captures nobody answers.
    pub fn start(mut nic: Nic, model: Arc<Model>, image: Image) -> Result<Self, Error> {
        let interfaces: Vec<Interface> = image
            .interfaces
            .iter()
            .enumerate()
            .map(|(index, interface)| Interface {
                mac: INTERFACE_MAC | index as u64,
                ..*interface
            })
            .collect();
        for (index, interface) in interfaces.iter().enumerate() {
            nic.set_interface(index, interface)?;
        }
        nic.load_policy(&image.acl, &image.destinations)?;
        nic.set_control(CONTROL_ENABLE | CONTROL_PROMISCUOUS | CONTROL_DROP_NOT_SYN)?;
        let slow_path = SlowPath::new(Setup {
            model,
            interfaces,
            resolution: Resolution::Derive,
            limits: Limits::default(),
            seed: REPLAY_SEED,
            has_proxy: false,
        });
        Ok(Self {
            nic,
            slow_path,
            image,
            origins: HashMap::new(),
            log: Vec::new(),
        })
    }

    /// Lets a port receive a frame and does everything it leads to.
    pub fn receive(&mut self, now: Time, port: u8, frame: &[u8]) -> Result<Outcome, Error> {
        let mut seen = Seen::default();
        run(&mut self.nic, Some((port, frame)), &mut seen)?;
        let report = self.serve_punts(now, &mut seen)?;
        let verdict = seen.verdicts.into_iter().next().ok_or(Error::NoVerdict)?;
        Ok(Outcome {
            origin: self.origin(&verdict.metadata),
            verdict,
            report,
            left: seen.left,
        })
    }

    /// Does what is due until a time; returns the frames that left.
    pub fn pass_time(&mut self, until: Time) -> Result<Vec<Left>, Error> {
        let mut seen = Seen::default();
        let mut last = None;
        let mut repeats = 0;
        while let Some(due) = self.slow_path.next_deadline().filter(|due| *due <= until) {
            repeats = if last.replace(due) == Some(due) {
                repeats + 1
            } else {
                0
            };
            if repeats > ROUNDS {
                return Err(Error::Loop);
            }
            let mut effects = Vec::new();
            self.slow_path.poll(due, &mut effects);
            self.perform(due, effects, Origin::default(), &mut seen)?;
            self.serve_punts(due, &mut seen)?;
        }
        Ok(seen.left)
    }

    /// Hands what was punted to the slow path, and what comes of that, until nothing is left. Returns
    /// the first answer: later ones are about frames that the host gave to the card again.
    fn serve_punts(&mut self, now: Time, seen: &mut Seen) -> Result<Option<Report>, Error> {
        let mut report = None;
        for _ in 0..ROUNDS {
            if seen.waiting == 0 {
                return Ok(report);
            }
            // Less may wait than was punted: what did not fit the punt buffer is gone.
            let Some(punt) = self.nic.take_punt()? else {
                seen.waiting = 0;
                return Ok(report);
            };
            seen.waiting -= 1;
            let mut effects = Vec::new();
            let answer = self
                .slow_path
                .handle_punt(now, &punt.metadata, &punt.frame, &mut effects);
            let origin = Origin {
                ace: answer.ace,
                nat: answer.nat,
            };
            self.perform(now, effects, origin, seen)?;
            report.get_or_insert(answer);
        }
        Err(Error::Loop)
    }

    /// The driver.
    pub fn nic(&mut self) -> &mut Nic {
        &mut self.nic
    }

    /// SIP messages of a class pass as they are; what would have changed is logged.
    pub fn run_dry(&mut self, class: ClassId) {
        self.slow_path.run_dry(class);
    }

    /// The slow path.
    pub fn slow_path(&self) -> &SlowPath {
        &self.slow_path
    }

    /// The loaded image.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Takes the events logged since the last call.
    pub fn take_log(&mut self) -> Vec<LogEvent> {
        std::mem::take(&mut self.log)
    }

    /// Carries out effects in order, and those they lead to.
    fn perform(
        &mut self,
        now: Time,
        effects: Vec<Effect>,
        origin: Origin,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let mut surroundings = InLockStep {
            origins: &mut self.origins,
            log: &mut self.log,
            origin,
            seen,
        };
        effects::perform(
            now,
            &mut self.nic,
            &mut self.slow_path,
            effects,
            &mut surroundings,
        )
    }

    /// The lines of the configuration that the card's lookups stand for.
    fn origin(&self, metadata: &Metadata) -> Origin {
        if let Some(origin) = self
            .nic
            .flow_key(metadata.flow.into())
            .and_then(|key| self.origins.get(&key))
        {
            return *origin;
        }
        let ace = self
            .nic
            .acl_index(metadata.generation, metadata.ace)
            .and_then(|index| self.image.acl_origins.get(index));
        let nat = self
            .nic
            .destination_index(metadata.destination)
            .and_then(|index| self.image.destination_origins.get(index));
        Origin {
            ace: ace.copied().and_then(AclOrigin::ace),
            nat: nat.copied().and_then(DestinationOrigin::nat),
        }
    }
}

/// What effects reach while a card is in lock-step.
struct InLockStep<'a> {
    origins: &'a mut HashMap<Key, Origin>,
    log: &'a mut Vec<LogEvent>,
    origin: Origin,
    seen: &'a mut Seen,
}

impl Surroundings for InLockStep<'_> {
    fn inject(&mut self, nic: &mut Nic, port: u8, lookup: bool, frame: &[u8]) -> Result<(), Error> {
        nic.inject(port, lookup, frame)?;
        run(nic, None, self.seen)
    }

    fn installed(&mut self, key: Key) {
        self.origins.insert(key, self.origin);
    }

    fn removed(&mut self, key: &Key) {
        self.origins.remove(key);
    }

    fn log(&mut self, event: LogEvent) {
        self.log.push(event);
    }
}

/// Runs the card until it is idle and notes what happened.
fn run(nic: &mut Nic, frame: Option<(u8, &[u8])>, seen: &mut Seen) -> Result<(), Error> {
    for event in Simulator::of(nic.device())?.run(frame)? {
        match event {
            Event::Left(left) => seen.left.push(left),
            Event::Verdict(verdict) => {
                seen.waiting += usize::from(verdict.metadata.verdict == CardVerdict::Punt as u8);
                seen.verdicts.push(verdict);
            }
        }
    }
    Ok(())
}

/// A number that nobody outside can foresee.
fn random() -> u64 {
    RandomState::new().hash_one(0u8)
}

/// Locally administered, "PST" in the middle, the interface number at the end.
const INTERFACE_MAC: u64 = 0x0250_5354_0000;
/// Port choices of a replay are the same every time.
const REPLAY_SEED: u64 = 0;
/// Times that one frame may go from the card to the host. Fragments of a datagram come back one by one.
const ROUNDS: usize = 100;
