//! The driver on simulated cards, over the socket it meets them on: bring-up, tables, policy, flows,
//! punt and inject.

mod support;

use std::collections::HashMap;

use host::nic::{Error, Nic};
use host::simulator::{Event, Simulator};
use host::vfio::BAR0;
use layout::csr::{self, CONTROL_DROP_NOT_SYN, CONTROL_ENABLE, CONTROL_PROMISCUOUS};
use layout::desc::{Metadata, NO_ACE, Reason, Verdict};
use layout::simulator::{FEED, Frame, REGION_INDEX};
use layout::table::{
    ACL_SLOTS, AclEntry, Adjacency, Destination, FLOW_SLOTS, FlowEntry, HOST_FRAME_BYTES,
    Interface, Operation, Table,
};
use support::{Bench, cards};

/// Runs a test on every card, brought up and with two interfaces.
fn on_each_card(test: impl Fn(&mut Nic)) {
    for (name, card) in cards() {
        println!("on the {name} card");
        let bench = Bench::serve(card);
        let mut nic = bench.bring_up();
        for port in 0..2u8 {
            let interface = Interface {
                valid: true,
                port,
                tagged: false,
                vid: 0,
                mac: MACS[usize::from(port)],
            };
            nic.set_interface(port.into(), &interface)
                .expect("an interface");
        }
        nic.set_control(CONTROL_ENABLE | CONTROL_PROMISCUOUS | CONTROL_DROP_NOT_SYN)
            .expect("control");
        test(&mut nic);
    }
}

/// Receives a frame on a port and returns what happened.
fn receive(nic: &mut Nic, port: u8, frame: &[u8]) -> (Metadata, Vec<(u8, Vec<u8>)>) {
    let events = Simulator::of(nic.device())
        .expect("a simulator")
        .run(Some((port, frame)))
        .expect("idle");
    let mut left = Vec::new();
    let mut verdict = None;
    for event in events {
        match event {
            Event::Left(one) => left.push((one.port, one.frame)),
            Event::Verdict(one) => assert!(
                verdict.replace(one.metadata).is_none(),
                "one verdict a frame"
            ),
        }
    }
    (verdict.expect("a verdict"), left)
}

fn udp(src: [u8; 4], sport: u16, dst: [u8; 4], dport: u16) -> Vec<u8> {
    let mut frame = Vec::new();
    etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 9], [2, 0, 0, 0, 0, 8])
        .ipv4(src, dst, 64)
        .udp(sport, dport)
        .write(&mut frame, b"payload of some length")
        .expect("a vector takes everything");
    frame
}

/// An entry for UDP to one port.
fn to_port(dport: u16, permit: bool) -> AclEntry {
    AclEntry {
        proto: 17,
        proto_mask: 0xff,
        sport_high: u16::MAX,
        dport_low: dport,
        dport_high: dport,
        permit,
        ..AclEntry::default()
    }
}

fn flow(sport: u16, adjacency: u8) -> FlowEntry {
    FlowEntry {
        interface: 0,
        proto: 17,
        src: u32::from_be_bytes(CLIENT),
        dst: u32::from_be_bytes(SERVER),
        sport,
        dport: 5060,
        valid: true,
        adjacency,
        ..FlowEntry::default()
    }
}

/// A flow from an address without order: consecutive ports alone spread so evenly that nothing moves.
fn scattered(n: u16) -> FlowEntry {
    let src = 0x0a00_0000 | (u32::from(n).wrapping_mul(0x9e37_79b9) >> 8);
    let initiator = n.is_multiple_of(2);
    FlowEntry {
        src,
        initiator,
        ..flow(n, 1)
    }
}

/// What a slot of the card holds, read without the driver's tables.
fn held(nic: &mut Nic, slot: u16) -> FlowEntry {
    let command = (Operation::Read as u32) << 4 | Table::Flow as u32;
    let device = nic.device();
    for (register, value) in [
        (csr::TABLE_INDEX, slot.into()),
        (csr::TABLE_COMMAND, command),
    ] {
        device
            .region_write(BAR0, register.into(), &value.to_le_bytes())
            .expect("a register");
    }
    let mut word = |register: u32| {
        let mut bytes = [0; 4];
        device
            .region_read(BAR0, register.into(), &mut bytes)
            .expect("a register");
        u32::from_le_bytes(bytes)
    };
    while word(csr::TABLE_STATUS) & csr::TABLE_BUSY != 0 {}
    let words: [u32; FlowEntry::WORDS] =
        std::array::from_fn(|index| word(csr::TABLE_DATA + 4 * index as u32));
    FlowEntry::unpack(&words)
}

fn frame_of(flow: &FlowEntry) -> Vec<u8> {
    udp(
        flow.src.to_be_bytes(),
        flow.sport,
        flow.dst.to_be_bytes(),
        flow.dport,
    )
}

#[test]
fn bring_up_reads_the_ident_block() {
    for (_, card) in cards() {
        let bench = Bench::serve(card);
        let nic = bench.bring_up();
        assert_eq!(nic.ident().core_version, (0, 1, 0));
        assert_eq!(nic.ident().data_width, 64);
    }
}

/// A card whose registers differ from the model's in one place.
struct Altered {
    card: sim::Model,
    offset: u32,
    value: u32,
}

#[rustfmt::skip]
impl sim::Card for Altered {
    fn bar_read(&mut self, offset: u32) -> u32 {
        if offset == self.offset { self.value } else { self.card.bar_read(offset) }
    }
    fn bar_write(&mut self, offset: u32, _value: u32) {
        panic!("{offset:#x} written before the card was known to fit");
    }
    fn reset(&mut self) {
        panic!("reset before the card was known to fit");
    }
    fn set_host(&mut self, host: Option<Box<dyn sim::Host>>) { self.card.set_host(host) }
    fn set_function(&mut self, function: sim::Function) { self.card.set_function(function) }
    fn function_reset(&mut self) { self.card.function_reset() }
    fn feed(&mut self, port: usize, frame: &[u8]) { self.card.feed(port, frame) }
    fn run(&mut self, max_clocks: u64) -> bool { self.card.run(max_clocks) }
    fn step(&mut self, clocks: u64) { self.card.step(clocks) }
    fn cycle(&self) -> u64 { self.card.cycle() }
    fn set_ready_pattern(&mut self, patterns: [u32; 2]) { self.card.set_ready_pattern(patterns) }
    fn set_valid_pattern(&mut self, pattern: u32) { self.card.set_valid_pattern(pattern) }
    fn next_record(&mut self) -> Option<sim::Record> { self.card.next_record() }
    fn start_wave(&mut self, path: &std::path::Path) -> std::io::Result<()> { self.card.start_wave(path) }
    fn stop_wave(&mut self) { self.card.stop_wave() }
    fn fault(&self) -> Option<String> { self.card.fault() }
}

#[test]
fn cards_that_do_not_fit_are_refused_untouched() {
    let refusal = |offset, value| {
        let bench = Bench::serve(Box::new(Altered {
            card: sim::Model::new(64),
            offset,
            value,
        }));
        Nic::bring_up(Box::new(bench.connect()))
            .err()
            .expect("a refusal")
            .to_string()
    };
    let ours = format!("{:#018x}", layout::LAYOUT_HASH);
    let theirs = format!("{:#018x}", layout::LAYOUT_HASH & !0xffff_ffff | 0x0bad_cafe);
    let text = refusal(csr::LAYOUT_HASH_LOW, 0x0bad_cafe);
    assert!(
        text.contains(&ours) && text.contains(&theirs),
        "both sides are named: {text}"
    );
    let text = refusal(csr::MAGIC, 0xffff_ffff);
    assert!(
        text.contains("not a Postern card") && text.contains("0xffffffff"),
        "{text}"
    );
    let text = refusal(csr::SIZE_ACL, 2304);
    assert!(
        text.contains("2304 ACL slots") && text.contains("1152"),
        "{text}"
    );
}

#[test]
fn refused_table_operations_name_table_and_index() {
    on_each_card(|nic| {
        let error = nic
            .set_adjacency(256, &Adjacency::default())
            .expect_err("out of range");
        assert_eq!(
            error.to_string(),
            "the card refused Write of table Adjacency at index 256"
        );
        nic.set_adjacency(255, &Adjacency::default())
            .expect("in range");
    });
}

#[test]
fn policies_name_their_entries_and_generation() {
    on_each_card(|nic| {
        let acl = [to_port(5060, true), to_port(5070, false)];
        let generation = nic.load_policy(&acl, &[]).expect("a policy");
        for (port, reason, index) in [
            (5060, Reason::FlowMiss, Some(0)),
            (5070, Reason::AclDeny, Some(1)),
            (5080, Reason::AclImplicitDeny, None),
        ] {
            let (metadata, _) = receive(nic, 0, &udp(CLIENT, 1, SERVER, port));
            assert_eq!(
                (metadata.reason, metadata.generation),
                (reason as u8, generation)
            );
            assert_eq!(nic.acl_index(generation, metadata.ace), index);
            assert_eq!(metadata.ace == NO_ACE, index.is_none());
        }
        assert_eq!(nic.policy_hits().expect("hits"), [1, 1]);
    });
}

/// Gives a port a frame to receive and lets the clock stand: it enters while the driver works.
fn feed(nic: &mut Nic, port: u8, frame: &[u8]) {
    let header = Frame {
        length: frame.len() as u16,
        port,
        reserved: 0,
    };
    let mut bytes: Vec<u8> = header
        .pack()
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect();
    bytes.extend_from_slice(frame);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    nic.device()
        .region_write(REGION_INDEX, FEED, &bytes)
        .expect("room");
}

#[test]
fn replacing_a_policy_is_atomic_for_traffic() {
    on_each_card(|nic| {
        // Policy n permits port n alone, through a destination entry that maps port n + 1000 to it.
        let policy = |n: u16| {
            let mut acl: Vec<AclEntry> = (0..100).map(|port| to_port(port, false)).collect();
            acl.push(to_port(n, true));
            let destination = Destination {
                valid: true,
                dport: n + 1000,
                dport_mask: 0xffff,
                l4_port: n,
                address_keep: u32::MAX,
                ..Destination::default()
            };
            (acl, [destination])
        };
        let mut permitted = HashMap::new();
        for n in 200..230 {
            for port in [n + 999, n + 1000, 7].repeat(20) {
                feed(nic, 0, &udp(CLIENT, port, SERVER, port));
            }
            let (acl, destinations) = policy(n);
            let generation = nic.load_policy(&acl, &destinations).expect("a policy");
            permitted.insert(generation, n + 1000);
            let events = Simulator::of(nic.device())
                .expect("a simulator")
                .run(None)
                .expect("idle");
            let verdicts = events.iter().filter_map(|event| match event {
                Event::Verdict(one) => Some(&one.metadata),
                Event::Left(_) => None,
            });
            // Frames keep their order, so the port of each verdict is known.
            for (metadata, port) in verdicts.zip([n + 999, n + 1000, 7].repeat(20)) {
                let expected = match permitted.get(&metadata.generation) {
                    Some(permitted) if *permitted == port => Reason::FlowMiss,
                    Some(_) if port == 7 => Reason::AclDeny,
                    _ => Reason::AclImplicitDeny,
                };
                assert_eq!(
                    metadata.reason, expected as u8,
                    "port {port}, generation {}",
                    metadata.generation
                );
            }
            while nic.take_punt().expect("the punt buffer").is_some() {}
        }
    });
}

#[test]
fn a_pinhole_makes_the_card_hand_over_what_the_policy_denies() {
    on_each_card(|nic| {
        let own = Destination {
            valid: true,
            dport: 7000,
            dport_mask: 0xffff,
            l4_port: 7001,
            address_keep: u32::MAX,
            ..Destination::default()
        };
        let acl = [to_port(7001, true)];
        let generation = nic.load_policy(&acl, &[own]).expect("a policy");
        let pinhole = |dport| Destination {
            valid: true,
            dport,
            dport_mask: 0xffff,
            local: true,
            ..Destination::default()
        };
        let reasons = |nic: &mut Nic, pinholes: &[Destination]| {
            nic.set_pinholes(pinholes).expect("there is room");
            for port in [4000, 5000, 7000] {
                feed(nic, 0, &udp(CLIENT, port, SERVER, port));
            }
            let mut simulator = Simulator::of(nic.device()).expect("a simulator");
            let events = simulator.run(None).expect("idle");
            while nic.take_punt().expect("the punt buffer").is_some() {}
            let metadata = events.into_iter().filter_map(|event| match event {
                Event::Verdict(one) => Some(one.metadata),
                Event::Left(_) => None,
            });
            let all: Vec<Metadata> = metadata.collect();
            // What the card says of a policy's destination means the same with and without pinholes.
            assert_eq!(nic.destination_index(all[2].destination), Some(0));
            assert!(all.iter().all(|one| one.generation == generation));
            all.iter().map(|one| one.reason).collect::<Vec<u8>>()
        };
        let denied = Reason::AclImplicitDeny as u8;
        let (local, miss) = (Reason::Local as u8, Reason::FlowMiss as u8);
        assert_eq!(reasons(nic, &[]), [denied, denied, miss]);
        let (one, other) = (pinhole(4000), pinhole(5000));
        assert_eq!(reasons(nic, &[one]), [local, denied, miss]);
        assert_eq!(reasons(nic, &[one, other]), [local, local, miss]);
        assert_eq!(reasons(nic, &[other]), [denied, local, miss]);
        assert_eq!(reasons(nic, &[]), [denied, denied, miss]);
        let all = vec![one; nic.pinhole_room() + 1];
        assert!(matches!(
            nic.set_pinholes(&all),
            Err(Error::PolicyTooLarge { .. })
        ));
    });
}

#[test]
fn a_policy_that_needs_every_slot_replaces_another_of_that_size() {
    on_each_card(|nic| {
        for round in 0..3u16 {
            let mut acl: Vec<AclEntry> = (1..ACL_SLOTS as u16)
                .map(|port| to_port(port, false))
                .collect();
            acl.push(to_port(5060 + round, true));
            let generation = nic.load_policy(&acl, &[]).expect("a full policy");
            let (metadata, _) = receive(nic, 0, &udp(CLIENT, 1, SERVER, 5060 + round));
            assert_eq!(
                (metadata.reason, metadata.generation),
                (Reason::FlowMiss as u8, generation)
            );
            assert_eq!(nic.acl_index(generation, metadata.ace), Some(ACL_SLOTS - 1));
            nic.take_punt().expect("the punt buffer");
        }
        let error = nic
            .load_policy(&vec![to_port(1, true); ACL_SLOTS + 1], &[])
            .expect_err("too large");
        assert!(matches!(error, Error::PolicyTooLarge { entries, .. } if entries == ACL_SLOTS + 1));
    });
}

#[test]
fn flows_hit_in_both_directions_and_count() {
    on_each_card(|nic| {
        let next_hop = |interface, mac| Adjacency {
            valid: true,
            interface,
            mac,
        };
        nic.set_adjacency(1, &next_hop(1, 0x0200_0000_0001))
            .expect("an adjacency");
        nic.set_adjacency(2, &next_hop(0, 0x0200_0000_0002))
            .expect("an adjacency");
        let forward = flow(40_000, 1);
        let reverse = FlowEntry {
            interface: 1,
            src: forward.dst,
            dst: forward.src,
            sport: forward.dport,
            dport: forward.sport,
            adjacency: 2,
            ..forward
        };
        nic.install_pair(&[forward, reverse]).expect("room");
        nic.set_epoch(7).expect("an epoch");
        let frame = udp(CLIENT, 40_000, SERVER, 5060);
        let (metadata, left) = receive(nic, 0, &frame);
        assert_eq!(metadata.reason, Reason::FlowHit as u8);
        assert_eq!(nic.flow_key(metadata.flow.into()), Some(forward.key()));
        assert_eq!((left[0].0, &left[0].1[14..]), (1, &frame[14..]));
        let (metadata, left) = receive(nic, 1, &udp(SERVER, 5060, CLIENT, 40_000));
        assert_eq!((metadata.reason, left[0].0), (Reason::FlowHit as u8, 0));

        let totals = nic
            .flow_totals(&forward.key())
            .expect("statistics")
            .expect("installed");
        assert_eq!(
            (totals.packets, totals.bytes, totals.epoch),
            (1, frame.len() as u64, Some(7))
        );
        assert_eq!(
            nic.remove_flow(&forward.key()).expect("removal"),
            Some(totals)
        );
        assert_eq!(nic.remove_flow(&forward.key()).expect("removal"), None);
        assert_eq!(nic.flow_count(), 1);
        let (metadata, _) = receive(nic, 0, &frame);
        assert_ne!(metadata.reason, Reason::FlowHit as u8);
    });
}

#[test]
fn the_flow_table_takes_ninety_percent_and_loses_none_when_full() {
    on_each_card(|nic| {
        nic.set_adjacency(
            1,
            &Adjacency {
                valid: true,
                interface: 1,
                mac: 1,
            },
        )
        .expect("an adjacency");
        let mut installed = Vec::new();
        for sport in 0..u16::MAX {
            match nic.install_flow(&flow(sport, 1)) {
                Ok(()) => installed.push(sport),
                Err(Error::FlowTableFull { used }) => {
                    assert_eq!(used, installed.len());
                    break;
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!(
            installed.len() >= FLOW_SLOTS * 9 / 10,
            "{} of {FLOW_SLOTS}",
            installed.len()
        );
        for sport in installed.iter().step_by(7) {
            let (metadata, _) = receive(nic, 0, &udp(CLIENT, *sport, SERVER, 5060));
            assert_eq!(metadata.reason, Reason::FlowHit as u8, "flow {sport}");
        }
        nic.remove_flow(&flow(installed[0], 1).key())
            .expect("removal");
        nic.install_flow(&flow(installed[0], 1))
            .expect("the place that was just freed");
    });
}

#[test]
fn counts_and_all_of_its_entry_follow_a_flow_that_moves() {
    on_each_card(|nic| {
        nic.set_adjacency(
            1,
            &Adjacency {
                valid: true,
                interface: 1,
                mac: 1,
            },
        )
        .expect("an adjacency");
        let mut slots = Vec::new();
        for n in 0..400 {
            nic.install_flow(&scattered(n)).expect("room");
            let (metadata, _) = receive(nic, 0, &frame_of(&scattered(n)));
            slots.push(metadata.flow);
        }
        for n in 400..3_600 {
            nic.install_flow(&scattered(n)).expect("room");
        }
        let mut moved = 0;
        for n in 0..400u16 {
            let (metadata, _) = receive(nic, 0, &frame_of(&scattered(n)));
            moved += usize::from(metadata.flow != slots[usize::from(n)]);
            let totals = nic
                .flow_totals(&scattered(n).key())
                .expect("statistics")
                .expect("installed");
            assert_eq!(totals.packets, 2, "flow {n}");
            assert_eq!(held(nic, metadata.flow), scattered(n), "flow {n}");
        }
        assert!(
            moved > 20,
            "only {moved} flows moved: the test proves little"
        );
    });
}

#[test]
fn punted_frames_arrive_whole_and_injected_ones_leave_whole() {
    on_each_card(|nic| {
        nic.load_policy(&[to_port(5060, true)], &[])
            .expect("a policy");
        for length in [60, 61, 239, 240, 241, 1514, HOST_FRAME_BYTES] {
            let mut frame = udp(CLIENT, 1, SERVER, 5060);
            frame.extend((frame.len()..length).map(|n| n as u8));
            let (metadata, _) = receive(nic, 0, &frame);
            assert_eq!(metadata.verdict, Verdict::Punt as u8);
            let punt = nic.take_punt().expect("the punt buffer").expect("a frame");
            assert_eq!(
                (punt.metadata.port, usize::from(punt.metadata.length)),
                (0, frame.len())
            );
            assert_eq!(punt.frame, frame);
            assert_eq!(nic.take_punt().expect("the punt buffer"), None);

            nic.inject(1, false, &frame).expect("room");
            let events = Simulator::of(nic.device())
                .expect("a simulator")
                .run(None)
                .expect("idle");
            assert!(events.iter().any(
                |event| matches!(event, Event::Left(left) if (left.port, &left.frame) == (1, &frame))
            ));

            nic.inject(0, true, &frame).expect("room");
            Simulator::of(nic.device())
                .expect("a simulator")
                .run(None)
                .expect("idle");
            let punt = nic.take_punt().expect("the punt buffer").expect("a frame");
            assert!(punt.metadata.reinjected);
            assert_eq!(punt.frame, frame);
        }
        assert!(matches!(
            nic.inject(0, false, &[0; 13]),
            Err(Error::FrameLength { bytes: 13 })
        ));
        let long = [0; HOST_FRAME_BYTES + 1];
        assert!(matches!(
            nic.inject(0, false, &long),
            Err(Error::FrameLength { .. })
        ));
        assert!(matches!(
            nic.inject(2, false, &[0; 60]),
            Err(Error::InjectRefused { port: 2, .. })
        ));
    });
}

#[test]
fn counters_have_names_and_add_up() {
    on_each_card(|nic| {
        for _ in 0..5 {
            receive(nic, 0, &udp(CLIENT, 1, SERVER, 5060));
        }
        let counters = nic.counters().expect("counters");
        let value = |name| {
            counters
                .iter()
                .find(|counter| counter.name == name)
                .expect("known")
                .value
        };
        assert_eq!(value("acl-implicit-deny"), 5);
        assert_eq!(value("rx-frames-0"), 5);
        assert_eq!(value("rx-frames-1"), 0);
    });
}

const MACS: [u64; 2] = [0x0200_0000_0100, 0x0200_0000_0101];
const CLIENT: [u8; 4] = [192, 0, 2, 254];
const SERVER: [u8; 4] = [192, 0, 2, 1];
