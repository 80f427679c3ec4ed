//! Hit counters of the ACL slots, and whether a slot permits: both come with the slot's number.
//!
//! ```text
//! clock  0        1          2          3             4
//!        event ─► a: read ─► b: word ─► c: result ─► d: write
//! ```
//!
//! Two results of the same slot are seven clocks apart or more, the time from its page to its match, so a word
//! is written before it is read again. The host's operations wait until nothing is in flight.
//!
//! Eight ninths of the slots are as many words as block RAMs have. The few behind them have a memory of their own: in one
//! memory, they would cost as many block RAMs again; and in LUT RAM, the wires of its 136 cells of 16 × 4 stood in the way of
//! everything around them.
//! Costs 6 EBR with 32 pages: 4 for 1 024 words of 65 bits, 2 for 128.

use layout::table::{ACL_PAGE_BITS, ACL_SLOT_BITS, ACL_SLOTS};
use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use crate::ram::Ram;

/// Bits of the number of a slot in block RAM: 32 of the 36 slots of a page, counted over all pages.
const MANY_BITS: usize = ACL_PAGE_BITS + 5;
/// Bits of the number of one of the others.
const FEW_BITS: usize = ACL_PAGE_BITS + 2;
const _: () = assert!(ACL_SLOTS == (1 << MANY_BITS) + (1 << FEW_BITS));

/// What is kept for a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
struct Slot {
    hits: Bits<64>,
    permit: Bit,
}

/// A result on its way, or an operation of the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
struct Event {
    valid: Bit,
    found: Bit,
    table: Bit,
    clear: Bit,
    slot: Bits<ACL_SLOT_BITS>,
}

/// The counters; see the module's text.
#[derive(Clone, Debug, LogicBlock)]
pub struct Hits {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// A lookup has ended.
    pub event_valid: Signal<In, Bit>,
    /// It matched.
    pub event_found: Signal<In, Bit>,
    /// The slot it matched.
    pub event_slot: Signal<In, Bits<ACL_SLOT_BITS>>,
    /// The result of the event three clocks ago.
    pub result_valid: Signal<Out, Bit>,
    /// It matched.
    pub result_found: Signal<Out, Bit>,
    /// The slot.
    pub result_slot: Signal<Out, Bits<ACL_SLOT_BITS>>,
    /// The slot permits.
    pub result_permit: Signal<Out, Bit>,
    /// The host wants `slot`; held until `done`.
    pub request: Signal<In, Bit>,
    /// Set the count to zero and store `permit`, else only read.
    pub clear: Signal<In, Bit>,
    /// The slot permits, stored by `clear`.
    pub permit: Signal<In, Bit>,
    /// Slot of `request`.
    pub slot: Signal<In, Bits<ACL_SLOT_BITS>>,
    /// The request is done, for one clock.
    pub done: Signal<Out, Bit>,
    /// The count, with `done`.
    pub count: Signal<Out, Bits<64>>,
    /// The first slots.
    many: Ram<Slot, MANY_BITS>,
    /// The others.
    few: Ram<Slot, FEW_BITS>,
    a: DFF<Event>,
    b: DFF<Event>,
    c: DFF<Event>,
    written: DFF<Slot>,
    write: DFF<Bit>,
    write_slot: DFF<Bits<ACL_SLOT_BITS>>,
    finished: DFF<Bit>,
    /// Slots of the events in `a` and `c`, and of the word that is written.
    at_a: Signal<Local, Bits<ACL_SLOT_BITS>>,
    at_c: Signal<Local, Bits<ACL_SLOT_BITS>>,
    at_d: Signal<Local, Bits<ACL_SLOT_BITS>>,
    old: Signal<Local, Slot>,
    one: Constant<Bits<64>>,
    /// Number of the first slot that is not in block RAM: one bit.
    first_few: Constant<Bits<ACL_SLOT_BITS>>,
}

impl Default for Hits {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            event_valid: Signal::default(),
            event_found: Signal::default(),
            event_slot: Signal::default(),
            result_valid: Signal::default(),
            result_found: Signal::default(),
            result_slot: Signal::default(),
            result_permit: Signal::default(),
            request: Signal::default(),
            clear: Signal::default(),
            permit: Signal::default(),
            slot: Signal::default(),
            done: Signal::default(),
            count: Signal::default(),
            many: Ram::default(),
            few: Ram::default(),
            a: DFF::default(),
            b: DFF::default(),
            c: DFF::default(),
            written: DFF::default(),
            write: DFF::default(),
            write_slot: DFF::default(),
            finished: DFF::default(),
            at_a: Signal::default(),
            at_c: Signal::default(),
            at_d: Signal::default(),
            old: Signal::default(),
            one: Constant::new(1_u64.to_bits()),
            first_few: Constant::new((1_u64 << MANY_BITS).to_bits()),
        }
    }
}

impl Logic for Hits {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, many, few);
        dff_setup!(self, clock, a, b, c, written, write, write_slot, finished);
        self.a.d.next.valid = self.event_valid.val();
        self.a.d.next.found = self.event_found.val();
        self.a.d.next.table = false;
        self.a.d.next.clear = false;
        self.a.d.next.slot = self.event_slot.val();
        if self.request.val()
            & !self.event_valid.val()
            & !self.a.q.val().valid
            & !self.b.q.val().valid
            & !self.c.q.val().valid
            & !self.write.q.val()
            & !self.finished.q.val()
        {
            self.a.d.next.valid = true;
            self.a.d.next.table = true;
            self.a.d.next.clear = self.clear.val();
            self.a.d.next.slot = self.slot.val();
        }
        self.at_a.next = self.a.q.val().slot;
        self.at_c.next = self.c.q.val().slot;
        self.at_d.next = self.write_slot.q.val();
        self.many.read_enable.next = self.a.q.val().valid;
        self.many.read_address.next = self.at_a.val().get_bits::<MANY_BITS>(0);
        self.few.read_enable.next = self.a.q.val().valid;
        self.few.read_address.next = self.at_a.val().get_bits::<FEW_BITS>(0);
        self.b.d.next = self.a.q.val();
        self.c.d.next = self.b.q.val();

        self.old.next = self.many.read_data.val();
        if (self.at_c.val() & self.first_few.val()).any() {
            self.old.next = self.few.read_data.val();
        }
        self.result_valid.next = self.c.q.val().valid & !self.c.q.val().table;
        self.result_found.next = self.c.q.val().found;
        self.result_slot.next = self.c.q.val().slot;
        self.result_permit.next = self.old.val().permit;
        self.written.d.next = self.old.val();
        self.write.d.next = self.c.q.val().valid & (self.c.q.val().found | self.c.q.val().table);
        self.write_slot.d.next = self.c.q.val().slot;
        if self.c.q.val().clear {
            self.written.d.next.hits = 0.into();
            self.written.d.next.permit = self.permit.val();
        } else if !self.c.q.val().table {
            self.written.d.next.hits = self.old.val().hits + self.one.val();
        }
        self.finished.d.next = self.c.q.val().valid & self.c.q.val().table;

        self.many.write_enable.next =
            self.write.q.val() & !(self.at_d.val() & self.first_few.val()).any();
        self.many.write_address.next = self.at_d.val().get_bits::<MANY_BITS>(0);
        self.many.write_data.next = self.written.q.val();
        self.few.write_enable.next =
            self.write.q.val() & (self.at_d.val() & self.first_few.val()).any();
        self.few.write_address.next = self.at_d.val().get_bits::<FEW_BITS>(0);
        self.few.write_data.next = self.written.q.val();
        self.done.next = self.finished.q.val();
        self.count.next = self.written.q.val().hits;
    }
}
