//! MDIO: reads and writes the registers of PHYs, IEEE 802.3 clause 22.
//!
//! A request is held until `ack`, which is high for one clock, and dropped or changed behind it. An access takes 64
//! periods of MDC, which is the clock divided by 64: 1.95 MHz of 125 MHz, 33 µs. MDC stands still in between. What is
//! sent changes when MDC falls and is taken by the PHY when it rises; what the PHY sends is looked at just before MDC
//! rises. A PHY that is not there reads as all ones, by the wire's pull-up. 54 LUTs and 53 flip-flops.

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use crate::crossing::Synchroniser;

/// The master; see the module's text.
#[derive(LogicBlock)]
pub struct Management {
    /// Clock, rising edge; at most 160 MHz.
    pub clock: Signal<In, Clock>,
    /// An access is wanted.
    pub request: Signal<In, Bit>,
    /// To write, not to read.
    pub write: Signal<In, Bit>,
    /// Address of the PHY.
    pub phy: Signal<In, Bits<5>>,
    /// Its register.
    pub address: Signal<In, Bits<5>>,
    /// Word to write.
    pub wdata: Signal<In, Bits<16>>,
    /// The access is done.
    pub ack: Signal<Out, Bit>,
    /// Word read, valid with `ack` and until the next access.
    pub rdata: Signal<Out, Bits<16>>,
    /// Clock pin.
    pub mdc: Signal<Out, Bit>,
    /// Data pin in.
    pub mdio_in: Signal<In, Bit>,
    /// Data pin out.
    pub mdio_out: Signal<Out, Bit>,
    /// Drive the data pin.
    pub mdio_drive: Signal<Out, Bit>,
    seen: Synchroniser<Bit>,
    busy: DFF<Bit>,
    done: DFF<Bit>,
    /// Phase of MDC: the upper half is high.
    phase: DFF<Bits<6>>,
    /// Bits sent: 32 of preamble, 14 of address, 2 to turn around, 16 of data.
    sent: DFF<Bits<6>>,
    word: DFF<Bits<32>>,
    level_out: DFF<Bit>,
    drive: DFF<Bit>,
    writes: DFF<Bit>,
    rises: DFF<Bit>,
    taken: DFF<Bit>,
    framed: Signal<Local, Bit>,
    frame: Signal<Local, Bits<32>>,
    operation: Signal<Local, Bits<4>>,
    shifted: Signal<Local, Bits<32>>,
    one_phase: Constant<Bits<6>>,
    no_phase: Constant<Bits<6>>,
    before_rise: Constant<Bits<6>>,
    before_fall: Constant<Bits<6>>,
    address_end: Constant<Bits<6>>,
    /// Start and operation code.
    to_read: Constant<Bits<4>>,
    to_write: Constant<Bits<4>>,
    turn_around: Constant<Bits<32>>,
    lowest: Constant<Bits<32>>,
}

impl Default for Management {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            request: Signal::default(),
            write: Signal::default(),
            phy: Signal::default(),
            address: Signal::default(),
            wdata: Signal::default(),
            ack: Signal::default(),
            rdata: Signal::default(),
            mdc: Signal::default(),
            mdio_in: Signal::default(),
            mdio_out: Signal::default(),
            mdio_drive: Signal::default(),
            seen: Synchroniser::default(),
            busy: DFF::default(),
            done: DFF::default(),
            phase: DFF::default(),
            sent: DFF::default(),
            word: DFF::default(),
            level_out: DFF::default(),
            drive: DFF::default(),
            writes: DFF::default(),
            rises: DFF::default(),
            taken: DFF::default(),
            framed: Signal::default(),
            frame: Signal::default(),
            operation: Signal::default(),
            shifted: Signal::default(),
            one_phase: Constant::new(1_u64.to_bits()),
            no_phase: Constant::new(0_u64.to_bits()),
            before_rise: Constant::new(31_u64.to_bits()),
            before_fall: Constant::new(63_u64.to_bits()),
            address_end: Constant::new(46_u64.to_bits()),
            to_read: Constant::new(0b0110_u64.to_bits()),
            to_write: Constant::new(0b0101_u64.to_bits()),
            turn_around: Constant::new(0x2_0000_u64.to_bits()),
            lowest: Constant::new(1_u64.to_bits()),
        }
    }
}

impl Logic for Management {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, busy, done, phase, sent, word, level_out, drive, writes, rises, taken
        );
        clock!(self, clock, seen);
        self.seen.d.next = self.mdio_in.val();
        self.operation.next = self.to_read.val();
        if self.write.val() {
            self.operation.next = self.to_write.val();
        }
        self.frame.next = (bit_cast::<32, 4>(self.operation.val()) << 28)
            | (bit_cast::<32, 5>(self.phy.val()) << 23)
            | (bit_cast::<32, 5>(self.address.val()) << 18)
            | self.turn_around.val()
            | bit_cast::<32, 16>(self.wdata.val());
        self.shifted.next = self.word.q.val() << 1;
        if self.taken.q.val() {
            self.shifted.next = (self.word.q.val() << 1) | self.lowest.val();
        }
        self.framed.next = self.sent.q.val().get_bit(5);

        self.done.d.next = false;
        if self.busy.q.val() {
            self.phase.d.next = self.phase.q.val() + self.one_phase.val();
            if self.phase.q.val() == self.before_rise.val() {
                self.rises.d.next = true;
                self.taken.d.next = self.seen.q.val();
            }
            if self.phase.q.val() == self.before_fall.val() {
                self.rises.d.next = false;
                self.sent.d.next = self.sent.q.val() + self.one_phase.val();
                if self.framed.val() {
                    self.word.d.next = self.shifted.val();
                }
                if self.sent.q.val() == self.before_fall.val() {
                    self.busy.d.next = false;
                    self.done.d.next = true;
                }
            }
        } else if self.request.val() & !self.done.q.val() {
            self.busy.d.next = true;
            self.phase.d.next = self.no_phase.val();
            self.sent.d.next = self.no_phase.val();
            self.writes.d.next = self.write.val();
            self.word.d.next = self.frame.val();
        }
        // Registered, so that the pins do not glitch.
        self.level_out.d.next = self.word.q.val().get_bit(31) | !self.framed.val();
        self.drive.d.next = self.busy.q.val()
            & (self.writes.q.val() | (self.sent.q.val() < self.address_end.val()));

        self.ack.next = self.done.q.val();
        self.rdata.next = self.word.q.val().get_bits::<16>(0);
        self.mdc.next = self.rises.q.val();
        self.mdio_out.next = self.level_out.q.val();
        self.mdio_drive.next = self.drive.q.val();
    }
}
