//! Registers, memories, skid buffer and FIFOs: streams arrive complete and in order, and the printed
//! Verilog does what the native simulation does.

mod support;

use std::collections::VecDeque;

use hdl::dff::DffR;
use hdl::fifo::{BlockFifo, Fifo};
use hdl::ram::{LutRam, Ram};
use hdl::skid::Skid;
use rust_hdl_core::prelude::*;
use support::lockstep::Lockstep;
use support::random::Random;

/// Drives a stream with the given chances of an offer and of a ready reader, and checks the order.
macro_rules! stream {
    ($name:literal, $uut:ty, $capacity:expr) => {{
        let mut run = Lockstep::new(<$uut>::default(), |uut, high| uut.clock.next = high.into());
        let mut random = Random(7);
        let mut held = VecDeque::new();
        let mut sent = 0_u64;
        let mut deepest = 0;
        let phases = [
            (100, 100),
            (100, 30),
            (30, 100),
            (100, 0),
            (0, 100),
            (50, 50),
        ];
        for clock in 0..1200 {
            let (offer, take) = phases[clock / 200];
            run.uut.in_valid.next = random.chance(offer);
            run.uut.in_data.next = sent.to_bits();
            run.uut.out_ready.next = random.chance(take);
            run.settle();
            if run.uut.out_valid.val() {
                let expected: u64 = *held.front().expect("nothing leaves that did not enter");
                assert_eq!(run.uut.out_data.val(), expected.to_bits());
                if run.uut.out_ready.val() {
                    held.pop_front();
                }
            }
            if run.uut.in_valid.val() && run.uut.in_ready.val() {
                held.push_back(sent);
                sent += 1;
            }
            deepest = deepest.max(held.len());
            if (10..200).contains(&clock) {
                assert!(
                    run.uut.out_valid.val() && run.uut.in_ready.val(),
                    "no bubbles at full rate"
                );
            }
            run.tick();
        }
        assert!(deepest >= $capacity, "holds {deepest}");
        assert!(sent > 400);
        run.compare($name).expect("native and Verilated agree");
    }};
}

#[test]
fn skid_keeps_order_at_full_rate() {
    stream!("skid", Skid<Bits<40>>, 2);
}

#[test]
fn lut_fifo_keeps_order_at_full_rate() {
    stream!("fifo", Fifo<Bits<40>, 3, 4>, 9);
}

#[test]
fn block_fifo_keeps_order_at_full_rate() {
    stream!("block-fifo", BlockFifo<Bits<40>, 6, 7>, 70);
}

#[test]
fn block_ram_answers_after_two_clocks() {
    let mut run = Lockstep::new(Ram::<Bits<40>, 5>::default(), |uut, high| {
        uut.clock.next = high.into()
    });
    let mut random = Random(3);
    let mut memory = [0_u64; 32];
    let mut word = 0;
    let mut data = 0;
    for _ in 0..600 {
        let (read, write) = (random.below(32), random.below(32));
        let value = random.bits() >> 24;
        run.uut.read_enable.next = random.chance(80);
        run.uut.read_address.next = read.to_bits();
        run.uut.write_enable.next = random.chance(50);
        run.uut.write_address.next = write.to_bits();
        run.uut.write_data.next = value.to_bits();
        run.settle();
        assert_eq!(run.uut.read_data.val(), data.to_bits());
        data = word;
        if run.uut.read_enable.val() {
            word = memory[read as usize];
        }
        if run.uut.write_enable.val() {
            memory[write as usize] = value;
        }
        run.tick();
    }
    run.compare("ram").expect("native and Verilated agree");
}

#[test]
fn lut_ram_answers_after_one_clock_and_forwards() {
    let mut run = Lockstep::new(LutRam::<Bits<24>, 3>::default(), |uut, high| {
        uut.clock.next = high.into()
    });
    let mut random = Random(4);
    let mut memory = [0_u64; 8];
    let mut data = 0;
    for _ in 0..400 {
        let (read, write) = (random.below(8), random.below(8));
        let value = random.bits() >> 40;
        run.uut.read_enable.next = random.chance(80);
        run.uut.forward.next = random.chance(20);
        run.uut.read_address.next = read.to_bits();
        run.uut.write_enable.next = random.chance(50);
        run.uut.write_address.next = write.to_bits();
        run.uut.write_data.next = value.to_bits();
        run.settle();
        assert_eq!(run.uut.read_data.val(), data.to_bits());
        if run.uut.read_enable.val() {
            data = if run.uut.forward.val() {
                value
            } else {
                memory[read as usize]
            };
        }
        if run.uut.write_enable.val() {
            memory[write as usize] = value;
        }
        run.tick();
    }
    run.compare("lut-ram").expect("native and Verilated agree");
}

#[test]
fn register_obeys_enable_and_reset() {
    let uut = DffR::<Bits<12>>::new(0x5a5_u64.to_bits());
    let mut run = Lockstep::new(uut, |uut, high| uut.clock.next = high.into());
    let mut random = Random(5);
    let mut value = 0x5a5;
    for _ in 0..200 {
        let next = random.below(1 << 12);
        run.uut.d.next = next.to_bits();
        run.uut.enable.next = random.chance(50);
        run.uut.reset.next = random.chance(10);
        run.settle();
        assert_eq!(run.uut.q.val(), value.to_bits());
        if run.uut.reset.val() {
            value = 0x5a5;
        } else if run.uut.enable.val() {
            value = next;
        }
        run.tick();
    }
    run.compare("dff").expect("native and Verilated agree");
}

#[test]
fn lockstep_sees_a_planted_fault() {
    let mut run = Lockstep::new(Fifo::<Bits<8>, 2, 3>::default(), |uut, high| {
        uut.clock.next = high.into()
    });
    let verilog = run.verilog_mut();
    let broken = verilog.replace("head$d = head$q + next_place", "head$d = head$q");
    assert_ne!(*verilog, broken, "the fault was planted");
    *verilog = broken;
    let mut random = Random(6);
    for _ in 0..200 {
        run.uut.in_valid.next = random.chance(60);
        run.uut.in_data.next = random.below(256).to_bits();
        run.uut.out_ready.next = random.chance(50);
        run.tick();
    }
    let difference = run.compare("planted").expect_err("the fault is seen");
    assert!(difference.contains("out_"), "{difference}");
}
