//! The destination table: static un-NAT in the order of the rules, then our own addresses.
//!
//! The table sees ingress interface, protocol, destination address and port. A rule that also looks at the source
//! becomes a `local` entry: the host gets the packet and decides.

use layout::table::Destination;

use super::blocks::{Block, blocks, paired};
use super::interfaces::{Match, Set, of_rule};
use crate::policy::image::{Capacity, DestinationOrigin, FitReport, HostReason, Image, Subject};
use crate::policy::model::{InterfaceId, Model, NatId, NatRule, NatSource, StaticMap};
use crate::policy::range::{AddressList, AddressRange, PortRange};

/// Blocks a rule may take before the host does it; lists of single hosts may take one for each.
const BLOCK_LIMIT: usize = 32;

/// Fills in the destination table.
pub(super) fn compile(
    model: &Model,
    present: Set,
    capacity: &Capacity,
    image: &mut Image,
    report: &mut FitReport,
) {
    let mut table = Table {
        capacity: capacity.destinations,
        own: own_addresses(model, present),
        image,
        report,
    };
    for (index, rule) in model.nat.iter().enumerate() {
        if rule.inactive {
            continue;
        }
        let id = NatId(index as u16);
        for (number, direction) in directions(rule).enumerate() {
            if let Some(interface) = of_rule(direction.interface, present) {
                let rest = directions(rule).skip(number + 1);
                let later = model.nat[index + 1..].iter().filter(|rule| !rule.inactive);
                let hidden = rest.chain(later.flat_map(directions));
                table.direction(id, &direction, interface, hidden);
            }
        }
    }
    table.own(None, EVERY_PORT, Match::ANY, EVERY_ADDRESS);
    table.close();
}

/// One way through a rule that maps a destination.
struct Direction<'r> {
    interface: Option<InterfaceId>,
    protocol: Option<u8>,
    from: &'r AddressList,
    to: &'r AddressList,
    from_ports: PortRange,
    to_ports: PortRange,
    depends_on_source: bool,
}

/// The ways through a rule, in the order the evaluator tries them.
fn directions(rule: &NatRule) -> impl Iterator<Item = Direction<'_>> {
    let service = rule.service.as_ref();
    let any = PortRange::ANY;
    let reverse = match &rule.source {
        NatSource::Static(StaticMap { real, mapped }) if !rule.unidirectional => Some(Direction {
            interface: rule.mapped_interface,
            protocol: service.map(|service| service.protocol),
            from: mapped,
            to: real,
            from_ports: service.map_or(any, |service| service.mapped_source),
            to_ports: service.map_or(any, |service| service.real_source),
            depends_on_source: rule.destination.as_ref().is_some_and(|destination| {
                !destination.real.is_any()
                    || service.is_some_and(|service| service.real_destination != any)
            }),
        }),
        _ => None,
    };
    let forward = rule.destination.as_ref().map(|destination| Direction {
        interface: rule.real_interface,
        protocol: service.map(|service| service.protocol),
        from: &destination.mapped,
        to: &destination.real,
        from_ports: service.map_or(any, |service| service.mapped_destination),
        to_ports: service.map_or(any, |service| service.real_destination),
        depends_on_source: !rule.source.real().is_any()
            || service.is_some_and(|service| service.real_source != any),
    });
    reverse.into_iter().chain(forward)
}

struct Table<'t> {
    capacity: usize,
    own: Vec<Own>,
    image: &'t mut Image,
    report: &'t mut FitReport,
}

impl Table<'_> {
    /// Adds one way through a rule; `later` are those that come after it.
    fn direction<'r>(
        &mut self,
        id: NatId,
        direction: &Direction<'_>,
        interface: Match,
        mut later: impl Iterator<Item = Direction<'r>>,
    ) {
        let reason = if direction.depends_on_source {
            // Unchanged for some sources and nothing later would change it for the others: nothing to do.
            let unchanged =
                direction.from == direction.to && direction.from_ports == direction.to_ports;
            if unchanged && !later.any(|other| other.from.overlaps(direction.from)) {
                return;
            }
            Some(HostReason::DependsOnSource)
        } else {
            None
        };
        let addresses = moves(direction.from, direction.to);
        let ports: Vec<_> = paired(
            u32::from(direction.from_ports.low),
            u32::from(direction.to_ports.low),
            u64::from(direction.from_ports.count()),
        )
        .collect();
        let reason = reason.or(addresses.is_none().then_some(HostReason::NotAligned));
        let Some(addresses) = addresses.filter(|_| reason.is_none()) else {
            self.host_decides(
                id,
                direction,
                interface,
                reason.unwrap_or(HostReason::NotAligned),
            );
            return;
        };
        for address in &addresses {
            for &(port, port_to) in &ports {
                let unchanged = address.from.value == address.to
                    && address.keep == address.from.keep()
                    && port.value == port_to;
                if unchanged {
                    // What is for the device itself stays so; see the evaluator.
                    self.own(direction.protocol, port, interface, address.from);
                }
                let entry = Destination {
                    address: address.to,
                    address_keep: address.keep,
                    l4_port: port_to as u16,
                    l4_port_keep: port.keep() as u16,
                    ..matching(interface, direction.protocol, address.from, port)
                };
                self.push(entry, DestinationOrigin::Nat(id));
            }
        }
    }

    /// Adds `local` entries for our own addresses among these, and for no more of them than these.
    fn own(&mut self, protocol: Option<u8>, port: Block, interface: Match, address: Block) {
        let entries: Vec<_> = self
            .own
            .iter()
            .filter_map(|own| {
                let interface = own.interface.meet(interface)?;
                let address = own.address.meet(address)?;
                let entry = Destination {
                    local: true,
                    ..matching(interface, protocol, address, port)
                };
                Some((entry, own.origin))
            })
            .collect();
        for (entry, origin) in entries {
            self.push(entry, origin);
        }
    }

    fn host_decides(
        &mut self,
        id: NatId,
        direction: &Direction<'_>,
        interface: Match,
        reason: HostReason,
    ) {
        self.report.host_decides.push((Subject::Nat(id), reason));
        let ports = AddressRange {
            low: u32::from(direction.from_ports.low),
            high: u32::from(direction.from_ports.high),
        };
        let ports = blocks(ports);
        for address in direction
            .from
            .ranges
            .iter()
            .flat_map(|range| blocks(*range))
        {
            for &port in &ports {
                let entry = Destination {
                    local: true,
                    ..matching(interface, direction.protocol, address, port)
                };
                self.push(entry, DestinationOrigin::HostDecides(id));
            }
        }
    }

    fn push(&mut self, entry: Destination, origin: DestinationOrigin) {
        self.report.wanted.destinations += 1;
        if self.image.destinations.len() < self.capacity {
            self.image.destinations.push(entry);
            self.image.destination_origins.push(origin);
        } else if self.report.first_nat_left_out.is_none() {
            self.report.first_nat_left_out = origin.nat();
        }
    }

    /// A table that could not take everything ends with an entry that sends the rest to the host.
    fn close(&mut self) {
        if self.report.wanted.destinations <= self.capacity {
            return;
        }
        if let Some(last) = self.image.destination_origins.last_mut() {
            if let Some(lost) = last.nat() {
                self.report.first_nat_left_out = Some(lost);
            }
            *last = DestinationOrigin::Overflow;
        }
        if let Some(last) = self.image.destinations.last_mut() {
            *last = Destination {
                valid: true,
                local: true,
                ..Destination::default()
            };
        }
    }
}

/// The part of an entry that says what it matches. `port` is a block of the low 16 bits.
fn matching(interface: Match, protocol: Option<u8>, address: Block, port: Block) -> Destination {
    Destination {
        valid: true,
        interface: interface.value,
        interface_mask: interface.mask,
        proto: protocol.unwrap_or(0),
        proto_mask: if protocol.is_some() { 0xff } else { 0 },
        dst: address.value,
        dst_mask: address.mask(),
        dport: port.value as u16,
        dport_mask: port.mask() as u16,
        ..Destination::default()
    }
}

/// A block of addresses, where its first one goes, and which bits it keeps on the way.
struct Move {
    from: Block,
    to: u32,
    keep: u32,
}

/// Aligned blocks of `from` beside their places in `to`; `None` when that takes too many.
fn moves(from: &AddressList, to: &AddressList) -> Option<Vec<Move>> {
    if let Some(to) = to.single() {
        let blocks = from.ranges.iter().flat_map(|range| blocks(*range));
        return Some(blocks.map(|from| Move { from, to, keep: 0 }).collect());
    }
    let limit = BLOCK_LIMIT.max(2 * to.ranges.len());
    let mut moves = Vec::new();
    let mut position = 0;
    for range in &from.ranges {
        let mut done = 0;
        while done < range.count() {
            let (target, run) = run_at(to, position + done)?;
            let count = run.min(range.count() - done);
            let first = range.low + done as u32;
            let pairs = paired(first, target, count).take(limit + 1);
            moves.extend(pairs.map(|(from, to)| Move {
                from,
                to,
                keep: from.keep(),
            }));
            if moves.len() > limit {
                return None;
            }
            done += count;
        }
        position += range.count();
    }
    Some(moves)
}

/// The address at a position of a list that begins again, and how many follow it in one range.
fn run_at(list: &AddressList, position: u64) -> Option<(u32, u64)> {
    let mut left = position.checked_rem(list.count())?;
    for range in &list.ranges {
        if left < range.count() {
            return Some((range.low + left as u32, range.count() - left));
        }
        left -= range.count();
    }
    None
}

/// Every port.
const EVERY_PORT: Block = Block {
    value: 0,
    free_bits: 16,
};

/// Every address.
const EVERY_ADDRESS: Block = Block {
    value: 0,
    free_bits: 32,
};

/// An address of our own.
struct Own {
    interface: Match,
    address: Block,
    origin: DestinationOrigin,
}

/// What is for the device itself, by the interface it must come in on.
fn own_addresses(model: &Model, present: Set) -> Vec<Own> {
    let mut own = Vec::new();
    for id in model.interface_ids() {
        let (Some(interface), Some(address)) =
            (of_rule(Some(id), present), model.interface(id).address)
        else {
            continue;
        };
        let mut values = vec![address.address()];
        if address.prefix < 31 {
            values.extend([address.subnet.low, address.subnet.high]);
        }
        own.extend(values.into_iter().map(|value| Own {
            interface,
            address: Block {
                value,
                free_bits: 0,
            },
            origin: DestinationOrigin::Own(id),
        }));
    }
    // Multicast (RFC 5771) and the limited broadcast.
    for (value, free_bits) in [(0xe000_0000, 28), (u32::MAX, 0)] {
        own.push(Own {
            interface: Match::ANY,
            address: Block { value, free_bits },
            origin: DestinationOrigin::Multicast,
        });
    }
    own
}
