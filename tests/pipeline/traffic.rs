//! Frames drawn from the tables: hits, edges one step off, and everything a parser can stumble over.

use layout::table::{AclEntry, FlowEntry, INTERFACES, Key, PORTS};
use sim::frame::{Checksum, Frame, Transport, internet_checksum};

use crate::random::Random;
use crate::world::World;

/// A frame and the port it enters.
pub fn frame(random: &mut Random, world: &World) -> (usize, Vec<u8>) {
    let (key, flow) = key(random, world);
    let (port, mut frame) = dress(random, world, &key);
    frame.transport = transport(random, &key);
    frame.payload = payload(random);
    spoil_checksums(random, &mut frame, flow.as_ref());
    if random.percent(20) {
        spoil_header(random, world, &mut frame);
    }
    let mut bytes = frame.build();
    if random.percent(12) {
        let length = cut_length(random, bytes.len());
        bytes.resize(length, 0xa5);
    } else if bytes.len() < 60 && random.percent(60) {
        bytes.resize(60, 0);
    }
    if random.percent(3) {
        let at = random.below(bytes.len().min(64));
        bytes[at] = random.flip(bytes[at].into(), 8) as u8;
    }
    (port, bytes)
}

/// A key some entry has, or nearly has; the flow it was taken from.
fn key(random: &mut Random, world: &World) -> (Key, Option<FlowEntry>) {
    let slots = world.flow_slots();
    let mut flow = None;
    let mut key = match random.below(20) {
        0..=9 => {
            flow = world.flows.get(&random.pick(&slots)).copied();
            flow.map_or_else(|| world.key(random), |flow| flow.key())
        }
        10..=14 if !world.acl.is_empty() => {
            let index = random.below(world.acl.len());
            let entry = world.acl.values().nth(index).copied().unwrap_or_default();
            key_of_ace(random, world, &entry)
        }
        15..=17 if !world.destinations.is_empty() => {
            let index = random.below(world.destinations.len());
            let entry = world
                .destinations
                .values()
                .nth(index)
                .copied()
                .unwrap_or_default();
            let drawn = world.key(random);
            Key {
                interface: under_mask(random, entry.interface.into(), entry.interface_mask.into())
                    as u8
                    & 7,
                proto: under_mask(random, entry.proto.into(), entry.proto_mask.into()) as u8,
                dst: under_mask(random, entry.dst.into(), entry.dst_mask.into()) as u32,
                dport: under_mask(random, entry.dport.into(), entry.dport_mask.into()) as u16,
                ..drawn
            }
        }
        _ => world.key(random),
    };
    if random.percent(20) {
        flow = None;
        step_aside(random, world, &mut key);
    }
    (key, flow)
}

/// A key that an access-control entry matches, at the ends of its ranges.
fn key_of_ace(random: &mut Random, world: &World, entry: &AclEntry) -> Key {
    let end = |random: &mut Random, low: u16, high: u16| match random.below(6) {
        0 | 1 => low,
        2 | 3 => high,
        4 => low.wrapping_sub(1),
        _ => high.wrapping_add(1),
    };
    let drawn = world.key(random);
    let any_dport = (entry.dport_low, entry.dport_high) == (0, u16::MAX);
    let any_sport = (entry.sport_low, entry.sport_high) == (0, u16::MAX);
    Key {
        interface: under_mask(random, entry.interface.into(), entry.interface_mask.into()) as u8
            & 7,
        proto: if entry.proto_mask == 0 {
            drawn.proto
        } else {
            entry.proto
        },
        src: under_mask(random, entry.src.into(), entry.src_mask.into()) as u32,
        dst: under_mask(random, entry.dst.into(), entry.dst_mask.into()) as u32,
        sport: if any_sport {
            drawn.sport
        } else {
            end(random, entry.sport_low, entry.sport_high)
        },
        dport: if any_dport {
            drawn.dport
        } else {
            end(random, entry.dport_low, entry.dport_high)
        },
    }
}

/// The value where the mask has ones, anything elsewhere.
fn under_mask(random: &mut Random, value: u64, mask: u64) -> u64 {
    value & mask | random.next() & !mask
}

/// Changes one field a little.
fn step_aside(random: &mut Random, world: &World, key: &mut Key) {
    match random.below(7) {
        0 => key.src = random.flip(key.src.into(), 32) as u32,
        1 => key.dst = random.flip(key.dst.into(), 32) as u32,
        2 => key.sport = key.sport.wrapping_add(random.pick(&[1, u16::MAX])),
        3 => key.dport = key.dport.wrapping_add(random.pick(&[1, u16::MAX])),
        4 => key.interface = random.below(INTERFACES) as u8,
        5 => key.proto = random.pick(&world.protos),
        _ => key.dst = key.dst.wrapping_add(random.pick(&[1, u32::MAX])),
    }
}

/// Link layer and network layer for a key: the port, and a frame still without transport.
fn dress(random: &mut Random, world: &World, key: &Key) -> (usize, Frame) {
    let interface = world.interfaces[usize::from(key.interface) % INTERFACES];
    let destination = match random.below(100) {
        0..=88 => interface.mac,
        89..=91 => 0xffff_ffff_ffff,
        92..=94 => 0x0100_5e00_0001,
        95 => interface.mac ^ 1,
        _ => random.flip(interface.mac, 48),
    };
    let tag = interface
        .tagged
        .then(|| interface.vid | (random.below(16) as u16) << 12);
    let frame = Frame {
        destination,
        source: random.next() & 0xffff_ffff_ffff,
        tag: if random.percent(3) {
            random.pick(&[None, Some(0), Some(5), Some(0x0fff)])
        } else {
            tag
        },
        identification: random.next() as u16,
        fragment: random.pick(&[0x4000, 0x4000, 0, 0x8000, 0xc000]),
        ttl: random.pick(&[64, 64, 64, 255, 2, 2]),
        src: key.src,
        dst: key.dst,
        ..Frame::default()
    };
    let port = if random.percent(2) {
        random.below(PORTS)
    } else {
        usize::from(interface.port) % PORTS
    };
    (port, frame)
}

fn transport(random: &mut Random, key: &Key) -> Transport {
    match key.proto {
        6 => Transport::Tcp {
            sport: key.sport,
            dport: key.dport,
            flags: match random.below(8) {
                0..=2 => 0x02,
                3 => 0x10,
                4 => random.pick(&[0x12, 0x11, 0x04, 0x14, 0x03, 0x06, 0xc2]),
                _ => random.next() as u8,
            },
            offset: if random.percent(4) {
                random.below(16) as u8
            } else {
                5
            },
        },
        17 => Transport::Udp {
            sport: key.sport,
            dport: key.dport,
        },
        1 => Transport::Icmp {
            kind: (key.dport >> 8) as u8,
            code: key.dport as u8,
            identifier: key.sport,
        },
        other => Transport::Other(other),
    }
}

fn payload(random: &mut Random) -> Vec<u8> {
    let length = match random.below(1000) {
        0..=249 => 0,
        250..=799 => random.below(40),
        800..=949 => random.below(200),
        950..=984 => random.between(400, 1472),
        // Around HOST_FRAME_BYTES.
        985..=997 => random.between(1960, 2020),
        _ => random.between(2021, 9000),
    };
    let first = random.next() as u8;
    (0..length)
        .map(|i| first.wrapping_add((i * 7) as u8))
        .collect()
}

/// Checksums that become zero or all ones, are absent, or wrong.
fn spoil_checksums(random: &mut Random, frame: &mut Frame, flow: Option<&FlowEntry>) {
    let (ip, l4) = deltas(frame, flow);
    frame.l4_checksum = match random.below(12) {
        0..=4 => Checksum::Right,
        5 | 6 => Checksum::Value(0),
        7 => Checksum::Value(random.pick(&[1, 0xffff, 0xfffe])),
        8 | 9 => Checksum::Value(l4),
        10 => Checksum::Value(l4.wrapping_add(random.pick(&[1, 0xffff]))),
        _ => Checksum::Value(random.next() as u16),
    };
    let header_checksum = match random.below(20) {
        0 => 0,
        1 => 0xffff,
        2 => ip,
        3 => ip.wrapping_add(random.pick(&[1, 0xffff])),
        _ => return,
    };
    // An identification with which this very header checksum is right.
    frame.identification = 0;
    frame.ip_checksum = Checksum::Value(header_checksum);
    let start = if frame.tag.is_some() { 18 } else { 14 };
    frame.identification = internet_checksum(&frame.build()[start..start + 20]);
}

/// Folded sums of ~m + m' for the IPv4 and the transport checksum: a checksum of this value becomes zero.
fn deltas(frame: &Frame, flow: Option<&FlowEntry>) -> (u16, u16) {
    let Some(flow) = flow else {
        return (0x1234, 0x1234);
    };
    let (old, port) = if flow.translate_source {
        (frame.src, flow.sport)
    } else {
        (frame.dst, flow.dport)
    };
    let halves = |address: u32| [(address >> 16) as u16, address as u16];
    let mut sum = 0;
    for (old, new) in halves(old).into_iter().zip(halves(flow.address)) {
        sum += u32::from(!old) + u32::from(new);
    }
    (
        fold(sum),
        fold(sum + u32::from(!port) + u32::from(flow.l4_port)),
    )
}

fn fold(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

/// One thing wrong or unusual in the headers.
fn spoil_header(random: &mut Random, world: &World, frame: &mut Frame) {
    match random.below(14) {
        0 => frame.version = random.pick(&[0, 3, 5, 6, 12]),
        1 => frame.header_words = random.pick(&[0, 1, 4, 6, 7, 15]),
        2 | 3 => {
            frame.total_length =
                Some(random.pick(&[0, 19, 20, 21, 23, 24, 27, 28, 29, 39, 40, 41, 60, 0xffff]))
        }
        4 => frame.ip_checksum = Checksum::Value(random.next() as u16),
        5 => frame.ttl = random.pick(&[0, 1, 1, 2]),
        6 | 7 => frame.fragment = random.pick(&[0x2000, 0x0001, 0x1000, 0x3fff, 0x6000, 0xa000]),
        8 => {
            frame.src = random.pick(&[
                0xe000_0000,
                0xdfff_ffff,
                0xf000_0000,
                0xffff_ffff,
                0xefff_ffff,
            ])
        }
        9 => frame.src = frame.dst,
        10 => {
            frame.ethertype = random.pick(&[0x0806, 0x86dd, 0x8100, 0x88a8, 0x0801, 0x0900, 0x05dc])
        }
        11 => {
            let kind = random.pick(&[3, 4, 5, 11, 12, 2, 6, 10, 13, 8 + 16]);
            frame.transport = Transport::Icmp {
                kind,
                code: 0,
                identifier: random.pick(&world.ports),
            };
        }
        12 => {
            let offset = random.pick(&[0, 1, 4, 5, 6, 15]);
            frame.transport = Transport::Tcp {
                sport: 1,
                dport: 2,
                flags: 2,
                offset,
            };
        }
        _ => (frame.dst, frame.src) = (frame.src, frame.dst),
    }
}

/// Any length from 1 to 80, the edges of headers more often.
fn cut_length(random: &mut Random, whole: usize) -> usize {
    match random.below(3) {
        0 => random.between(1, 80),
        1 => random.pick(&[
            13, 14, 15, 17, 18, 19, 33, 34, 37, 38, 41, 42, 45, 46, 53, 54, 57, 58, 63, 64, 65,
        ]),
        _ => random.between(1, whole.min(80)),
    }
}
