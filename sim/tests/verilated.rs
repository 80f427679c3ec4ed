//! The RTL card through its shim: registers, clock, patterns, records and waves.
#![cfg(feature = "verilator")]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use layout::csr;
use layout::desc::Reason;
use sim::verilated::WIDTHS;
use sim::{Access, Body, Card, Verilated};

/// The cards with streams of 64 bits: registers behind a bus, and behind a link.
fn narrow() -> [Verilated; 2] {
    [Verilated::new(64), Verilated::with_rings()]
}

#[test]
fn ident_block_tells_the_verilated_board_and_its_width() {
    let widths = WIDTHS.iter().map(|width| (*width, Verilated::new(*width)));
    for (width, mut card) in widths.chain([(64, Verilated::with_rings())]) {
        assert_eq!(card.bar_read(csr::MAGIC), csr::MAGIC_VALUE);
        assert_eq!(
            card.bar_read(csr::LAYOUT_HASH_LOW),
            layout::LAYOUT_HASH as u32
        );
        assert_eq!(card.bar_read(csr::BOARD), 1);
        assert_eq!(card.bar_read(csr::DATA_WIDTH) as usize, width);
        assert_eq!(card.fault(), None);
    }
}

#[test]
fn reset_starts_from_power_on() {
    for mut card in narrow() {
        card.bar_write(csr::SCRATCH, 7);
        card.feed(0, &[0; 60]);
        card.reset();
        assert_eq!(
            (card.bar_read(csr::SCRATCH), card.counter(csr::RX_FRAMES_0)),
            (0, 0)
        );
        assert!(card.run(1_000) && card.next_record().is_none());
    }
}

#[test]
fn step_runs_exactly_that_many_clocks_and_a_closed_port_is_never_idle() {
    for mut card in narrow() {
        let start = card.cycle();
        card.step(123);
        assert_eq!(card.cycle(), start + 123);
        card.set_ready_pattern([0, u32::MAX]);
        assert!(card.inject(0, false, &[1; 60]));
        assert!(!card.run(2_000));
        card.set_ready_pattern([u32::MAX; 2]);
        assert!(card.run(2_000));
    }
}

#[test]
fn every_length_leaves_whole_under_back_pressure() {
    let mut card = Verilated::new(64);
    card.set_ready_pattern([0x1248_8001, 0x0f0f_5555]);
    let frames: Vec<Vec<u8>> = (14..150usize)
        .map(|n| (0..n).map(|i| (i * n) as u8).collect())
        .collect();
    let mut sent = [Vec::new(), Vec::new()];
    for (i, frame) in frames.iter().enumerate() {
        assert!(card.inject((i % 2) as u8, false, frame));
    }
    assert!(card.run(100_000));
    while let Some(record) = card.next_record() {
        match record.body {
            Body::Frame(frame) => sent[usize::from(record.port)].push(frame),
            Body::Verdict { metadata, stages } => {
                assert_eq!(metadata.reason, Reason::HostInject as u8);
                assert!(stages[0] != 0 && stages[7] >= stages[0]);
            }
        }
    }
    let of_port = |port: usize| {
        frames
            .iter()
            .skip(port)
            .step_by(2)
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(sent, [of_port(0), of_port(1)]);
    assert_eq!(card.fault(), None);
}

#[test]
fn valid_pattern_spreads_the_beats_of_a_frame() {
    let clocks = |pattern| {
        let mut card = Verilated::new(64);
        card.set_valid_pattern(pattern);
        let start = card.cycle();
        card.feed(0, &[0; 80]);
        assert!(card.run(10_000));
        card.cycle() - start
    };
    // Ten beats, nine gaps of 32 clocks; without a pattern the frame is long gone by then.
    let last_beat = 9 * 32;
    assert!(clocks(1) > last_beat && clocks(u32::MAX) < last_beat);
}

#[test]
fn wave_shows_the_ports_of_the_top() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("wave.vcd");
    let mut card = Verilated::new(64);
    assert!(
        card.start_wave(&directory.path().join("missing").join("wave.vcd"))
            .is_err()
    );
    card.start_wave(&path).unwrap();
    card.feed(0, &[0; 60]);
    assert!(card.run(1_000));
    card.stop_wave();
    let wave = std::fs::read_to_string(&path).unwrap();
    assert!(
        wave.contains("$enddefinitions") && wave.contains("rx0_data") && wave.contains("csr_ack")
    );
    let bytes = wave.len();
    card.step(100);
    assert_eq!(
        std::fs::metadata(&path).unwrap().len() as usize,
        bytes,
        "a stopped wave grows no more"
    );
}
