//! The tables of next hops and of interfaces.
//!
//! [`Adjacencies`] is block RAM: a lookup's entry comes two clocks after its index, and stays when `enable` is
//! low. [`Interfaces`] is registers, all visible at once, since the parser compares every one of them.
//! Both are read and written through a table port, a few clocks an operation, without a packet noticing: a
//! lookup that meets a write of its entry sees the new entry. Adjacencies cost 4 block RAMs (two copies),
//! interfaces 512 flip-flops.

use layout::table::{ADJACENCIES, Adjacency, INTERFACES, Operation};
use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use crate::dff::DffR;
use crate::ram::{LutRam, Ram};

/// Next hops; see the module's text.
#[derive(LogicBlock)]
pub struct Adjacencies {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// The pipeline moves: take `index`; without it `entry` keeps still.
    pub enable: Signal<In, Bit>,
    /// Entry to look up.
    pub index: Signal<In, Bits<8>>,
    /// Packed `Adjacency`, two enabled clocks after `index`.
    pub entry: Signal<Out, Bits<53>>,
    /// Table operation, held with the other `table_` inputs until done.
    pub table_valid: Signal<In, Bit>,
    /// `Operation`.
    pub table_op: Signal<In, Bits<2>>,
    /// Entry, in range.
    pub table_index: Signal<In, Bits<13>>,
    /// New entry.
    pub table_data: Signal<In, Bits<256>>,
    /// The operation is done, high for one clock.
    pub table_done: Signal<Out, Bit>,
    /// Entry read, with `table_done`.
    pub table_read: Signal<Out, Bits<256>>,
    lookup: Ram<Bits<53>, 8>,
    copy: Ram<Bits<53>, 8>,
    /// Ages of the table operation.
    step: [DFF<Bit>; 3],
    /// The two lookups on their way met a write, of this entry.
    met: [DFF<Bit>; 2],
    caught: [DFF<Bits<53>>; 2],
    held: DFF<Bits<53>>,
    stalled: DFF<Bit>,
    starts: Signal<Local, Bit>,
    writes: Signal<Local, Bit>,
    data: Signal<Local, Bits<53>>,
    entry_now: Signal<Local, Bits<53>>,
    table_entry: Signal<Local, Bits<8>>,
    write: Constant<Bits<2>>,
}

impl Default for Adjacencies {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            enable: Signal::default(),
            index: Signal::default(),
            entry: Signal::default(),
            table_valid: Signal::default(),
            table_op: Signal::default(),
            table_index: Signal::default(),
            table_data: Signal::default(),
            table_done: Signal::default(),
            table_read: Signal::default(),
            lookup: Ram::default(),
            copy: Ram::default(),
            step: std::array::from_fn(|_| Default::default()),
            met: std::array::from_fn(|_| Default::default()),
            caught: std::array::from_fn(|_| Default::default()),
            held: DFF::default(),
            stalled: DFF::default(),
            starts: Signal::default(),
            writes: Signal::default(),
            data: Signal::default(),
            entry_now: Signal::default(),
            table_entry: Signal::default(),
            write: Constant::new((Operation::Write as u64).to_bits()),
        }
    }
}

impl Logic for Adjacencies {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, held, stalled);
        clock!(self, clock, lookup, copy);
        self.starts.next = self.table_valid.val()
            & (!(self.step[0].q.val() | self.step[1].q.val() | self.step[2].q.val()));
        self.writes.next = self.starts.val() & (self.table_op.val() == self.write.val());
        self.data.next = self.table_data.val().get_bits::<53>(0);
        self.table_entry.next = self.table_index.val().get_bits::<8>(0);

        self.lookup.read_enable.next = self.enable.val();
        self.lookup.read_address.next = self.index.val();
        self.lookup.write_enable.next = self.writes.val();
        self.lookup.write_address.next = self.table_entry.val();
        self.lookup.write_data.next = self.data.val();
        self.copy.read_enable.next = true;
        self.copy.read_address.next = self.table_entry.val();
        self.copy.write_enable.next = self.writes.val();
        self.copy.write_address.next = self.table_entry.val();
        self.copy.write_data.next = self.data.val();

        // A word read while it is written is any word on silicon: take the one being written.
        for i in 0..2 {
            self.met[i].clock.next = self.clock.val();
            self.met[i].d.next = self.met[i].q.val();
            self.caught[i].clock.next = self.clock.val();
            self.caught[i].d.next = self.caught[i].q.val();
        }
        if self.enable.val() {
            self.met[0].d.next = self.writes.val() & (self.index.val() == self.table_entry.val());
            self.met[1].d.next = self.met[0].q.val();
            self.caught[0].d.next = self.data.val();
            self.caught[1].d.next = self.caught[0].q.val();
        }
        // The RAM's output register does not wait for a stalled pipeline.
        if self.stalled.q.val() {
            self.entry_now.next = self.held.q.val();
        } else if self.met[1].q.val() {
            self.entry_now.next = self.caught[1].q.val();
        } else {
            self.entry_now.next = self.lookup.read_data.val();
        }
        self.held.d.next = self.entry_now.val();
        self.stalled.d.next = !self.enable.val();
        self.entry.next = self.entry_now.val();

        for i in 0..3 {
            self.step[i].clock.next = self.clock.val();
        }
        self.step[0].d.next = self.starts.val();
        self.step[1].d.next = self.step[0].q.val();
        self.step[2].d.next = self.step[1].q.val();
        self.table_done.next = self.step[2].q.val();
        self.table_read.next = bit_cast::<256, 53>(self.copy.read_data.val());
    }
}

/// Interface registers; see the module's text.
#[derive(LogicBlock)]
pub struct Interfaces {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Packed `Interface` of every index.
    pub entry: [Signal<Out, Bits<64>>; INTERFACES],
    /// Table operation, held with the other `table_` inputs until done.
    pub table_valid: Signal<In, Bit>,
    /// `Operation`.
    pub table_op: Signal<In, Bits<2>>,
    /// Entry, in range.
    pub table_index: Signal<In, Bits<13>>,
    /// New entry.
    pub table_data: Signal<In, Bits<256>>,
    /// The operation is done, high for one clock.
    pub table_done: Signal<Out, Bit>,
    /// Entry read, with `table_done`.
    pub table_read: Signal<Out, Bits<256>>,
    register: [DffR<Bits<64>>; INTERFACES],
    /// One-hot: the entry of the operation.
    chosen: [DFF<Bit>; INTERFACES],
    /// What the host reads: a choice among the registers would be as large as they are.
    copy: LutRam<Bits<64>, 3>,
    asked: DFF<Bit>,
    done: DFF<Bit>,
    writes: Signal<Local, Bit>,
    place: Signal<Local, Bits<3>>,
    number: [Constant<Bits<3>>; INTERFACES],
    write: Constant<Bits<2>>,
}

impl Default for Interfaces {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            entry: std::array::from_fn(|_| Default::default()),
            table_valid: Signal::default(),
            table_op: Signal::default(),
            table_index: Signal::default(),
            table_data: Signal::default(),
            table_done: Signal::default(),
            table_read: Signal::default(),
            register: std::array::from_fn(|_| Default::default()),
            chosen: Default::default(),
            copy: LutRam::default(),
            asked: DFF::default(),
            done: DFF::default(),
            writes: Signal::default(),
            place: Signal::default(),
            number: std::array::from_fn(|i| Constant::new((i as u64).to_bits())),
            write: Constant::new((Operation::Write as u64).to_bits()),
        }
    }
}

impl Logic for Interfaces {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, asked, done);
        clock!(self, clock, copy);
        self.writes.next = self.table_valid.val() & (self.table_op.val() == self.write.val());
        self.place.next = self.table_index.val().get_bits::<3>(0);
        for i in 0..8 {
            self.register[i].clock.next = self.clock.val();
            self.register[i].reset.next = false;
            self.register[i].d.next = self.table_data.val().get_bits::<64>(0);
            self.chosen[i].clock.next = self.clock.val();
            self.chosen[i].d.next = self.place.val() == self.number[i].val();
            self.register[i].enable.next =
                self.writes.val() & self.asked.q.val() & self.chosen[i].q.val();
            self.entry[i].next = self.register[i].q.val();
        }
        self.copy.read_enable.next = true;
        self.copy.forward.next = false;
        self.copy.read_address.next = self.place.val();
        self.copy.write_enable.next = self.writes.val() & self.asked.q.val();
        self.copy.write_address.next = self.place.val();
        self.copy.write_data.next = self.table_data.val().get_bits::<64>(0);
        self.asked.d.next = self.table_valid.val() & !self.asked.q.val() & !self.done.q.val();
        self.done.d.next = self.asked.q.val();
        self.table_done.next = self.done.q.val();
        self.table_read.next = bit_cast::<256, 64>(self.copy.read_data.val());
    }
}

// The kernels above are written for these sizes.
const _: () = assert!(INTERFACES == 8 && ADJACENCIES == 256 && Adjacency::BITS == 53);
