//! What the rings promise, on both cards.

use layout::csr;
use layout::desc::{HOST_PORT, Reason};
use layout::hash;
use layout::table::{HOST_FRAME_BYTES, Key, PUNT_FRAMES, Table};
use sim::frame::{Frame, Transport};
use sim::{Access, Body, Function};

use crate::cards;
use crate::host::{BASE, Bench, EVERYTHING, FRAMES, MEMORY_BYTES, ON, STATUS, slot_address};

const TCP: u8 = 6;

/// Runs a test on every card, a line for each tells which one failed.
fn on_each(test: impl Fn(&mut Bench)) {
    for (name, card) in cards() {
        println!("on {name}");
        test(&mut Bench::new(card));
    }
}

fn arp(length: usize) -> Vec<u8> {
    let mut frame: Vec<u8> = (0..length).map(|n| n as u8).collect();
    frame[12..14].copy_from_slice(&[0x08, 0x06]);
    frame
}

/// A first packet of a flow, an odd number of bytes long, and its key on port 0.
fn first_packet(sport: u16) -> (Vec<u8>, Key) {
    let key = Key {
        dport: 5061,
        sport,
        dst: 0xc633_6407,
        src: 0x0a00_0002,
        proto: TCP,
        interface: 0,
    };
    let frame = Frame {
        src: key.src,
        dst: key.dst,
        transport: Transport::tcp(sport, 5061, 2),
        payload: vec![7; 31],
        ..Frame::default()
    };
    (frame.build(), key)
}

/// Frames that left the ports, and how many verdicts there were.
fn left(bench: &mut Bench) -> (Vec<(u8, Vec<u8>)>, usize) {
    let mut frames = Vec::new();
    let mut verdicts = 0;
    while let Some(record) = bench.card.next_record() {
        match record.body {
            Body::Frame(frame) => frames.push((record.port, frame)),
            Body::Verdict { .. } => verdicts += 1,
        }
    }
    (frames, verdicts)
}

#[test]
fn both_cards_say_that_they_have_rings() {
    on_each(|bench| {
        let capabilities = bench.card.bar_read(csr::CAPABILITIES);
        assert_eq!(capabilities, csr::CAPABILITY_WINDOWS | csr::CAPABILITY_DMA);
        assert_eq!(bench.card.bar_read(csr::DMA_STATUS), csr::DMA_BUS_MASTER);
    });
}

#[cfg(feature = "verilator")]
#[test]
fn the_rtl_cards_without_rings_have_none() {
    use sim::{Card, Verilated};
    for width in sim::verilated::WIDTHS {
        let mut card = Verilated::new(*width);
        assert_eq!(card.bar_read(csr::CAPABILITIES), csr::CAPABILITY_WINDOWS);
        card.bar_write(csr::DMA_CONTROL, EVERYTHING);
        card.bar_write(csr::MSIX_TABLE, 7);
        assert_eq!(card.bar_read(csr::DMA_CONTROL), 0);
        assert_eq!(card.bar_read(csr::MSIX_TABLE), 0);
        assert!(card.root_complex().is_none());
    }
}

#[test]
fn punted_frames_go_to_the_ring_of_their_key_and_raise_its_interrupt() {
    on_each(|bench| {
        let mut seen = [0; 4];
        for sport in 1000..1012 {
            let (frame, key) = first_packet(sport);
            let ring = usize::from(hash::queue(&key));
            bench.receive(0, &frame);
            let (metadata, bytes) = bench.memory.punted(ring, seen[ring]);
            assert_eq!(bytes, frame);
            assert_eq!(
                (metadata.reason, metadata.port, usize::from(metadata.queue)),
                (Reason::FlowMiss as u8, 0, ring)
            );
            let end = slot_address(ring, seen[ring]) + 16 + frame.len() as u64;
            let padding = frame.len().next_multiple_of(4) - frame.len();
            let behind = bench.memory.bytes(end, padding + 1);
            let expected = [vec![0; padding], vec![0xee]].concat();
            assert_eq!(behind, expected, "zeros up to a multiple of four");
            seen[ring] += 1;
            assert_eq!(bench.memory.interrupts(), [ring]);
            if seen[ring] == 4 {
                break;
            }
        }
        assert!(seen.iter().filter(|count| **count > 0).count() > 1);
        bench.receive(1, &arp(HOST_FRAME_BYTES));
        assert_eq!(bench.memory.punted(0, seen[0]).1, arp(HOST_FRAME_BYTES));
        seen[0] += 1;
        assert_eq!(bench.memory.tails(), seen.map(|count| count as u16));
        let total = seen.iter().sum::<usize>();
        assert_eq!(bench.memory.status().sequence as usize, total);
        assert_eq!(bench.card.counter(csr::TX_FRAMES_HOST), total as u64);
        assert_eq!(bench.card.bar_read(csr::PUNT_STATUS), 0);
    });
}

#[test]
fn full_absent_and_unmastered_rings_drop_and_count() {
    on_each(|bench| {
        for _ in 0..6 {
            bench.receive(0, &arp(60));
        }
        assert_eq!(bench.tail(0), 4);
        assert_eq!(bench.card.counter(csr::PUNT_RING_FULL), 2);
        let errors = csr::VECTOR_ERROR;
        assert_eq!(bench.memory.interrupts(), [0, 0, 0, 0, errors, errors]);
        bench.card.bar_write(csr::PUNT_HEAD, 1);
        bench.receive(0, &arp(60));
        assert_eq!((bench.tail(0), bench.memory.status().errors), (5, 2));
        // A head that makes no sense does not make the ring overflow.
        bench.card.bar_write(csr::PUNT_HEAD, 0x8000);
        bench.receive(0, &arp(60));
        assert_eq!(bench.card.counter(csr::PUNT_RING_FULL), 3);

        bench.card.bar_write(csr::PUNT_RING_SIZE, 0);
        assert_eq!(bench.tail(0), 0, "a new size begins at zero");
        bench.receive(0, &arp(60));
        assert_eq!(bench.card.counter(csr::PUNT_RING_FULL), 4);

        bench.card.bar_write(csr::PUNT_RING_SIZE, 2);
        bench.card.set_function(Function {
            bus_master: false,
            ..ON
        });
        let writes = bench.memory.state().writes;
        bench.receive(0, &arp(60));
        assert_eq!(bench.card.counter(csr::PUNT_DMA_OFF), 1);
        assert_eq!(bench.card.bar_read(csr::PUNT_STATUS), 0);
        assert_eq!((bench.tail(0), bench.memory.state().writes), (0, writes));
        assert_eq!(bench.card.counter(csr::PUNT_OVERFLOW), 0);
    });
}

#[test]
fn frames_that_waited_in_the_window_go_to_the_rings_when_they_are_switched_on() {
    on_each(|bench| {
        bench.card.bar_write(csr::DMA_CONTROL, 0);
        bench.card.bar_write(csr::PUNT_RING_SIZE, 4);
        for n in 0..PUNT_FRAMES {
            bench.receive(0, &arp(60 + n));
        }
        assert_eq!(bench.card.bar_read(csr::PUNT_STATUS), PUNT_FRAMES as u32);
        assert_eq!(bench.memory.status().sequence, 0);
        bench.card.bar_write(csr::DMA_CONTROL, csr::DMA_PUNT);
        bench.settle();
        assert_eq!(bench.card.bar_read(csr::PUNT_STATUS), 0);
        for n in 0..PUNT_FRAMES {
            assert_eq!(bench.memory.punted(0, n).1, arp(60 + n));
        }
        assert_eq!(bench.memory.tails(), [PUNT_FRAMES as u16, 0, 0, 0]);
        let sequence = bench.memory.status().sequence;
        assert_eq!(sequence, PUNT_FRAMES as u32 / 8, "a status for 8 frames");
    });
}

#[test]
fn injected_frames_leave_in_ring_order_as_a_submit_would_send_them() {
    on_each(|bench| {
        let (lookup, key) = first_packet(77);
        let key = Key {
            interface: 1,
            ..key
        };
        bench.memory.describe(0, 1, false, &[1; 60]);
        bench.memory.describe(1, 0, false, &[2; 61]);
        bench.memory.describe(2, 1, true, &lookup);
        bench
            .memory
            .describe(3, 1, false, &vec![4; HOST_FRAME_BYTES]);
        bench.inject_to(4);
        let (frames, verdicts) = left(bench);
        let expected = [
            (1, vec![1; 60]),
            (0, vec![2; 61]),
            (1, vec![4; HOST_FRAME_BYTES]),
        ];
        assert_eq!((&frames[..], verdicts), (&expected[..], 4));
        assert_eq!(bench.card.counter(csr::RX_FRAMES_HOST), 4);
        assert_eq!(bench.card.bar_read(csr::INJECT_HEAD), 4);
        assert_eq!(bench.memory.status().inject_head, 4);
        let ring = usize::from(hash::queue(&key));
        let (metadata, frame) = bench.memory.punted(ring, 0);
        assert_eq!((metadata.port, metadata.reinjected), (1, true));
        assert_ne!(metadata.port, HOST_PORT);
        assert_eq!(frame, lookup, "punted on its way");
        let interrupts = bench.memory.interrupts();
        assert!(interrupts.contains(&ring));
        assert!(interrupts.contains(&csr::VECTOR_INJECT));
    });
}

#[test]
fn bad_descriptors_and_unmapped_memory_are_skipped_and_counted() {
    on_each(|bench| {
        bench.card.bar_write(csr::INJECT_RING_SIZE, 4);
        let bad = [
            (13, 0),
            (HOST_FRAME_BYTES as u16 + 1, 0),
            (60, 2),
            (60, 3),
            (0, 0),
        ];
        for (slot, (length, port)) in bad.into_iter().enumerate() {
            bench
                .memory
                .request(slot as u16, length, port, false, FRAMES);
        }
        let end = BASE + MEMORY_BYTES as u64;
        for (slot, address) in [(5, end - 59), (6, u64::MAX - 7), (7, 0)] {
            bench.memory.request(slot, 60, 1, false, address);
        }
        bench.memory.request(8, 60, 1, false, end - 60);
        bench.inject_to(9);
        assert_eq!(bench.card.counter(csr::INJECT_BAD_DESCRIPTOR), 5);
        assert_eq!(bench.card.counter(csr::INJECT_READ_ERROR), 3);
        assert_eq!(bench.card.counter(csr::TX_FRAMES_1), 1);
        assert_eq!(bench.card.bar_read(csr::INJECT_HEAD), 9);
        let status = bench.memory.status();
        assert_eq!((status.inject_head, status.errors), (9, 8));
        let interrupts = bench.memory.interrupts();
        assert!(interrupts.contains(&csr::VECTOR_INJECT));
        assert!(interrupts.contains(&csr::VECTOR_ERROR));
        // Descriptors that cannot be read are passed as well, each counted.
        bench.set_address(csr::INJECT_RING_LOW, csr::INJECT_RING_HIGH, 0x1000);
        bench.inject_to(12);
        assert_eq!(bench.card.counter(csr::INJECT_READ_ERROR), 6);
        assert_eq!(bench.card.bar_read(csr::INJECT_HEAD), 12);
        assert_eq!(bench.card.counter(csr::RX_FRAMES_HOST), 1);
    });
}

#[test]
fn the_inject_ring_waits_for_its_switch_and_for_bus_mastering() {
    on_each(|bench| {
        bench.card.bar_write(csr::DMA_CONTROL, csr::DMA_PUNT);
        bench.memory.describe(0, 1, false, &[1; 60]);
        bench.inject_to(1);
        assert_eq!(bench.card.bar_read(csr::INJECT_HEAD), 0);
        bench.card.set_function(Function::default());
        bench.card.bar_write(csr::DMA_CONTROL, EVERYTHING);
        bench.settle();
        assert_eq!(bench.card.bar_read(csr::INJECT_HEAD), 0);
        assert_eq!(bench.card.bar_read(csr::DMA_STATUS), 0);
        bench.card.set_function(ON);
        bench.settle();
        assert_eq!(bench.card.bar_read(csr::INJECT_HEAD), 1);
        assert_eq!(bench.card.counter(csr::TX_FRAMES_1), 1);
    });
}

#[test]
fn masked_vectors_are_pending_until_they_are_unmasked() {
    on_each(|bench| {
        let control = csr::MSIX_TABLE + 12;
        bench.card.bar_write(control, 0xffff_ffff);
        assert_eq!(bench.card.bar_read(control), 1);
        bench.receive(0, &arp(60));
        assert_eq!(bench.card.bar_read(csr::MSIX_PENDING), 1);
        assert!(bench.memory.interrupts().is_empty());
        bench.card.bar_write(control, 0);
        bench.settle();
        assert_eq!(bench.memory.interrupts(), [0]);
        assert_eq!(bench.card.bar_read(csr::MSIX_PENDING), 0);

        bench.card.set_function(Function {
            msix_mask: true,
            ..ON
        });
        bench.receive(0, &arp(60));
        assert_eq!(bench.card.bar_read(csr::MSIX_PENDING), 1);
        bench.card.set_function(ON);
        bench.settle();
        assert_eq!(bench.memory.interrupts(), [0]);

        // Without MSI-X it waits as well, but not because of a mask.
        bench.card.set_function(Function {
            msix_enable: false,
            ..ON
        });
        bench.receive(0, &arp(60));
        assert_eq!(bench.card.bar_read(csr::MSIX_PENDING), 0);
        assert!(bench.memory.interrupts().is_empty());
        bench.card.set_function(ON);
        bench.settle();
        assert_eq!(bench.memory.interrupts(), [0]);
    });
}

#[test]
fn a_gap_holds_the_interrupts_of_a_vector_apart() {
    on_each(|bench| {
        bench.card.bar_write(csr::INTERRUPT_GAP, 5_000);
        bench.receive(0, &arp(60));
        assert_eq!(bench.memory.interrupts(), [0]);
        let first = bench.card.cycle();
        bench.card.feed(0, &arp(60));
        bench.card.step(2_000);
        assert_eq!(bench.tail(0), 2, "the frame does not wait");
        assert!(bench.memory.interrupts().is_empty());
        bench.card.step(first + 6_000 - bench.card.cycle());
        assert_eq!(bench.memory.interrupts(), [0]);
    });
}

#[test]
fn a_reset_of_the_function_keeps_tables_counters_and_forwarding() {
    on_each(|bench| {
        bench.card.bar_write(csr::PUNT_RING_SIZE, 1);
        for _ in 0..3 {
            bench.receive(0, &arp(60));
        }
        bench.memory.interrupts();
        bench.card.function_reset();
        for register in csr::REGISTERS {
            let is_dma = (csr::DMA_CONTROL..csr::COUNTER).contains(&register.offset)
                || register.offset >= csr::MSIX_TABLE;
            if is_dma && register.name != "DMA_STATUS" {
                for n in 0..register.count {
                    let value = bench.card.bar_read(register.offset + 4 * n);
                    let is_control = register.offset == csr::MSIX_TABLE && n % 4 == 3;
                    let expected = if is_control { 1 } else { register.reset };
                    assert_eq!(value, expected, "{} {n}", register.name);
                }
            }
        }
        assert_eq!(bench.card.counter(csr::PUNT_RING_FULL), 1);
        let interface = bench.card.read_entry(Table::Interface, 1);
        assert!(interface.is_some_and(|words| words[0] != 0));
        // Punts wait in the window again, and nothing reaches the host's memory.
        let writes = bench.memory.state().writes;
        bench.receive(0, &arp(60));
        let popped = bench.card.pop_punt();
        assert_eq!(popped.map(|(_, frame)| frame), Some(arp(60)));
        assert_eq!(bench.memory.state().writes, writes);
        assert!(bench.memory.interrupts().is_empty());
        // And the rings can be set up again.
        bench.set_up_rings([2; 4], 2);
        bench.receive(0, &arp(60));
        assert_eq!(bench.memory.tails(), [1, 0, 0, 0]);
        assert_eq!(bench.memory.status().errors, 0);
        assert_eq!(bench.memory.interrupts(), [0]);
    });
}

#[test]
fn a_power_on_reset_keeps_the_host_and_a_lost_host_costs_only_its_memory() {
    on_each(|bench| {
        bench.card.reset();
        assert_eq!(bench.card.bar_read(csr::DMA_STATUS), csr::DMA_BUS_MASTER);
        bench.set_up_core();
        bench.set_up_rings([2; 4], 2);
        bench.memory.describe(0, 1, false, &[9; 60]);
        bench.inject_to(1);
        assert_eq!(bench.card.counter(csr::TX_FRAMES_1), 1);
        bench.card.set_host(None);
        bench.inject_to(2);
        assert_eq!(bench.card.counter(csr::INJECT_READ_ERROR), 1);
        bench.receive(0, &arp(60));
        assert_eq!(left(bench).0, [(1, vec![9; 60])]);
    });
}

#[test]
fn indices_count_modulo_2_to_the_16() {
    on_each(|bench| {
        const ROUND: u32 = 60;
        bench.set_up_rings([6; 4], 6);
        for n in 0..64 {
            bench.memory.describe(n, 1, false, &[n as u8; 14]);
        }
        let mut count = 0_u32;
        while count < 0x1_0010 {
            // The punt buffer holds fewer than a ring.
            for _ in 0..ROUND {
                bench.card.feed(0, &arp(14));
                bench.card.step(20);
            }
            count += ROUND;
            bench.card.bar_write(csr::INJECT_TAIL, count & 0xffff);
            assert!(bench.card.run(100_000));
            bench.card.bar_write(csr::PUNT_HEAD, count & 0xffff);
        }
        let index = count & 0xffff;
        assert_eq!(bench.card.counter(csr::PUNT_RING_FULL), 0);
        assert_eq!(bench.card.counter(csr::PUNT_OVERFLOW), 0);
        assert_eq!(bench.tail(0), index);
        assert_eq!(bench.card.bar_read(csr::INJECT_HEAD), index);
        assert_eq!(bench.card.counter(csr::TX_FRAMES_1), u64::from(count));
        let status = bench.memory.status();
        let told = (status.punt_tail_0, status.inject_head);
        assert_eq!(told, (index as u16, index as u16));
        assert_eq!(bench.card.fault(), None);
    });
}

#[test]
fn the_status_block_is_all_that_a_host_has_to_look_at() {
    on_each(|bench| {
        bench.receive(0, &arp(60));
        let told = bench.memory.bytes(STATUS, 32);
        assert_eq!(told[..2], [1, 0]);
        assert_eq!(bench.memory.bytes(STATUS + 32, 32), [0xee; 32]);
    });
}
