//! Brings what is to be sent into one order: completions, writes, reads and interrupts take turns, and a completion
//! or an interrupt never passes a write that was made before it.
//!
//! Headers only; the payload waits in its source. Writes wait in a FIFO of five, and the waiting ones are counted:
//! when a completion or an interrupt comes to the front, as many writes go before it as wait then. Nobody waits for
//! more than that and one turn of each of the others. A header every clock, latency two clocks. About 600 LUTs.

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use super::tlp::{ReadHead, TxHead, WriteHead};
use crate::fifo::Fifo;
use crate::skid::Skid;

/// The block; see the module's text.
#[derive(LogicBlock)]
pub struct Order {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Requester that the card is.
    pub identifier: Signal<In, Bits<16>>,
    /// A completion.
    pub completion: Signal<In, TxHead>,
    /// It is offered.
    pub completion_valid: Signal<In, Bit>,
    /// It is taken.
    pub completion_ready: Signal<Out, Bit>,
    /// A write of the dma block.
    pub write: Signal<In, WriteHead>,
    /// It is offered.
    pub write_valid: Signal<In, Bit>,
    /// It is taken.
    pub write_ready: Signal<Out, Bit>,
    /// A read of the dma block.
    pub read: Signal<In, ReadHead>,
    /// It is offered.
    pub read_valid: Signal<In, Bit>,
    /// It is taken.
    pub read_ready: Signal<Out, Bit>,
    /// An interrupt.
    pub message: Signal<In, TxHead>,
    /// It is offered; may be withdrawn.
    pub message_valid: Signal<In, Bit>,
    /// It is taken.
    pub message_ready: Signal<Out, Bit>,
    /// The next to be sent.
    pub out: Signal<Out, TxHead>,
    /// It is there.
    pub out_valid: Signal<Out, Bit>,
    /// It is taken.
    pub out_ready: Signal<In, Bit>,
    writes: Fifo<WriteHead, 2, 3>,
    reads: Skid<ReadHead>,
    completions: Skid<TxHead>,
    behind_completion: Behind,
    behind_message: Behind,
    chosen: Skid<TxHead>,
    waiting: DFF<Bits<3>>,
    /// Who went last: completion, write, read, interrupt.
    turn: DFF<Bits<2>>,
    wants: [Signal<Local, Bit>; 4],
    next_in_turn: [Signal<Local, Bits<2>>; 4],
    taken: [Signal<Local, Bit>; 4],
    pick: Signal<Local, Bits<2>>,
    any: Signal<Local, Bit>,
    accepts: Signal<Local, Bit>,
    write_in: Signal<Local, Bit>,
    old_write: Signal<Local, WriteHead>,
    old_read: Signal<Local, ReadHead>,
    write_head: Memory,
    read_head: Memory,
    number: [Constant<Bits<2>>; 4],
    one: Constant<Bits<3>>,
    no_tag: Constant<Bits<5>>,
    no_enables: Constant<Bits<4>>,
    all_enables: Constant<Bits<4>>,
    one_dword: Constant<Bits<10>>,
}

impl Default for Order {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            identifier: Signal::default(),
            completion: Signal::default(),
            completion_valid: Signal::default(),
            completion_ready: Signal::default(),
            write: Signal::default(),
            write_valid: Signal::default(),
            write_ready: Signal::default(),
            read: Signal::default(),
            read_valid: Signal::default(),
            read_ready: Signal::default(),
            message: Signal::default(),
            message_valid: Signal::default(),
            message_ready: Signal::default(),
            out: Signal::default(),
            out_valid: Signal::default(),
            out_ready: Signal::default(),
            writes: Fifo::default(),
            reads: Skid::default(),
            completions: Skid::default(),
            behind_completion: Behind::default(),
            behind_message: Behind::default(),
            chosen: Skid::default(),
            waiting: DFF::default(),
            turn: DFF::default(),
            wants: std::array::from_fn(|_| Default::default()),
            next_in_turn: std::array::from_fn(|_| Default::default()),
            taken: std::array::from_fn(|_| Default::default()),
            pick: Signal::default(),
            any: Signal::default(),
            accepts: Signal::default(),
            write_in: Signal::default(),
            old_write: Signal::default(),
            old_read: Signal::default(),
            write_head: Memory::default(),
            read_head: Memory::default(),
            number: std::array::from_fn(|i| Constant::new((i as u64).to_bits())),
            one: Constant::new(1_u64.to_bits()),
            no_tag: Constant::new(0_u64.to_bits()),
            no_enables: Constant::new(0_u64.to_bits()),
            all_enables: Constant::new(15_u64.to_bits()),
            one_dword: Constant::new(1_u64.to_bits()),
        }
    }
}

impl Logic for Order {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, waiting, turn);
        clock!(
            self,
            clock,
            writes,
            reads,
            completions,
            behind_completion,
            behind_message,
            chosen
        );

        self.writes.in_data.next = self.write.val();
        self.writes.in_valid.next = self.write_valid.val();
        self.write_ready.next = self.writes.in_ready.val();
        self.reads.in_data.next = self.read.val();
        self.reads.in_valid.next = self.read_valid.val();
        self.read_ready.next = self.reads.in_ready.val();
        self.completions.in_data.next = self.completion.val();
        self.completions.in_valid.next = self.completion_valid.val();
        self.completion_ready.next = self.completions.in_ready.val();

        // The first after the one that went last.
        self.wants[0].next = self.behind_completion.free.val();
        self.wants[1].next = self.writes.out_valid.val();
        self.wants[2].next = self.reads.out_valid.val();
        self.wants[3].next = self.behind_message.free.val();
        self.any.next =
            self.wants[0].val() | self.wants[1].val() | self.wants[2].val() | self.wants[3].val();
        self.pick.next = self.turn.q.val();
        for i in 0..4 {
            // The farthest first, so that the nearest has the last word.
            self.next_in_turn[i].next = self.turn.q.val() - self.number[i].val();
            for j in 0..4 {
                if (self.next_in_turn[i].val() == self.number[j].val()) & self.wants[j].val() {
                    self.pick.next = self.number[j].val();
                }
            }
        }
        self.accepts.next = self.any.val() & self.chosen.in_ready.val();
        if self.accepts.val() {
            self.turn.d.next = self.pick.val();
        }
        for i in 0..4 {
            self.taken[i].next = self.accepts.val() & (self.pick.val() == self.number[i].val());
        }
        self.completions.out_ready.next = self.taken[0].val();
        self.writes.out_ready.next = self.taken[1].val();
        self.reads.out_ready.next = self.taken[2].val();
        self.message_ready.next = self.taken[3].val();

        // Writes taken from the dma block and not yet in the order.
        self.write_in.next = self.write_valid.val() & self.writes.in_ready.val();
        if self.write_in.val() & (!self.taken[1].val()) {
            self.waiting.d.next = self.waiting.q.val() + self.one.val();
        } else if self.taken[1].val() & (!self.write_in.val()) {
            self.waiting.d.next = self.waiting.q.val() - self.one.val();
        }
        self.behind_completion.valid.next = self.completions.out_valid.val();
        self.behind_completion.taken.next = self.taken[0].val();
        self.behind_completion.waiting.next = self.waiting.q.val();
        self.behind_completion.gone.next = self.taken[1].val();
        self.behind_message.valid.next = self.message_valid.val();
        self.behind_message.taken.next = self.taken[3].val();
        self.behind_message.waiting.next = self.waiting.q.val();
        self.behind_message.gone.next = self.taken[1].val();

        // Headers of the dma block's requests.
        self.old_write.next = self.writes.out_data.val();
        self.write_head.identifier.next = self.identifier.val();
        self.write_head.address.next = self.old_write.val().address;
        self.write_head.dwords.next = self.old_write.val().dwords;
        self.write_head.is_write.next = true;
        self.write_head.tag.next = self.no_tag.val();
        self.write_head.first.next = self.all_enables.val();
        self.write_head.final_enables.next = self.all_enables.val();
        if self.old_write.val().dwords == self.one_dword.val() {
            self.write_head.final_enables.next = self.no_enables.val();
        }
        self.old_read.next = self.reads.out_data.val();
        self.read_head.identifier.next = self.identifier.val();
        self.read_head.address.next = self.old_read.val().address;
        self.read_head.dwords.next = self.old_read.val().dwords;
        self.read_head.is_write.next = false;
        self.read_head.tag.next = self.old_read.val().tag;
        self.read_head.first.next = self.old_read.val().first;
        self.read_head.final_enables.next = self.old_read.val().final_enables;

        self.chosen.in_data.next = self.completions.out_data.val();
        if self.pick.val() == self.number[1].val() {
            self.chosen.in_data.next = self.write_head.head.val();
        }
        if self.pick.val() == self.number[2].val() {
            self.chosen.in_data.next = self.read_head.head.val();
        }
        if self.pick.val() == self.number[3].val() {
            self.chosen.in_data.next = self.message.val();
        }
        self.chosen.in_valid.next = self.any.val();
        self.out.next = self.chosen.out_data.val();
        self.out_valid.next = self.chosen.out_valid.val();
        self.chosen.out_ready.next = self.out_ready.val();
    }
}

/// Holds a header back until the writes that waited when it was first offered have gone.
#[derive(LogicBlock)]
pub struct Behind {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// The header is offered.
    pub valid: Signal<In, Bit>,
    /// It is taken.
    pub taken: Signal<In, Bit>,
    /// Writes waiting.
    pub waiting: Signal<In, Bits<3>>,
    /// One of them goes.
    pub gone: Signal<In, Bit>,
    /// The header may go.
    pub free: Signal<Out, Bit>,
    seen: DFF<Bit>,
    ahead: DFF<Bits<3>>,
    prior: Signal<Local, Bits<3>>,
    one: Constant<Bits<3>>,
}

impl Default for Behind {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            valid: Signal::default(),
            taken: Signal::default(),
            waiting: Signal::default(),
            gone: Signal::default(),
            free: Signal::default(),
            seen: DFF::default(),
            ahead: DFF::default(),
            prior: Signal::default(),
            one: Constant::new(1_u64.to_bits()),
        }
    }
}

impl Logic for Behind {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, seen, ahead);
        self.seen.d.next = self.valid.val() & (!self.taken.val());
        self.prior.next = self.waiting.val();
        if self.seen.q.val() {
            self.prior.next = self.ahead.q.val();
        }
        self.ahead.d.next = self.prior.val();
        if self.gone.val() & self.prior.val().any() {
            self.ahead.d.next = self.prior.val() - self.one.val();
        }
        self.free.next = self.valid.val() & self.seen.q.val() & (!self.ahead.q.val().any());
    }
}

/// Header of a memory request (PCIe base specification 2.2.7.1); no registers.
#[derive(LogicBlock)]
pub struct Memory {
    /// Requester that the card is.
    pub identifier: Signal<In, Bits<16>>,
    /// Address, a multiple of four.
    pub address: Signal<In, Bits<64>>,
    /// DWs.
    pub dwords: Signal<In, Bits<10>>,
    /// A write.
    pub is_write: Signal<In, Bit>,
    /// Tag.
    pub tag: Signal<In, Bits<5>>,
    /// Byte enables of the first DW.
    pub first: Signal<In, Bits<4>>,
    /// Byte enables of the last DW.
    pub final_enables: Signal<In, Bits<4>>,
    /// The header.
    pub head: Signal<Out, TxHead>,
    far: Signal<Local, Bit>,
    format: Signal<Local, Bits<32>>,
    size: Signal<Local, Bits<32>>,
    none: Constant<Bits<32>>,
    no_dwords: Constant<Bits<10>>,
    write_format: Constant<Bits<32>>,
    far_format: Constant<Bits<32>>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            identifier: Signal::default(),
            address: Signal::default(),
            dwords: Signal::default(),
            is_write: Signal::default(),
            tag: Signal::default(),
            first: Signal::default(),
            final_enables: Signal::default(),
            head: Signal::default(),
            far: Signal::default(),
            format: Signal::default(),
            size: Signal::default(),
            none: Constant::new(0_u64.to_bits()),
            no_dwords: Constant::new(0_u64.to_bits()),
            write_format: Constant::new(0x4000_0000_u64.to_bits()),
            far_format: Constant::new(0x2000_0000_u64.to_bits()),
        }
    }
}

impl Logic for Memory {
    #[hdl_gen]
    fn update(&mut self) {
        // Four words only above 4 GiB: with three there the request is malformed, and so are four below.
        self.far.next = self.address.val().get_bits::<32>(32).any();
        self.format.next = self.none.val();
        if self.is_write.val() {
            self.format.next = self.write_format.val();
        }
        self.size.next = bit_cast::<32, 10>(self.dwords.val());
        self.head.next.word0 = self.format.val() | self.size.val();
        if self.far.val() {
            self.head.next.word0 = self.format.val() | self.far_format.val() | self.size.val();
        }
        self.head.next.word1 = (bit_cast::<32, 16>(self.identifier.val()) << 16)
            | (bit_cast::<32, 5>(self.tag.val()) << 8)
            | (bit_cast::<32, 4>(self.final_enables.val()) << 4)
            | bit_cast::<32, 4>(self.first.val());
        self.head.next.address = self.address.val();
        self.head.next.four = self.far.val();
        self.head.next.dwords = self.no_dwords.val();
        if self.is_write.val() {
            self.head.next.dwords = self.dwords.val();
        }
        self.head.next.request = true;
        self.head.next.write = self.is_write.val();
        self.head.next.interrupt = false;
    }
}
