//! What the lamps say: 0 runs, 1 beats, 2 and 3 port 0 and 1 receive, 4 and 5 they send; low lights.
//!
//! A lamp stays lit for 67 ms behind what lit it, longer than an eye needs. About 30 flip-flops.

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

/// The block; see the module's text.
#[derive(LogicBlock)]
pub struct Lights {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Out of reset.
    pub runs: Signal<In, Bit>,
    /// A frame of port 0 is here.
    pub received0: Signal<In, Bit>,
    /// A frame of port 1 is here.
    pub received1: Signal<In, Bit>,
    /// Port 0 sent a frame.
    pub sent0: Signal<In, Bit>,
    /// Port 1 sent a frame.
    pub sent1: Signal<In, Bit>,
    /// The lamps.
    pub led: Signal<Out, Bits<8>>,
    elapsed: DFF<Bits<26>>,
    was: DFF<Bit>,
    lit: DFF<Bits<8>>,
    dark: DFF<Bits<8>>,
    ticks: Signal<Local, Bit>,
    happens: Signal<Local, Bits<8>>,
    on: Signal<Local, Bits<8>>,
    one: Constant<Bits<26>>,
    lamp: [Constant<Bits<8>>; 6],
    nothing: Constant<Bits<8>>,
}

impl Default for Lights {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            runs: Signal::default(),
            received0: Signal::default(),
            received1: Signal::default(),
            sent0: Signal::default(),
            sent1: Signal::default(),
            led: Signal::default(),
            elapsed: DFF::default(),
            was: DFF::default(),
            lit: DFF::default(),
            dark: DFF::default(),
            ticks: Signal::default(),
            happens: Signal::default(),
            on: Signal::default(),
            one: Constant::new(1.into()),
            lamp: [2, 3, 4, 5, 0, 1].map(|lamp| Constant::new((1_u64 << lamp).to_bits())),
            nothing: Constant::new(0.into()),
        }
    }
}

impl Logic for Lights {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, elapsed, was, lit, dark);
        self.elapsed.d.next = self.elapsed.q.val() + self.one.val();
        self.was.d.next = self.elapsed.q.val().get_bit(22);
        self.ticks.next = self.was.q.val() & !self.elapsed.q.val().get_bit(22);
        self.happens.next = self.nothing.val();
        if self.received0.val() {
            self.happens.next = self.happens.val() | self.lamp[0].val();
        }
        if self.received1.val() {
            self.happens.next = self.happens.val() | self.lamp[1].val();
        }
        if self.sent0.val() {
            self.happens.next = self.happens.val() | self.lamp[2].val();
        }
        if self.sent1.val() {
            self.happens.next = self.happens.val() | self.lamp[3].val();
        }
        if self.ticks.val() {
            self.lit.d.next = self.happens.val();
        } else {
            self.lit.d.next = self.lit.q.val() | self.happens.val();
        }
        self.on.next = self.lit.q.val();
        if self.runs.val() {
            self.on.next = self.on.val() | self.lamp[4].val();
        }
        if self.elapsed.q.val().get_bit(25) {
            self.on.next = self.on.val() | self.lamp[5].val();
        }
        self.dark.d.next = !self.on.val();
        self.led.next = self.dark.q.val();
    }
}
