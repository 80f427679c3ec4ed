//! Which address and port a new translation gets, and what it takes and gives back.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use super::{Exhausted, InUse, PortsKey, Request, Xlate, Xlates};
use crate::flow::ports;
use crate::policy::Model;
use crate::policy::model::{NatId, Pool};
use crate::wire::packet::ICMP;

impl Xlates {
    /// An address for the host alone.
    pub(super) fn whole_address(&mut self, pool: &Pool, rule: NatId) -> Option<Ipv4Addr> {
        let (whole, shared) = (&self.whole, &self.shared);
        let is_free = |address| !whole.contains_key(&address) && !shared.contains_key(&address);
        self.rules
            .entry(rule)
            .or_default()
            .addresses
            .take(&pool.one_to_one, is_free)
    }

    /// A port of one of the rule's addresses: that of the host first, then in order or in turn.
    pub(super) fn address_and_port(
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
    pub(super) fn port_of_block(
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
    pub(super) fn port_of(
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
    pub(super) fn in_use(
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

    pub(super) fn count_port(
        &mut self,
        request: &Request,
        address: Ipv4Addr,
        port: u16,
        pool: &Pool,
    ) {
        let host = (request.rule, request.real.0);
        *self.shared.entry(address).or_default() += 1;
        self.sticky.entry(host).or_insert((address, 0)).1 += 1;
        if pool.block_allocation {
            self.blocks.take(host, address, port);
        }
    }

    pub(super) fn free_port(&mut self, xlate: &Xlate, port: u16) {
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

pub(super) fn ports_key(pool: &Pool, request: &Request, address: Ipv4Addr) -> PortsKey {
    let destination = pool.extended.then_some(request.destination);
    (address, request.proto, destination)
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
