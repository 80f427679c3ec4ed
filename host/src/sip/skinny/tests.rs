//! Skinny messages through the inspector.

use std::net::{Ipv4Addr, SocketAddrV4};

use proptest::prelude::*;

use super::super::inspect::Arrival;
use super::super::tests::bench::{Nat, SERVER_MAPPED, SHARED};
use super::super::{Effect, Place, Protocol, Reason, Way};
use super::*;

const MANAGER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 7), 2000);
const PHONE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 50), 50000);

/// A message with these words after its number.
fn message(version: u32, id: u32, words: &[u32]) -> Vec<u8> {
    let length = 4 + 4 * words.len() as u32;
    let all = [length, version, id];
    all.iter()
        .chain(words)
        .flat_map(|word| word.to_le_bytes())
        .collect()
}

fn address(octets: [u8; 4]) -> u32 {
    u32::from_le_bytes(octets)
}

struct Bench {
    inspector: Inspector,
    connection: Connection,
    nat: Nat,
}

impl Bench {
    fn new(rules: Rules) -> Self {
        Self {
            inspector: Inspector::new(rules),
            connection: Connection::default(),
            nat: Nat::default(),
        }
    }

    fn send(&mut self, way: Way, bytes: &[u8]) -> Vec<Effect> {
        let phone = Place {
            interface: "inside",
            socket: PHONE,
        };
        let manager = Place {
            interface: "outside",
            socket: MANAGER,
        };
        let (source, destination) = match way {
            Way::Outbound => (phone, manager),
            Way::Inbound => (manager, phone),
        };
        let arrival = Arrival {
            now: Time::ZERO,
            way,
            protocol: Protocol::Tcp,
            is_tls: false,
            source,
            destination,
        };
        let mut effects = Vec::new();
        self.inspector.handle_message(
            &mut self.connection,
            &arrival,
            bytes,
            &mut self.nat,
            &mut effects,
        );
        effects
    }
}

#[test]
fn media_of_a_phone_are_translated_and_let_through_until_closed() {
    for (version, words) in [
        (0, vec![0, address([10, 0, 0, 50]), 4000, 77]),
        (17, vec![0, 0, address([10, 0, 0, 50]), 0, 0, 0, 4000, 77]),
    ] {
        let mut bench = Bench::new(Rules::default());
        let effects = bench.send(Way::Outbound, &message(version, 0x22, &words));
        let mut translated = words.clone();
        for word in &mut translated {
            *word = match *word {
                4000 => 20000,
                own if own == address([10, 0, 0, 50]) => address(SHARED.octets()),
                other => other,
            };
        }
        let forwarded = Effect::Forward(message(version, 0x22, &translated));
        assert_eq!(effects.last(), Some(&forwarded));
        let opened = effects
            .iter()
            .filter(|effect| matches!(effect, Effect::OpenPinhole { .. }));
        assert_eq!(opened.count(), 2);
        let close = bench.send(Way::Inbound, &message(version, 0x106, &[1, 77]));
        let closed = close
            .iter()
            .filter(|effect| matches!(effect, Effect::ClosePinhole { .. }));
        assert_eq!(closed.count(), 2);
    }
}

#[test]
fn a_phone_is_told_real_ends_and_says_a_mapped_address() {
    let mut bench = Bench::new(Rules::default());
    let (real, mapped) = (PHONE.ip().octets(), SHARED.octets());
    bench.send(
        Way::Outbound,
        &message(0, 0x22, &[0, address(real), 4000, 1]),
    );
    let start = |at, port| message(0, 0x8a, &[9, 1, address(at), port, 20]);
    let told = bench.send(Way::Inbound, &start(mapped, 20000));
    assert_eq!(told, [Effect::Forward(start(real, 4000))]);
    let stranger = start([198, 51, 100, 9], 6000);
    assert_eq!(
        bench.send(Way::Inbound, &stranger),
        [Effect::Forward(stranger)]
    );
    let register = |at| message(0, 1, &[0, 0, 0, 0, 0, 0, address(at), 7]);
    let sent = bench.send(Way::Outbound, &register([10, 0, 0, 2]));
    assert_eq!(sent, [Effect::Forward(register(SERVER_MAPPED.octets()))]);
    bench.nat.left = Some(bench.nat.made());
    let more = bench.send(
        Way::Outbound,
        &message(0, 0x22, &[0, address(real), 5000, 1]),
    );
    assert_eq!(more, [Effect::Drop(Reason::XlateFailed)]);
}

#[test]
fn numbers_lengths_and_registration_are_checked() {
    let parsed = crate::config::parse(
        "policy-map type inspect skinny m\n parameters\n  enforce-registration\n  message-id max 0x150\n\
         \x20 sccp-prefix-len min 8\n  sccp-prefix-len max 40\n match message-id range 0x40 0x42\n  drop log\n",
    );
    assert!(!parsed.has_errors(), "{:?}", parsed.diagnostics);
    let rules = Rules::of(&parsed.config.inspect_maps[0], &[]);
    let mut bench = Bench::new(rules);
    let mut end = |way, bytes: Vec<u8>| bench.send(way, &bytes);
    let dropped = |effects: Vec<Effect>| match effects.last() {
        Some(Effect::Drop(reason)) => Some(*reason),
        _ => None,
    };
    assert_eq!(
        dropped(end(Way::Outbound, message(0, 6, &[0]))),
        Some(Reason::NotRegistered)
    );
    assert_eq!(dropped(end(Way::Inbound, message(0, 0x81, &[0]))), None);
    assert_eq!(dropped(end(Way::Outbound, message(0, 6, &[0]))), None);
    assert_eq!(
        dropped(end(Way::Outbound, message(0, 0x151, &[0]))),
        Some(Reason::MessageId)
    );
    assert_eq!(
        dropped(end(Way::Outbound, message(0, 0x41, &[0]))),
        Some(Reason::Rule)
    );
    let short = end(Way::Outbound, message(0, 6, &[]));
    assert!(matches!(&short[0], Effect::Log(event) if event.id == 608002));
    assert_eq!(dropped(short), Some(Reason::PrefixLength));
    assert_eq!(
        dropped(end(Way::Outbound, message(0, 6, &[0; 10]))),
        Some(Reason::PrefixLength)
    );
}

proptest! {
    #[test]
    fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..200), id in 0..0x160_u32) {
        let mut framer = Framer::default();
        framer.handle_bytes(&bytes);
        while framer.poll().is_some() {}
        let mut bench = Bench::new(Rules::default());
        let words: Vec<u32> = bytes.iter().map(|byte| u32::from(*byte)).take(12).collect();
        for version in [0, 17] {
            let bytes = message(version, id, &words);
            bench.send(Way::Outbound, &bytes);
            bench.send(Way::Inbound, &bytes);
        }
        bench.send(Way::Outbound, &bytes);
        let mut effects = Vec::new();
        handle_end(std::mem::take(&mut bench.connection), &mut effects);
    }

    #[test]
    fn a_stream_is_cut_the_same_however_it_comes(sizes in prop::collection::vec(1..30_usize, 1..20)) {
        let messages: Vec<_> = (0..6).map(|id| message(0, id, &vec![id; id as usize])).collect();
        let stream = messages.concat();
        let (mut framer, mut rest) = (Framer::default(), &stream[..]);
        for size in sizes.iter().cycle() {
            let (piece, later) = rest.split_at((*size).min(rest.len()));
            framer.handle_bytes(piece);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        let found: Vec<_> = std::iter::from_fn(|| framer.poll()).collect();
        prop_assert_eq!(found, messages.into_iter().map(Frame::Message).collect::<Vec<_>>());
        prop_assert_eq!(framer.held_bytes(), 0);
    }
}
