//! What every flow slot has counted: read, add, write back, one event a clock.
//!
//! ```text
//! clock   0        1          2          3               4             5
//!         event ─► a: read ─► b: word ─► c: data, add ─► d: write ─► e ─► f
//! ```
//!
//! An event of the same slot up to three clocks later has read a word that is not yet written, so
//! the sums in d, e and f are forwarded. The host's reads and clears are events too; they wait for a
//! clock without one from the packets. Costs 16 EBR for the ways; the stash counts in LUT RAM.

#![allow(
    missing_docs,
    reason = "the derive macro generates methods without documentation"
)]

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use crate::ram::{LutRam, Ram};

/// A word of the memory, as `layout::table::FlowStats`.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
pub struct Counts {
    /// Packets.
    pub packets: Bits<28>,
    /// Bytes.
    pub bytes: Bits<34>,
    /// Epoch of the last packet.
    pub stamp: Bits<8>,
    /// TCP FIN seen.
    pub fin: Bit,
    /// TCP RST seen.
    pub rst: Bit,
}

/// An event on its way to the sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
struct Event {
    valid: Bit,
    table: Bit,
    clear: Bit,
    slot: Bits<13>,
    length: Bits<16>,
    stamp: Bits<8>,
    fin: Bit,
    rst: Bit,
}

/// The statistics; see the module's text.
#[derive(Clone, Debug, Default, LogicBlock)]
pub struct Stats {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Stamp for events.
    pub epoch: Signal<In, Bits<8>>,
    /// A packet hit a slot.
    pub event_valid: Signal<In, Bit>,
    /// The slot.
    pub event_slot: Signal<In, Bits<13>>,
    /// Bytes of the frame.
    pub event_length: Signal<In, Bits<16>>,
    /// TCP FIN.
    pub event_fin: Signal<In, Bit>,
    /// TCP RST.
    pub event_rst: Signal<In, Bit>,
    /// The host wants `slot`; held until `done`.
    pub request: Signal<In, Bit>,
    /// Set it to zero, else only read it.
    pub clear: Signal<In, Bit>,
    /// Slot of `request`.
    pub slot: Signal<In, Bits<13>>,
    /// The request is done, for one clock.
    pub done: Signal<Out, Bit>,
    /// The counts, with `done`.
    pub counts: Signal<Out, Bits<72>>,
    /// An event is not yet written.
    pub busy: Signal<Out, Bit>,
    ways: Ram<Counts, 12>,
    stash: LutRam<Counts, 3>,
    stash_word: DFF<Counts>,
    a: DFF<Event>,
    b: DFF<Event>,
    c: DFF<Event>,
    /// Slot and sum after the addition, youngest first.
    d_valid: DFF<Bit>,
    d_slot: DFF<Bits<13>>,
    d_sum: DFF<Counts>,
    e_valid: DFF<Bit>,
    e_slot: DFF<Bits<13>>,
    e_sum: DFF<Counts>,
    f_sum: DFF<Counts>,
    /// Where the newest value of the slot in c is, at most one of them; none of them to start from zero.
    from_d: DFF<Bit>,
    from_e: DFF<Bit>,
    from_f: DFF<Bit>,
    from_stash: DFF<Bit>,
    from_ways: DFF<Bit>,
    asked: DFF<Bit>,
    finished: DFF<Bit>,
    b_slot: Signal<Local, Bits<13>>,
    c_slot: Signal<Local, Bits<13>>,
    d_slot_now: Signal<Local, Bits<13>>,
    same_d: Signal<Local, Bit>,
    same_e: Signal<Local, Bit>,
    same_f: Signal<Local, Bit>,
    stored: Signal<Local, Bit>,
    old: Signal<Local, Counts>,
    sum: Signal<Local, Counts>,
    length: Signal<Local, Bits<34>>,
    one: Signal<Local, Bits<28>>,
    nothing: Signal<Local, Counts>,
}

impl Logic for Stats {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, ways, stash);
        dff_setup!(
            self, clock, stash_word, a, b, c, d_valid, d_slot, d_sum, e_valid, e_slot, e_sum
        );
        dff_setup!(
            self, clock, f_sum, from_d, from_e, from_f, from_stash, from_ways, asked, finished
        );

        // 0: an event of a packet goes first.
        self.a.d.next.valid = self.event_valid.val();
        self.a.d.next.table = false;
        self.a.d.next.clear = false;
        self.a.d.next.slot = self.event_slot.val();
        self.a.d.next.length = self.event_length.val();
        self.a.d.next.stamp = self.epoch.val();
        self.a.d.next.fin = self.event_fin.val();
        self.a.d.next.rst = self.event_rst.val();
        if self.request.val()
            & !self.event_valid.val()
            & !self.asked.q.val()
            & !self.finished.q.val()
        {
            self.a.d.next.valid = true;
            self.a.d.next.table = true;
            self.a.d.next.clear = self.clear.val();
            self.a.d.next.slot = self.slot.val();
            self.a.d.next.length = 0.into();
            self.a.d.next.fin = false;
            self.a.d.next.rst = false;
            self.asked.d.next = true;
        }

        // a, b: two clocks in the memories.
        self.ways.read_enable.next = self.a.q.val().valid;
        self.stash.read_enable.next = self.a.q.val().valid;
        self.stash.forward.next = false;
        self.b_slot.next = self.a.q.val().slot;
        self.ways.read_address.next = self.b_slot.val().get_bits::<12>(0);
        self.stash.read_address.next = self.b_slot.val().get_bits::<3>(0);
        self.stash_word.d.next = self.stash.read_data.val();
        self.b.d.next = self.a.q.val();
        self.c.d.next = self.b.q.val();
        self.c_slot.next = self.b.q.val().slot;
        self.d_slot_now.next = self.c.q.val().slot;
        self.same_d.next = self.c.q.val().valid & (self.c_slot.val() == self.d_slot_now.val());
        self.same_e.next = self.d_valid.q.val() & (self.c_slot.val() == self.d_slot.q.val());
        self.same_f.next = self.e_valid.q.val() & (self.c_slot.val() == self.e_slot.q.val());
        self.from_d.d.next = false;
        self.from_e.d.next = false;
        self.from_f.d.next = false;
        self.stored.next = false;
        if !self.b.q.val().clear {
            if self.same_d.val() {
                self.from_d.d.next = true;
            } else if self.same_e.val() {
                self.from_e.d.next = true;
            } else if self.same_f.val() {
                self.from_f.d.next = true;
            } else {
                self.stored.next = true;
            }
        }
        self.from_stash.d.next = self.stored.val() & self.c_slot.val().get_bit(12);
        self.from_ways.d.next = self.stored.val() & !self.c_slot.val().get_bit(12);

        // c: the newest value of the slot, and the sum. Nothing comes after the adders: the host's request
        // adds nothing, and clears by starting from zero.
        self.nothing.next.packets = 0.into();
        self.nothing.next.bytes = 0.into();
        self.nothing.next.stamp = 0.into();
        self.nothing.next.fin = false;
        self.nothing.next.rst = false;
        self.old.next = self.nothing.val();
        if self.from_d.q.val() {
            self.old.next = self.d_sum.q.val();
        } else if self.from_e.q.val() {
            self.old.next = self.e_sum.q.val();
        } else if self.from_f.q.val() {
            self.old.next = self.f_sum.q.val();
        } else if self.from_stash.q.val() {
            self.old.next = self.stash_word.q.val();
        } else if self.from_ways.q.val() {
            self.old.next = self.ways.read_data.val();
        }
        self.length.next = bit_cast::<34, 16>(self.c.q.val().length);
        self.one.next = 0.into();
        self.sum.next.stamp = self.old.val().stamp;
        if !self.c.q.val().table {
            self.one.next = 1.into();
            self.sum.next.stamp = self.c.q.val().stamp;
        }
        self.sum.next.packets = self.old.val().packets + self.one.val();
        self.sum.next.bytes = self.old.val().bytes + self.length.val();
        self.sum.next.fin = self.old.val().fin | self.c.q.val().fin;
        self.sum.next.rst = self.old.val().rst | self.c.q.val().rst;
        self.d_valid.d.next = self.c.q.val().valid;
        self.d_slot.d.next = self.d_slot_now.val();
        self.d_sum.d.next = self.sum.val();
        self.finished.d.next = self.c.q.val().valid & self.c.q.val().table;
        if self.finished.q.val() {
            self.asked.d.next = false;
        }

        // d: write back; e and f only remember.
        self.ways.write_enable.next = self.d_valid.q.val() & !self.d_slot.q.val().get_bit(12);
        self.ways.write_address.next = self.d_slot.q.val().get_bits::<12>(0);
        self.ways.write_data.next = self.d_sum.q.val();
        self.stash.write_enable.next = self.d_valid.q.val() & self.d_slot.q.val().get_bit(12);
        self.stash.write_address.next = self.d_slot.q.val().get_bits::<3>(0);
        self.stash.write_data.next = self.d_sum.q.val();
        self.e_valid.d.next = self.d_valid.q.val();
        self.e_slot.d.next = self.d_slot.q.val();
        self.e_sum.d.next = self.d_sum.q.val();
        self.f_sum.d.next = self.e_sum.q.val();

        self.done.next = self.finished.q.val();
        self.counts.next = self.d_sum.q.val().into();
        self.busy.next = self.a.q.val().valid
            | self.b.q.val().valid
            | self.c.q.val().valid
            | self.d_valid.q.val();
    }
}
