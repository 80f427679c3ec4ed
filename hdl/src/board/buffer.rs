//! Frames between a port of 1 Gb/s and a core: 2 KiB each way, in at 4 Gb/s and out at 4 Gb/s.
//!
//! The core serves one frame at a time, and a frame that is still arriving keeps it for as long as it arrives. So
//! [`Ingress`] lets a frame begin before its end is there (cut-through) only while the other port has nothing waiting;
//! otherwise it waits until it is whole, and then passes at four times the rate it came with. Both ports at line rate fit:
//! while one trickles, the other collects what it sends later. A frame leaves the core at that speed too, and begins only
//! when [`Egress`] of the other port, where it most likely goes, can take a whole one: a port that sends does not keep the
//! other from receiving.
//!
//! `data/keep/last/valid/ready` on either side. Latency two clocks when empty, three of [`Ingress`]; a beat in two clocks.
//! Each costs one block RAM, 9 LUT RAMs (16x4) and about 250 LUTs, [`Ingress`] a register of a beat besides.

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use super::beat::{Narrow, Widen};
use crate::fifo::BlockFifo;

/// Whether a beat may go to the register before the core. Apart from the rest, so that simulators see no loop.
#[derive(LogicBlock, Default)]
pub struct Gate {
    /// There is a beat.
    pub holds: Signal<In, Bit>,
    /// Its frame has begun.
    pub started: Signal<In, Bit>,
    /// The register of a beat is taken.
    pub occupied: Signal<In, Bit>,
    /// Last beats that are here.
    pub whole: Signal<In, Bits<10>>,
    /// The other port has something.
    pub other_waiting: Signal<In, Bit>,
    /// The other port can send a whole frame more.
    pub other_room: Signal<In, Bit>,
    /// A beat may go.
    pub open: Signal<Out, Bit>,
    /// A beat goes.
    pub goes: Signal<Out, Bit>,
    may: Signal<Local, Bit>,
}

impl Logic for Gate {
    #[hdl_gen]
    fn update(&mut self) {
        self.may.next = !self.occupied.val()
            & (self.started.val()
                | (self.other_room.val() & (self.whole.val().any() | !self.other_waiting.val())));
        self.open.next = self.may.val();
        self.goes.next = self.may.val() & self.holds.val();
    }
}

/// What both are made of: a beat in, the same beat out.
#[derive(LogicBlock, Default)]
pub struct Store {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Bytes.
    pub in_data: Signal<In, Bits<64>>,
    /// Bytes present.
    pub in_keep: Signal<In, Bits<8>>,
    /// Last beat.
    pub in_last: Signal<In, Bit>,
    /// A beat is offered.
    pub in_valid: Signal<In, Bit>,
    /// It is taken.
    pub in_ready: Signal<Out, Bit>,
    /// Bytes of the oldest beat.
    pub out_data: Signal<Out, Bits<64>>,
    /// Bytes present.
    pub out_keep: Signal<Out, Bits<8>>,
    /// Last beat.
    pub out_last: Signal<Out, Bit>,
    /// There is a beat.
    pub holds: Signal<Out, Bit>,
    /// There is a beat, or a part of one.
    pub some: Signal<Out, Bit>,
    /// It is taken, if there is one.
    pub take: Signal<In, Bit>,
    /// Words in block RAM.
    pub count: Signal<Out, Bits<10>>,
    narrow: Narrow,
    fifo: BlockFifo<Bits<35>, 9, 10>,
    widen: Widen,
    lower: DFF<Bits<32>>,
    has_lower: DFF<Bit>,
    moves: Signal<Local, Bit>,
}

impl Logic for Store {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, lower, has_lower);
        clock!(self, clock, narrow, fifo);
        self.narrow.data.next = self.in_data.val();
        self.narrow.keep.next = self.in_keep.val();
        self.narrow.last.next = self.in_last.val();
        self.narrow.valid.next = self.in_valid.val();
        self.narrow.word_ready.next = self.fifo.in_ready.val();
        self.fifo.in_data.next = self.narrow.word.val();
        self.fifo.in_valid.next = self.narrow.word_valid.val();
        self.in_ready.next = self.narrow.ready.val();

        self.widen.word.next = self.fifo.out_data.val();
        self.widen.valid.next = self.fifo.out_valid.val();
        self.widen.lower.next = self.lower.q.val();
        self.widen.has_lower.next = self.has_lower.q.val();
        self.out_data.next = self.widen.data.val();
        self.out_keep.next = self.widen.keep.val();
        self.out_last.next = self.widen.last.val();
        self.holds.next = self.widen.holds.val();
        self.some.next = self.fifo.out_valid.val() | self.has_lower.q.val();
        self.count.next = self.fifo.count.val();
        self.moves.next = self.take.val() | !self.widen.whole.val();
        self.fifo.out_ready.next = self.moves.val();
        if self.fifo.out_valid.val() & self.moves.val() {
            self.has_lower.d.next = !self.widen.whole.val();
            self.lower.d.next = self.fifo.out_data.val().get_bits::<32>(0);
        }
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
    /// `room` of the other port's [`Egress`].
    pub other_room: Signal<In, Bit>,
    store: Store,
    gate: Gate,
    /// A beat of this frame has gone: the rest follows as it comes.
    started: DFF<Bit>,
    /// The beat that the core is offered. Without it the way from the gate of one port through the arbiter's choice to the
    /// other port's FIFO is the longest of the board.
    data: DFF<Bits<64>>,
    keep: DFF<Bits<8>>,
    last: DFF<Bit>,
    occupied: DFF<Bit>,
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
            other_room: Signal::default(),
            store: Store::default(),
            gate: Gate::default(),
            started: DFF::default(),
            data: DFF::default(),
            keep: DFF::default(),
            last: DFF::default(),
            occupied: DFF::default(),
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
        dff_setup!(
            self, clock, started, data, keep, last, occupied, whole, waits
        );
        clock!(self, clock, store);
        self.store.in_data.next = self.in_data.val();
        self.store.in_keep.next = self.in_keep.val();
        self.store.in_last.next = self.in_last.val();
        self.store.in_valid.next = self.in_valid.val();
        self.in_ready.next = self.store.in_ready.val();
        self.arrives.next = self.in_valid.val() & self.store.in_ready.val() & self.in_last.val();

        self.gate.holds.next = self.store.holds.val();
        self.gate.started.next = self.started.q.val();
        self.gate.occupied.next = self.occupied.q.val();
        self.gate.whole.next = self.whole.q.val();
        self.gate.other_waiting.next = self.other_waiting.val();
        self.gate.other_room.next = self.other_room.val();
        self.store.take.next = self.gate.open.val();
        self.leaves.next = self.gate.goes.val() & self.store.out_last.val();
        self.started.d.next = (self.started.q.val() | self.gate.goes.val()) & !self.leaves.val();
        if self.gate.goes.val() {
            self.data.d.next = self.store.out_data.val();
            self.keep.d.next = self.store.out_keep.val();
            self.last.d.next = self.store.out_last.val();
        }
        self.occupied.d.next =
            self.gate.goes.val() | (self.occupied.q.val() & !self.out_ready.val());
        if self.arrives.val() & !self.leaves.val() {
            self.whole.d.next = self.whole.q.val() + self.one.val();
        }
        if self.leaves.val() & !self.arrives.val() {
            self.whole.d.next = self.whole.q.val() - self.one.val();
        }
        // Not a clock without it between two frames: the other port would begin what it has not whole.
        self.waits.d.next = self.store.some.val() | self.started.q.val() | self.occupied.q.val();
        self.waiting.next = self.waits.q.val();
        self.out_data.next = self.data.q.val();
        self.out_keep.next = self.keep.q.val();
        self.out_last.next = self.last.q.val();
        self.out_valid.next = self.occupied.q.val();
    }
}

/// From the core to a port; see the module's text.
#[derive(LogicBlock)]
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
    /// A frame of 1 518 bytes fits, and what is on its way in the core.
    pub room: Signal<Out, Bit>,
    store: Store,
    roomy: DFF<Bit>,
    quarter: Constant<Bits<10>>,
}

impl Default for Egress {
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
            room: Signal::default(),
            store: Store::default(),
            roomy: DFF::default(),
            quarter: Constant::new(0x380.into()),
        }
    }
}

impl Logic for Egress {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, roomy);
        clock!(self, clock, store);
        // Less than a quarter is taken.
        self.roomy.d.next = !(self.store.count.val() & self.quarter.val()).any();
        self.room.next = self.roomy.q.val();
        self.store.in_data.next = self.in_data.val();
        self.store.in_keep.next = self.in_keep.val();
        self.store.in_last.next = self.in_last.val();
        self.store.in_valid.next = self.in_valid.val();
        self.in_ready.next = self.store.in_ready.val();
        self.out_data.next = self.store.out_data.val();
        self.out_keep.next = self.store.out_keep.val();
        self.out_last.next = self.store.out_last.val();
        self.out_valid.next = self.store.holds.val();
        self.store.take.next = self.out_ready.val();
    }
}
