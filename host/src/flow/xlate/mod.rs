//! Dynamic translations: one-to-one and by port (PAT).
//!
//! The evaluator says which NAT rule translates a first packet; this chooses the mapped address and port
//! and keeps them as long as connections need them. A port is chosen as ASA does: the source port if it is free,
//! else one of the same class (0–511, 512–1023, 1024–65535), or of the whole range for `flat`. A port that a static
//! rule owns is struck out before the first one of its address is chosen. Static translations need no state: they are the configuration.

/// Translations that the card has already.
mod adopt;
/// Which address and port a new one gets.
mod choose;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::blocks::{Blocks, Host};
use super::deadline::Deadlines;
use super::limits::Limits;
use super::pool::AddressPool;
use super::ports::Ports;
use super::seeded::{Map, Random, Seeded};
use super::slab::Slab;
use super::{Handle, Time};
use crate::config::ast::timeout::Timer;
use crate::policy::Model;
use crate::policy::model::{InterfaceId, NatId, NatSource, Pool};

/// What needs a translation: the source of a first packet and where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The rule that translates it.
    pub rule: NatId,
    /// Ingress interface.
    pub real_interface: InterfaceId,
    /// Egress interface.
    pub mapped_interface: InterfaceId,
    /// IP protocol.
    pub proto: u8,
    /// Source address and port (ICMP: identifier).
    pub real: (Ipv4Addr, u16),
    /// Destination address and port as they leave.
    pub destination: (Ipv4Addr, u16),
    /// Its port can be translated: TCP, UDP, and queries of ICMP.
    pub has_port: bool,
    /// The translation ends with its last connection.
    pub per_session: bool,
}

/// A dynamic translation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xlate {
    /// What asked for it first.
    pub request: Request,
    /// Mapped address.
    pub address: Ipv4Addr,
    /// Mapped port; `None` when the address is given out whole.
    pub port: Option<u16>,
    /// The port is unique for one destination only.
    pub extended: bool,
    /// Connections that use it.
    pub conns: usize,
    /// When it was made.
    pub built: Time,
    /// When a connection last began or ended with it.
    pub used: Time,
    /// When it ends, if no connection needs it before.
    pub(super) due: Option<Time>,
}

/// Why there is no translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exhausted {
    /// No address of the pool has a suitable port left; these were suitable.
    Ports(u16, u16),
    /// No address of the pool is left, and no PAT to fall back to.
    Addresses,
    /// There are as many translations as there may be.
    Table,
}

/// Names a destination where `extended` tells ports apart by it.
type Destination = Option<(Ipv4Addr, u16)>;

/// Finds the translation of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct RealKey {
    rule: NatId,
    interfaces: [InterfaceId; 2],
    real: Ipv4Addr,
    /// Protocol, port and destination; `None` when the address is translated whole.
    by_port: Option<(u8, u16, Destination)>,
}

/// Finds the ports in use.
type PortsKey = (Ipv4Addr, u8, Destination);

/// Ports of an address that are not free: those of translations and those that static rules own.
#[derive(Clone, Debug, Default)]
struct InUse {
    ports: Ports,
    xlates: usize,
}

/// What a rule remembers.
#[derive(Clone, Debug, Default)]
struct RuleState {
    addresses: AddressPool,
    /// Position of the next address of `round-robin`.
    turn: u64,
}

/// The translation table.
#[derive(Clone, Debug)]
pub struct Xlates {
    slab: Slab<Xlate>,
    by_real: Map<RealKey, Handle>,
    ports: Map<PortsKey, InUse>,
    /// Addresses of PAT with the number of their translations.
    shared: Map<Ipv4Addr, usize>,
    /// Addresses given out whole.
    whole: Map<Ipv4Addr, Handle>,
    /// The address a host's ports come from, and how many it has: a host keeps its address.
    sticky: Map<Host, (Ipv4Addr, usize)>,
    blocks: Blocks,
    rules: BTreeMap<NatId, RuleState>,
    due: Deadlines<Handle>,
    random: Random,
    limits: Limits,
    most: usize,
}

impl Xlates {
    /// An empty table.
    pub fn new(limits: Limits, seed: u64) -> Self {
        let seeded = Seeded(seed);
        Self {
            slab: Slab::default(),
            by_real: Map::with_hasher(seeded),
            ports: Map::with_hasher(seeded),
            shared: Map::with_hasher(seeded),
            whole: Map::with_hasher(seeded),
            sticky: Map::with_hasher(seeded),
            blocks: Blocks::new(seed),
            rules: BTreeMap::new(),
            due: Deadlines::default(),
            random: Random::new(seed),
            limits,
            most: 0,
        }
    }

    /// Translations in use.
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// No translations.
    pub fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }

    /// The most there ever were.
    pub fn most(&self) -> usize {
        self.most
    }

    /// The translation.
    pub fn get(&self, handle: Handle) -> Option<&Xlate> {
        self.slab.get(handle)
    }

    /// All translations.
    pub fn iter(&self) -> impl Iterator<Item = &Xlate> {
        self.slab.iter()
    }

    /// The translation of a source for one more connection, made if there is none.
    pub fn acquire(
        &mut self,
        now: Time,
        model: &Model,
        request: Request,
    ) -> Result<Handle, Exhausted> {
        self.acquire_at(now, model, request, request.real.1)
    }

    /// As [`Xlates::acquire`]; one that is made gets the port `wish` if it may have it and that is free.
    pub fn acquire_at(
        &mut self,
        now: Time,
        model: &Model,
        request: Request,
        wish: u16,
    ) -> Result<Handle, Exhausted> {
        let NatSource::Dynamic { pool, .. } = &model.nat_rule(request.rule).source else {
            return Err(Exhausted::Addresses);
        };
        let found = [None, Some(pool.extended)]
            .into_iter()
            .find_map(|by_port| self.by_real.get(&request.real_key(by_port)).copied());
        let handle = match found {
            Some(handle) => handle,
            None if self.slab.len() >= self.limits.xlates => return Err(Exhausted::Table),
            None => self.build(now, model, pool, request, wish)?,
        };
        self.hold(now, handle);
        Ok(handle)
    }

    /// One more connection uses a translation. `false` if it is gone.
    pub fn hold(&mut self, now: Time, handle: Handle) -> bool {
        let Some(xlate) = self.slab.get_mut(handle) else {
            return false;
        };
        xlate.conns += 1;
        xlate.used = now;
        self.due.set(handle, xlate.due.take(), None);
        true
    }

    /// A connection ended. Returns the translation if it ends with it.
    pub fn release(&mut self, now: Time, model: &Model, handle: Handle) -> Option<Xlate> {
        let xlate = self.slab.get_mut(handle)?;
        xlate.conns = xlate.conns.saturating_sub(1);
        xlate.used = now;
        if xlate.conns > 0 {
            return None;
        }
        let timer = match xlate.port {
            Some(_) if xlate.request.per_session => return self.remove(handle, model),
            Some(_) => Timer::PatXlate,
            None => Timer::Xlate,
        };
        match model.timeout_s(timer) {
            0 => None,
            seconds => {
                let due = now + Time::from_secs(seconds.into());
                self.due.set(handle, xlate.due, Some(due));
                xlate.due = Some(due);
                None
            }
        }
    }

    /// When a translation ends.
    pub fn next_deadline(&self) -> Option<Time> {
        self.due.next().map(|(due, _)| due)
    }

    /// The next translation that ends.
    pub fn poll(&mut self, now: Time, model: &Model) -> Option<Xlate> {
        let handle = self.due.pop(now)?;
        self.remove(handle, model)
    }

    fn build(
        &mut self,
        now: Time,
        model: &Model,
        pool: &Pool,
        request: Request,
        wish: u16,
    ) -> Result<Handle, Exhausted> {
        let (address, port) = match self.whole_address(pool, request.rule) {
            Some(address) => (address, None),
            None if !request.has_port => return Err(Exhausted::Addresses),
            None => {
                let (address, port) = self.address_and_port(model, pool, &request, wish)?;
                (address, Some(port))
            }
        };
        Ok(self.enter(now, pool, request, address, port))
    }

    /// Notes a translation to an address and port that are marked as in use.
    fn enter(
        &mut self,
        now: Time,
        pool: &Pool,
        request: Request,
        address: Ipv4Addr,
        port: Option<u16>,
    ) -> Handle {
        let extended = port.is_some() && pool.extended;
        let handle = self.slab.insert(Xlate {
            request,
            address,
            port,
            extended,
            conns: 0,
            built: now,
            used: now,
            due: None,
        });
        self.by_real
            .insert(request.real_key(port.map(|_| extended)), handle);
        match port {
            None => drop(self.whole.insert(address, handle)),
            Some(port) => self.count_port(&request, address, port, pool),
        }
        self.most = self.most.max(self.slab.len());
        handle
    }

    fn remove(&mut self, handle: Handle, model: &Model) -> Option<Xlate> {
        let xlate = self.slab.remove(handle)?;
        self.due.set(handle, xlate.due, None);
        self.by_real
            .remove(&xlate.request.real_key(xlate.port.map(|_| xlate.extended)));
        match xlate.port {
            Some(port) => self.free_port(&xlate, port),
            None => {
                self.whole.remove(&xlate.address);
                for (rule, state) in &mut self.rules {
                    if let NatSource::Dynamic { pool, .. } = &model.nat_rule(*rule).source {
                        state.addresses.give_back(&pool.one_to_one, xlate.address);
                    }
                }
            }
        }
        Some(xlate)
    }
}

impl Request {
    /// Key of a translation of the whole address, or by port and perhaps by destination.
    fn real_key(&self, by_port: Option<bool>) -> RealKey {
        RealKey {
            rule: self.rule,
            interfaces: [self.real_interface, self.mapped_interface],
            real: self.real.0,
            by_port: by_port.map(|extended| {
                (
                    self.proto,
                    self.real.1,
                    extended.then_some(self.destination),
                )
            }),
        }
    }
}
