//! Frames between a port of 1 Gb/s and a core that takes 8: 4 KiB each way.
//!
//! The core serves one frame at a time, and a frame that is still arriving keeps it for as long as it arrives. So
//! [`Ingress`] lets a frame begin before its end is there (cut-through) only while the other port has nothing waiting;
//! otherwise it waits until it is whole, and then passes at the core's speed. Both ports at line rate fit: while one
//! trickles, the other collects what it sends later at eight times the rate. A frame leaves the core at its speed too:
//! [`Egress`] takes a whole one, so that a port that sends does not keep the other from receiving.
//!
//! `data/keep/last/valid/ready` on either side. Latency one clock when empty, a beat a clock. Each costs two block RAMs,
//! 18 LUT RAMs (16x4) and about 200 LUTs.

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use super::beat::{Fold, Unfold};
use crate::fifo::BlockFifo;

/// Whether a frame may go to the core. Apart from its `ready`, so that simulators see no loop.
#[derive(LogicBlock, Default)]
pub struct Gate {
    /// There is a beat.
    pub holds: Signal<In, Bit>,
    /// Its frame has begun.
    pub started: Signal<In, Bit>,
    /// Last beats that are here.
    pub whole: Signal<In, Bits<10>>,
    /// The other port has something.
    pub other_waiting: Signal<In, Bit>,
    /// A beat may go.
    pub open: Signal<Out, Bit>,
    /// A beat goes if the core takes it.
    pub offered: Signal<Out, Bit>,
    may: Signal<Local, Bit>,
}

impl Logic for Gate {
    #[hdl_gen]
    fn update(&mut self) {
        self.may.next = self.started.val() | self.whole.val().any() | !self.other_waiting.val();
        self.open.next = self.may.val();
        self.offered.next = self.may.val() & self.holds.val();
    }
}

/// From a port to the core; see the module's text.
#[derive(LogicBlock)]
pub struct Ingress {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Bytes from the port.
    pub in_data: Signal<In, Bits<64>>,
    /// Bytes present.
    pub in_keep: Signal<In, Bits<8>>,
    /// Last beat.
    pub in_last: Signal<In, Bit>,
    /// A beat is offered.
    pub in_valid: Signal<In, Bit>,
    /// It is taken.
    pub in_ready: Signal<Out, Bit>,
    /// Bytes for the core.
    pub out_data: Signal<Out, Bits<64>>,
    /// Bytes present.
    pub out_keep: Signal<Out, Bits<8>>,
    /// Last beat.
    pub out_last: Signal<Out, Bit>,
    /// A beat is offered.
    pub out_valid: Signal<Out, Bit>,
    /// It is taken.
    pub out_ready: Signal<In, Bit>,
    /// A frame waits here or passes.
    pub waiting: Signal<Out, Bit>,
    /// `waiting` of the other port.
    pub other_waiting: Signal<In, Bit>,
    fold: Fold,
    fifo: BlockFifo<Bits<68>, 9, 10>,
    unfold: Unfold,
    gate: Gate,
    /// A beat of this frame has been offered: it stays offered, and the rest follows as it comes.
    started: DFF<Bit>,
    /// Last beats in the FIFO.
    whole: DFF<Bits<10>>,
    waits: DFF<Bit>,
    arrives: Signal<Local, Bit>,
    leaves: Signal<Local, Bit>,
    one: Constant<Bits<10>>,
}

impl Default for Ingress {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            in_data: Signal::default(),
            in_keep: Signal::default(),
            in_last: Signal::default(),
            in_valid: Signal::default(),
            in_ready: Signal::default(),
            out_data: Signal::default(),
            out_keep: Signal::default(),
            out_last: Signal::default(),
            out_valid: Signal::default(),
            out_ready: Signal::default(),
            waiting: Signal::default(),
            other_waiting: Signal::default(),
            fold: Fold::default(),
            fifo: BlockFifo::default(),
            unfold: Unfold::default(),
            gate: Gate::default(),
            started: DFF::default(),
            whole: DFF::default(),
            waits: DFF::default(),
            arrives: Signal::default(),
            leaves: Signal::default(),
            one: Constant::new(1.into()),
        }
    }
}

impl Logic for Ingress {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, started, whole, waits);
        clock!(self, clock, fifo);
        self.fold.data.next = self.in_data.val();
        self.fold.keep.next = self.in_keep.val();
        self.fold.last.next = self.in_last.val();
        self.fifo.in_data.next = self.fold.word.val();
        self.fifo.in_valid.next = self.in_valid.val();
        self.in_ready.next = self.fifo.in_ready.val();
        self.arrives.next = self.in_valid.val() & self.fifo.in_ready.val() & self.in_last.val();

        self.unfold.word.next = self.fifo.out_data.val();
        self.gate.holds.next = self.fifo.out_valid.val();
        self.gate.started.next = self.started.q.val();
        self.gate.whole.next = self.whole.q.val();
        self.gate.other_waiting.next = self.other_waiting.val();
        self.fifo.out_ready.next = self.out_ready.val() & self.gate.open.val();
        self.leaves.next = self.gate.offered.val() & self.out_ready.val() & self.unfold.last.val();
        self.started.d.next = (self.started.q.val() | self.gate.offered.val()) & !self.leaves.val();
        if self.arrives.val() & !self.leaves.val() {
            self.whole.d.next = self.whole.q.val() + self.one.val();
        }
        if self.leaves.val() & !self.arrives.val() {
            self.whole.d.next = self.whole.q.val() - self.one.val();
        }
        self.waits.d.next = self.fifo.out_valid.val() | self.started.q.val();
        self.waiting.next = self.waits.q.val();
        self.out_data.next = self.unfold.data.val();
        self.out_keep.next = self.unfold.keep.val();
        self.out_last.next = self.unfold.last.val();
        self.out_valid.next = self.gate.offered.val();
    }
}

/// From the core to a port; see the module's text.
#[derive(LogicBlock, Default)]
pub struct Egress {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Bytes from the core.
    pub in_data: Signal<In, Bits<64>>,
    /// Bytes present.
    pub in_keep: Signal<In, Bits<8>>,
    /// Last beat.
    pub in_last: Signal<In, Bit>,
    /// A beat is offered.
    pub in_valid: Signal<In, Bit>,
    /// It is taken.
    pub in_ready: Signal<Out, Bit>,
    /// Bytes for the port.
    pub out_data: Signal<Out, Bits<64>>,
    /// Bytes present.
    pub out_keep: Signal<Out, Bits<8>>,
    /// Last beat.
    pub out_last: Signal<Out, Bit>,
    /// A beat is offered.
    pub out_valid: Signal<Out, Bit>,
    /// It is taken.
    pub out_ready: Signal<In, Bit>,
    fold: Fold,
    fifo: BlockFifo<Bits<68>, 9, 10>,
    unfold: Unfold,
}

impl Logic for Egress {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, fifo);
        self.fold.data.next = self.in_data.val();
        self.fold.keep.next = self.in_keep.val();
        self.fold.last.next = self.in_last.val();
        self.fifo.in_data.next = self.fold.word.val();
        self.fifo.in_valid.next = self.in_valid.val();
        self.in_ready.next = self.fifo.in_ready.val();
        self.unfold.word.next = self.fifo.out_data.val();
        self.out_data.next = self.unfold.data.val();
        self.out_keep.next = self.unfold.keep.val();
        self.out_last.next = self.unfold.last.val();
        self.out_valid.next = self.fifo.out_valid.val();
        self.fifo.out_ready.next = self.out_ready.val();
    }
}
