//! The table window: checks a command and has the engine that owns the table carry it out.
//!
//! A request is held until its engine answers. One command at a time; while it runs, writes are ignored. A
//! command takes three clocks and what the engine needs.

use layout::csr as map;
use layout::table::{Operation, Table};
use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use crate::stream::Lanes;

/// Number of tables.
const TABLES: usize = Table::ALL.len();
/// Words of `TABLE_DATA`: two entries of eight.
const WORDS: usize = 16;

/// The window; see the module's text.
#[derive(LogicBlock)]
pub struct TableWindow {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Byte address.
    pub address: Signal<In, Bits<16>>,
    /// Write `wdata` at the next edge but one; address and data stay until then.
    pub write: Signal<In, Bit>,
    /// New value.
    pub wdata: Signal<In, Bits<32>>,
    /// The register, or zero, one clock after its address.
    pub data: Signal<Out, Bits<32>>,
    /// Table n is asked, held until `done`.
    pub request: [Signal<Out, Bit>; TABLES],
    /// `Operation`.
    pub operation: Signal<Out, Bits<2>>,
    /// Entry.
    pub index: Signal<Out, Bits<13>>,
    /// Second entry of a pair.
    pub index2: Signal<Out, Bits<13>>,
    /// New entry.
    pub entry: Signal<Out, Bits<256>>,
    /// New second entry.
    pub entry2: Signal<Out, Bits<256>>,
    /// The engine of table n is done, high for one clock.
    pub done: [Signal<In, Bit>; TABLES],
    /// What table n read, with `done`.
    pub read: [Signal<In, Bits<256>>; TABLES],
    word: [DFF<Bits<32>>; WORDS],
    first: DFF<Bits<32>>,
    second: DFF<Bits<32>>,
    chosen: DFF<Bits<4>>,
    code: DFF<Bits<4>>,
    refused: DFF<Bit>,
    /// A command waits for its check: its table is chosen, the table's limits are there.
    choosing: DFF<Bit>,
    checking: DFF<Bit>,
    /// A command waits for its engine.
    running: DFF<Bit>,
    /// The check's result, one clock before it counts.
    checked: DFF<Bit>,
    good: DFF<Bit>,
    asking: [DFF<Bit>; TABLES],
    /// The engine was done in the last clock, and what it read.
    finished: DFF<Bit>,
    found: DFF<Bits<256>>,
    /// The address decoded, one clock later; the write waits for it.
    writing: DFF<Bit>,
    command_hit: DFF<Bit>,
    status_hit: DFF<Bit>,
    index_hit: DFF<Bit>,
    index2_hit: DFF<Bit>,
    word_hit: [DFF<Bit>; WORDS],
    busy: Signal<Local, Bit>,
    writes: Signal<Local, Bit>,
    limit: DFF<Bits<32>>,
    supports: DFF<Bits<16>>,
    takes: Signal<Local, Bit>,
    status: Signal<Local, Bits<32>>,
    low: Lanes<256, 8>,
    high: Lanes<256, 8>,
    number: [Constant<Bits<4>>; TABLES],
    size: [Constant<Bits<32>>; TABLES],
    operations: [Constant<Bits<16>>; TABLES],
    read_code: Constant<Bits<4>>,
    pair_code: Constant<Bits<4>>,
    command_offset: Constant<Bits<16>>,
    status_offset: Constant<Bits<16>>,
    index_offset: Constant<Bits<16>>,
    index2_offset: Constant<Bits<16>>,
    word_offset: [Constant<Bits<16>>; WORDS],
    busy_bit: Constant<Bits<32>>,
    refused_bit: Constant<Bits<32>>,
    none: Constant<Bits<32>>,
    no_operation: Constant<Bits<16>>,
    no_entry: Constant<Bits<256>>,
}

impl Default for TableWindow {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            address: Signal::default(),
            write: Signal::default(),
            wdata: Signal::default(),
            data: Signal::default(),
            request: std::array::from_fn(|_| Default::default()),
            operation: Signal::default(),
            index: Signal::default(),
            index2: Signal::default(),
            entry: Signal::default(),
            entry2: Signal::default(),
            done: std::array::from_fn(|_| Default::default()),
            read: std::array::from_fn(|_| Default::default()),
            word: std::array::from_fn(|_| Default::default()),
            first: DFF::default(),
            second: DFF::default(),
            chosen: DFF::default(),
            code: DFF::default(),
            refused: DFF::default(),
            choosing: DFF::default(),
            checking: DFF::default(),
            running: DFF::default(),
            checked: DFF::default(),
            good: DFF::default(),
            asking: Default::default(),
            finished: DFF::default(),
            found: DFF::default(),
            writing: DFF::default(),
            command_hit: DFF::default(),
            status_hit: DFF::default(),
            index_hit: DFF::default(),
            index2_hit: DFF::default(),
            word_hit: Default::default(),
            busy: Signal::default(),
            writes: Signal::default(),
            limit: DFF::default(),
            supports: DFF::default(),
            takes: Signal::default(),
            status: Signal::default(),
            low: Lanes::default(),
            high: Lanes::default(),
            number: std::array::from_fn(|i| Constant::new((i as u64).to_bits())),
            size: std::array::from_fn(|i| Constant::new((Table::ALL[i].len() as u64).to_bits())),
            operations: std::array::from_fn(|i| {
                Constant::new(operations_of(Table::ALL[i]).to_bits())
            }),
            read_code: Constant::new((Operation::Read as u64).to_bits()),
            pair_code: Constant::new((Operation::WritePair as u64).to_bits()),
            command_offset: offset(map::TABLE_COMMAND),
            status_offset: offset(map::TABLE_STATUS),
            index_offset: offset(map::TABLE_INDEX),
            index2_offset: offset(map::TABLE_INDEX2),
            word_offset: std::array::from_fn(|i| offset(map::TABLE_DATA + 4 * i as u32)),
            busy_bit: Constant::new(u64::from(map::TABLE_BUSY).to_bits()),
            refused_bit: Constant::new(u64::from(map::TABLE_REFUSED).to_bits()),
            none: Constant::new(0.into()),
            no_operation: Constant::new(0.into()),
            no_entry: Constant::new(0.into()),
        }
    }
}

impl Logic for TableWindow {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            first,
            second,
            chosen,
            code,
            refused,
            choosing,
            checking,
            running,
            checked,
            good,
            limit,
            supports,
            finished,
            found,
            writing,
            command_hit,
            status_hit,
            index_hit,
            index2_hit
        );
        self.busy.next = self.choosing.q.val()
            | self.checking.q.val()
            | self.checked.q.val()
            | self.running.q.val();
        self.writing.d.next = self.write.val();
        self.writes.next = self.writing.q.val() & (!self.busy.val());
        if self.writes.val() & self.index_hit.q.val() {
            self.first.d.next = self.wdata.val();
        }
        if self.writes.val() & self.index2_hit.q.val() {
            self.second.d.next = self.wdata.val();
        }

        // A command: look up what the table allows, compare, ask.
        self.choosing.d.next = false;
        if self.writes.val() & self.command_hit.q.val() {
            self.chosen.d.next = self.wdata.val().get_bits::<4>(0);
            self.code.d.next = self.wdata.val().get_bits::<4>(4);
            self.choosing.d.next = true;
        }
        self.checking.d.next = self.choosing.q.val();
        self.limit.d.next = self.none.val();
        self.supports.d.next = self.no_operation.val();
        self.finished.d.next = false;
        self.found.d.next = self.no_entry.val();
        for i in 0..8 {
            // A register, for the engines are far. Not asked again between an engine's `done` and its being seen.
            self.asking[i].clock.next = self.clock.val();
            self.asking[i].d.next = self.running.q.val()
                & !self.done[i].val()
                & !self.finished.q.val()
                & (self.chosen.q.val() == self.number[i].val());
            self.request[i].next = self.asking[i].q.val();
            if self.chosen.q.val() == self.number[i].val() {
                self.limit.d.next = self.size[i].val();
                self.supports.d.next = self.operations[i].val();
                self.finished.d.next = self.running.q.val() & self.done[i].val();
                self.found.d.next = self.read[i].val();
            }
        }
        self.checked.d.next = self.checking.q.val();
        self.good.d.next = self.supports.q.val().get_bit(self.code.q.val().index())
            & (self.first.q.val() < self.limit.q.val())
            & ((self.code.q.val() != self.pair_code.val())
                | (self.second.q.val() < self.limit.q.val()));
        if self.checked.q.val() {
            self.refused.d.next = !self.good.q.val();
            self.running.d.next = self.good.q.val();
        }
        if self.finished.q.val() {
            self.running.d.next = false;
        }
        self.takes.next = self.finished.q.val() & (self.code.q.val() == self.read_code.val());

        for i in 0..16 {
            self.word[i].clock.next = self.clock.val();
            self.word[i].d.next = self.word[i].q.val();
            if self.writes.val() & self.word_hit[i].q.val() {
                self.word[i].d.next = self.wdata.val();
            }
        }
        for i in 0..8 {
            if self.takes.val() {
                self.word[i].d.next = self.found.q.val().get_bits::<32>(i * 32);
            }
            self.low.word[i].next = self.word[i].q.val();
            self.high.word[i].next = self.word[i + 8].q.val();
        }
        self.operation.next = self.code.q.val().get_bits::<2>(0);
        self.index.next = self.first.q.val().get_bits::<13>(0);
        self.index2.next = self.second.q.val().get_bits::<13>(0);
        self.entry.next = self.low.beat.val();
        self.entry2.next = self.high.beat.val();

        self.status.next = self.none.val();
        if self.busy.val() & self.refused.q.val() {
            self.status.next = self.busy_bit.val() | self.refused_bit.val();
        } else if self.busy.val() {
            self.status.next = self.busy_bit.val();
        } else if self.refused.q.val() {
            self.status.next = self.refused_bit.val();
        }
        // At most one of them is addressed; decoded in one clock, read in the next.
        self.command_hit.d.next = self.address.val() == self.command_offset.val();
        self.status_hit.d.next = self.address.val() == self.status_offset.val();
        self.index_hit.d.next = self.address.val() == self.index_offset.val();
        self.index2_hit.d.next = self.address.val() == self.index2_offset.val();
        self.data.next = self.none.val();
        if self.status_hit.q.val() {
            self.data.next = self.data.val() | self.status.val();
        }
        if self.index_hit.q.val() {
            self.data.next = self.data.val() | self.first.q.val();
        }
        if self.index2_hit.q.val() {
            self.data.next = self.data.val() | self.second.q.val();
        }
        for i in 0..16 {
            self.word_hit[i].clock.next = self.clock.val();
            self.word_hit[i].d.next = self.address.val() == self.word_offset[i].val();
            if self.word_hit[i].q.val() {
                self.data.next = self.data.val() | self.word[i].q.val();
            }
        }
    }
}

/// Bit n: the table supports the operation with code n.
fn operations_of(table: Table) -> u64 {
    [Operation::Read, Operation::Write, Operation::WritePair]
        .into_iter()
        .filter(|&operation| table.supports(operation))
        .fold(0, |map, operation| map | 1 << operation as u32)
}

/// A register's address as a constant of the kernel.
fn offset(offset: u32) -> Constant<Bits<16>> {
    Constant::new(u64::from(offset).to_bits())
}
