//! What holds for every packet sequence.

use std::collections::HashSet;

use layout::desc::{Metadata, Reason};
use proptest::prelude::*;

use super::bench::*;
use crate::flow::{Limits, Time};
use crate::policy::model::InterfaceId;
use crate::punt::Resolution;
use crate::wire::Tuple;
use crate::wire::packet::{ICMP, TCP, UDP, tcp_flags};

/// One dynamic rule of every kind over pools that overlap each other and a static rule.
fn config(flags: &str) -> String {
    format!(
        "
interface GigabitEthernet0/0
 nameif outside
 security-level 0
 ip address 192.0.2.1 255.255.255.0
interface GigabitEthernet0/1
 nameif inside
 security-level 100
 ip address 10.0.0.1 255.255.0.0
route outside 0.0.0.0 0.0.0.0 192.0.2.254
object network shared
 range 192.0.2.20 192.0.2.21
object network whole
 range 192.0.2.21 192.0.2.24
object network server
 host 10.0.0.2
 nat (inside,outside) static 192.0.2.20 service udp 1030 1030
object network by-port
 subnet 10.0.1.0 255.255.255.0
 nat (inside,outside) dynamic pat-pool shared {flags}
object network one-to-one
 subnet 10.0.2.0 255.255.255.0
 nat (inside,outside) dynamic whole interface
access-list from_outside extended permit udp any host 10.0.0.2
access-group from_outside in interface outside
"
    )
}

const FLAGS: [&str; 7] = [
    "",
    "flat",
    "flat include-reserve",
    "round-robin",
    "extended",
    "block-allocation",
    "flat round-robin",
];

/// A packet from inside: few hosts and ports, so that translations collide.
fn packets() -> impl Strategy<Value = (Tuple, u8, u16)> {
    let proto = prop::sample::select(vec![TCP, UDP, ICMP, 47]);
    let port = prop::sample::select(vec![0u16, 5, 511, 600, 1030, 40000, 40001, 65535]);
    let flags = prop::sample::select(vec![tcp_flags::SYN, tcp_flags::ACK, tcp_flags::RST, 17]);
    let wait_ms = prop::sample::select(vec![0u16, 0, 0, 900, 31_000]);
    (proto, 1u8..3, 1u8..8, port, 0u8..2, flags, wait_ms).prop_map(
        |(proto, net, host, sport, far, flags, wait_ms)| {
            let dport = if proto == ICMP { 0x0800 } else { 5060 };
            let (sport, dport) = if proto == 47 { (0, 0) } else { (sport, dport) };
            (
                tuple(proto, [10, 0, net, host], sport, [198, 51, 100, far], dport),
                flags,
                wait_ms,
            )
        },
    )
}

/// Translations are unique, and none takes what a static rule owns.
fn check_xlates(bench: &Bench) {
    let (mut by_port, mut whole, mut shared) = (HashSet::new(), HashSet::new(), HashSet::new());
    for xlate in bench.path.xlates().iter() {
        let request = xlate.request;
        let Some(port) = xlate.port else {
            assert!(whole.insert(xlate.address), "{xlate:?} shares its address");
            continue;
        };
        let destination = xlate.extended.then_some(request.destination);
        assert!(
            by_port.insert((xlate.address, request.proto, port, destination)),
            "{xlate:?} shares its port"
        );
        shared.insert(xlate.address);
        let mut owned =
            bench
                .path
                .model
                .owned
                .ports(InterfaceId(OUTSIDE), request.proto, xlate.address.into());
        assert!(
            owned.all(|owned| !owned.contains(port)),
            "{xlate:?} takes a port that a static rule owns"
        );
    }
    assert!(whole.is_disjoint(&shared));
}

/// The entries of a connection undo each other.
fn check_entries(bench: &Bench) {
    for conn in bench.path.conns().iter() {
        let entry = |leg: &crate::flow::Leg| {
            bench
                .entries
                .get(&leg.key().pack())
                .map(|(entry, _)| *entry)
        };
        let (Some(forward), Some(reverse)) = (
            entry(&conn.forward),
            conn.reverse.and_then(|leg| entry(&leg)),
        ) else {
            panic!("{conn:?} is not on the card");
        };
        let seen = conn.forward.seen;
        let sent = apply(&forward, &seen);
        assert_eq!(sent, conn.forward.sent);
        let answer = sent.reply().expect("queries only");
        assert_eq!(conn.reverse.expect("answers").seen, answer);
        assert_eq!(Some(apply(&reverse, &answer)), seen.reply());
    }
    assert_eq!(bench.entries.len(), 2 * bench.path.conns().len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn translations_are_unique_and_entries_agree(
        flags in prop::sample::select(FLAGS.to_vec()), packets in proptest::collection::vec(packets(), 1..120),
    ) {
        let mut bench = Bench::new(&config(flags));
        for (tuple, flags, wait_ms) in packets {
            bench.receive(INSIDE, &frame(&tuple, flags, 64));
            check_xlates(&bench);
            check_entries(&bench);
            bench.pass(Time::from_millis(wait_ms.into()));
        }
        bench.pass(Time::from_secs(5 * 3600));
        prop_assert!(bench.path.conns().is_empty() && bench.path.xlates().is_empty() && bench.entries.is_empty());
        prop_assert_eq!(bench.path.next_deadline(), None);
    }

    #[test]
    fn a_connection_ends_at_its_timeout_and_not_before(
        sends_ms in proptest::collection::vec(0u64..100_000, 1..6), is_full: bool,
    ) {
        let mut bench = Bench::new(CONFIG);
        bench.is_full = is_full;
        let out = frame(&tuple(UDP, [10, 0, 0, 9], 40000, [198, 51, 100, 7], 5060), 0, 64);
        bench.receive(INSIDE, &out);
        for gap in sends_ms {
            bench.pass(Time::from_millis(gap));
            prop_assert_eq!(bench.path.conns().len(), 1);
            bench.receive(INSIDE, &out);
        }
        // The card's stamps tell the time to one second, never too early.
        bench.pass(Time::from_millis(119_999));
        prop_assert_eq!(bench.path.conns().len(), 1);
        bench.pass(Time::from_millis(1_001));
        prop_assert_eq!(bench.path.conns().len(), 0);
        prop_assert_eq!(bench.path.xlates().len(), 1, "a multi-session translation stays");
        bench.pass(Time::from_secs(30));
        prop_assert_eq!(bench.path.xlates().len(), 0);
    }

    #[test]
    fn random_frames_never_panic(
        frames in proptest::collection::vec((any::<[u32; 3]>(), proptest::collection::vec(any::<u8>(), 0..100), 0u8..3), 1..30),
    ) {
        let mut bench = Bench::new(CONFIG);
        let mut effects = Vec::new();
        for (words, mut bytes, shape) in frames {
            let mut metadata = Metadata::unpack(&words);
            if shape > 0 && bytes.len() > 34 {
                // Far enough to be read as IPv4 or ARP.
                metadata.interface &= 1;
                bytes[12..14].copy_from_slice(if shape == 1 { &[8, 0] } else { &[8, 6] });
                bytes[14] = 0x45 + (bytes[14] & 3);
            }
            bench.path.handle_punt(bench.now, &metadata, &bytes, &mut effects);
            bench.now += Time::from_millis(u64::from(words[0] % 3000));
            bench.path.poll(bench.now, &mut effects);
            effects.clear();
        }
    }

    #[test]
    fn mutated_frames_never_panic(
        mutations in proptest::collection::vec((packets(), 0usize..96, any::<u8>(), 8u8..19), 1..60),
    ) {
        let mut bench = Bench::new(&config(""));
        for ((tuple, flags, _), at, value, reason) in mutations {
            let mut bytes = frame(&tuple, flags, 64);
            let at = at % bytes.len();
            bytes[at] = value;
            if let Some(reason) = Reason::from_code(reason) {
                let metadata = Metadata { interface: INSIDE, reason: reason as u8, ..Metadata::default() };
                bench.path.handle_punt(bench.now, &metadata, &bytes, &mut Vec::new());
            }
        }
    }
}

#[test]
fn a_syn_flood_takes_bounded_memory_and_spares_what_is_established() {
    let limits = Limits {
        conns: 64,
        embryonic: 32,
        xlates: 48,
        ..Limits::default()
    };
    let mut bench = Bench::with(CONFIG, Resolution::Derive, limits, [None; 2]);
    let kept = tuple(TCP, [10, 0, 0, 9], 40000, [198, 51, 100, 7], 443);
    bench.receive(INSIDE, &frame(&kept, tcp_flags::SYN, 64));
    let back = bench.last().1.tuple.reply().expect("tcp");
    bench.receive(OUTSIDE, &frame(&back, tcp_flags::SYN | tcp_flags::ACK, 64));
    bench.receive(INSIDE, &frame(&kept, tcp_flags::ACK, 64));
    bench.pass(Time::from_secs(3));
    for index in 0..5_000u32 {
        let [_, _, high, low] = index.to_be_bytes();
        let flood = tuple(TCP, [10, 0, high.max(1), low], 1024, [198, 51, 100, 7], 80);
        bench.receive(INSIDE, &frame(&flood, tcp_flags::SYN, 64));
        let path = &bench.path;
        assert!(
            path.conns().len() <= 64 && path.conns().embryonic() <= 32 && path.xlates().len() <= 48
        );
        assert!(bench.entries.len() <= 128 && bench.adjacencies.len() <= 256);
        bench.sent.clear();
        bench.log.clear();
    }
    assert_eq!(
        bench.receive(INSIDE, &frame(&kept, tcp_flags::ACK, 64)),
        None,
        "still there"
    );
    bench.pass(Time::from_secs(31));
    assert_eq!(bench.path.conns().len(), 1);
}
