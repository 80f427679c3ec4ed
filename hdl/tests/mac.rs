//! The smaller parts of the Ethernet port: check sequence, pins, management; and that their printed Verilog does the same.

mod support;

use hdl::mac::crc::{Crc, RESIDUE};
use hdl::mac::management::Management;
use hdl::mac::rgmii::Rgmii;
use rust_hdl_core::prelude::*;
use support::domains::Domains;
use support::frame::{Symbol, any_frame, checked};
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
