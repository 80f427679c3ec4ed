//! The host's side: injects, the punt buffer, counters and table commands.

use layout::csr;
use layout::desc::{HOST_PORT, NO_FLOW, NO_INTERFACE, Reason};
use layout::hash::flow_index;
use layout::table::{
    Adjacency, FLOW_SLOTS, FlowAction, FlowEntry, HOST_FRAME_BYTES, Interface, Key, Operation,
    PUNT_BUFFER_BYTES, PUNT_FRAMES, Table,
};
use sim::{Access, Card, Model};

use crate::{Bench, INSIDE, MAC_1, forward, syn, syn_key, with};

#[test]
fn injected_frames_for_lookup_pretend_a_port_and_direct_ones_do_not() {
    let mut bench = Bench::new();
    bench.flow(
        0,
        Key {
            interface: INSIDE,
            ..syn_key()
        },
        FlowAction {
            punt: true,
            ..forward()
        },
    );
    assert!(bench.card.inject(1, true, &with(|f| f.destination = MAC_1)));
    let outcome = bench.outcome();
    assert_eq!(
        (
            outcome.reason,
            outcome.metadata.port,
            outcome.metadata.reinjected
        ),
        (Reason::FlowPunt, 1, true)
    );
    assert!(bench.card.inject(0, false, &syn().build()));
    let outcome = bench.outcome();
    assert_eq!(
        (outcome.metadata.port, outcome.metadata.interface),
        (HOST_PORT, NO_INTERFACE)
    );
    assert_eq!(
        (outcome.metadata.flow, outcome.sent),
        (NO_FLOW, Some((0, syn().build())))
    );
}

#[test]
fn injects_of_bad_length_or_port_are_refused() {
    let mut bench = Bench::new();
    let long = vec![0; HOST_FRAME_BYTES + 1];
    for (port, length, is_accepted) in [
        (0, 13, false),
        (0, 14, true),
        (1, HOST_FRAME_BYTES, true),
        (1, HOST_FRAME_BYTES + 1, false),
        (2, 60, false),
        (3, 60, false),
        (1, 60, true),
    ] {
        assert_eq!(
            bench.card.inject(port, false, &long[..length]),
            is_accepted,
            "port {port}, {length} bytes"
        );
    }
    assert_eq!(bench.card.counter(csr::RX_FRAMES_HOST), 3);
    assert_eq!(
        bench.card.counter(csr::RX_BYTES_HOST),
        14 + 60 + HOST_FRAME_BYTES as u64
    );
    assert_eq!(bench.card.counter(Reason::HostInject as u32), 3);
}

#[test]
fn punted_frames_wait_whole_and_in_order_with_their_length() {
    let mut bench = Bench::new();
    let frames = [syn().build(), with(|f| f.ethertype = 0x0806)];
    frames
        .iter()
        .for_each(|frame| assert!(bench.receive(0, frame).metadata.length == 0));
    for (frame, reason) in frames.iter().zip([Reason::FlowMiss, Reason::Arp]) {
        let (metadata, bytes) = bench.card.pop_punt().unwrap();
        assert_eq!((&bytes, metadata.reason), (frame, reason as u8));
        assert_eq!(usize::from(metadata.length), frame.len());
    }
    assert!(bench.card.pop_punt().is_none());
}

#[test]
fn punt_buffer_counts_frames_and_rounded_bytes() {
    let punt = |bench: &mut Bench, bytes: usize| {
        let mut frame = with(|f| f.ethertype = 0x86dd);
        frame.resize(bytes, 0);
        bench.receive(0, &frame);
        bench.card.bar_read(csr::PUNT_STATUS) as usize
    };
    let mut bench = Bench::new();
    for i in 0..PUNT_FRAMES + 3 {
        assert_eq!(punt(&mut bench, 60), (i + 1).min(PUNT_FRAMES));
    }
    assert_eq!(bench.card.counter(csr::PUNT_OVERFLOW), 3);
    assert_eq!(
        bench.card.counter(Reason::NonIp as u32),
        PUNT_FRAMES as u64 + 3
    );
    assert_eq!(bench.card.counter(csr::TX_FRAMES_HOST), PUNT_FRAMES as u64);

    // Two frames of 2027 bytes take 2 × 2032 of 4096 in beats of 8 bytes, and all of it in beats of 64.
    assert_eq!(PUNT_BUFFER_BYTES, 4096);
    for (width, bytes, waiting) in [(64, 32, 3), (64, 33, 2), (512, 14, 2)] {
        let mut bench = Bench {
            card: Model::new(width),
            next_flow: 0,
        };
        let interface = Interface {
            valid: true,
            ..Interface::default()
        };
        bench
            .card
            .write_entry(Table::Interface, 0, &interface.pack());
        bench
            .card
            .bar_write(csr::CONTROL, csr::CONTROL_ENABLE | csr::CONTROL_PROMISCUOUS);
        assert_eq!((punt(&mut bench, 2027), punt(&mut bench, 2027)), (1, 2));
        assert_eq!(punt(&mut bench, bytes), waiting);
        bench.card.bar_write(csr::PUNT_POP, 1);
        assert_eq!(punt(&mut bench, bytes), waiting, "a pop makes room");
    }
    let mut bench = Bench::new();
    assert_eq!(
        punt(&mut bench, HOST_FRAME_BYTES + 1),
        0,
        "too long for the host path"
    );
    assert_eq!(punt(&mut bench, HOST_FRAME_BYTES), 1);
}

#[test]
fn counters_cover_every_frame_once() {
    let mut bench = Bench::new();
    bench.flow(0, syn_key(), forward());
    let frames = [
        syn().build(),
        vec![0; 9],
        with(|f| f.ethertype = 0x0806),
        with(|f| f.ttl = 1),
    ];
    for frame in &frames {
        bench.receive(0, frame);
    }
    bench.card.inject(1, false, &[0; 20]);
    bench.receive(1, &[0; 60]);
    let total: u64 = (0..64).map(|reason| bench.card.counter(reason)).sum();
    assert_eq!(total, 6);
    assert_eq!(bench.card.counter(csr::RX_FRAMES_0), 4);
    assert_eq!(
        bench.card.counter(csr::RX_BYTES_0),
        frames.iter().map(|f| f.len() as u64).sum()
    );
    assert_eq!(
        (
            bench.card.counter(csr::RX_FRAMES_1),
            bench.card.counter(csr::RX_BYTES_1)
        ),
        (1, 60)
    );
    assert_eq!(
        (
            bench.card.counter(csr::TX_FRAMES_1),
            bench.card.counter(csr::TX_BYTES_1)
        ),
        (2, frames[0].len() as u64 + 20)
    );
    assert_eq!(
        (
            bench.card.counter(csr::TX_FRAMES_HOST),
            bench.card.counter(csr::TX_FRAMES_0)
        ),
        (2, 0)
    );
}

#[test]
fn refused_commands_change_nothing() {
    let mut bench = Bench::new();
    for offset in 0..16 {
        bench
            .card
            .bar_write(csr::TABLE_DATA + 4 * offset, 0xffff_ffff);
    }
    for table in 0..16u32 {
        for operation in 0..16u32 {
            let known = Table::ALL.get(table as usize);
            let supports = match (known, operation) {
                (Some(table), 0) => table.supports(Operation::Read),
                (Some(table), 1) => table.supports(Operation::Write),
                (Some(table), 2) => table.supports(Operation::WritePair),
                _ => false,
            };
            let length = known.map_or(0, |table| table.len());
            assert!(
                !bench.card.command(table, operation, length, 0),
                "table {table} operation {operation}: index"
            );
            if !supports {
                assert!(
                    !bench.card.command(table, operation, 0, 0),
                    "table {table} operation {operation}"
                );
            }
        }
    }
    let length = FLOW_SLOTS;
    assert!(
        !bench
            .card
            .command(Table::Flow as u32, Operation::WritePair as u32, 0, length)
    );
    assert_eq!(bench.card.bar_read(csr::TABLE_STATUS), csr::TABLE_REFUSED);
    assert_eq!(bench.card.read_entry(Table::Flow, 0).unwrap(), [0; 8]);
    assert_eq!(
        bench.card.bar_read(csr::TABLE_STATUS),
        0,
        "an accepted command clears the mark"
    );
}

#[test]
fn pairs_are_written_together_and_entries_read_back() {
    let mut bench = Bench::new();
    let first = FlowEntry::new(
        syn_key(),
        FlowAction {
            l4_port: 0xabcd,
            ..forward()
        },
    );
    // A way holds the whole of an entry only where its key belongs.
    let slot = flow_index(0, &first.key());
    let second = FlowEntry {
        src: first.dst,
        dst: first.src,
        punt: true,
        ..first
    };
    assert!(bench.card.write_pair(
        Table::Flow,
        (slot, &first.pack()),
        (FLOW_SLOTS - 1, &second.pack())
    ));
    assert_eq!(
        FlowEntry::unpack(&bench.card.read_entry(Table::Flow, slot).unwrap()),
        first
    );
    assert_eq!(
        FlowEntry::unpack(&bench.card.read_entry(Table::Flow, FLOW_SLOTS - 1).unwrap()),
        second
    );
    let adjacency = Adjacency {
        valid: true,
        interface: 9,
        mac: 0xffee_ddcc_bbaa,
    };
    assert!(
        bench
            .card
            .write_entry(Table::Adjacency, 255, &adjacency.pack())
    );
    assert_eq!(
        Adjacency::unpack(&bench.card.read_entry(Table::Adjacency, 255).unwrap()),
        adjacency
    );
}

#[test]
fn ports_take_turns_and_the_clock_counts_packets() {
    let mut card = Model::new(64);
    for port in [0, 0, 0, 1, 1] {
        card.feed(port, &[0; 60]);
    }
    assert!(!card.run(2) && card.cycle() == 2);
    assert!(card.run(100) && card.cycle() == 5);
    let ports: Vec<u8> = std::iter::from_fn(|| card.next_record())
        .map(|record| record.port)
        .collect();
    assert_eq!(ports, [0, 1, 0, 1, 0]);
    card.step(10);
    assert_eq!(card.cycle(), 15);
}
