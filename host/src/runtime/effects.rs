//! Effects of the slow path, carried out on a card in order. The only place that knows what each of them means.

use std::collections::VecDeque;

use layout::table::{FlowStats, Key};

use super::{Error, Shared, lock};
use crate::flow::{Leg, Time};
use crate::nic::{self, Nic};
use crate::policy::model::ClassId;
use crate::punt::inspect::cover::cover;
use crate::punt::{Effect, Event, SlowPath};
use crate::wire::Tuple;

/// What differs between a card in lock-step and one that runs.
pub(super) trait Surroundings {
    /// Sends a frame through the card.
    fn inject(&mut self, nic: &mut Nic, port: u8, lookup: bool, frame: &[u8]) -> Result<(), Error>;
    /// A connection of a class begins that its proxy ends. A capture holds only one end's side of it, so in lock-step
    /// there are none.
    fn begin_proxied(&mut self, _class: ClassId, _forward: &Leg) {}
    /// A connection begins by which somebody looks for a proof.
    fn begin_look(&mut self, _seen: &Tuple) {}
    /// It is over.
    fn end_proxied(&mut self, _seen: &Tuple) {}
    /// A packet for its proxy.
    fn terminate(&mut self, _datagram: &[u8]) {}
    /// A flow came into the card.
    fn installed(&mut self, key: Key);
    /// A flow left the card.
    fn removed(&mut self, key: &Key);
    /// Something worth a line in the log happened.
    fn log(&mut self, event: Event);
}

/// Whoever keeps the slow path.
pub(super) trait Keeper {
    /// Lets somebody do something with it.
    fn with<T>(&mut self, act: impl FnOnce(&mut SlowPath) -> T) -> T;
}

impl Keeper for SlowPath {
    fn with<T>(&mut self, act: impl FnOnce(&mut SlowPath) -> T) -> T {
        act(self)
    }
}

/// Only as long as that takes: the card is not waited for meanwhile.
impl Keeper for Shared {
    fn with<T>(&mut self, act: impl FnOnce(&mut SlowPath) -> T) -> T {
        act(&mut lock(self))
    }
}

/// Carries out effects, and those they lead to.
pub(super) fn perform(
    now: Time,
    nic: &mut Nic,
    slow_path: &mut impl Keeper,
    effects: Vec<Effect>,
    surroundings: &mut impl Surroundings,
) -> Result<(), Error> {
    let mut effects = VecDeque::from(effects);
    while let Some(effect) = effects.pop_front() {
        match effect {
            Effect::InstallPair {
                conn,
                forward,
                reverse,
            } => {
                if is_installed(nic.install_pair(&[forward, reverse]))? {
                    surroundings.installed(forward.key());
                    surroundings.installed(reverse.key());
                } else {
                    slow_path.with(|slow_path| slow_path.handle_refused(now, conn));
                }
            }
            Effect::Install { conn, entry } => {
                if is_installed(nic.install_flow(&entry))? {
                    surroundings.installed(entry.key());
                } else {
                    slow_path.with(|slow_path| slow_path.handle_refused(now, conn));
                }
            }
            Effect::Remove { key } => {
                nic.remove_flow(&key)?;
                surroundings.removed(&key);
            }
            Effect::SetAdjacency { index, entry } => nic.set_adjacency(index.into(), &entry)?,
            Effect::Inject { descriptor, frame } => {
                surroundings.inject(nic, descriptor.port, descriptor.lookup, &frame)?;
            }
            Effect::BeginProxied { class, forward } => surroundings.begin_proxied(class, &forward),
            Effect::BeginLook { seen } => surroundings.begin_look(&seen),
            Effect::EndProxied { seen } => surroundings.end_proxied(&seen),
            Effect::Terminate { datagram } => surroundings.terminate(&datagram),
            Effect::SetPinholes { ends } => {
                let entries = cover(&ends, nic.pinhole_room());
                nic.set_pinholes(&entries)?;
            }
            Effect::SetEpoch(epoch) => nic.set_epoch(epoch)?,
            Effect::ReadStats {
                conn,
                forward,
                reverse,
            } => {
                let forward = stats(nic, &forward)?;
                let reverse = reverse.map(|key| stats(nic, &key)).transpose()?.flatten();
                let mut more = Vec::new();
                let (forward, reverse) = (forward.as_ref(), reverse.as_ref());
                slow_path.with(|slow_path| {
                    slow_path.handle_stats(now, conn, forward, reverse, &mut more);
                });
                effects.extend(more);
            }
            Effect::Log(event) => surroundings.log(event),
        }
    }
    Ok(())
}

/// A full table is the slow path's business, everything else ours.
fn is_installed(outcome: Result<(), nic::Error>) -> Result<bool, Error> {
    match outcome {
        Ok(()) => Ok(true),
        Err(nic::Error::FlowTableFull { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn stats(nic: &mut Nic, key: &Key) -> Result<Option<FlowStats>, Error> {
    Ok(nic.flow_totals(key)?.map(|totals| totals.as_stats()))
}
