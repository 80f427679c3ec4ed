//! BAR0: one 32-bit access at a time, from the bus to registers, tables and windows.
//!
//! An access is held by its master until `ack`, which comes [`ACCESS_CLOCKS`] clocks after it was seen: long
//! enough for the slowest window, the same for all. Reads of addresses that do not exist give zero, writes to
//! them do nothing.
//!
//! ```text
//! bus ─► address, data, strobe ─┬► ident ──────┐
//!                               ├► control ────┤
//!                               ├► table ──────┼─► OR ─► rdata, ack
//!                               ├► counters ───┤
//!                               ├► punt window ┤      inject window: writes only
//!                               └► dma block ──┘      (not in every card)
//! ```

/// What the card is.
pub mod ident;
/// Registers of the pipeline.
pub mod control;
/// Commands on tables.
pub mod table;

use layout::csr as map;
use layout::table::Table;
use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use self::control::Control;
use self::ident::{Build, Ident};
use self::table::TableWindow;

/// Clocks from the start of an access to its `ack`.
pub const ACCESS_CLOCKS: u64 = 7;

// The slowest window, and the two registers that collect the word.
const _: () = assert!(crate::punt::READ_CLOCKS + 3 <= ACCESS_CLOCKS as usize);
const _: () = assert!(crate::counters::READ_CLOCKS + 3 <= ACCESS_CLOCKS as usize);

/// The block; see the module's text.
#[derive(LogicBlock)]
pub struct Csr {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Control registers back to their reset values; no access is taken.
    pub reset: Signal<In, Bit>,
    /// Byte address.
    pub address: Signal<In, Bits<16>>,
    /// Word to write.
    pub wdata: Signal<In, Bits<32>>,
    /// Write, held until `ack`.
    pub write: Signal<In, Bit>,
    /// Read, held until `ack`.
    pub read: Signal<In, Bit>,
    /// Word read, with `ack`.
    pub rdata: Signal<Out, Bits<32>>,
    /// The access is done, high for one clock.
    pub ack: Signal<Out, Bit>,
    /// `CONTROL`.
    pub control: Signal<Out, Bits<32>>,
    /// `EPOCH`.
    pub epoch: Signal<Out, Bits<32>>,
    /// `POLICY`.
    pub policy: Signal<Out, Bits<32>>,
    /// Nothing is between ingress and egress.
    pub idle: Signal<In, Bit>,
    /// Frames in the punt buffer.
    pub punt_waiting: Signal<In, Bits<5>>,
    /// Release the oldest.
    pub punt_pop: Signal<Out, Bit>,
    /// Word within a window, for the punt and the inject buffer.
    pub window_word: Signal<Out, Bits<9>>,
    /// Word of the punt window.
    pub punt_data: Signal<In, Bits<32>>,
    /// Write `window_data` to the inject window.
    pub inject_write: Signal<Out, Bit>,
    /// `window_data` is an inject descriptor.
    pub inject_submit: Signal<Out, Bit>,
    /// Word to write.
    pub window_data: Signal<Out, Bits<32>>,
    /// The inject buffer takes a frame.
    pub inject_ready: Signal<In, Bit>,
    /// The last submit was refused.
    pub inject_refused: Signal<In, Bit>,
    /// Counter to read.
    pub counter: Signal<Out, Bits<7>>,
    /// Its value.
    pub counter_value: Signal<In, Bits<64>>,
    /// Table n is asked, held until `table_done`.
    pub table_request: [Signal<Out, Bit>; 8],
    /// `Operation`.
    pub table_operation: Signal<Out, Bits<2>>,
    /// Entry.
    pub table_index: Signal<Out, Bits<13>>,
    /// Second entry of a pair.
    pub table_index2: Signal<Out, Bits<13>>,
    /// New entry.
    pub table_entry: Signal<Out, Bits<256>>,
    /// New second entry.
    pub table_entry2: Signal<Out, Bits<256>>,
    /// The engine of table n is done, high for one clock.
    pub table_done: [Signal<In, Bit>; 8],
    /// What table n read, with `table_done`.
    pub table_read: [Signal<In, Bits<256>>; 8],
    /// Byte address of a register outside of the core; `window_data` is what to write.
    pub outside_address: Signal<Out, Bits<16>>,
    /// Write it, high for one clock.
    pub outside_write: Signal<Out, Bit>,
    /// The register, or zero, up to four clocks later.
    pub outside_data: Signal<In, Bits<32>>,
    ident: Ident,
    registers: Control,
    tables: TableWindow,
    step: DFF<Bits<3>>,
    at: DFF<Bits<16>>,
    value: DFF<Bits<32>>,
    writing: DFF<Bit>,
    /// The first clock of a write.
    writes: DFF<Bit>,
    /// Words of ident, registers, tables and windows.
    shown: DFF<Bits<32>>,
    asked: DFF<Bits<32>>,
    told: DFF<Bits<32>>,
    seen: DFF<Bits<32>>,
    pops: DFF<Bit>,
    submits: DFF<Bit>,
    injects: DFF<Bit>,
    answer: DFF<Bits<32>>,
    answered: DFF<Bit>,
    high_word: DFF<Bits<32>>,
    /// High word of the counter, as old as the low word in `seen`: never torn.
    high_seen: DFF<Bits<32>>,
    /// Window that the address is in.
    of_punt: DFF<Bit>,
    of_counters: DFF<Bit>,
    starts: Signal<Local, Bit>,
    ends: Signal<Local, Bit>,
    status: Signal<Local, Bits<32>>,
    window: Signal<Local, Bits<32>>,
    idle_step: Constant<Bits<3>>,
    one: Constant<Bits<3>>,
    last_step: Constant<Bits<3>>,
    pop_offset: Constant<Bits<16>>,
    submit_offset: Constant<Bits<16>>,
    counter_region: Constant<Bits<6>>,
    punt_region: Constant<Bits<5>>,
    inject_region: Constant<Bits<5>>,
    none: Constant<Bits<32>>,
    idle_bit: Constant<Bits<32>>,
    ready_bit: Constant<Bits<32>>,
    refused_bit: Constant<Bits<32>>,
    inject_ready_word: Signal<Local, Bits<32>>,
    inject_refused_word: Signal<Local, Bits<32>>,
}

impl Default for Csr {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            reset: Signal::default(),
            address: Signal::default(),
            wdata: Signal::default(),
            write: Signal::default(),
            read: Signal::default(),
            rdata: Signal::default(),
            ack: Signal::default(),
            control: Signal::default(),
            epoch: Signal::default(),
            policy: Signal::default(),
            idle: Signal::default(),
            punt_waiting: Signal::default(),
            punt_pop: Signal::default(),
            window_word: Signal::default(),
            punt_data: Signal::default(),
            inject_write: Signal::default(),
            inject_submit: Signal::default(),
            window_data: Signal::default(),
            inject_ready: Signal::default(),
            inject_refused: Signal::default(),
            counter: Signal::default(),
            counter_value: Signal::default(),
            table_request: std::array::from_fn(|_| Default::default()),
            table_operation: Signal::default(),
            table_index: Signal::default(),
            table_index2: Signal::default(),
            table_entry: Signal::default(),
            table_entry2: Signal::default(),
            table_done: std::array::from_fn(|_| Default::default()),
            table_read: std::array::from_fn(|_| Default::default()),
            outside_address: Signal::default(),
            outside_write: Signal::default(),
            outside_data: Signal::default(),
            ident: Ident::new(64, Build::default()),
            registers: Control::default(),
            tables: TableWindow::default(),
            step: DFF::default(),
            at: DFF::default(),
            value: DFF::default(),
            writing: DFF::default(),
            writes: DFF::default(),
            shown: DFF::default(),
            asked: DFF::default(),
            told: DFF::default(),
            seen: DFF::default(),
            pops: DFF::default(),
            submits: DFF::default(),
            injects: DFF::default(),
            answer: DFF::default(),
            answered: DFF::default(),
            high_word: DFF::default(),
            high_seen: DFF::default(),
            of_punt: DFF::default(),
            of_counters: DFF::default(),
            starts: Signal::default(),
            ends: Signal::default(),
            status: Signal::default(),
            window: Signal::default(),
            idle_step: Constant::new(0.into()),
            one: Constant::new(1.into()),
            last_step: Constant::new((ACCESS_CLOCKS - 1).to_bits()),
            pop_offset: Constant::new(u64::from(map::PUNT_POP).to_bits()),
            submit_offset: Constant::new(u64::from(map::INJECT_SUBMIT).to_bits()),
            counter_region: Constant::new(u64::from(map::COUNTER >> 10).to_bits()),
            punt_region: Constant::new(u64::from(map::PUNT_WINDOW >> 11).to_bits()),
            inject_region: Constant::new(u64::from(map::INJECT_WINDOW >> 11).to_bits()),
            none: Constant::new(0.into()),
            idle_bit: Constant::new(u64::from(map::STATUS_IDLE).to_bits()),
            ready_bit: Constant::new(u64::from(map::INJECT_READY).to_bits()),
            refused_bit: Constant::new(u64::from(map::INJECT_REFUSED).to_bits()),
            inject_ready_word: Signal::default(),
            inject_refused_word: Signal::default(),
        }
    }
}

impl Csr {
    /// The registers of a core with streams of `width` bits.
    pub fn new(width: usize, build: Build) -> Self {
        Self {
            ident: Ident::new(width, build),
            ..Self::default()
        }
    }
}

impl Logic for Csr {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            step,
            at,
            value,
            writing,
            writes,
            shown,
            asked,
            told,
            seen,
            pops,
            submits,
            injects,
            answer,
            answered,
            high_word,
            high_seen,
            of_punt,
            of_counters
        );
        clock!(self, clock, ident, registers, tables);

        // An access is taken when the last one is over, and its `ack` has been seen.
        self.starts.next = (self.step.q.val() == self.idle_step.val())
            & (self.write.val() | self.read.val())
            & (!self.answered.q.val())
            & (!self.reset.val());
        self.ends.next = self.step.q.val() == self.last_step.val();
        if self.starts.val() {
            self.step.d.next = self.one.val();
            self.at.d.next = self.address.val();
            self.value.d.next = self.wdata.val();
            self.writing.d.next = self.write.val();
        } else if self.ends.val() {
            self.step.d.next = self.idle_step.val();
        } else if self.step.q.val() != self.idle_step.val() {
            self.step.d.next = self.step.q.val() + self.one.val();
        }
        self.writes.d.next = self.starts.val() & self.write.val();

        self.ident.address.next = self.at.q.val();
        self.registers.reset.next = self.reset.val();
        self.registers.address.next = self.at.q.val();
        self.registers.write.next = self.writes.q.val();
        self.registers.wdata.next = self.value.q.val();
        self.control.next = self.registers.control.val();
        self.epoch.next = self.registers.epoch.val();
        self.policy.next = self.registers.policy.val();
        self.status.next = self.none.val();
        if self.idle.val() {
            self.status.next = self.idle_bit.val();
        }
        self.registers.shown[0].next = self.status.val();
        self.registers.shown[1].next = bit_cast::<32, 5>(self.punt_waiting.val());
        self.inject_ready_word.next = self.none.val();
        if self.inject_ready.val() {
            self.inject_ready_word.next = self.ready_bit.val();
        }
        self.inject_refused_word.next = self.none.val();
        if self.inject_refused.val() {
            self.inject_refused_word.next = self.refused_bit.val();
        }
        self.registers.shown[2].next =
            self.inject_ready_word.val() | self.inject_refused_word.val();

        self.tables.address.next = self.at.q.val();
        self.tables.write.next = self.writes.q.val();
        self.tables.wdata.next = self.value.q.val();
        for i in 0..8 {
            self.table_request[i].next = self.tables.request[i].val();
            self.tables.done[i].next = self.table_done[i].val();
            self.tables.read[i].next = self.table_read[i].val();
        }
        self.table_operation.next = self.tables.operation.val();
        self.table_index.next = self.tables.index.val();
        self.table_index2.next = self.tables.index2.val();
        self.table_entry.next = self.tables.entry.val();
        self.table_entry2.next = self.tables.entry2.val();

        self.outside_address.next = self.at.q.val();
        self.outside_write.next = self.writes.q.val();
        self.window_word.next = self.at.q.val().get_bits::<9>(2);
        self.window_data.next = self.value.q.val();
        // Decoded in one clock, at work in the next.
        self.pops.d.next = self.writes.q.val()
            & (self.at.q.val() == self.pop_offset.val())
            & self.value.q.val().get_bit(0);
        self.submits.d.next = self.writes.q.val() & (self.at.q.val() == self.submit_offset.val());
        self.injects.d.next =
            self.writes.q.val() & (self.at.q.val().get_bits::<5>(11) == self.inject_region.val());
        self.punt_pop.next = self.pops.q.val();
        self.inject_submit.next = self.submits.q.val();
        self.inject_write.next = self.injects.q.val();
        self.counter.next = self.at.q.val().get_bits::<7>(3);

        // The low word of a counter keeps its high word for the next access.
        self.window.next = self.none.val();
        self.of_punt.d.next = self.at.q.val().get_bits::<5>(11) == self.punt_region.val();
        self.of_counters.d.next = self.at.q.val().get_bits::<6>(10) == self.counter_region.val();
        self.high_seen.d.next = self.counter_value.val().get_bits::<32>(32);
        if self.of_punt.q.val() {
            self.window.next = self.punt_data.val();
        }
        if self.of_counters.q.val() {
            if self.at.q.val().get_bit(2) {
                self.window.next = self.high_word.q.val();
            } else {
                self.window.next = self.counter_value.val().get_bits::<32>(0);
                if self.ends.val() & (!self.writing.q.val()) {
                    self.high_word.d.next = self.high_seen.q.val();
                }
            }
        }
        // The address stands still, so each block has had time for its word before it is taken.
        self.shown.d.next = self.ident.data.val();
        self.asked.d.next = self.registers.data.val();
        self.told.d.next = self.tables.data.val();
        self.seen.d.next = self.window.val() | self.outside_data.val();
        if self.ends.val() {
            self.answer.d.next =
                (self.shown.q.val() | self.asked.q.val()) | (self.told.q.val() | self.seen.q.val());
        }
        self.answered.d.next = self.ends.val();
        self.rdata.next = self.answer.q.val();
        self.ack.next = self.answered.q.val();
    }
}

// The kernel's decoding of windows: each at a multiple of its size.
const _: () = assert!(
    map::COUNTER == 0x0800
        && map::PUNT_WINDOW.is_multiple_of(0x800)
        && map::INJECT_WINDOW.is_multiple_of(0x800)
);
const _: () = assert!(Table::ALL.len() == 8);
