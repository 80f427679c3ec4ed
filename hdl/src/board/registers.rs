//! Registers of the board: what the ports met, and the way to the PHYs. The core's own are untouched.
//!
//! An access to `PORT_FAULTS`, `PHY_COMMAND` or `PHY_STATUS` is held by its master until `ack`, which comes eight clocks
//! after it was seen, as in `csr`. A fault is counted when its turn comes, every sixteen clocks; a port has at most one of
//! each kind in a frame. About 120 LUTs and one bank of counters.

use layout::csr as map;
use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use crate::counters::{Bank, READ_CLOCKS};

/// Faults of both ports, in the order of `PORT_FAULTS`.
pub const FAULTS: usize = 2 * map::PORT_FAULT_KINDS;
/// Clocks from the start of an access to its `ack`.
const ACCESS_CLOCKS: u64 = 8;

const _: () = assert!(READ_CLOCKS + 2 <= ACCESS_CLOCKS as usize);

/// The block; see the module's text.
#[derive(LogicBlock)]
pub struct Registers {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Byte address, one of the board's.
    pub address: Signal<In, Bits<16>>,
    /// Word to write.
    pub wdata: Signal<In, Bits<32>>,
    /// Write, held until `ack`.
    pub write: Signal<In, Bit>,
    /// Read, held until `ack`.
    pub read: Signal<In, Bit>,
    /// Word read, valid with `ack`.
    pub rdata: Signal<Out, Bits<32>>,
    /// The access is done, high for one clock.
    pub ack: Signal<Out, Bit>,
    /// Fault n, high for one clock.
    pub fault: [Signal<In, Bit>; FAULTS],
    /// Start what `phy_command` says, high for one clock.
    pub phy_start: Signal<Out, Bit>,
    /// `PHY_COMMAND` as it was written.
    pub phy_command: Signal<Out, Bits<32>>,
    /// `PHY_STATUS`.
    pub phy_status: Signal<In, Bits<32>>,
    counters: Bank<4>,
    pending: [DFF<Bit>; FAULTS],
    turn: DFF<Bits<4>>,
    step: DFF<Bits<4>>,
    command: DFF<Bits<32>>,
    starts: DFF<Bit>,
    shown: DFF<Bits<32>>,
    active: Signal<Local, Bit>,
    due: Signal<Local, Bit>,
    is_fault: Signal<Local, Bit>,
    is_command: Signal<Local, Bit>,
    is_status: Signal<Local, Bit>,
    done: Signal<Local, Bit>,
    count: Signal<Local, Bits<64>>,
    turn_of: [Constant<Bits<4>>; FAULTS],
    faults: Constant<Bits<10>>,
    command_at: Constant<Bits<16>>,
    status_at: Constant<Bits<16>>,
    one: Constant<Bits<4>>,
    first_step: Constant<Bits<4>>,
    last_step: Constant<Bits<4>>,
    one_event: Constant<Bits<16>>,
    none: Constant<Bits<32>>,
}

impl Default for Registers {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            address: Signal::default(),
            wdata: Signal::default(),
            write: Signal::default(),
            read: Signal::default(),
            rdata: Signal::default(),
            ack: Signal::default(),
            fault: std::array::from_fn(|_| Signal::default()),
            phy_start: Signal::default(),
            phy_command: Signal::default(),
            phy_status: Signal::default(),
            counters: Bank::default(),
            pending: std::array::from_fn(|_| DFF::default()),
            turn: DFF::default(),
            step: DFF::default(),
            command: DFF::default(),
            starts: DFF::default(),
            shown: DFF::default(),
            active: Signal::default(),
            due: Signal::default(),
            is_fault: Signal::default(),
            is_command: Signal::default(),
            is_status: Signal::default(),
            done: Signal::default(),
            count: Signal::default(),
            turn_of: std::array::from_fn(|fault| Constant::new((fault as u64).to_bits())),
            faults: Constant::new((u64::from(map::PORT_FAULTS) >> 6).to_bits()),
            command_at: Constant::new(u64::from(map::PHY_COMMAND).to_bits()),
            status_at: Constant::new(u64::from(map::PHY_STATUS).to_bits()),
            one: Constant::new(1.into()),
            first_step: Constant::new(0.into()),
            last_step: Constant::new(ACCESS_CLOCKS.to_bits()),
            one_event: Constant::new(1.into()),
            none: Constant::new(0.into()),
        }
    }
}

impl Logic for Registers {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, turn, step, command, starts, shown);
        clock!(self, clock, counters);
        // Faults have their turns.
        self.turn.d.next = self.turn.q.val() + self.one.val();
        self.due.next = false;
        for i in 0..16 {
            self.pending[i].clock.next = self.clock.val();
            self.pending[i].d.next = self.pending[i].q.val() | self.fault[i].val();
            if self.turn.q.val() == self.turn_of[i].val() {
                self.due.next = self.pending[i].q.val();
                self.pending[i].d.next = self.fault[i].val();
            }
        }
        self.counters.count.next = self.due.val();
        self.counters.count_index.next = self.turn.q.val();
        self.counters.amount.next = self.one_event.val();

        // One access at a time, all of the same length.
        self.active.next = self.read.val() | self.write.val();
        self.done.next = self.step.q.val() == self.last_step.val();
        if self.active.val() & !self.done.val() {
            self.step.d.next = self.step.q.val() + self.one.val();
        } else {
            self.step.d.next = self.first_step.val();
        }
        self.ack.next = self.done.val();
        self.counters.index.next = self.address.val().get_bits::<4>(2);
        self.count.next = self.counters.value.val();
        self.is_fault.next = self.address.val().get_bits::<10>(6) == self.faults.val();
        self.is_command.next = self.address.val() == self.command_at.val();
        self.is_status.next = self.address.val() == self.status_at.val();
        self.shown.d.next = self.none.val();
        if self.is_fault.val() {
            self.shown.d.next = self.count.val().get_bits::<32>(0);
        }
        if self.is_status.val() {
            self.shown.d.next = self.phy_status.val();
        }
        self.rdata.next = self.shown.q.val();
        self.starts.d.next = self.write.val() & self.done.val() & self.is_command.val();
        if self.write.val() {
            self.command.d.next = self.wdata.val();
        }
        self.phy_start.next = self.starts.q.val();
        self.phy_command.next = self.command.q.val();
    }
}
