//! The parts of the Ethernet MAC: what they do with frames, and that the printed Verilog does the same.

mod support;

use hdl::mac::crc::{Crc, RESIDUE};
use hdl::mac::management::Management;
use hdl::mac::receive::Receive;
use hdl::mac::rgmii::Rgmii;
use hdl::mac::transmit::Transmit;
use hdl::stream;
use rust_hdl_core::prelude::*;
use support::domains::Domains;
use support::frame::{
    Beat, POISON, Received, Stream, Symbol, Wire, any_frame, beats, checked, is_spoiled, on_wire,
    symbols,
};
use support::lockstep::Lockstep;
use support::random::Random;

#[test]
fn the_check_sequence_is_that_of_others() {
    let mut run = Lockstep::new(Crc::default(), |_, _| {});
    let mut random = Random(21);
    for length in [1, 4, 60, 173] {
        let frame = any_frame(&mut random, length);
        let mut state = 0xffff_ffff;
        for (index, &byte) in checked(&frame).iter().enumerate() {
            run.uut.state.next = state.to_bits();
            run.uut.data.next = u64::from(byte).to_bits();
            run.settle();
            run.tick();
            state = run.uut.after.val().into();
            if index + 1 == length {
                assert_eq!(!(state as u32), crc32fast::hash(&frame));
            }
        }
        assert_eq!(state as u32, RESIDUE);
    }
    run.compare("mac-crc").expect("native and Verilated agree");
}

/// Strobes of the receiver, in order.
const STROBES: [&str; 6] = ["good", "bad", "runt", "oversize", "pause", "overrun"];

struct Reception {
    run: Lockstep<Receive>,
    random: Random,
    stream: Stream,
    strobes: Vec<&'static str>,
    /// Chance in percent that a beat fits.
    room: u64,
}

impl Reception {
    fn new(seed: u64) -> Self {
        let run = Lockstep::new(Receive::default(), |uut, high| uut.clock.next = high.into());
        let mut reception = Self {
            run,
            random: Random(seed),
            stream: Stream::default(),
            strobes: Vec::new(),
            room: 100,
        };
        reception.hear(&[(0, false, false); 4]);
        reception
    }

    fn hear(&mut self, symbols: &[Symbol]) {
        for &(byte, dv, er) in symbols {
            self.run.uut.rxd.next = u64::from(byte).to_bits();
            self.run.uut.dv.next = dv;
            self.run.uut.er.next = er;
            self.run.uut.ready.next = self.random.chance(self.room);
            self.run.settle();
            let uut = &self.run.uut;
            if uut.valid.val() && uut.ready.val() {
                let beat: stream::Beat<64, 8> = uut.beat.val();
                let (data, keep): (u64, u64) = (beat.data.into(), beat.keep.into());
                self.stream.push((data, keep as u8, beat.last));
            }
            let raised = [
                uut.good.val(),
                uut.bad.val(),
                uut.runt.val(),
                uut.oversize.val(),
                uut.pause.val(),
                uut.overrun.val(),
            ];
            let names = STROBES.iter().zip(raised).filter(|(_, raised)| *raised);
            self.strobes.extend(names.map(|(name, _)| *name));
            self.run.tick();
        }
    }

    /// Hears bytes between preamble and gap; what was handed on and counted.
    fn frame(&mut self, bytes: &[u8]) -> (Vec<Received>, Vec<&'static str>) {
        self.hear(&symbols(bytes, 12));
        self.taken()
    }

    fn taken(&mut self) -> (Vec<Received>, Vec<&'static str>) {
        let frames = std::mem::take(&mut self.stream.frames);
        (frames, std::mem::take(&mut self.strobes))
    }
}

#[test]
fn good_frames_of_any_length_are_handed_on() {
    let mut reception = Reception::new(22);
    for length in [60, 61, 62, 63, 64, 65, 66, 67, 68, 300, 1518] {
        let frame = any_frame(&mut reception.random, length);
        let expected = (vec![Received::Whole(frame.clone())], vec!["good"]);
        assert_eq!(reception.frame(&checked(&frame)), expected, "{length}");
    }
    reception
        .run
        .compare("mac-receive")
        .expect("native and Verilated agree");
}

#[test]
fn bad_frames_are_poisoned_and_counted_once() {
    let mut reception = Reception::new(23);
    let frame = any_frame(&mut reception.random, 100);
    let good = checked(&frame);

    // One bit wrong, in the frame or in its check sequence.
    for at in [0, 50, 99, 100, 103] {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        let (frames, strobes) = reception.frame(&bytes);
        assert!(matches!(&frames[..], [Received::Poisoned(_)]), "{frames:?}");
        assert_eq!(strobes, ["bad"]);
    }
    // A byte marked wrong, at the start, inside, and in the check sequence.
    for at in [0, 50, 103] {
        let mut heard = symbols(&good, 12);
        heard[8 + at].2 = true;
        reception.hear(&heard);
        let (frames, strobes) = reception.taken();
        assert!(matches!(&frames[..], [Received::Poisoned(_)]), "{frames:?}");
        assert_eq!(strobes, ["bad"]);
    }
    // Runts: poisoned when something was handed on, not to be seen otherwise.
    for length in [0, 1, 3, 4, 8, 12, 13, 20, 40, 59] {
        let (frames, strobes) = reception.frame(&checked(&frame[..length]));
        match length {
            ..9 => assert!(frames.is_empty(), "{length}: {frames:?}"),
            _ => assert!(matches!(&frames[..], [Received::Poisoned(_)]), "{length}"),
        }
        assert_eq!(strobes, ["runt"], "{length}");
    }
    // A frame is not spoiled by the one before.
    let expected = (vec![Received::Whole(frame)], vec!["good"]);
    assert_eq!(reception.frame(&good), expected);
    reception
        .run
        .compare("mac-receive-bad")
        .expect("native and Verilated agree");
}

#[test]
fn a_frame_that_is_too_long_is_cut() {
    let mut reception = Reception::new(24);
    for length in [1519, 1526, 2100] {
        let frame = any_frame(&mut reception.random, length);
        let (frames, strobes) = reception.frame(&checked(&frame));
        let [Received::Poisoned(bytes)] = &frames[..] else {
            panic!("{length}: {frames:?}");
        };
        assert_eq!(*bytes, frame[..1512], "{length}");
        assert_eq!(strobes, ["oversize"]);
    }
    let frame = any_frame(&mut reception.random, 64);
    let expected = (vec![Received::Whole(frame.clone())], vec!["good"]);
    assert_eq!(reception.frame(&checked(&frame)), expected);
    reception
        .run
        .compare("mac-receive-long")
        .expect("native and Verilated agree");
}

#[test]
fn mac_control_leaves_no_trace() {
    let mut reception = Reception::new(25);
    let mut frame = any_frame(&mut reception.random, 60);
    frame[..6].copy_from_slice(&[0x01, 0x80, 0xc2, 0x00, 0x00, 0x01]);
    frame[12..14].copy_from_slice(&[0x88, 0x08]);
    assert_eq!(reception.frame(&checked(&frame)), (vec![], vec!["pause"]));
    // Bad ones neither.
    let mut bytes = checked(&frame);
    bytes[30] ^= 1;
    assert_eq!(reception.frame(&bytes), (vec![], vec!["bad"]));
    // One byte of address or type different: a frame like any other.
    for at in [0, 1, 2, 3, 4, 5, 12, 13] {
        let mut other = frame.clone();
        other[at] ^= 0x04;
        let expected = (vec![Received::Whole(other.clone())], vec!["good"]);
        assert_eq!(reception.frame(&checked(&other)), expected, "{at}");
    }
    reception
        .run
        .compare("mac-receive-pause")
        .expect("native and Verilated agree");
}

#[test]
fn a_carrier_without_a_frame_is_passed_over() {
    let mut reception = Reception::new(26);
    let frame = any_frame(&mut reception.random, 60);
    let mut heard = symbols(&checked(&frame), 12);
    heard[3].0 = 0x5f;
    reception.hear(&heard);
    assert_eq!(reception.taken(), (vec![], vec![]));
    // A PHY may eat preamble.
    reception.hear(&symbols(&checked(&frame), 12)[6..]);
    let expected = (vec![Received::Whole(frame.clone())], vec!["good"]);
    assert_eq!(reception.taken(), expected);
    // A reset in mid-frame.
    let heard = symbols(&checked(&frame), 12);
    reception.hear(&heard[..30]);
    reception.run.uut.reset.next = true;
    reception.hear(&heard[30..32]);
    reception.run.uut.reset.next = false;
    reception.hear(&heard[32..]);
    assert_eq!(reception.taken().1, Vec::<&str>::new());
    reception.stream = Stream::default();
    reception.hear(&heard);
    assert_eq!(reception.taken(), expected);
    reception
        .run
        .compare("mac-receive-carrier")
        .expect("native and Verilated agree");
}

#[test]
fn what_does_not_fit_is_poisoned_and_the_next_frame_is_whole_or_not_there() {
    let mut reception = Reception::new(27);
    let (mut whole, mut poisoned, mut overruns) = (0, 0, 0);
    for room in [100, 90, 60, 30, 10, 3, 100] {
        reception.room = room;
        for _ in 0..7 {
            let length = 60 + reception.random.below(60) as usize;
            let frame = any_frame(&mut reception.random, length);
            let (frames, strobes) = reception.frame(&checked(&frame));
            let [strobe] = strobes[..] else {
                panic!("one strobe a frame: {strobes:?}");
            };
            overruns += usize::from(strobe == "overrun");
            // Poison of the frame before may come late.
            for received in &frames {
                match received {
                    Received::Whole(bytes) => assert_eq!(*bytes, frame),
                    Received::Poisoned(_) => poisoned += 1,
                }
            }
            let is_whole = frames.contains(&Received::Whole(frame));
            assert_eq!(is_whole, strobe == "good");
            whole += usize::from(is_whole);
        }
    }
    assert!(
        whole > 14 && poisoned > 5 && overruns > poisoned,
        "{whole} {poisoned} {overruns}"
    );
    reception
        .run
        .compare("mac-receive-full")
        .expect("native and Verilated agree");
}

struct Sending {
    run: Lockstep<Transmit>,
    random: Random,
    wire: Wire,
    /// sent, poisoned, underrun
    counted: [usize; 3],
    clocks: usize,
}

impl Sending {
    fn new(seed: u64) -> Self {
        Self {
            run: Lockstep::new(Transmit::default(), |uut, high| {
                uut.clock.next = high.into()
            }),
            random: Random(seed),
            wire: Wire::default(),
            counted: [0; 3],
            clocks: 0,
        }
    }

    /// One clock with a beat offered or not; whether it was taken.
    fn clock(&mut self, beat: Option<Beat>) -> bool {
        let (data, keep, last) = beat.unwrap_or_default();
        self.run.uut.valid.next = beat.is_some();
        self.run.uut.beat.next = stream::Beat {
            data: data.to_bits(),
            keep: u64::from(keep).to_bits(),
            last,
        };
        self.run.settle();
        let uut = &self.run.uut;
        let txd: u64 = uut.txd.val().into();
        self.wire.push((txd as u8, uut.en.val(), false));
        let strobes = [uut.sent.val(), uut.poisoned.val(), uut.underrun.val()];
        for (count, strobe) in self.counted.iter_mut().zip(strobes) {
            *count += usize::from(strobe);
        }
        let taken = uut.ready.val();
        self.run.tick();
        self.clocks += 1;
        taken
    }

    /// Offers beats with so many idle clocks at most before each.
    fn offer(&mut self, beats: &[Beat], gap: u64) {
        for &beat in beats {
            for _ in 0..self.random.below(gap + 1) {
                self.clock(None);
            }
            while !self.clock(Some(beat)) {}
        }
    }

    fn rest(&mut self, clocks: usize) {
        for _ in 0..clocks {
            self.clock(None);
        }
    }

    fn compare(&self, name: &str) {
        self.run.compare(name).expect("native and Verilated agree");
    }
}

#[test]
fn frames_go_out_padded_checked_and_twelve_bytes_apart() {
    let mut sending = Sending::new(31);
    let mut expected = Vec::new();
    for length in [60, 61, 64, 1, 7, 8, 9, 59, 62, 63, 65, 66, 67, 68, 200] {
        let frame = any_frame(&mut sending.random, length);
        // Beats come fast, or as slowly as from a wire.
        let gap = [0, 7][length % 2];
        sending.offer(&beats(&frame), gap);
        expected.push(on_wire(&frame));
    }
    sending.rest(400);
    assert_eq!(sending.wire.frames, expected);
    assert_eq!(sending.counted, [15, 0, 0]);
    let gaps = &sending.wire.gaps[1..];
    assert!(gaps.iter().all(|&gap| gap >= 12), "{gaps:?}");
    assert!(gaps.contains(&12), "{gaps:?}");
    sending.compare("mac-transmit");
}

#[test]
fn minimum_frames_leave_at_the_full_rate() {
    let mut sending = Sending::new(32);
    for _ in 0..12 {
        let frame = any_frame(&mut sending.random, 60);
        sending.offer(&beats(&frame), 0);
    }
    sending.rest(300);
    assert_eq!(sending.wire.frames.len(), 12);
    // 8 of preamble, 64, and 12: 84 byte times of 8 ns are 1 488 095 frames a second.
    assert_eq!(sending.wire.gaps[1..], [12; 11]);
}

#[test]
fn poisoned_frames_leave_with_a_wrong_check_sequence() {
    let mut sending = Sending::new(33);
    let after = any_frame(&mut sending.random, 77);
    for whole_beats in [1, 2, 7, 8, 20] {
        let frame = any_frame(&mut sending.random, 8 * whole_beats + 1);
        let mut poisoned = beats(&frame);
        *poisoned.last_mut().expect("a beat") = POISON;
        sending.offer(&poisoned, 0);
        // Nothing but poison: not to be seen.
        sending.offer(&[POISON], 0);
        sending.offer(&beats(&after), 0);
        sending.rest(500);
        let frames = std::mem::take(&mut sending.wire.frames);
        assert_eq!(frames.len(), 2);
        assert!(is_spoiled(&frames[0]), "{whole_beats}: {:02x?}", frames[0]);
        assert_eq!(frames[0][..8 * whole_beats], frame[..8 * whole_beats]);
        assert_eq!(frames[1], on_wire(&after));
    }
    assert_eq!(sending.counted, [5, 5, 0]);
    sending.compare("mac-transmit-poison");
}

#[test]
fn a_frame_whose_beats_come_too_late_is_spoiled_and_its_rest_dropped() {
    let mut sending = Sending::new(34);
    let after = any_frame(&mut sending.random, 64);
    for (early, late) in [(2, 1), (2, 60), (3, 300), (9, 40)] {
        let frame = any_frame(&mut sending.random, 100);
        let all = beats(&frame);
        sending.offer(&all[..early], 0);
        sending.rest(8 * early + 20 + late);
        sending.offer(&all[early..], 0);
        sending.offer(&beats(&after), 0);
        sending.rest(400);
        let frames = std::mem::take(&mut sending.wire.frames);
        assert_eq!(frames.len(), 2, "{early} {late}");
        assert!(is_spoiled(&frames[0]));
        assert_eq!(frames[1], on_wire(&after));
    }
    assert_eq!(sending.counted, [4, 0, 4]);
    sending.compare("mac-transmit-late");
}

#[test]
fn pins_carry_low_nibbles_first_and_errors_on_the_control_wire() {
    let mut run = Domains::new(
        Rgmii::default(),
        &["clock", "rx_clock"],
        |uut, clock, high| match clock {
            0 => uut.clock.next = high.into(),
            _ => uut.rx_clock.next = high.into(),
        },
    );
    let mut random = Random(35);
    let (mut to_pins, mut from_pins) = (Vec::new(), Vec::new());
    for round in 0..60 {
        let symbol: Symbol = (random.bits() as u8, random.chance(70), random.chance(20));
        let (byte, dv, er) = symbol;
        // In: each half before its edge. What was heard is out after the rising edge that follows.
        run.uut.pin_rxd.next = u64::from(byte & 15).to_bits();
        run.uut.pin_rx_ctl.next = dv;
        run.edge(1);
        if let Some((byte, dv, er)) = from_pins.pop() {
            assert_eq!(run.uut.rxd.val(), u64::from(byte).to_bits(), "{round}");
            assert_eq!((run.uut.dv.val(), run.uut.er.val()), (dv, er), "{round}");
        }
        run.uut.pin_rxd.next = u64::from(byte >> 4).to_bits();
        run.uut.pin_rx_ctl.next = dv ^ er;
        run.edge(1);
        from_pins.push(symbol);

        // Out: at the pins two rising edges after the one that took the byte.
        run.uut.txd.next = u64::from(byte).to_bits();
        run.uut.en.next = dv;
        run.uut.tx_er.next = er;
        to_pins.push(symbol);
        let old = round >= 2;
        let (byte, dv, er) = to_pins[if old { round - 2 } else { 0 }];
        run.edge(0);
        if old {
            assert_eq!(run.uut.pin_txd.val(), u64::from(byte & 15).to_bits());
            assert_eq!(run.uut.pin_tx_ctl.val(), dv);
        }
        run.edge(0);
        if old {
            assert_eq!(run.uut.pin_txd.val(), u64::from(byte >> 4).to_bits());
            assert_eq!(run.uut.pin_tx_ctl.val(), dv ^ er);
        }
    }
    run.compare("mac-rgmii")
        .expect("native and Verilated agree");
}

/// A PHY on the management wires: what it saw, and one register to read.
#[derive(Default)]
struct Phy {
    mdc: bool,
    bits: Vec<bool>,
    drives: Vec<bool>,
    out: Option<bool>,
    rises: Vec<usize>,
}

impl Phy {
    const ADDRESS: u64 = 0x0a;
    const WORD: u64 = 0xb5c3;

    fn clock(&mut self, now: usize, mdc: bool, data: bool, drives: bool) -> bool {
        if mdc && !self.mdc {
            self.bits.push(data);
            self.drives.push(drives);
            self.rises.push(now);
            let sent = self.bits.len() % 64;
            let header = &self.bits[self.bits.len() - sent..];
            let reads_us = sent >= 46
                && header[34..36] == [true, false]
                && number(&header[36..41]) == Self::ADDRESS;
            // Behind the address the PHY has the wire: a zero, then the word.
            self.out = match sent {
                47 if reads_us => Some(false),
                48.. if reads_us => Some(Self::WORD >> (63 - sent) & 1 == 1),
                _ => None,
            };
        }
        self.mdc = mdc;
        // A pull-up when nobody drives.
        self.out.unwrap_or(if drives { data } else { true })
    }
}

fn number(bits: &[bool]) -> u64 {
    bits.iter()
        .fold(0, |number, &bit| number << 1 | u64::from(bit))
}

#[test]
fn registers_of_a_phy_are_read_and_written() {
    let mut run = Lockstep::new(Management::default(), |uut, high| {
        uut.clock.next = high.into()
    });
    let mut phy = Phy::default();
    let mut now = 0;
    let accesses: [(bool, u64, u64, u64); 3] = [
        (false, 0x0a, 3, 0),
        (true, 0x0a, 0x15, 0x1234),
        (false, 0x0b, 1, 0),
    ];
    for (write, address, register, word) in accesses {
        run.uut.request.next = true;
        run.uut.write.next = write;
        run.uut.phy.next = address.to_bits();
        run.uut.address.next = register.to_bits();
        run.uut.wdata.next = word.to_bits();
        let started = now;
        loop {
            run.settle();
            let uut = &run.uut;
            let level = phy.clock(now, uut.mdc.val(), uut.mdio_out.val(), uut.mdio_drive.val());
            run.uut.mdio_in.next = level;
            run.settle();
            let done = run.uut.ack.val();
            run.tick();
            now += 1;
            if done {
                break;
            }
            assert!(now < started + 4200, "an access takes 64 periods");
        }
        let (bits, drives) = (
            std::mem::take(&mut phy.bits),
            std::mem::take(&mut phy.drives),
        );
        assert_eq!(bits.len(), 64);
        assert!(bits[..32].iter().all(|&bit| bit));
        assert_eq!(bits[32..36], [false, true, !write, write]);
        assert_eq!(number(&bits[36..41]), address);
        assert_eq!(number(&bits[41..46]), register);
        assert!(drives[..46].iter().all(|&drive| drive));
        assert!(drives[46..].iter().all(|&drive| drive == write));
        let read: u64 = run.uut.rdata.val().into();
        match (write, address) {
            (true, _) => assert_eq!(
                (bits[46], bits[47], number(&bits[48..])),
                (true, false, word)
            ),
            (false, Phy::ADDRESS) => assert_eq!(read, Phy::WORD),
            (false, _) => assert_eq!(read, 0xffff),
        }
    }
    // 2.5 MHz are 50 clocks of 8 ns.
    assert!(phy.rises.windows(2).all(|pair| pair[1] - pair[0] >= 50));
    run.compare("mac-management")
        .expect("native and Verilated agree");
}
