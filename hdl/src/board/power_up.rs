//! Resets after power-up: the card's while the clock is not good, the PHYs' ten milliseconds longer.
//!
//! `reset` falls 17 clocks after lock and button are up, that of the PHYs 2^21 clocks after (16.8 ms). About 25 flip-flops and as many LUTs.

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use crate::crossing::Synchroniser;

/// The block; see the module's text.
#[derive(LogicBlock)]
pub struct PowerUp {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// The button, low resets.
    pub reset_n: Signal<In, Bit>,
    /// The clock is good.
    pub locked: Signal<In, Bit>,
    /// Reset of the card.
    pub reset: Signal<Out, Bit>,
    /// The PHYs are out of reset.
    pub phys_run: Signal<Out, Bit>,
    good: Signal<Local, Bit>,
    seen: Synchroniser<Bit>,
    age: DFF<Bits<22>>,
    runs: DFF<Bit>,
    none: Constant<Bits<22>>,
    one: Constant<Bits<22>>,
}

impl Default for PowerUp {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            reset_n: Signal::default(),
            locked: Signal::default(),
            reset: Signal::default(),
            phys_run: Signal::default(),
            good: Signal::default(),
            seen: Synchroniser::default(),
            age: DFF::default(),
            runs: DFF::default(),
            none: Constant::new(0.into()),
            one: Constant::new(1.into()),
        }
    }
}

impl Logic for PowerUp {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, age, runs);
        clock!(self, clock, seen);
        self.good.next = self.reset_n.val() & self.locked.val();
        self.seen.d.next = self.good.val();
        if !self.age.q.val().get_bit(21) {
            self.age.d.next = self.age.q.val() + self.one.val();
        }
        if self.age.q.val().get_bit(4) {
            self.runs.d.next = true;
        }
        if !self.seen.q.val() {
            self.age.d.next = self.none.val();
            self.runs.d.next = false;
        }
        self.reset.next = !self.runs.q.val();
        self.phys_run.next = self.age.q.val().get_bit(21);
    }
}
