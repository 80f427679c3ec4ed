//! Destination lookup: un-NAT and the card's own addresses, second module of the lookups.
//!
//! ```text
//! in ─► skid ─► {bank, stride, nibble} ─► 144-bit row ─► AND ─► first of 144 ─► outcome ─► out    step 19
//!                 15 strides, one a clock
//! ```
//!
//! A row has one bit an entry: does the entry match this nibble at this stride? The AND of fifteen rows leaves
//! the entries that match everything. One packet is looked up at a time, in 25 clocks; a packet that needs no
//! lookup passes in **one clock** when nothing is in front of it, and a write never holds it up.
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
use crate::skid::Skid;

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
    /// A packet is here.
    pub busy: Signal<Out, Bit>,

    packets: Skid<Judged>,
    /// Whether the packet is looked up.
    lookups: Skid<Bit>,
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
    fields: DFF<Bits<60>>,
    candidates: DFF<Bits<144>>,
    /// The outcome is there.
    finished: DFF<Bit>,
    index_bank: DFF<Bit>,
    index_place: DFF<Bits<13>>,
    /// The write: stride, what is left of value and mask, its bit of a row.
    writing: DFF<Bit>,
    stride: DFF<Bits<4>>,
    value: DFF<Bits<60>>,
    mask: DFF<Bits<60>>,
    lane: DFF<Bits<144>>,
    row_nibble: DFF<Bits<4>>,
    row_matches: DFF<Bit>,
    row_writes: DFF<Bit>,

    packet: Signal<Local, Judged>,
    needs: Signal<Local, Bit>,
    needed: Signal<Local, Bit>,
    key: Signal<Local, Bits<108>>,
    looked: Signal<Local, Fields>,
    outcome: Signal<Local, Outcome>,
    real_dst: Signal<Local, Bits<32>>,
    real_dport: Signal<Local, Bits<16>>,
    real_key: Signal<Local, Key>,
    raw: Signal<Local, Bits<218>>,
    entry: Signal<Local, Entry>,
    entry_value: Signal<Local, Fields>,
    entry_mask: Signal<Local, Fields>,
    entry_outcome: Signal<Local, Outcome>,
    of_bank: Signal<Local, Bit>,
    bank: Signal<Local, Bit>,
    place: Signal<Local, Bits<13>>,
    nibble: Signal<Local, Bits<4>>,
    behind: Signal<Local, Bits<5>>,
    entry_place: Signal<Local, Bits<8>>,
    differs: Signal<Local, Bits<4>>,
    row: Signal<Local, RowAddress>,
    write_row: Signal<Local, RowAddress>,
    outcome_read: Signal<Local, OutcomeAddress>,
    outcome_write: Signal<Local, OutcomeAddress>,

    bank_size: Constant<Bits<13>>,
    every_candidate: Constant<Bits<144>>,
    lane_zero: Constant<Bits<144>>,
    one: Constant<Bits<5>>,
    next_stride: Constant<Bits<4>>,
    first_word: Constant<Bits<5>>,
    last_word: Constant<Bits<5>>,
    last_step: Constant<Bits<5>>,
    expand_end: Constant<Bits<5>>,
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
            busy: Signal::default(),
            packets: Skid::default(),
            lookups: Skid::default(),
            rows: Ram::default(),
            outcomes: Ram::default(),
            first: First::default(),
            asked: DFF::default(),
            state: DFF::default(),
            step: DFF::default(),
            yields: DFF::default(),
            fields: DFF::default(),
            candidates: DFF::default(),
            finished: DFF::default(),
            index_bank: DFF::default(),
            index_place: DFF::default(),
            writing: DFF::default(),
            stride: DFF::default(),
            value: DFF::default(),
            mask: DFF::default(),
            lane: DFF::default(),
            row_nibble: DFF::default(),
            row_matches: DFF::default(),
            row_writes: DFF::default(),
            packet: Signal::default(),
            needs: Signal::default(),
            needed: Signal::default(),
            key: Signal::default(),
            looked: Signal::default(),
            outcome: Signal::default(),
            real_dst: Signal::default(),
            real_dport: Signal::default(),
            real_key: Signal::default(),
            raw: Signal::default(),
            entry: Signal::default(),
            entry_value: Signal::default(),
            entry_mask: Signal::default(),
            entry_outcome: Signal::default(),
            of_bank: Signal::default(),
            bank: Signal::default(),
            place: Signal::default(),
            nibble: Signal::default(),
            behind: Signal::default(),
            entry_place: Signal::default(),
            differs: Signal::default(),
            row: Signal::default(),
            write_row: Signal::default(),
            outcome_read: Signal::default(),
            outcome_write: Signal::default(),
            bank_size: Constant::new(DESTINATIONS.to_bits()),
            every_candidate: Constant::new(Bits::<144>::mask()),
            lane_zero: Constant::new(1_u64.to_bits()),
            one: Constant::new(1_u64.to_bits()),
            next_stride: Constant::new(1_u64.to_bits()),
            // The row of stride n is there in step n + 2; then the AND, three clocks of encoder and
            // two of the outcome.
            first_word: Constant::new(2_u64.to_bits()),
            last_word: Constant::new(16_u64.to_bits()),
            last_step: Constant::new(22_u64.to_bits()),
            expand_end: Constant::new(17_u64.to_bits()),
            last_stride: Constant::new(14_u64.to_bits()),
        }
    }
}

impl Logic for Destination {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, packets, lookups, rows, outcomes, first);
        dff_setup!(
            self,
            clock,
            asked,
            state,
            step,
            yields,
            fields,
            candidates,
            finished,
            index_bank,
            index_place
        );
        dff_setup!(
            self,
            clock,
            writing,
            stride,
            value,
            mask,
            lane,
            row_nibble,
            row_matches,
            row_writes
        );

        // The packet in front, and what of it is looked up.
        self.packets.in_data.next = self.in_data.val();
        self.packets.in_valid.next = self.in_valid.val();
        self.in_ready.next = self.packets.in_ready.val();
        self.packet.next = self.packets.out_data.val();
        // The two buffers move together.
        self.needed.next = self.lookups.out_data.val();
        self.needs.next = !(self.in_data.val().decided
            | self.in_data.val().direct
            | self.in_data.val().hit
            | self.in_data.val().hold);
        self.lookups.in_data.next = self.needs.val();
        self.lookups.in_valid.next = self.in_valid.val();
        self.lookups.out_ready.next =
            self.out_ready.val() & (self.finished.q.val() | !self.needed.val());
        self.finished.d.next = false;
        self.key.next = self.packet.val().key;
        self.looked.next.dport = self.key.val().get_bits::<16>(0);
        self.looked.next.dst = self.key.val().get_bits::<32>(32);
        self.looked.next.proto = self.key.val().get_bits::<8>(96);
        self.looked.next.interface = self.key.val().get_bits::<4>(104);

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

        // Rows: a lookup walks the strides, a write walks the nibbles of one stride.
        self.row.next.nibble = self.fields.q.val().get_bits::<4>(0);
        self.row.next.stride = self.step.q.val().get_bits::<4>(0);
        self.row.next.bank = self.packet.val().destination_bank;
        self.rows.read_enable.next =
            (self.state.q.val() == State::Lookup) | (self.state.q.val() == State::Expand);
        if self.state.q.val() == State::Expand {
            self.row.next.nibble = self.step.q.val().get_bits::<4>(0);
            self.row.next.stride = self.stride.q.val();
            self.row.next.bank = self.bank.val();
        }
        self.rows.read_address.next = self.row.val().into();
        // Whether a row matches is worked out a clock before it is written: the block RAMs are far.
        self.behind.next = self.step.q.val() - self.one.val();
        self.nibble.next = self.behind.val().get_bits::<4>(0);
        self.differs.next = (self.nibble.val() ^ self.value.q.val().get_bits::<4>(0))
            & self.mask.q.val().get_bits::<4>(0);
        self.row_nibble.d.next = self.nibble.val();
        self.row_matches.d.next = self.entry.val().valid & !self.differs.val().any();
        self.row_writes.d.next = (self.state.q.val() == State::Expand)
            & self.step.q.val().any()
            & (self.step.q.val() != self.expand_end.val());
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
        if (self.step.q.val() >= self.first_word.val())
            & (self.step.q.val() <= self.last_word.val())
        {
            self.candidates.d.next = self.candidates.q.val() & self.rows.read_data.val();
        }

        self.done.next = false;
        self.asked.d.next = self.request.val() & !(self.state.q.val() == State::Done);
        match self.state.q.val() {
            State::Idle => {
                self.step.d.next = 0.into();
                self.fields.d.next = self.looked.val().into();
                self.candidates.d.next = self.every_candidate.val();
                if self.asked.q.val()
                    & (self.yields.q.val() | !(self.packets.out_valid.val() & self.needed.val()))
                {
                    if self.writing.q.val() {
                        self.state.d.next = State::Expand;
                    } else {
                        self.state.d.next = State::Load;
                    }
                } else if self.packets.out_valid.val() & self.needed.val() {
                    self.state.d.next = State::Lookup;
                }
            }
            State::Lookup => {
                self.fields.d.next = self.fields.q.val() >> 4;
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
                self.value.d.next = self.entry_value.val().into();
                self.mask.d.next = self.entry_mask.val().into();
                self.lane.d.next = self.lane_zero.val() << self.entry_place.val();
                self.state.d.next = State::Expand;
            }
            State::Expand => {
                self.step.d.next = self.step.q.val() + self.one.val();
                if self.step.q.val() == self.expand_end.val() {
                    self.stride.d.next = self.stride.q.val() + self.next_stride.val();
                    self.value.d.next = self.value.q.val() >> 4;
                    self.mask.d.next = self.mask.q.val() >> 4;
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

        // The place, and what the entry there makes of the packet.
        self.first.candidates.next = self.candidates.q.val();
        self.outcome_read.next.place = self.first.place.val();
        self.outcome_read.next.bank = self.packet.val().destination_bank;
        self.outcomes.read_address.next = self.outcome_read.val().into();
        self.outcomes.read_enable.next = self.state.q.val() == State::Lookup;
        self.outcome.next = self.outcomes.read_data.val();
        self.real_dst.next = (self.key.val().get_bits::<32>(32) & self.outcome.val().address_keep)
            | self.outcome.val().address;
        self.real_dport.next = (self.key.val().get_bits::<16>(0) & self.outcome.val().l4_port_keep)
            | self.outcome.val().l4_port;
        self.real_key.next.dport = self.key.val().get_bits::<16>(0);
        self.real_key.next.sport = self.key.val().get_bits::<16>(16);
        self.real_key.next.dst = self.real_dst.val();
        self.real_key.next.src = self.key.val().get_bits::<32>(64);
        self.real_key.next.proto = self.key.val().get_bits::<8>(96);
        self.real_key.next.interface = self.key.val().get_bits::<4>(104);
        if self.packet.val().tcp | self.packet.val().udp | self.packet.val().icmp {
            self.real_key.next.dport = self.real_dport.val();
        }
        self.out_data.next = self.packet.val();
        if self.finished.q.val() & self.first.found.val() {
            self.out_data.next.destination = bit_cast::<9, 8>(self.first.place.val());
            self.out_data.next.local = self.outcome.val().local;
            if !self.outcome.val().local {
                self.out_data.next.key = self.real_key.val().into();
            }
        }
        self.out_valid.next =
            self.packets.out_valid.val() & (self.finished.q.val() | !self.needed.val());
        self.packets.out_ready.next =
            self.out_ready.val() & (self.finished.q.val() | !self.needed.val());
        self.busy.next = self.packets.out_valid.val();
    }
}
