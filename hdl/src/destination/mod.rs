//! Destination lookup: un-NAT and the card's own addresses, second module of the lookups.
//!
//! ```text
//! in ─┬─► {bank, stride, nibble} ─► 144-bit row ─► AND ─► first of 144 ─► outcome ─► result ─┬─► out    step 19
//!     │       15 strides, one a clock                                                        │
//!     └──────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A row has one bit an entry: does the entry match this nibble at this stride? The AND of fifteen rows leaves
//! the entries that match everything. One packet is looked up at a time, in 27 clocks, and stands at the input until it is;
//! a packet that is not looked up passes **at once**, and a write never holds it up.
//!
//! A write of an entry expands it into 15 strides of 16 rows, read, changed in one bit and written back, a stride
//! at a time between two lookups: neither starves. Lookups in the other bank do not notice.
//! `request` is held until `done`, which is high for one clock. Costs 4 EBR for the rows, 3 for the outcomes.

mod entry;
mod first;

use layout::table::DESTINATIONS;
use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use crate::ram::Ram;
use crate::record::{Judged, Key};

pub use entry::{Entry, Fields, Outcome};
pub use first::First;

/// What the rows are used for.
#[derive(Clone, Copy, Debug, PartialEq, LogicState)]
enum State {
    Idle,
    Lookup,
    Load,
    Expand,
    Done,
}

/// The destination lookup; see the module's text.
#[derive(Clone, Debug, LogicBlock)]
pub struct Destination {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Packet from the flow table.
    pub in_data: Signal<In, Judged>,
    /// `in_data` holds a packet.
    pub in_valid: Signal<In, Bit>,
    /// There is room.
    pub in_ready: Signal<Out, Bit>,
    /// The packet, with real destination, `destination` and `local`.
    pub out_data: Signal<Out, Judged>,
    /// `out_data` holds a packet.
    pub out_valid: Signal<Out, Bit>,
    /// The next stage takes it.
    pub out_ready: Signal<In, Bit>,
    /// Write of an entry, held until `done`.
    pub request: Signal<In, Bit>,
    /// Bank * `DESTINATIONS` + entry.
    pub index: Signal<In, Bits<13>>,
    /// The entry.
    pub data: Signal<In, Bits<256>>,
    /// The write is done, for one clock.
    pub done: Signal<Out, Bit>,

    rows: Ram<Bits<144>, 9>,
    outcomes: Ram<Outcome, 9>,
    first: First,

    /// `request`, one clock later: where it comes from is far.
    asked: DFF<Bit>,
    state: DFF<State>,
    /// Clocks since the lookup or the stride began.
    step: DFF<Bits<5>>,
    /// The next turn is the writer's.
    yields: DFF<Bit>,
    /// Row to read, one clock after its step: the block RAMs are far.
    row: DFF<RowAddress>,
    /// The first row is there, one of the others is.
    opens: DFF<Bit>,
    joins: DFF<Bit>,
    candidates: DFF<Bits<144>>,
    /// The result is there.
    finished: DFF<Bit>,
    /// What the packet is after its lookup.
    result_dst: DFF<Bits<32>>,
    result_dport: DFF<Bits<16>>,
    result_place: DFF<Bits<9>>,
    result_local: DFF<Bit>,
    index_bank: DFF<Bit>,
    index_place: DFF<Bits<13>>,
    /// The write: stride, its nibbles of value and mask, its bit of a row.
    writing: DFF<Bit>,
    stride: DFF<Bits<4>>,
    value: DFF<Bits<4>>,
    mask: DFF<Bits<4>>,
    lane: DFF<Bits<144>>,
    /// Nibble of the row that was read a clock ago, and of the one to write.
    nibble: DFF<Bits<4>>,
    row_nibble: DFF<Bits<4>>,
    row_matches: DFF<Bit>,
    row_writes: DFF<Bit>,
    /// The last row of the stride is written.
    stride_ends: DFF<Bit>,

    waits: Signal<Local, Bit>,
    passes: Signal<Local, Bit>,
    key: Signal<Local, Bits<108>>,
    looked: Signal<Local, Fields>,
    looked_bits: Signal<Local, Bits<60>>,
    looked_wide: Signal<Local, Bits<64>>,
    outcome: Signal<Local, Outcome>,
    mapped: Signal<Local, Bit>,
    real_key: Signal<Local, Key>,
    raw: Signal<Local, Bits<218>>,
    entry: Signal<Local, Entry>,
    entry_value: Signal<Local, Fields>,
    entry_mask: Signal<Local, Fields>,
    entry_outcome: Signal<Local, Outcome>,
    value_bits: Signal<Local, Bits<60>>,
    value_wide: Signal<Local, Bits<64>>,
    mask_bits: Signal<Local, Bits<60>>,
    mask_wide: Signal<Local, Bits<64>>,
    of_bank: Signal<Local, Bit>,
    bank: Signal<Local, Bit>,
    place: Signal<Local, Bits<13>>,
    step_stride: Signal<Local, Bits<4>>,
    step_shift: Signal<Local, Bits<6>>,
    stride_shift: Signal<Local, Bits<6>>,
    entry_place: Signal<Local, Bits<8>>,
    differs: Signal<Local, Bits<4>>,
    next_row: Signal<Local, RowAddress>,
    write_row: Signal<Local, RowAddress>,
    outcome_read: Signal<Local, OutcomeAddress>,
    outcome_write: Signal<Local, OutcomeAddress>,

    bank_size: Constant<Bits<13>>,
    lane_zero: Constant<Bits<144>>,
    one: Constant<Bits<5>>,
    next_stride: Constant<Bits<4>>,
    first_word: Constant<Bits<5>>,
    last_word: Constant<Bits<5>>,
    last_step: Constant<Bits<5>>,
    last_row: Constant<Bits<5>>,
    last_stride: Constant<Bits<4>>,
}

/// Address of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
struct RowAddress {
    nibble: Bits<4>,
    stride: Bits<4>,
    bank: Bit,
}

/// Address of an outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, LogicStruct)]
struct OutcomeAddress {
    place: Bits<8>,
    bank: Bit,
}

impl Default for Destination {
    fn default() -> Self {
        assert_eq!(layout::table::Destination::BITS, Entry::BITS);
        Self {
            clock: Signal::default(),
            in_data: Signal::default(),
            in_valid: Signal::default(),
            in_ready: Signal::default(),
            out_data: Signal::default(),
            out_valid: Signal::default(),
            out_ready: Signal::default(),
            request: Signal::default(),
            index: Signal::default(),
            data: Signal::default(),
            done: Signal::default(),
            rows: Ram::default(),
            outcomes: Ram::default(),
            first: First::default(),
            asked: DFF::default(),
            state: DFF::default(),
            step: DFF::default(),
            yields: DFF::default(),
            row: DFF::default(),
            opens: DFF::default(),
            joins: DFF::default(),
            candidates: DFF::default(),
            finished: DFF::default(),
            result_dst: DFF::default(),
            result_dport: DFF::default(),
            result_place: DFF::default(),
            result_local: DFF::default(),
            index_bank: DFF::default(),
            index_place: DFF::default(),
            writing: DFF::default(),
            stride: DFF::default(),
            value: DFF::default(),
            mask: DFF::default(),
            lane: DFF::default(),
            nibble: DFF::default(),
            row_nibble: DFF::default(),
            row_matches: DFF::default(),
            row_writes: DFF::default(),
            stride_ends: DFF::default(),
            waits: Signal::default(),
            passes: Signal::default(),
            key: Signal::default(),
            looked: Signal::default(),
            looked_bits: Signal::default(),
            looked_wide: Signal::default(),
            outcome: Signal::default(),
            mapped: Signal::default(),
            real_key: Signal::default(),
            raw: Signal::default(),
            entry: Signal::default(),
            entry_value: Signal::default(),
            entry_mask: Signal::default(),
            entry_outcome: Signal::default(),
            value_bits: Signal::default(),
            value_wide: Signal::default(),
            mask_bits: Signal::default(),
            mask_wide: Signal::default(),
            of_bank: Signal::default(),
            bank: Signal::default(),
            place: Signal::default(),
            step_stride: Signal::default(),
            step_shift: Signal::default(),
            stride_shift: Signal::default(),
            entry_place: Signal::default(),
            differs: Signal::default(),
            next_row: Signal::default(),
            write_row: Signal::default(),
            outcome_read: Signal::default(),
            outcome_write: Signal::default(),
            bank_size: Constant::new(DESTINATIONS.to_bits()),
            lane_zero: Constant::new(1_u64.to_bits()),
            one: Constant::new(1_u64.to_bits()),
            next_stride: Constant::new(1_u64.to_bits()),
            // The row of stride n is there in step n + 3, and these are known a step ahead; then the AND, three clocks of
            // encoder, two of the outcome and one of the result.
            first_word: Constant::new(2_u64.to_bits()),
            last_word: Constant::new(16_u64.to_bits()),
            last_step: Constant::new(24_u64.to_bits()),
            // What is read in step n is written in step n + 3.
            last_row: Constant::new(17_u64.to_bits()),
            last_stride: Constant::new(14_u64.to_bits()),
        }
    }
}

impl Logic for Destination {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, rows, outcomes, first);
        dff_setup!(
            self,
            clock,
            asked,
            state,
            step,
            yields,
            row,
            opens,
            joins,
            candidates,
            finished,
            result_dst,
            result_dport,
            result_place,
            result_local
        );
        dff_setup!(
            self,
            clock,
            index_bank,
            index_place,
            writing,
            stride,
            value,
            mask,
            lane,
            nibble,
            row_nibble,
            row_matches,
            row_writes,
            stride_ends
        );

        // The packet, and what of it is looked up.
        self.waits.next = self.in_valid.val() & self.in_data.val().searches;
        self.passes.next = self.finished.q.val() | !self.in_data.val().searches;
        self.in_ready.next = self.out_ready.val() & self.passes.val();
        self.out_valid.next = self.in_valid.val() & self.passes.val();
        self.key.next = self.in_data.val().key;
        self.looked.next.dport = self.key.val().get_bits::<16>(0);
        self.looked.next.dst = self.key.val().get_bits::<32>(32);
        self.looked.next.proto = self.key.val().get_bits::<8>(96);
        self.looked.next.interface = self.key.val().get_bits::<4>(104);
        self.looked_bits.next = self.looked.val().into();
        self.looked_wide.next = bit_cast::<64, 60>(self.looked_bits.val());

        // The entry to write.
        self.raw.next = self.data.val().get_bits::<218>(0);
        self.entry.next = self.raw.val().into();
        self.entry_value.next.dport = self.entry.val().dport;
        self.entry_value.next.dst = self.entry.val().dst;
        self.entry_value.next.proto = self.entry.val().proto;
        self.entry_value.next.interface = self.entry.val().interface;
        self.entry_mask.next.dport = self.entry.val().dport_mask;
        self.entry_mask.next.dst = self.entry.val().dst_mask;
        self.entry_mask.next.proto = self.entry.val().proto_mask;
        self.entry_mask.next.interface = self.entry.val().interface_mask;
        self.entry_outcome.next.local = self.entry.val().local;
        self.entry_outcome.next.address = self.entry.val().address;
        self.entry_outcome.next.address_keep = self.entry.val().address_keep;
        self.entry_outcome.next.l4_port = self.entry.val().l4_port;
        self.entry_outcome.next.l4_port_keep = self.entry.val().l4_port_keep;
        self.value_bits.next = self.entry_value.val().into();
        self.value_wide.next = bit_cast::<64, 60>(self.value_bits.val());
        self.mask_bits.next = self.entry_mask.val().into();
        self.mask_wide.next = bit_cast::<64, 60>(self.mask_bits.val());
        // Registers, for a shift by the place is a long path. The entry is written a clock after the request at least.
        self.of_bank.next = self.index.val() >= self.bank_size.val();
        self.index_bank.d.next = self.of_bank.val();
        if self.of_bank.val() {
            self.index_place.d.next = self.index.val() - self.bank_size.val();
        } else {
            self.index_place.d.next = self.index.val();
        }
        self.bank.next = self.index_bank.q.val();
        self.place.next = self.index_place.q.val();
        self.entry_place.next = self.place.val().get_bits::<8>(0);
        self.lane.d.next = self.lane_zero.val() << self.entry_place.val();
        // The stride stands for two clocks before they are looked at.
        self.stride_shift.next = bit_cast::<6, 4>(self.stride.q.val()) << 2;
        self.value.d.next = self
            .value_wide
            .val()
            .get_bits::<4>(self.stride_shift.val().index());
        self.mask.d.next = self
            .mask_wide
            .val()
            .get_bits::<4>(self.stride_shift.val().index());

        // Rows: a lookup walks the strides, a write walks the nibbles of one stride.
        self.step_stride.next = self.step.q.val().get_bits::<4>(0);
        self.step_shift.next = bit_cast::<6, 4>(self.step_stride.val()) << 2;
        self.next_row.next.nibble = self
            .looked_wide
            .val()
            .get_bits::<4>(self.step_shift.val().index());
        self.next_row.next.stride = self.step_stride.val();
        self.next_row.next.bank = self.in_data.val().destination_bank;
        if self.state.q.val() == State::Expand {
            self.next_row.next.nibble = self.step_stride.val();
            self.next_row.next.stride = self.stride.q.val();
            self.next_row.next.bank = self.bank.val();
        }
        self.row.d.next = self.next_row.val();
        self.rows.read_enable.next = true;
        self.rows.read_address.next = self.row.q.val().into();
        // Whether a row matches is worked out a clock before it is written.
        self.nibble.d.next = self.row.q.val().nibble;
        self.differs.next = (self.nibble.q.val() ^ self.value.q.val()) & self.mask.q.val();
        self.row_nibble.d.next = self.nibble.q.val();
        self.row_matches.d.next = self.entry.val().valid & !self.differs.val().any();
        self.row_writes.d.next = (self.state.q.val() == State::Expand)
            & (self.step.q.val() >= self.first_word.val())
            & (self.step.q.val() <= self.last_row.val());
        self.stride_ends.d.next =
            (self.state.q.val() == State::Expand) & (self.step.q.val() == self.last_row.val());
        self.write_row.next.nibble = self.row_nibble.q.val();
        self.write_row.next.stride = self.stride.q.val();
        self.write_row.next.bank = self.bank.val();
        self.rows.write_address.next = self.write_row.val().into();
        self.rows.write_enable.next = self.row_writes.q.val();
        if self.row_matches.q.val() {
            self.rows.write_data.next = self.rows.read_data.val() | self.lane.q.val();
        } else {
            self.rows.write_data.next = self.rows.read_data.val() & !self.lane.q.val();
        }
        self.outcome_write.next.place = self.entry_place.val();
        self.outcome_write.next.bank = self.bank.val();
        self.outcomes.write_address.next = self.outcome_write.val().into();
        self.outcomes.write_data.next = self.entry_outcome.val();
        self.outcomes.write_enable.next = self.state.q.val() == State::Load;
        // Also while a write reads rows, when nobody looks at the candidates.
        self.opens.d.next = self.step.q.val() == self.first_word.val();
        self.joins.d.next = (self.step.q.val() > self.first_word.val())
            & (self.step.q.val() <= self.last_word.val());
        if self.opens.q.val() {
            self.candidates.d.next = self.rows.read_data.val();
        } else if self.joins.q.val() {
            self.candidates.d.next = self.candidates.q.val() & self.rows.read_data.val();
        }

        self.done.next = false;
        self.finished.d.next = false;
        self.asked.d.next = self.request.val() & !(self.state.q.val() == State::Done);
        match self.state.q.val() {
            State::Idle => {
                self.step.d.next = 0.into();
                if self.asked.q.val() & (self.yields.q.val() | !self.waits.val()) {
                    if self.writing.q.val() {
                        self.state.d.next = State::Expand;
                    } else {
                        self.state.d.next = State::Load;
                    }
                } else if self.waits.val() {
                    self.state.d.next = State::Lookup;
                }
            }
            State::Lookup => {
                if self.finished.q.val() {
                    self.finished.d.next = !self.out_ready.val();
                    if self.out_ready.val() {
                        self.state.d.next = State::Idle;
                        self.yields.d.next = true;
                    }
                } else {
                    self.finished.d.next = self.step.q.val() == self.last_step.val();
                    self.step.d.next = self.step.q.val() + self.one.val();
                }
            }
            State::Load => {
                self.writing.d.next = true;
                self.stride.d.next = 0.into();
                self.state.d.next = State::Expand;
            }
            State::Expand => {
                self.step.d.next = self.step.q.val() + self.one.val();
                if self.stride_ends.q.val() {
                    self.stride.d.next = self.stride.q.val() + self.next_stride.val();
                    self.yields.d.next = false;
                    if self.stride.q.val() == self.last_stride.val() {
                        self.state.d.next = State::Done;
                    } else {
                        self.state.d.next = State::Idle;
                    }
                }
            }
            State::Done => {
                self.writing.d.next = false;
                self.done.next = true;
                self.state.d.next = State::Idle;
            }
        }

        // The place, and what the entry there makes of the packet. The result is right when `finished` says so, and as
        // long as the packet stands.
        self.first.candidates.next = self.candidates.q.val();
        self.outcome_read.next.place = self.first.place.val();
        self.outcome_read.next.bank = self.in_data.val().destination_bank;
        self.outcomes.read_address.next = self.outcome_read.val().into();
        self.outcomes.read_enable.next = true;
        self.outcome.next = self.outcomes.read_data.val();
        self.mapped.next = self.first.found.val() & !self.outcome.val().local;
        self.result_dst.d.next = self.key.val().get_bits::<32>(32);
        self.result_dport.d.next = self.key.val().get_bits::<16>(0);
        self.result_place.d.next = self.in_data.val().destination;
        self.result_local.d.next = self.first.found.val() & self.outcome.val().local;
        if self.mapped.val() {
            self.result_dst.d.next = (self.key.val().get_bits::<32>(32)
                & self.outcome.val().address_keep)
                | self.outcome.val().address;
        }
        if self.mapped.val()
            & (self.in_data.val().tcp | self.in_data.val().udp | self.in_data.val().icmp)
        {
            self.result_dport.d.next = (self.key.val().get_bits::<16>(0)
                & self.outcome.val().l4_port_keep)
                | self.outcome.val().l4_port;
        }
        if self.first.found.val() {
            self.result_place.d.next = bit_cast::<9, 8>(self.first.place.val());
        }
        self.real_key.next.dport = self.result_dport.q.val();
        self.real_key.next.sport = self.key.val().get_bits::<16>(16);
        self.real_key.next.dst = self.result_dst.q.val();
        self.real_key.next.src = self.key.val().get_bits::<32>(64);
        self.real_key.next.proto = self.key.val().get_bits::<8>(96);
        self.real_key.next.interface = self.key.val().get_bits::<4>(104);
        self.out_data.next = self.in_data.val();
        if self.in_data.val().searches {
            self.out_data.next.key = self.real_key.val().into();
            self.out_data.next.destination = self.result_place.q.val();
            self.out_data.next.local = self.result_local.q.val();
        }
    }
}
