//! MSI-X: the table and the pending bits of BAR0, and the messages (PCI Express base specification 6.1.4).
//!
//! A vector that is raised stays pending until its message is on its way. Vectors take turns. After a message the
//! vector rests for `gap` clocks, and raises gather. The table's addresses and data are in LUT RAM, zeroed within
//! 32 clocks after `reset`, in which no access is taken; mask bits are registers, all set after reset. About 450
//! LUTs.

use layout::csr::{MSIX_PENDING, MSIX_TABLE, MSIX_VECTORS};
use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use super::tlp::TxHead;
use crate::dff::DffR;
use crate::ram::LutRam;

/// What the sender is doing.
#[derive(Clone, Copy, Debug, PartialEq, LogicState)]
pub enum Sender {
    /// Looks for a vector that may send.
    Idle,
    /// Reads the low word of its address.
    Low,
    /// Reads the high word.
    High,
    /// Reads its data.
    Data,
    /// The data arrive.
    Arrive,
    /// Offers the message.
    Offer,
    /// The message is on its way.
    Leave,
    /// It is on its way, and was reset meanwhile.
    Forget,
}

/// The interrupts; see the module's text.
#[derive(LogicBlock)]
pub struct Msix {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Forget everything.
    pub reset: Signal<In, Bit>,
    /// Bit n: raise vector n.
    pub raise: Signal<In, Bits<6>>,
    /// Least clocks between two messages of a vector.
    pub gap: Signal<In, Bits<32>>,
    /// Messages are enabled.
    pub enable: Signal<In, Bit>,
    /// All vectors are masked.
    pub mask: Signal<In, Bit>,
    /// The card may send requests.
    pub bus_master: Signal<In, Bit>,
    /// Requester that the card is.
    pub identifier: Signal<In, Bits<16>>,
    /// DW in the page.
    pub address: Signal<In, Bits<10>>,
    /// Word to write.
    pub wdata: Signal<In, Bits<32>>,
    /// Bytes to write, at this edge.
    pub write: Signal<In, Bits<4>>,
    /// Read.
    pub read: Signal<In, Bit>,
    /// Word read, two clocks later.
    pub rdata: Signal<Out, Bits<32>>,
    /// No access now.
    pub busy: Signal<Out, Bit>,
    /// A message.
    pub message: Signal<Out, TxHead>,
    /// It is offered; withdrawn when the vector may not send after all.
    pub message_valid: Signal<Out, Bit>,
    /// It is taken.
    pub message_ready: Signal<In, Bit>,
    /// Its payload, in the low word.
    pub data: Signal<Out, Bits<64>>,
    /// Payload and message are sent, or dropped.
    pub data_ready: Signal<In, Bit>,
    /// They were dropped.
    pub dropped: Signal<In, Bit>,
    table: [LutRam<Bits<8>, 5>; 4],
    masked: [DffR<Bit>; MSIX_VECTORS],
    waiting: [DFF<Bit>; MSIX_VECTORS],
    resting: [DFF<Bit>; MSIX_VECTORS],
    due: [DFF<Bits<32>>; MSIX_VECTORS],
    now: DFF<Bits<32>>,
    state: DFF<Sender>,
    turn: DFF<Bits<3>>,
    /// The vector may still send.
    permitted: DFF<Bit>,
    low: DFF<Bits<32>>,
    high: DFF<Bits<32>>,
    payload: DFF<Bits<32>>,
    /// Word of the table to zero, while `clearing`.
    clear: DFF<Bits<5>>,
    clearing: DFF<Bit>,
    was_reset: DFF<Bit>,
    /// What a read found beside the table.
    aside: DFF<Bits<32>>,
    in_table: DFF<Bit>,
    found: DFF<Bits<32>>,
    later: Signal<Local, Bits<32>>,
    rests: Signal<Local, Bit>,
    able: Signal<Local, Bit>,
    may_send: Signal<Local, Bit>,
    is_masked: Signal<Local, Bit>,
    restores: Signal<Local, Bit>,
    shown: [Signal<Local, Bits<32>>; MSIX_VECTORS],
    line: Signal<Local, Bits<5>>,
    stores: Signal<Local, Bit>,
    sends: Signal<Local, Bit>,
    word: Signal<Local, Bits<32>>,
    table_word: Signal<Local, Bit>,
    control_word: Signal<Local, Bit>,
    pending_word: Signal<Local, Bit>,
    wanted: Signal<Local, Bits<5>>,
    number: [Constant<Bits<3>>; MSIX_VECTORS],
    bit: [Constant<Bits<32>>; MSIX_VECTORS],
    last_vector: Constant<Bits<3>>,
    first_vector: Constant<Bits<3>>,
    next_vector: Constant<Bits<3>>,
    table_end: Constant<Bits<10>>,
    pending_place: Constant<Bits<10>>,
    control_place: Constant<Bits<2>>,
    no_place: Constant<Bits<5>>,
    next_place: Constant<Bits<5>>,
    one: Constant<Bits<32>>,
    none: Constant<Bits<32>>,
    no_byte: Constant<Bits<8>>,
    high_place: Constant<Bits<5>>,
    data_place: Constant<Bits<5>>,
    write3: Constant<Bits<32>>,
    write4: Constant<Bits<32>>,
    enables: Constant<Bits<32>>,
    one_dword: Constant<Bits<10>>,
}

impl Default for Msix {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            reset: Signal::default(),
            raise: Signal::default(),
            gap: Signal::default(),
            enable: Signal::default(),
            mask: Signal::default(),
            bus_master: Signal::default(),
            identifier: Signal::default(),
            address: Signal::default(),
            wdata: Signal::default(),
            write: Signal::default(),
            read: Signal::default(),
            rdata: Signal::default(),
            busy: Signal::default(),
            message: Signal::default(),
            message_valid: Signal::default(),
            message_ready: Signal::default(),
            data: Signal::default(),
            data_ready: Signal::default(),
            dropped: Signal::default(),
            table: std::array::from_fn(|_| Default::default()),
            masked: std::array::from_fn(|_| DffR::new(true)),
            waiting: std::array::from_fn(|_| Default::default()),
            resting: std::array::from_fn(|_| Default::default()),
            due: std::array::from_fn(|_| Default::default()),
            now: DFF::default(),
            state: DFF::default(),
            turn: DFF::default(),
            permitted: DFF::default(),
            low: DFF::default(),
            high: DFF::default(),
            payload: DFF::default(),
            clear: DFF::default(),
            clearing: DFF::default(),
            was_reset: DFF::default(),
            aside: DFF::default(),
            in_table: DFF::default(),
            found: DFF::default(),
            later: Signal::default(),
            rests: Signal::default(),
            able: Signal::default(),
            may_send: Signal::default(),
            is_masked: Signal::default(),
            restores: Signal::default(),
            shown: std::array::from_fn(|_| Default::default()),
            line: Signal::default(),
            stores: Signal::default(),
            sends: Signal::default(),
            word: Signal::default(),
            table_word: Signal::default(),
            control_word: Signal::default(),
            pending_word: Signal::default(),
            wanted: Signal::default(),
            number: std::array::from_fn(|i| Constant::new((i as u64).to_bits())),
            bit: std::array::from_fn(|i| Constant::new((1_u64 << i).to_bits())),
            last_vector: Constant::new((MSIX_VECTORS as u64 - 1).to_bits()),
            first_vector: Constant::new(0_u64.to_bits()),
            next_vector: Constant::new(1_u64.to_bits()),
            table_end: Constant::new((MSIX_VECTORS as u64 * 4).to_bits()),
            pending_place: Constant::new((u64::from((MSIX_PENDING - MSIX_TABLE) / 4)).to_bits()),
            control_place: Constant::new(3_u64.to_bits()),
            no_place: Constant::new(0_u64.to_bits()),
            next_place: Constant::new(1_u64.to_bits()),
            one: Constant::new(1_u64.to_bits()),
            none: Constant::new(0_u64.to_bits()),
            no_byte: Constant::new(0_u64.to_bits()),
            high_place: Constant::new(1_u64.to_bits()),
            data_place: Constant::new(2_u64.to_bits()),
            write3: Constant::new((0x4000_0001_u64).to_bits()),
            write4: Constant::new((0x6000_0001_u64).to_bits()),
            enables: Constant::new(15_u64.to_bits()),
            one_dword: Constant::new(1_u64.to_bits()),
        }
    }
}

impl Logic for Msix {
    #[expect(clippy::collapsible_match, reason = "a kernel knows no guards")]
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, now, state, turn, permitted, low, high, payload, clear, clearing,
            was_reset, aside, in_table, found
        );

        self.word.next = (bit_cast::<32, 8>(self.table[3].read_data.val()) << 24)
            | (bit_cast::<32, 8>(self.table[2].read_data.val()) << 16)
            | (bit_cast::<32, 8>(self.table[1].read_data.val()) << 8)
            | bit_cast::<32, 8>(self.table[0].read_data.val());

        // Whose turn it is, and whether that vector may send.
        self.able.next = self.enable.val() & (!self.mask.val()) & self.bus_master.val();
        self.may_send.next = false;
        for i in 0..6 {
            if (self.turn.q.val() == self.number[i].val())
                & self.able.val()
                & self.waiting[i].q.val()
                & (!self.masked[i].q.val())
                & (!self.resting[i].q.val())
            {
                self.may_send.next = true;
            }
        }

        // One vector after the other; a read of the host goes first, and the words are read again.
        self.wanted.next = bit_cast::<5, 3>(self.turn.q.val()) << 2;
        self.permitted.d.next = self.may_send.val();
        self.sends.next = false;
        self.restores.next = false;
        self.message_valid.next = self.permitted.q.val() & (self.state.q.val() == Sender::Offer);
        match self.state.q.val() {
            Sender::Idle => {
                if self.may_send.val() {
                    self.state.d.next = Sender::Low;
                } else if self.turn.q.val() == self.last_vector.val() {
                    self.turn.d.next = self.first_vector.val();
                } else {
                    self.turn.d.next = self.turn.q.val() + self.next_vector.val();
                }
            }
            Sender::Low => {
                self.state.d.next = Sender::High;
            }
            Sender::High => {
                self.low.d.next = self.word.val();
                self.wanted.next =
                    (bit_cast::<5, 3>(self.turn.q.val()) << 2) | self.high_place.val();
                self.state.d.next = Sender::Data;
            }
            Sender::Data => {
                self.high.d.next = self.word.val();
                self.wanted.next =
                    (bit_cast::<5, 3>(self.turn.q.val()) << 2) | self.data_place.val();
                self.state.d.next = Sender::Arrive;
            }
            Sender::Arrive => {
                self.payload.d.next = self.word.val();
                self.state.d.next = Sender::Offer;
            }
            Sender::Offer => {
                if self.permitted.q.val() & self.message_ready.val() {
                    self.sends.next = true;
                    self.state.d.next = Sender::Leave;
                    if self.reset.val() {
                        self.state.d.next = Sender::Forget;
                    }
                } else if self.reset.val() | (!self.permitted.q.val()) {
                    self.state.d.next = Sender::Idle;
                }
            }
            Sender::Leave => {
                if self.data_ready.val() {
                    self.restores.next = self.dropped.val();
                    self.state.d.next = Sender::Idle;
                    self.turn.d.next = self.turn.q.val() + self.next_vector.val();
                    if self.turn.q.val() == self.last_vector.val() {
                        self.turn.d.next = self.first_vector.val();
                    }
                } else if self.reset.val() {
                    self.state.d.next = Sender::Forget;
                }
            }
            Sender::Forget => {
                if self.data_ready.val() {
                    self.state.d.next = Sender::Idle;
                }
            }
            _ => {}
        }
        if self.read.val() {
            self.wanted.next = self.address.val().get_bits::<5>(0);
            if (self.state.q.val() == Sender::Low)
                | (self.state.q.val() == Sender::High)
                | (self.state.q.val() == Sender::Data)
            {
                self.state.d.next = Sender::Low;
            }
        }

        // The host's accesses.
        self.table_word.next = self.address.val() < self.table_end.val();
        self.control_word.next = self.table_word.val()
            & (self.address.val().get_bits::<2>(0) == self.control_place.val());
        self.pending_word.next = self.address.val() == self.pending_place.val();
        self.stores.next = self.table_word.val() & (!self.clearing.q.val());
        self.line.next = self.address.val().get_bits::<5>(0);
        if self.clearing.q.val() {
            self.line.next = self.clear.q.val();
        }
        for i in 0..4 {
            self.table[i].clock.next = self.clock.val();
            self.table[i].write_enable.next =
                self.clearing.q.val() | (self.stores.val() & self.write.val().get_bit(i));
            self.table[i].write_address.next = self.line.val();
            self.table[i].write_data.next = self.wdata.val().get_bits::<8>(i * 8);
            if self.clearing.q.val() {
                self.table[i].write_data.next = self.no_byte.val();
            }
            self.table[i].read_enable.next = true;
            self.table[i].read_address.next = self.wanted.val();
            self.table[i].forward.next = false;
        }
        self.is_masked.next = false;
        for i in 0..6 {
            if (self.address.val().get_bits::<3>(2) == self.number[i].val())
                & self.masked[i].q.val()
            {
                self.is_masked.next = true;
            }
            self.shown[i].next = self.none.val();
            if self.waiting[i].q.val() & (self.masked[i].q.val() | self.mask.val()) {
                self.shown[i].next = self.bit[i].val();
            }
        }
        self.aside.d.next = self.none.val();
        if self.control_word.val() & self.is_masked.val() {
            self.aside.d.next = self.one.val();
        }
        if self.pending_word.val() {
            self.aside.d.next = self.shown[0].val()
                | self.shown[1].val()
                | self.shown[2].val()
                | self.shown[3].val()
                | self.shown[4].val()
                | self.shown[5].val();
        }
        self.in_table.d.next = self.table_word.val() & (!self.control_word.val());
        self.found.d.next = self.aside.q.val();
        if self.in_table.q.val() {
            self.found.d.next = self.word.val();
        }
        self.rdata.next = self.found.q.val();
        self.busy.next = self.clearing.q.val();

        // Zeroing after a reset.
        self.was_reset.d.next = self.reset.val();
        if self.reset.val() & (!self.was_reset.q.val()) {
            self.clearing.d.next = true;
            self.clear.d.next = self.no_place.val();
        } else if self.clearing.q.val() {
            self.clear.d.next = self.clear.q.val() + self.next_place.val();
            self.clearing.d.next = !self.clear.q.val().all();
        }

        // What waits, and what rests.
        self.now.d.next = self.now.q.val() + self.one.val();
        self.later.next = self.now.q.val() + self.gap.val();
        self.rests.next = self.gap.val().any();
        for i in 0..6 {
            self.masked[i].clock.next = self.clock.val();
            self.masked[i].reset.next = self.reset.val();
            self.masked[i].enable.next = self.control_word.val()
                & self.write.val().get_bit(0)
                & (self.address.val().get_bits::<3>(2) == self.number[i].val());
            self.masked[i].d.next = self.wdata.val().get_bit(0);
            self.waiting[i].clock.next = self.clock.val();
            self.waiting[i].d.next = (self.waiting[i].q.val()
                & (!(self.sends.val() & (self.turn.q.val() == self.number[i].val()))))
                | (self.restores.val() & (self.turn.q.val() == self.number[i].val()))
                | self.raise.val().get_bit(i);
            self.resting[i].clock.next = self.clock.val();
            self.resting[i].d.next =
                self.resting[i].q.val() & (self.due[i].q.val() != self.now.q.val());
            self.due[i].clock.next = self.clock.val();
            self.due[i].d.next = self.due[i].q.val();
            if self.sends.val() & (self.turn.q.val() == self.number[i].val()) {
                self.resting[i].d.next = self.rests.val();
                self.due[i].d.next = self.later.val();
            }
            if self.reset.val() {
                self.waiting[i].d.next = false;
                self.resting[i].d.next = false;
            }
        }

        // A memory write of one DW, three header words below 4 GiB.
        self.message.next.word0 = self.write3.val();
        self.message.next.address = bit_cast::<64, 32>(self.low.q.val());
        self.message.next.four = false;
        if self.high.q.val().any() {
            self.message.next.word0 = self.write4.val();
            self.message.next.address = (bit_cast::<64, 32>(self.high.q.val()) << 32)
                | bit_cast::<64, 32>(self.low.q.val());
            self.message.next.four = true;
        }
        self.message.next.word1 =
            (bit_cast::<32, 16>(self.identifier.val()) << 16) | self.enables.val();
        self.message.next.dwords = self.one_dword.val();
        self.message.next.request = true;
        self.message.next.write = false;
        self.message.next.interrupt = true;
        self.data.next = bit_cast::<64, 32>(self.payload.q.val());
    }
}

// The kernel names the six vectors one by one.
const _: () = assert!(MSIX_VECTORS == 6);
