//! Dynamic translations: one-to-one and by port (PAT).
//!
//! The evaluator says which NAT rule translates a first packet; this chooses the mapped address and port
//! and keeps them as long as connections need them. A port is chosen as ASA does: the source port if it is free,
//! else one of the same class (0–511, 512–1023, 1024–65535), or of the whole range for `flat`. A port that a static
//! rule owns is struck out before the first one of its address is chosen. Static translations need no state: they are the configuration.

/// Translations that the card has already.
mod adopt;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use super::blocks::{Blocks, Host};
use super::deadline::Deadlines;
use super::limits::Limits;
use super::pool::AddressPool;
use super::ports::{self, Ports};
use super::seeded::{Map, Random, Seeded};
use super::slab::Slab;
use super::{Handle, Time};
use crate::config::ast::timeout::Timer;
use crate::policy::Model;
use crate::policy::model::{InterfaceId, NatId, NatSource, Pool};
use crate::wire::packet::ICMP;

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

    /// An address for the host alone.
    fn whole_address(&mut self, pool: &Pool, rule: NatId) -> Option<Ipv4Addr> {
        let (whole, shared) = (&self.whole, &self.shared);
        let is_free = |address| !whole.contains_key(&address) && !shared.contains_key(&address);
        self.rules
            .entry(rule)
            .or_default()
            .addresses
            .take(&pool.one_to_one, is_free)
    }

    /// A port of one of the rule's addresses: that of the host first, then in order or in turn.
    fn address_and_port(
        &mut self,
        model: &Model,
        pool: &Pool,
        request: &Request,
        wish: u16,
    ) -> Result<(Ipv4Addr, u16), Exhausted> {
        let range = suitable(pool, request);
        let host = (request.rule, request.real.0);
        if pool.block_allocation {
            return self.port_of_block(model, pool, request, wish);
        }
        let sticky = self.sticky.get(&host).map(|(address, _)| *address);
        let shared = pool.pat.count();
        let turn = if pool.round_robin {
            self.rules.entry(request.rule).or_default().turn
        } else {
            0
        };
        let rotated = (0..shared).filter_map(|step| pool.pat.at((turn + step) % shared));
        let interface = model
            .interface(request.mapped_interface)
            .address
            .filter(|_| pool.interface);
        let addresses = rotated
            .chain(interface.map(|own| own.address()))
            .map(Ipv4Addr::from);
        for address in sticky.into_iter().chain(addresses) {
            if let Some(port) = self.port_of(model, pool, request, address, &range, wish) {
                if pool.round_robin && sticky != Some(address) {
                    let state = self.rules.entry(request.rule).or_default();
                    state.turn = pool
                        .pat
                        .position(address.into())
                        .map_or(0, |position| (position + 1) % shared);
                }
                return Ok((address, port));
            }
        }
        Err(Exhausted::Ports(*range.start(), *range.end()))
    }

    /// A port out of the host's blocks, or out of a new block.
    fn port_of_block(
        &mut self,
        model: &Model,
        pool: &Pool,
        request: &Request,
        wish: u16,
    ) -> Result<(Ipv4Addr, u16), Exhausted> {
        let host = (request.rule, request.real.0);
        let mut blocks = self.blocks.of(host);
        let mut addresses = model
            .pat_ranges(request.rule, request.mapped_interface)
            .flat_map(|range| (range.low..=range.high).map(Ipv4Addr::from));
        loop {
            for (address, block) in blocks {
                let range = ports::block_ports(block);
                if let Some(port) = self.port_of(model, pool, request, address, &range, wish) {
                    return Ok((address, port));
                }
            }
            let address = addresses.next().ok_or(Exhausted::Ports(1024, u16::MAX))?;
            blocks = self.blocks.free(host, address);
        }
    }

    /// A free port of one address.
    fn port_of(
        &mut self,
        model: &Model,
        pool: &Pool,
        request: &Request,
        address: Ipv4Addr,
        range: &RangeInclusive<u16>,
        wish: u16,
    ) -> Option<u16> {
        if self.whole.contains_key(&address) {
            return None;
        }
        let key = ports_key(pool, request, address);
        self.in_use(model, pool, request, address);
        let in_use = self.ports.get_mut(&key)?;
        let keeps = range.contains(&wish) || !pool.flat && !pool.block_allocation;
        let start = self.random.within(*range.start(), *range.end());
        let found = Some(wish)
            .filter(|wish| keeps && in_use.ports.is_free(*wish))
            .or_else(|| in_use.ports.find(range, start));
        match found {
            Some(port) => {
                in_use.ports.take(port);
                in_use.xlates += 1;
            }
            None if in_use.xlates == 0 => drop(self.ports.remove(&key)),
            None => {}
        }
        found
    }

    /// The ports of an address that are not free.
    fn in_use(
        &mut self,
        model: &Model,
        pool: &Pool,
        request: &Request,
        address: Ipv4Addr,
    ) -> &mut InUse {
        let key = ports_key(pool, request, address);
        self.ports.entry(key).or_insert_with(|| {
            let mut in_use = InUse::default();
            for owned in model
                .owned
                .ports(request.mapped_interface, request.proto, address.into())
            {
                in_use.ports.strike_out(owned.low..=owned.high);
            }
            in_use
        })
    }

    fn count_port(&mut self, request: &Request, address: Ipv4Addr, port: u16, pool: &Pool) {
        let host = (request.rule, request.real.0);
        *self.shared.entry(address).or_default() += 1;
        self.sticky.entry(host).or_insert((address, 0)).1 += 1;
        if pool.block_allocation {
            self.blocks.take(host, address, port);
        }
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

    fn free_port(&mut self, xlate: &Xlate, port: u16) {
        let Request {
            rule,
            real,
            proto,
            destination,
            ..
        } = xlate.request;
        let (address, host) = (xlate.address, (rule, real.0));
        let key = (address, proto, xlate.extended.then_some(destination));
        if let Some(in_use) = self.ports.get_mut(&key) {
            in_use.ports.release(port);
            in_use.xlates -= 1;
            if in_use.xlates == 0 {
                self.ports.remove(&key);
            }
        }
        if let Some(count) = self.shared.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.shared.remove(&address);
            }
        }
        if let Some((_, count)) = self.sticky.get_mut(&host) {
            *count -= 1;
            if *count == 0 {
                self.sticky.remove(&host);
            }
        }
        self.blocks.release(address, port);
    }
}

fn ports_key(pool: &Pool, request: &Request, address: Ipv4Addr) -> PortsKey {
    let destination = pool.extended.then_some(request.destination);
    (address, request.proto, destination)
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

/// The ports a translation may get instead of its source port.
fn suitable(pool: &Pool, request: &Request) -> RangeInclusive<u16> {
    if request.proto == ICMP {
        // Identifiers have no classes.
        1..=u16::MAX
    } else if pool.flat || pool.block_allocation {
        if pool.include_reserve {
            1..=u16::MAX
        } else {
            1024..=u16::MAX
        }
    } else {
        ports::class(request.real.1)
    }
}
