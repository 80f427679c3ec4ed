//! Two-entry elastic buffer: cuts both the forward and the ready path of a stream.
//!
//! A word moves in when `in_valid & in_ready`, out when `out_valid & out_ready`. Latency one clock,
//! one word every clock, `out_valid`, `out_data` and `in_ready` come straight from registers. Costs
//! two flip-flops and one LUT a bit.

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

/// The buffer; see the module's text.
#[derive(Clone, Debug, Default, LogicBlock)]
pub struct Skid<T: Synth> {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Word offered.
    pub in_data: Signal<In, T>,
    /// `in_data` holds a word.
    pub in_valid: Signal<In, Bit>,
    /// There is room.
    pub in_ready: Signal<Out, Bit>,
    /// Oldest word.
    pub out_data: Signal<Out, T>,
    /// `out_data` holds a word.
    pub out_valid: Signal<Out, Bit>,
    /// The reader takes it.
    pub out_ready: Signal<In, Bit>,
    front: DFF<T>,
    front_valid: DFF<Bit>,
    spare: DFF<T>,
    spare_valid: DFF<Bit>,
    taken: Signal<Local, Bit>,
    offered: Signal<Local, Bit>,
}

impl<T: Synth> Logic for Skid<T> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, front, front_valid, spare, spare_valid);
        self.in_ready.next = !self.spare_valid.q.val();
        self.out_data.next = self.front.q.val();
        self.out_valid.next = self.front_valid.q.val();
        self.offered.next = self.in_valid.val() & !self.spare_valid.q.val();
        self.taken.next = self.out_ready.val() | !self.front_valid.q.val();
        if self.taken.val() {
            // The spare word is older than the one offered, which then is not accepted.
            if self.spare_valid.q.val() {
                self.front.d.next = self.spare.q.val();
                self.front_valid.d.next = true;
            } else {
                self.front.d.next = self.in_data.val();
                self.front_valid.d.next = self.in_valid.val();
            }
            self.spare_valid.d.next = false;
        } else if self.offered.val() {
            self.spare_valid.d.next = true;
        }
        // Taken on trial: all bits of it look at one register.
        if !self.spare_valid.q.val() {
            self.spare.d.next = self.in_data.val();
        }
    }
}
