//! CRC-32 of bytes, one bit a clock.
//!
//! A byte is taken at `feed` and is in `value` eight clocks later, when `busy` is low again; the next one must not come
//! before. `clear` begins anew, also in the clock of the first `feed`. Cost: 115 LUTs, 44 flip-flops (`synth_ecp5`).

use layout::uart::{CRC_POLYNOMIAL, CRC_RESIDUE};
use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

/// The circuit; see the module's text.
#[derive(Clone, Debug, LogicBlock)]
pub struct Check {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Begin anew.
    pub clear: Signal<In, Bit>,
    /// Byte to take.
    pub data: Signal<In, Bits<8>>,
    /// Take it.
    pub feed: Signal<In, Bit>,
    /// A byte is at work.
    pub busy: Signal<Out, Bit>,
    /// The check to send behind the bytes.
    pub value: Signal<Out, Bits<32>>,
    /// The bytes ended with a check that is right.
    pub right: Signal<Out, Bit>,
    register: DFF<Bits<32>>,
    byte_left: DFF<Bits<8>>,
    bits_left: DFF<Bits<4>>,
    shifted: Signal<Local, Bits<32>>,
    ones: Constant<Bits<32>>,
    polynomial: Constant<Bits<32>>,
    residue: Constant<Bits<32>>,
    none: Constant<Bits<4>>,
    one: Constant<Bits<4>>,
    all: Constant<Bits<4>>,
}

impl Default for Check {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            clear: Signal::default(),
            data: Signal::default(),
            feed: Signal::default(),
            busy: Signal::default(),
            value: Signal::default(),
            right: Signal::default(),
            register: DFF::default(),
            byte_left: DFF::default(),
            bits_left: DFF::default(),
            shifted: Signal::default(),
            ones: Constant::new(u64::from(u32::MAX).to_bits()),
            polynomial: Constant::new(u64::from(CRC_POLYNOMIAL).to_bits()),
            residue: Constant::new(u64::from(CRC_RESIDUE).to_bits()),
            none: Constant::new(0.into()),
            one: Constant::new(1.into()),
            all: Constant::new(8.into()),
        }
    }
}

impl Logic for Check {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, register, byte_left, bits_left);
        self.shifted.next = self.register.q.val() >> 1;
        if self.bits_left.q.val() != self.none.val() {
            self.bits_left.d.next = self.bits_left.q.val() - self.one.val();
            self.byte_left.d.next = self.byte_left.q.val() >> 1;
            self.register.d.next = self.shifted.val();
            if self.register.q.val().get_bit(0) ^ self.byte_left.q.val().get_bit(0) {
                self.register.d.next = self.shifted.val() ^ self.polynomial.val();
            }
        }
        if self.clear.val() {
            self.register.d.next = self.ones.val();
            self.bits_left.d.next = self.none.val();
        }
        if self.feed.val() {
            self.byte_left.d.next = self.data.val();
            self.bits_left.d.next = self.all.val();
        }
        self.busy.next = self.bits_left.q.val() != self.none.val();
        self.value.next = !self.register.q.val();
        self.right.next = self.register.q.val() == self.residue.val();
    }
}
