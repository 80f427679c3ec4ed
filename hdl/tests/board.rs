//! The board around the core, module by module; `board_pins.rs` has the whole.

mod support;

use std::collections::VecDeque;

use hdl::board::buffer::{Egress, Ingress};
use hdl::board::lights::Lights;
use hdl::board::phys::Phys;
use hdl::board::power_up::PowerUp;
use hdl::board::registers::{FAULTS, Registers};
use layout::csr;
use rust_hdl_core::prelude::*;
use support::lockstep::Lockstep;
use support::random::Random;

/// Clocks in which a gigabit port moves a beat.
const PORT_CLOCKS: usize = 8;

/// Clocks in which a buffer takes a beat.
const HALVES: usize = 2;

/// A beat: bytes, how many count, whether it is the last.
type Word = (u64, u64, bool);

/// A beat of random bytes. Those that do not count are not said to pass.
fn beat(random: &mut Random, bytes: u64, last: bool) -> Word {
    let bits = 8 * bytes;
    let present = if bits == 64 {
        u64::MAX
    } else {
        (1_u64 << bits) - 1
    };
    (random.bits() & present, (1_u64 << bytes) - 1, last)
}

/// Frames of random lengths, some of them poisoned: the last beat has no bytes.
fn beats(random: &mut Random, frames: usize) -> VecDeque<Word> {
    let mut words = VecDeque::new();
    for _ in 0..frames {
        let beats = 8 + random.below(40);
        for at in 0..beats {
            let last = at + 1 == beats;
            let bytes = if last { random.below(9) } else { 8 };
            words.push_back(beat(random, bytes, last));
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
        let mut offered = false;
        let mut had_room = false;
        let mut waits = 0;
        for clock in 0..PORT_CLOCKS * 900 {
            let arrives = clock % PORT_CLOCKS == 0;
            let word = input.front().copied().filter(|_| arrives);
            let (data, keep, last) = word.unwrap_or_default();
            run.uut.in_valid.next = word.is_some();
            run.uut.in_data.next = data.to_bits();
            run.uut.in_keep.next = keep.to_bits();
            run.uut.in_last.next = last;
            run.uut.other_waiting.next = other_waits;
            // For a while the other port has no room.
            let room = clock % 512 >= 96;
            run.uut.other_room.next = room;
            run.uut.out_ready.next = random.chance(70);
            run.settle();
            // What has just come takes some clocks to be seen.
            let waiting = run.uut.waiting.val();
            waits = if held.is_empty() { 0 } else { waits + 1 };
            assert!(waiting || waits < 6, "clock {clock}: not told");
            if run.uut.out_valid.val() {
                let (data, keep, last) = *held.front().expect("nothing leaves that did not enter");
                assert_eq!(run.uut.out_data.val(), u64::to_bits(data));
                assert_eq!(run.uut.out_keep.val(), u64::to_bits(keep));
                assert_eq!(run.uut.out_last.val(), last);
                // It is offered one clock after it was let through.
                assert!(within || offered || had_room, "it has nowhere to go");
                if !within && whole == 0 {
                    early += 1;
                }
                offered = true;
                if run.uut.out_ready.val() {
                    held.pop_front();
                    within = !last;
                    offered = false;
                    whole -= usize::from(last && whole > 0);
                }
            }
            if let Some(word) = word {
                assert!(run.uut.in_ready.val(), "room for a frame and more");
                held.push_back(word);
                input.pop_front();
                whole += usize::from(word.2);
            }
            had_room = room;
            run.tick();
        }
        assert!(input.is_empty() && held.is_empty(), "everything left");
        assert_eq!(early > 0, !other_waits, "began before their end: {early}");
        run.compare("ingress").expect("native and Verilated agree");
    }
}

#[test]
fn a_whole_frame_leaves_the_core_while_the_port_has_sent_a_quarter() {
    let mut run = Lockstep::new(Egress::default(), |uut, high| uut.clock.next = high.into());
    let mut random = Random(5);
    // 1 522 bytes.
    let mut input: VecDeque<Word> = (0..191)
        .map(|at| beat(&mut random, if at == 190 { 2 } else { 8 }, at == 190))
        .collect();
    let mut held: VecDeque<Word> = VecDeque::new();
    let mut left_at = 0;
    let mut had_room = [false; 2];
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
        if let Some(word) = word
            && run.uut.in_ready.val()
        {
            held.push_back(word);
            input.pop_front();
            left_at = clock;
        }
        had_room[usize::from(run.uut.room.val())] |= held.len() > 100;
        run.tick();
    }
    assert_eq!(had_room, [true, false], "none for a second frame");
    assert!(input.is_empty() && held.is_empty(), "everything left");
    assert!(
        left_at <= HALVES * 191,
        "the core waits for the port: {left_at}"
    );
    run.compare("egress").expect("native and Verilated agree");
}

/// One access to the board's registers, held until it is acknowledged, and some clocks more: the word read, and how often
/// an access to a PHY was started.
fn access(run: &mut Lockstep<Registers>, address: u32, write: Option<u32>) -> (u32, usize) {
    run.uut.address.next = u64::from(address).to_bits();
    run.uut.wdata.next = u64::from(write.unwrap_or_default()).to_bits();
    run.uut.write.next = write.is_some();
    run.uut.read.next = write.is_none();
    let mut word = None;
    let mut starts = 0;
    for _ in 0..20 {
        run.settle();
        starts += usize::from(run.uut.phy_start.val());
        let done = run.uut.ack.val();
        if done {
            word = Some(run.uut.rdata.val().index() as u32);
        }
        run.tick();
        if done {
            run.uut.write.next = false;
            run.uut.read.next = false;
        }
    }
    (word.expect("it is acknowledged"), starts)
}

#[test]
fn faults_are_counted_each_on_its_own_and_a_command_starts_once() {
    let mut run = Lockstep::new(Registers::default(), |uut, high| {
        uut.clock.next = high.into()
    });
    let mut random = Random(9);
    let mut counted = [0_u32; FAULTS];
    for _ in 0..30 {
        for (fault, count) in counted.iter_mut().enumerate() {
            let happens = random.chance(40);
            run.uut.fault[fault].next = happens;
            *count += u32::from(happens);
        }
        run.tick();
        for fault in 0..FAULTS {
            run.uut.fault[fault].next = false;
        }
        // As far apart as frames are.
        for _ in 0..80 {
            run.tick();
        }
    }
    for (fault, count) in counted.iter().enumerate() {
        let address = csr::PORT_FAULTS + 4 * fault as u32;
        assert_eq!(
            access(&mut run, address, None),
            (*count, 0),
            "fault {fault}"
        );
    }
    run.uut.phy_status.next = 0x1234_0001_u64.to_bits();
    assert_eq!(access(&mut run, csr::PHY_STATUS, None).0, 0x1234_0001);
    assert_eq!(
        access(&mut run, csr::PHY_COMMAND, None),
        (0, 0),
        "write only"
    );
    assert_eq!(access(&mut run, csr::PORT_FAULTS + 0x800, None).0, 0);
    assert_eq!(access(&mut run, csr::PHY_STATUS, Some(7)).1, 0);
    assert_eq!(access(&mut run, csr::PHY_COMMAND, Some(0xabcd_0c21)).1, 1);
    assert_eq!(run.uut.phy_command.val(), 0xabcd_0c21_u64.to_bits());
    run.compare("board-registers")
        .expect("native and Verilated agree");
}

#[test]
fn a_command_goes_to_the_phy_of_its_port_and_waits_for_its_answer() {
    let mut run = Lockstep::new(Phys::default(), |uut, high| uut.clock.next = high.into());
    let commands: [(u64, bool); 3] = [
        (0x0000_0022, false),
        (0xbeef_0c61, true),
        (0x0000_0400, true),
    ];
    for (command, at_one) in commands {
        run.uut.command.next = command.to_bits();
        run.uut.start.next = true;
        run.tick();
        run.uut.start.next = false;
        run.uut.command.next = 0xffff_ffff_u64.to_bits();
        for _ in 0..5 {
            run.settle();
            assert_eq!(run.uut.request0.val(), !at_one);
            assert_eq!(run.uut.request1.val(), at_one);
            assert_eq!(run.uut.address.val().index() as u64, command & 31);
            assert_eq!(run.uut.phy.val().index() as u64, command >> 5 & 31);
            assert_eq!(run.uut.write.val(), command >> 11 & 1 == 1);
            assert_eq!(run.uut.wdata.val().index() as u64, command >> 16);
            assert_eq!(run.uut.status.val().index() as u32 & csr::PHY_BUSY, 1);
            // One that comes too early, and the other port's answer, change nothing.
            run.uut.start.next = true;
            run.uut.ack0.next = at_one;
            run.uut.ack1.next = !at_one;
            run.tick();
        }
        run.uut.start.next = false;
        run.uut.ack0.next = !at_one;
        run.uut.ack1.next = at_one;
        run.uut.rdata0.next = 0x1111_u64.to_bits();
        run.uut.rdata1.next = 0x2222_u64.to_bits();
        run.tick();
        run.uut.ack0.next = false;
        run.uut.ack1.next = false;
        run.settle();
        let word = if at_one { 0x2222_0000 } else { 0x1111_0000 };
        assert_eq!(run.uut.status.val().index(), word);
        assert!(!run.uut.request0.val() && !run.uut.request1.val());
    }
    run.compare("board-phys")
        .expect("native and Verilated agree");
}

#[test]
fn reset_holds_until_the_clock_is_good_and_comes_back_with_the_button() {
    let mut run = Lockstep::new(PowerUp::default(), |uut, high| uut.clock.next = high.into());
    for (locked, button, runs) in [
        (false, true, false),
        (true, true, true),
        (true, false, false),
        (true, true, true),
        (false, true, false),
    ] {
        run.uut.locked.next = locked;
        run.uut.reset_n.next = button;
        for _ in 0..30 {
            run.tick();
        }
        run.settle();
        assert_eq!(run.uut.reset.val(), !runs);
        assert!(!run.uut.phys_run.val(), "theirs takes longer");
    }
    run.compare("power-up").expect("native and Verilated agree");
}

#[test]
fn lamps_light_when_something_happens() {
    let mut run = Lockstep::new(Lights::default(), |uut, high| uut.clock.next = high.into());
    for _ in 0..3 {
        run.tick();
    }
    run.settle();
    assert_eq!(run.uut.led.val(), 0xff_u64.to_bits(), "dark in reset");
    run.uut.runs.next = true;
    run.uut.received1.next = true;
    run.uut.sent0.next = true;
    run.tick();
    run.uut.received1.next = false;
    run.uut.sent0.next = false;
    for _ in 0..5 {
        run.tick();
    }
    run.settle();
    assert_eq!(run.uut.led.val(), 0b1110_0110_u64.to_bits());
    run.compare("lights").expect("native and Verilated agree");
}
