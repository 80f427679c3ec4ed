//! Takes reads in the order in which they were made, and finishes frames in the order of their ring.
//!
//! A read waits here until it is over. With the last of a frame `INJECT_HEAD` moves, and the frame is handed on,
//! or counted as lost; descriptors are handed on with what became of them. A read a clock. Costs about 100 LUTs.

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use super::record::{FAULT_BAD, FAULT_ERROR, FAULT_LATE, FAULT_NONE, Order, Whole};
use crate::fifo::Fifo;

/// The block; see the module's text.
#[derive(LogicBlock)]
pub struct Retire {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Nothing counts, and nothing is handed on.
    pub forget: Signal<In, Bit>,
    /// Set `INJECT_HEAD` to zero.
    pub clear: Signal<In, Bit>,
    /// The oldest read.
    pub order: Signal<In, Order>,
    /// It is offered.
    pub order_valid: Signal<In, Bit>,
    /// It is taken.
    pub order_ready: Signal<Out, Bit>,
    /// Its tag.
    pub tag: Signal<Out, Bits<4>>,
    /// It is over.
    pub done: Signal<In, Bit>,
    /// It failed.
    pub failed: Signal<In, Bit>,
    /// It was given up.
    pub late: Signal<In, Bit>,
    /// The tag is released.
    pub releases: Signal<Out, Bit>,
    /// A frame, or descriptors.
    pub whole: Signal<Out, Whole>,
    /// It is offered.
    pub whole_valid: Signal<Out, Bit>,
    /// It is taken.
    pub whole_ready: Signal<In, Bit>,
    /// `INJECT_HEAD`.
    pub head: Signal<Out, Bits<16>>,
    /// It has moved, high for one clock.
    pub moved: Signal<Out, Bit>,
    /// A descriptor was not allowed, high for one clock.
    pub bad: Signal<Out, Bit>,
    /// A frame was lost to a failed read, high for one clock.
    pub error: Signal<Out, Bit>,
    /// A frame was lost to a read that was given up, high for one clock.
    pub overdue: Signal<Out, Bit>,
    wholes: Fifo<Whole, 2, 3>,
    index: DFF<Bits<16>>,
    /// What became of the reads of this frame so far.
    fault: DFF<Bits<2>>,
    moved_event: DFF<Bit>,
    bad_event: DFF<Bit>,
    error_event: DFF<Bit>,
    late_event: DFF<Bit>,
    current: Signal<Local, Order>,
    takes: Signal<Local, Bit>,
    ends: Signal<Local, Bit>,
    sum: Signal<Local, Bits<2>>,
    frame: Signal<Local, Bit>,
    none: Constant<Bits<2>>,
    bad_code: Constant<Bits<2>>,
    error_code: Constant<Bits<2>>,
    late_code: Constant<Bits<2>>,
    one: Constant<Bits<16>>,
    zero: Constant<Bits<16>>,
}

impl Default for Retire {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            forget: Signal::default(),
            clear: Signal::default(),
            order: Signal::default(),
            order_valid: Signal::default(),
            order_ready: Signal::default(),
            tag: Signal::default(),
            done: Signal::default(),
            failed: Signal::default(),
            late: Signal::default(),
            releases: Signal::default(),
            whole: Signal::default(),
            whole_valid: Signal::default(),
            whole_ready: Signal::default(),
            head: Signal::default(),
            moved: Signal::default(),
            bad: Signal::default(),
            error: Signal::default(),
            overdue: Signal::default(),
            wholes: Fifo::default(),
            index: DFF::default(),
            fault: DFF::default(),
            moved_event: DFF::default(),
            bad_event: DFF::default(),
            error_event: DFF::default(),
            late_event: DFF::default(),
            current: Signal::default(),
            takes: Signal::default(),
            ends: Signal::default(),
            sum: Signal::default(),
            frame: Signal::default(),
            none: Constant::new((FAULT_NONE).to_bits()),
            bad_code: Constant::new((FAULT_BAD).to_bits()),
            error_code: Constant::new((FAULT_ERROR).to_bits()),
            late_code: Constant::new((FAULT_LATE).to_bits()),
            one: Constant::new(1.into()),
            zero: Constant::new(0.into()),
        }
    }
}

impl Logic for Retire {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            index,
            fault,
            moved_event,
            bad_event,
            error_event,
            late_event
        );
        clock!(self, clock, wholes);
        self.current.next = self.order.val();
        self.tag.next = self.order.val().tag;
        self.takes.next = self.order_valid.val()
            & (self.current.val().skip | self.done.val())
            & (self.wholes.in_ready.val() | self.forget.val());
        self.order_ready.next = self.takes.val();
        self.releases.next = self.takes.val() & (!self.current.val().skip);
        self.ends.next = self.takes.val() & self.current.val().last & (!self.forget.val());

        // The first thing that goes wrong is what is counted.
        self.sum.next = self.fault.q.val();
        if !self.fault.q.val().any() {
            if self.current.val().skip {
                self.sum.next = self.current.val().fault;
            } else if self.failed.val() {
                self.sum.next = self.error_code.val();
            } else if self.late.val() {
                self.sum.next = self.late_code.val();
            }
        }
        if self.takes.val() {
            self.fault.d.next = self.sum.val();
        }
        if self.ends.val() | self.forget.val() {
            self.fault.d.next = self.none.val();
        }

        self.wholes.in_data.next.descriptors = self.current.val().descriptors;
        self.wholes.in_data.next.dwords = self.current.val().dwords;
        self.wholes.in_data.next.length = self.current.val().length;
        self.wholes.in_data.next.offset = self.current.val().offset;
        self.wholes.in_data.next.port = self.current.val().port;
        self.wholes.in_data.next.lookup = self.current.val().lookup;
        self.wholes.in_data.next.fault = self.sum.val();
        self.wholes.in_valid.next = self.ends.val() & (!self.current.val().skip);
        self.whole.next = self.wholes.out_data.val();
        self.whole_valid.next = self.wholes.out_valid.val();
        self.wholes.out_ready.next = self.whole_ready.val();

        self.frame.next =
            self.ends.val() & (self.current.val().skip | (!self.current.val().descriptors));
        if self.frame.val() {
            self.index.d.next = self.index.q.val() + self.one.val();
        }
        if self.clear.val() {
            self.index.d.next = self.zero.val();
        }
        self.moved_event.d.next = self.frame.val() & (!self.clear.val());
        self.bad_event.d.next = self.frame.val() & (self.sum.val() == self.bad_code.val());
        self.error_event.d.next = self.frame.val() & (self.sum.val() == self.error_code.val());
        self.late_event.d.next = self.frame.val() & (self.sum.val() == self.late_code.val());
        self.head.next = self.index.q.val();
        self.moved.next = self.moved_event.q.val();
        self.bad.next = self.bad_event.q.val();
        self.error.next = self.error_event.q.val();
        self.overdue.next = self.late_event.q.val();
    }
}
