//! The Ethernet transmitter: what goes out, and that the printed Verilog does the same.

mod support;

use hdl::mac::transmit::Transmit;
use hdl::stream;
use rust_hdl_core::prelude::*;
use support::frame::{Beat, POISON, Wire, any_frame, beats, is_spoiled, on_wire};
use support::lockstep::Lockstep;
use support::random::Random;

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
fn a_frame_starts_with_its_first_beat() {
    let mut sending = Sending::new(35);
    let frame = any_frame(&mut sending.random, 300);
    for beat in beats(&frame) {
        assert!(sending.clock(Some(beat)));
        sending.rest(7);
    }
    sending.rest(100);
    assert_eq!(sending.wire.gaps[0], 4, "clocks up to the preamble");
    assert_eq!(sending.wire.frames, [on_wire(&frame)]);
    assert_eq!(sending.counted, [1, 0, 0]);
    sending.compare("mac-transmit-start");
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
