//! Packets made from the rules: edges of what they match, and one beside.

use host::policy::Model;
use host::policy::model::{NatSource, StaticMap};
use host::policy::range::{AddressRange, PortRange};
use layout::table::Key;

use super::random::Random;

/// One packet. Source below multicast and unlike the destination, as the card has checked before.
pub fn generate(model: &Model, random: &mut Random) -> Key {
    loop {
        let mut key = from_a_line(model, random);
        if random.chance(40) {
            through_nat(model, random, &mut key);
        }
        if random.chance(10) {
            key.dst = *random.pick(&[
                0xffff_ffff,
                0xe000_0001,
                0xc000_02ff,
                0x0a00_0000,
                0x0a00_00ff,
            ]);
        }
        if random.chance(10)
            && let Some(own) = random.pick(&model.interfaces).address
        {
            key.dst = own.address();
        }
        if !matches!(key.proto, 1 | 6 | 17) {
            (key.sport, key.dport) = (0, 0);
        }
        if key.src < 0xe000_0000 && key.src != key.dst {
            return key;
        }
    }
}

/// An element of some access list, at an edge.
fn from_a_line(model: &Model, random: &mut Random) -> Key {
    let interface = random.below(model.interfaces.len() as u64) as u8;
    let other = Key {
        interface,
        proto: *random.pick(&[1, 6, 17, 47]),
        src: random.next() as u32 & 0x7fff_ffff,
        dst: 0x0a00_0000 | random.below(300) as u32,
        sport: random.next() as u16,
        dport: random.next() as u16,
    };
    let lines: Vec<_> = model
        .access_lists
        .iter()
        .flat_map(|list| &list.aces)
        .collect();
    if lines.is_empty() || random.chance(5) {
        return other;
    }
    let line = *random.pick(&lines);
    if line.elements() == 0 {
        return other;
    }
    let service = random.pick(&line.services);
    Key {
        interface,
        proto: service.protocol.unwrap_or(other.proto),
        src: of_ranges(random, &line.sources),
        dst: of_ranges(random, &line.destinations),
        sport: service
            .source
            .ranges()
            .first()
            .map_or(other.sport, |range| port(random, *range)),
        dport: service
            .destination
            .ranges()
            .last()
            .map_or(other.dport, |range| port(random, *range)),
    }
}

/// Sends the packet to what a NAT rule maps, or to the real address behind it.
fn through_nat(model: &Model, random: &mut Random, key: &mut Key) {
    if model.nat.is_empty() {
        return;
    }
    let rule = random.pick(&model.nat);
    let mut maps: Vec<&StaticMap> = rule.destination.iter().collect();
    if let NatSource::Static(map) = &rule.source {
        maps.push(map);
    }
    let Some(&map) = maps.get(random.below(2) as usize % maps.len().max(1)) else {
        return;
    };
    let list = if random.chance(80) {
        &map.mapped
    } else {
        &map.real
    };
    key.dst = of_ranges(random, &list.ranges);
    if random.chance(50) {
        let source = rule.source.real();
        key.src = of_ranges(random, &source.ranges);
    }
    if random.chance(30)
        && let Some(destination) = &rule.destination
    {
        key.src = of_ranges(random, &destination.real.ranges);
    }
    if let Some(service) = &rule.service
        && random.chance(80)
    {
        key.proto = service.protocol;
        let ports = *random.pick(&[
            service.mapped_source,
            service.mapped_destination,
            service.real_source,
        ]);
        key.dport = port(random, ports);
        let ports = *random.pick(&[service.real_source, service.real_destination]);
        key.sport = port(random, ports);
    }
    if random.chance(60)
        && let Some(interface) = rule.mapped_interface
    {
        key.interface = interface.0;
    }
}

fn of_ranges(random: &mut Random, ranges: &[AddressRange]) -> u32 {
    let range = *random.pick(ranges);
    address(random, range)
}

/// An edge of a range, one beside, or within.
fn address(random: &mut Random, range: AddressRange) -> u32 {
    match random.below(8) {
        0 | 1 => range.low,
        2 => range.high,
        3 => range.low.wrapping_sub(1),
        4 => range.high.wrapping_add(1),
        _ => range.low.wrapping_add(random.below(range.count()) as u32),
    }
}

fn port(random: &mut Random, range: PortRange) -> u16 {
    match random.below(8) {
        0 | 1 => range.low,
        2 => range.high,
        3 => range.low.wrapping_sub(1),
        4 => range.high.wrapping_add(1),
        _ => range.low + random.below(u64::from(range.count())) as u16,
    }
}
