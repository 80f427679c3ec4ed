//! Hands completions to the dma block: what one says for one clock, then its payload.
//!
//! Nothing is handed on before the TLP was found good. The dma block takes everything at once, so that the store
//! empties at least as fast as the link fills it. Costs two block RAMs and about 150 LUTs.

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use super::store::Store;
use super::tlp::Completion;
use crate::fifo::Fifo;

/// The block; see the module's text.
#[derive(LogicBlock)]
pub struct Deliver {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Payload of a completion.
    pub data: Signal<In, Bits<64>>,
    /// Write it.
    pub write: Signal<In, Bit>,
    /// Beats written since the TLP before this one ended.
    pub written: Signal<Out, Bits<10>>,
    /// A TLP is over.
    pub ended: Signal<In, Bit>,
    /// It is a completion for the dma block.
    pub keep: Signal<In, Bit>,
    /// What it says.
    pub head: Signal<In, Completion>,
    /// It has payload.
    pub payload: Signal<In, Bit>,
    /// Few more completions fit.
    pub full: Signal<Out, Bit>,
    /// A completion, for one clock.
    pub valid: Signal<Out, Bit>,
    /// What it says.
    pub completion: Signal<Out, Completion>,
    /// Its payload.
    pub out_data: Signal<Out, Bits<64>>,
    /// Payload is there.
    pub out_valid: Signal<Out, Bit>,
    /// The last of it.
    pub out_last: Signal<Out, Bit>,
    heads: Fifo<Completion, 4, 5>,
    store: Store,
    /// Beats still to come.
    left: DFF<Bits<10>>,
    front: DFF<Completion>,
    front_valid: DFF<Bit>,
    beat: DFF<Bits<64>>,
    beat_valid: DFF<Bit>,
    beat_last: DFF<Bit>,
    rounded: Signal<Local, Bits<11>>,
    waits: Signal<Local, Bit>,
    moves: Signal<Local, Bit>,
    oldest: Signal<Local, Completion>,
    none: Constant<Bits<10>>,
    one: Constant<Bits<10>>,
    half: Constant<Bits<11>>,
    most: Constant<Bits<5>>,
}

impl Default for Deliver {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            data: Signal::default(),
            write: Signal::default(),
            written: Signal::default(),
            ended: Signal::default(),
            keep: Signal::default(),
            head: Signal::default(),
            payload: Signal::default(),
            full: Signal::default(),
            valid: Signal::default(),
            completion: Signal::default(),
            out_data: Signal::default(),
            out_valid: Signal::default(),
            out_last: Signal::default(),
            heads: Fifo::default(),
            store: Store::default(),
            left: DFF::default(),
            front: DFF::default(),
            front_valid: DFF::default(),
            beat: DFF::default(),
            beat_valid: DFF::default(),
            beat_last: DFF::default(),
            rounded: Signal::default(),
            waits: Signal::default(),
            moves: Signal::default(),
            oldest: Signal::default(),
            none: Constant::new(0_u64.to_bits()),
            one: Constant::new(1_u64.to_bits()),
            half: Constant::new(1_u64.to_bits()),
            most: Constant::new(12_u64.to_bits()),
        }
    }
}

impl Logic for Deliver {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            left,
            front,
            front_valid,
            beat,
            beat_valid,
            beat_last
        );
        clock!(self, clock, heads, store);

        self.store.data.next = self.data.val();
        self.store.write.next = self.write.val();
        self.store.keep.next = self.keep.val();
        self.store.forget.next = self.ended.val() & (!self.keep.val());
        self.written.next = self.store.written.val();
        self.heads.in_valid.next = self.keep.val();
        self.heads.in_data.next = self.head.val();
        if !self.payload.val() {
            self.heads.in_data.next.dwords = self.none.val();
        }
        self.full.next = self.heads.count.val() >= self.most.val();

        self.oldest.next = self.heads.out_data.val();
        self.waits.next = !self.left.q.val().any();
        self.heads.out_ready.next = self.waits.val();
        self.rounded.next = bit_cast::<11, 10>(self.oldest.val().dwords) + self.half.val();
        self.moves.next = (!self.waits.val()) & self.store.out_valid.val();
        self.store.out_ready.next = !self.waits.val();
        self.front_valid.d.next = self.waits.val() & self.heads.out_valid.val();
        self.front.d.next = self.heads.out_data.val();
        if self.waits.val() & self.heads.out_valid.val() {
            self.left.d.next = self.rounded.val().get_bits::<10>(1);
        } else if self.moves.val() {
            self.left.d.next = self.left.q.val() - self.one.val();
        }
        self.beat.d.next = self.store.out_data.val();
        self.beat_valid.d.next = self.moves.val();
        self.beat_last.d.next = self.left.q.val() == self.one.val();
        self.valid.next = self.front_valid.q.val();
        self.completion.next = self.front.q.val();
        self.out_data.next = self.beat.q.val();
        self.out_valid.next = self.beat_valid.q.val();
        self.out_last.next = self.beat_last.q.val();
    }
}
