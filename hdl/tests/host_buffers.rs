//! What the host reads and writes, punt and inject buffers, counters and registers, each in lock-step with its
//! printed Verilog.

mod support;

use std::collections::VecDeque;

use hdl::counters::{Counters, RARE};
use hdl::csr::{ACCESS_CLOCKS, Csr};
use hdl::inject::Inject;
use hdl::punt::Punt;
use hdl::record::Route;
use hdl::stream::Beat;
use layout::csr;
use layout::desc::{InjectDescriptor, Metadata};
use layout::table::{Operation, PUNT_FRAMES, Table};
use rust_hdl_core::prelude::*;
use support::lockstep::Lockstep;
use support::packet::to_bits;
use support::random::Random;

fn frame(random: &mut Random, length: usize) -> Vec<u8> {
    (0..length).map(|_| random.bits() as u8).collect()
}

type PuntRun = Lockstep<Punt<64, 8, 2>>;

/// Sends a frame into the punt buffer.
fn punt(run: &mut PuntRun, random: &mut Random, bytes: &[u8], metadata: &Metadata) {
    let count = bytes.len().div_ceil(8);
    for (index, chunk) in bytes.chunks(8).enumerate() {
        while random.chance(20) {
            run.uut.in_valid.next = false;
            run.tick();
        }
        let mut data = [0; 8];
        data[..chunk.len()].copy_from_slice(chunk);
        run.uut.in_valid.next = true;
        run.uut.in_beat.next = Beat {
            data: u64::from_le_bytes(data).to_bits(),
            keep: (0xff_u64 >> (8 - chunk.len())).to_bits(),
            last: index + 1 == count,
        };
        run.uut.in_route.next = Route {
            length: (bytes.len() as u64).to_bits(),
            metadata: to_bits(&metadata.pack()),
            ..Route::default()
        };
        run.tick();
    }
    run.uut.in_valid.next = false;
    run.tick();
}

fn read_word(run: &mut PuntRun, word: usize) -> u32 {
    run.uut.word.next = (word as u64).to_bits();
    for _ in 0..hdl::punt::READ_CLOCKS {
        run.tick();
    }
    run.uut.data.val().index() as u32
}

#[test]
fn punted_frames_are_read_as_they_came_or_lost_whole() {
    let mut run = PuntRun::new(Punt::default(), |uut, high| uut.clock.next = high.into());
    let mut random = Random(4);
    let mut kept: VecDeque<(Metadata, Vec<u8>)> = VecDeque::new();
    let mut used = 0;
    let lengths = [
        60, 61, 1, 8, 2032, 1500, 600, 33, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 2033,
    ];
    for (round, &length) in lengths.iter().enumerate() {
        let bytes = frame(&mut random, length);
        let metadata = Metadata {
            reason: round as u8,
            flow: round as u16 * 77,
            queue: round as u8 & 3,
            ..Metadata::default()
        };
        let rounded = length.div_ceil(8) * 8;
        let fits = used + rounded <= 4096 && kept.len() < PUNT_FRAMES && length <= 2032;
        punt(&mut run, &mut random, &bytes, &metadata);
        if fits {
            used += rounded;
            kept.push_back((
                Metadata {
                    length: length as u16,
                    ..metadata
                },
                bytes,
            ));
        }
        assert_eq!(run.uut.waiting.val().index(), kept.len(), "frame {round}");
        // Once two long frames are in, room is made one frame at a time.
        if round == 5 || round == 18 {
            used -= read_oldest(&mut run, &mut kept);
        }
    }
    while !kept.is_empty() {
        read_oldest(&mut run, &mut kept);
    }
    assert_eq!(run.uut.waiting.val().index(), 0);
    run.compare("punt").expect("native and Verilated agree");
}

/// Reads and pops the oldest frame; the bytes it used.
fn read_oldest(run: &mut PuntRun, kept: &mut VecDeque<(Metadata, Vec<u8>)>) -> usize {
    let (metadata, bytes) = kept.pop_front().expect("a frame waits");
    for (word, expected) in metadata.pack().into_iter().chain([0]).enumerate() {
        assert_eq!(read_word(run, word), expected, "metadata word {word}");
    }
    // Both ends of the frame, twice: reading takes nothing away.
    let words = bytes.len().div_ceil(4);
    let ends = (0..words.min(3)).chain(words.saturating_sub(3)..words);
    for word in ends.clone().chain(ends) {
        let seen = read_word(run, 4 + word).to_le_bytes();
        let expected = &bytes[4 * word..bytes.len().min(4 * word + 4)];
        assert_eq!(&seen[..expected.len()], expected, "frame word {word}");
    }
    run.uut.pop.next = true;
    run.tick();
    run.uut.pop.next = false;
    run.tick();
    bytes.len().div_ceil(8) * 8
}

#[test]
fn injected_frames_leave_as_written_and_bad_ones_are_refused() {
    let mut run = Lockstep::new(Inject::<64, 8, 2>::default(), |uut, high| {
        uut.clock.next = high.into()
    });
    let mut random = Random(6);
    for (length, port, lookup, good) in [
        (14, 0, false, true),
        (60, 1, true, true),
        (13, 0, false, false),
        (61, 2, false, false),
        (2033, 0, true, false),
        (159, 1, false, true),
        (160, 0, true, true),
    ] {
        let bytes = frame(&mut random, length);
        for (word, chunk) in bytes.chunks(4).enumerate().take(512) {
            let mut data = [0; 4];
            data[..chunk.len()].copy_from_slice(chunk);
            run.uut.write.next = true;
            run.uut.word.next = (word as u64).to_bits();
            run.uut.data.next = u64::from(u32::from_le_bytes(data)).to_bits();
            run.tick();
        }
        run.uut.write.next = false;
        let descriptor = InjectDescriptor {
            length: length as u16,
            port,
            lookup,
        };
        run.uut.data.next = u64::from(descriptor.pack()[0]).to_bits();
        run.uut.submit.next = true;
        run.tick();
        run.uut.submit.next = false;
        run.settle();
        assert_eq!(run.uut.refused.val(), !good);
        assert_eq!(run.uut.idle.val(), !good);
        let mut seen = Vec::new();
        for _ in 0..length.div_ceil(8) * 4 + 20 {
            run.uut.out_ready.next = random.chance(60);
            run.settle();
            if run.uut.out_valid.val() && run.uut.out_ready.val() {
                let (beat, origin) = (run.uut.out_beat.val(), run.uut.out_origin.val());
                assert_eq!(
                    (origin.port.index(), origin.reinjected, origin.direct),
                    (port.into(), lookup, !lookup)
                );
                let data: u64 = beat.data.into();
                let count = beat.keep.index().count_ones() as usize;
                seen.extend_from_slice(&data.to_le_bytes()[..count]);
                assert_eq!(beat.last, seen.len() == length);
            }
            run.tick();
        }
        assert_eq!(seen, if good { bytes } else { Vec::new() });
        assert!(run.uut.idle.val());
    }
    run.compare("inject").expect("native and Verilated agree");
}

#[test]
fn counters_miss_nothing_at_one_event_a_clock() {
    let mut run = Lockstep::new(Counters::default(), |uut, high| {
        uut.clock.next = high.into()
    });
    let mut random = Random(9);
    let mut expected = [0_u64; csr::COUNTER_COUNT];
    for _ in 0..1500 {
        let reason = random.below(4) as usize;
        let (source, port) = (random.below(3) as usize, random.below(2) as usize);
        // Long frames, so that the low halves carry: nothing else reaches 2^32 in a test.
        let length = 0xff00 | random.below(256);
        let fate = random.below(4);
        run.uut.judged.next = true;
        run.uut.judged_reason.next = (reason as u64).to_bits();
        run.uut.received.next = true;
        run.uut.received_source.next = (source as u64).to_bits();
        run.uut.received_length.next = length.to_bits();
        run.uut.sent.next = fate == 0;
        run.uut.sent_port.next = (port as u64).to_bits();
        run.uut.sent_length.next = length.to_bits();
        run.uut.kept.next = fate == 1;
        run.uut.kept_length.next = length.to_bits();
        run.uut.lost.next = fate == 2;
        expected[reason] += 1;
        expected[csr::RX_FRAMES_0 as usize + source] += 1;
        expected[csr::RX_BYTES_0 as usize + source] += length;
        match fate {
            0 => {
                expected[csr::TX_FRAMES_0 as usize + port] += 1;
                expected[csr::TX_BYTES_0 as usize + port] += length;
            }
            1 => {
                expected[csr::TX_FRAMES_HOST as usize] += 1;
                expected[csr::TX_BYTES_HOST as usize] += length;
            }
            2 => expected[csr::PUNT_OVERFLOW as usize] += 1,
            _ => {}
        }
        for n in 0..RARE {
            // Some come in every clock, some now and then, and all of them together.
            let comes = random.chance(100 / (n as u64 + 1));
            run.uut.rare[n].next = comes;
            expected[csr::PUNT_RING_FULL as usize + n] += u64::from(comes);
        }
        run.uut.index.next = random.below(128).to_bits();
        run.tick();
    }
    for event in &mut run.uut.rare {
        event.next = false;
    }
    for event in [
        &mut run.uut.judged,
        &mut run.uut.received,
        &mut run.uut.sent,
        &mut run.uut.kept,
        &mut run.uut.lost,
    ] {
        event.next = false;
    }
    while run.uut.busy.val() {
        run.tick();
    }
    for (index, expected) in expected.into_iter().enumerate() {
        run.uut.index.next = (index as u64).to_bits();
        for _ in 0..hdl::counters::READ_CLOCKS {
            run.tick();
        }
        assert_eq!(u64::from(run.uut.value.val()), expected, "counter {index}");
    }
    run.compare("counters").expect("native and Verilated agree");
}

#[test]
fn a_carry_between_the_halves_is_never_torn() {
    let mut run = Lockstep::new(hdl::counters::Bank::<2>::default(), |uut, high| {
        uut.clock.next = high.into()
    });
    run.uut.count.next = true;
    run.uut.amount.next = 0xffff_u64.to_bits();
    let mut before = 0;
    // 2^32 / 65535 events: the carry comes in clock 65 537; the clocks before it need no look.
    for clock in 0..65_560 {
        run.uut.index.next = 0.into();
        run.tick();
        if clock > 65_500 {
            let value = u64::from(run.uut.value.val());
            assert!(
                clock == 65_501 || value == before + 0xffff,
                "clock {clock}: {value:#x} after {before:#x}"
            );
            before = value;
        }
    }
    assert!(before > u64::from(u32::MAX));
}

type CsrRun = Lockstep<Csr>;

/// One access; its clocks, and what was read.
fn access(run: &mut CsrRun, address: u32, write: Option<u32>) -> (u64, u32) {
    run.uut.address.next = u64::from(address).to_bits();
    run.uut.wdata.next = u64::from(write.unwrap_or(0)).to_bits();
    run.uut.write.next = write.is_some();
    run.uut.read.next = write.is_none();
    for clocks in 0..20 {
        run.settle();
        let (ack, data) = (run.uut.ack.val(), run.uut.rdata.val().index() as u32);
        if ack {
            run.tick();
            run.uut.write.next = false;
            run.uut.read.next = false;
            return (clocks, data);
        }
        run.tick();
    }
    panic!("{address:#x} is not acknowledged");
}

fn read(run: &mut CsrRun, address: u32) -> u32 {
    access(run, address, None).1
}

#[test]
fn registers_read_and_write_as_the_layout_says() {
    let mut run = CsrRun::new(Csr::default(), |uut, high| uut.clock.next = high.into());
    run.uut.idle.next = true;
    run.uut.inject_ready.next = true;
    for register in csr::REGISTERS.iter().filter(|register| register.count == 1) {
        let (clocks, value) = access(&mut run, register.offset, None);
        assert_eq!(clocks, ACCESS_CLOCKS, "{}", register.name);
        let expected = match register.offset {
            csr::LAYOUT_HASH_LOW => layout::LAYOUT_HASH as u32,
            csr::LAYOUT_HASH_HIGH => (layout::LAYOUT_HASH >> 32) as u32,
            csr::BOARD => 1,
            _ => register.reset,
        };
        assert_eq!(value, expected, "{}", register.name);
    }
    let written = [
        (csr::CONTROL, 0xf),
        (csr::EPOCH, 0xff),
        (csr::POLICY, 0xff03),
        (csr::SCRATCH, u32::MAX),
        (csr::TABLE_INDEX, u32::MAX),
        (csr::TABLE_DATA + 60, u32::MAX),
        (csr::MAGIC, csr::MAGIC_VALUE),
        (csr::STATUS, csr::STATUS_IDLE),
    ];
    for (offset, expected) in written {
        access(&mut run, offset, Some(u32::MAX));
        assert_eq!(read(&mut run, offset), expected, "{offset:#x}");
    }
    run.compare("csr").expect("native and Verilated agree");
}

#[test]
fn commands_reach_their_table_or_are_refused() {
    let mut run = CsrRun::new(Csr::default(), |uut, high| uut.clock.next = high.into());
    let mut random = Random(1);
    for table in Table::ALL {
        for (code, operation) in [
            (0, Some(Operation::Read)),
            (1, Some(Operation::Write)),
            (2, Some(Operation::WritePair)),
            (3, None),
        ] {
            for index in [0, table.len() as u32 - 1, table.len() as u32, u32::MAX] {
                let good = operation.is_some_and(|operation| table.supports(operation))
                    && (index as usize) < table.len();
                command(
                    &mut run,
                    &mut random,
                    *table as u32 | code << 4,
                    index,
                    good,
                );
            }
        }
    }
    command(&mut run, &mut random, 8, 0, false);
    run.compare("csr-tables")
        .expect("native and Verilated agree");
}

/// Gives a command and plays the engine: one request, held until done, and its answer in the data words.
fn command(run: &mut CsrRun, random: &mut Random, command: u32, index: u32, good: bool) {
    let table = command as usize & 0xf;
    let before = 0x1234_5678;
    access(run, csr::TABLE_INDEX, Some(index));
    access(run, csr::TABLE_DATA, Some(before));
    access(run, csr::TABLE_COMMAND, Some(command));
    let answer = random.bits() as u32;
    for _ in 0..6 {
        run.tick();
        let asked: Vec<usize> = (0..8).filter(|n| run.uut.table_request[*n].val()).collect();
        assert_eq!(asked, if good { vec![table] } else { Vec::new() });
    }
    let status = read(run, csr::TABLE_STATUS);
    assert_eq!(status & csr::TABLE_BUSY != 0, good);
    if good {
        // A write while the command runs is ignored.
        access(run, csr::TABLE_DATA, Some(0));
        run.uut.table_read[table].next = u64::from(answer).to_bits();
        run.uut.table_done[table].next = true;
        run.tick();
        run.uut.table_done[table].next = false;
        run.tick();
        assert!(!run.uut.table_request[table].val());
    }
    let status = read(run, csr::TABLE_STATUS);
    assert_eq!(status, if good { 0 } else { csr::TABLE_REFUSED });
    let is_read = command >> 4 == Operation::Read as u32;
    assert_eq!(
        read(run, csr::TABLE_DATA),
        if good && is_read { answer } else { before }
    );
}
