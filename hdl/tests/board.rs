//! The board around the core: frames between two ports of 1 Gb/s and a core that takes 8.

mod support;

use std::collections::VecDeque;

use hdl::board::buffer::{Egress, Ingress};
use rust_hdl_core::prelude::*;
use support::lockstep::Lockstep;
use support::random::Random;

/// Clocks in which a gigabit port moves a beat.
const PORT_CLOCKS: usize = 8;

/// A beat: bytes, how many count, whether it is the last.
type Word = (u64, u64, bool);

/// Frames of random lengths, some of them poisoned: the last beat has no bytes.
fn beats(random: &mut Random, frames: usize) -> VecDeque<Word> {
    let mut words = VecDeque::new();
    for _ in 0..frames {
        let beats = 8 + random.below(40);
        for beat in 0..beats {
            let last = beat + 1 == beats;
            let bytes = if last { random.below(9) } else { 8 };
            words.push_back((random.bits(), (1_u64 << bytes) - 1, last));
        }
    }
    words
}

#[test]
fn a_frame_begins_at_once_when_the_other_port_is_quiet_and_whole_when_it_is_not() {
    for other_waits in [false, true] {
        let mut run = Lockstep::new(Ingress::default(), |uut, high| uut.clock.next = high.into());
        let mut random = Random(3);
        let mut input = beats(&mut random, 12);
        let mut held: VecDeque<Word> = VecDeque::new();
        let mut whole = 0_usize;
        let mut within = false;
        let mut early = 0;
        for clock in 0..PORT_CLOCKS * 900 {
            let arrives = clock % PORT_CLOCKS == 0;
            let word = input.front().copied().filter(|_| arrives);
            let (data, keep, last) = word.unwrap_or_default();
            run.uut.in_valid.next = word.is_some();
            run.uut.in_data.next = data.to_bits();
            run.uut.in_keep.next = keep.to_bits();
            run.uut.in_last.next = last;
            run.uut.other_waiting.next = other_waits;
            run.uut.out_ready.next = random.chance(70);
            run.settle();
            if run.uut.out_valid.val() {
                let (data, keep, last) = *held.front().expect("nothing leaves that did not enter");
                assert_eq!(run.uut.out_data.val(), u64::to_bits(data));
                assert_eq!(run.uut.out_keep.val(), u64::to_bits(keep));
                assert_eq!(run.uut.out_last.val(), last);
                if !within && whole == 0 {
                    early += 1;
                }
                if run.uut.out_ready.val() {
                    held.pop_front();
                    within = !last;
                    whole -= usize::from(last && whole > 0);
                }
            }
            if let Some(word) = word {
                assert!(run.uut.in_ready.val(), "room for two frames and more");
                held.push_back(word);
                input.pop_front();
                whole += usize::from(word.2);
            }
            run.tick();
        }
        assert!(input.is_empty() && held.is_empty(), "everything left");
        assert_eq!(early > 0, !other_waits, "began before their end: {early}");
        run.compare("ingress").expect("native and Verilated agree");
    }
}

#[test]
fn a_whole_frame_leaves_the_core_at_its_own_speed() {
    let mut run = Lockstep::new(Egress::default(), |uut, high| uut.clock.next = high.into());
    let mut random = Random(5);
    // 1 522 bytes.
    let mut input: VecDeque<Word> = (0..191)
        .map(|beat| {
            (
                random.bits(),
                if beat == 190 { 3 } else { 0xff },
                beat == 190,
            )
        })
        .collect();
    let mut held: VecDeque<Word> = VecDeque::new();
    for clock in 0..PORT_CLOCKS * 200 {
        let word = input.front().copied();
        let (data, keep, last) = word.unwrap_or_default();
        run.uut.in_valid.next = word.is_some();
        run.uut.in_data.next = data.to_bits();
        run.uut.in_keep.next = keep.to_bits();
        run.uut.in_last.next = last;
        run.uut.out_ready.next = clock % PORT_CLOCKS == 0;
        run.settle();
        if run.uut.out_valid.val() && run.uut.out_ready.val() {
            let expected = held.pop_front().expect("nothing leaves that did not enter");
            assert_eq!(run.uut.out_data.val(), expected.0.to_bits());
            assert_eq!(run.uut.out_keep.val(), expected.1.to_bits());
            assert_eq!(run.uut.out_last.val(), expected.2);
        }
        if let Some(word) = word {
            assert!(
                run.uut.in_ready.val(),
                "clock {clock}: the core waits for the port"
            );
            held.push_back(word);
            input.pop_front();
        }
        run.tick();
    }
    assert!(input.is_empty() && held.is_empty(), "everything left");
    run.compare("egress").expect("native and Verilated agree");
}
