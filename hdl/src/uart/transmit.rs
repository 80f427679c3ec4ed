//! Bytes to a serial line, 8N1, least significant bit first.
//!
//! In go bytes with ready/valid, out goes the pin, from a flip-flop. The pin is high from power-on.
//!
//! Latency: the start bit begins one clock after the byte was taken. Throughput: a byte every ten bits and a clock.
//! Cost: 101 LUTs, 8 carry cells, 29 flip-flops (`synth_ecp5`).

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

/// The transmitter; see the module's text.
#[derive(Clone, Debug, LogicBlock)]
pub struct Transmit {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Byte to send.
    pub data: Signal<In, Bits<8>>,
    /// `data` holds a byte.
    pub valid: Signal<In, Bit>,
    /// It is taken.
    pub ready: Signal<Out, Bit>,
    /// The pin.
    pub line: Signal<Out, Bit>,
    /// Bits that are still to be sent, the one on the line included.
    left: DFF<Bits<4>>,
    countdown: DFF<Bits<16>>,
    rest: DFF<Bits<8>>,
    /// The line is low: registers are zero at power-on, and the line at rest is high.
    low: DFF<Bit>,
    now: Signal<Local, Bit>,
    rests: Signal<Local, Bit>,
    none: Constant<Bits<4>>,
    one_left: Constant<Bits<4>>,
    two_left: Constant<Bits<4>>,
    all: Constant<Bits<4>>,
    done: Constant<Bits<16>>,
    one: Constant<Bits<16>>,
    whole: Constant<Bits<16>>,
}

impl Transmit {
    /// A transmitter of bits that last this many clocks.
    pub fn new(clocks_per_bit: u32) -> Self {
        assert!((1..1 << 16).contains(&clocks_per_bit), "1 to 65535 clocks");
        Self {
            clock: Signal::default(),
            data: Signal::default(),
            valid: Signal::default(),
            ready: Signal::default(),
            line: Signal::default(),
            left: DFF::default(),
            countdown: DFF::default(),
            rest: DFF::default(),
            low: DFF::default(),
            now: Signal::default(),
            rests: Signal::default(),
            none: Constant::new(0.into()),
            one_left: Constant::new(1.into()),
            two_left: Constant::new(2.into()),
            all: Constant::new(10.into()),
            done: Constant::new(0.into()),
            one: Constant::new(1.into()),
            whole: Constant::new((u64::from(clocks_per_bit) - 1).to_bits()),
        }
    }
}

impl Logic for Transmit {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, left, countdown, rest, low);
        self.now.next = self.countdown.q.val() == self.done.val();
        self.rests.next = self.left.q.val() == self.none.val();
        if !self.now.val() {
            self.countdown.d.next = self.countdown.q.val() - self.one.val();
        }
        if self.rests.val() {
            if self.valid.val() {
                self.left.d.next = self.all.val();
                self.rest.d.next = self.data.val();
                self.low.d.next = true;
                self.countdown.d.next = self.whole.val();
            }
        } else if self.now.val() {
            self.left.d.next = self.left.q.val() - self.one_left.val();
            self.countdown.d.next = self.whole.val();
            // Behind the last of the eight bits comes the stop bit.
            self.low.d.next =
                (self.left.q.val() > self.two_left.val()) & (!self.rest.q.val().get_bit(0));
            self.rest.d.next = self.rest.q.val() >> 1;
        }
        self.ready.next = self.left.q.val() == self.none.val();
        self.line.next = !self.low.q.val();
    }
}
