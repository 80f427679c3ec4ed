//! The Ethernet receiver: what becomes of frames, good and bad, and that the printed Verilog does the same.

mod support;

use hdl::mac::receive::Receive;
use hdl::stream;
use rust_hdl_core::prelude::*;
use support::frame::{Received, Stream, Symbol, any_frame, checked, symbols};
use support::lockstep::Lockstep;
use support::random::Random;

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
    let mut before = Vec::new();
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
                    Received::Poisoned(bytes) => {
                        let begins = frame.starts_with(bytes) || before.starts_with(bytes);
                        assert!(begins, "no hole in what was handed on");
                        poisoned += 1;
                    }
                }
            }
            let is_whole = frames.contains(&Received::Whole(frame.clone()));
            before = frame;
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
