//! Synchronous FIFOs with ready/valid on both sides and registered outputs.
//!
//! A word moves in when `in_valid & in_ready`, out when `out_valid & out_ready`; one a clock either
//! way. They fall through: a word that finds the FIFO empty is at the output one clock later.
//! [`Fifo`] keeps its words in LUT RAM (16 words of 4 bits cost 6 LUTs), [`BlockFifo`] in block RAM
//! behind nine words of LUT RAM, which hide the two clocks of the block RAM. [`Reserved`] has no `in_ready`:
//! who writes knows from `count`, or otherwise, that there is room, and nothing stands between it and the LUT RAM.
//! A const generic cannot be computed, so the count's width is a parameter of its own: `C` = `A` + 1.

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use crate::ram::{LutRam, Ram};

/// LUT RAM FIFO of 2^`A` + 1 words for who knows that there is room; see the module's text.
#[derive(Clone, Debug, LogicBlock)]
pub struct Reserved<T: Synth, const A: usize, const C: usize> {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Word to take.
    pub in_data: Signal<In, T>,
    /// Take `in_data`: `count` was, and is, below 2^`A`.
    pub in_valid: Signal<In, Bit>,
    /// Oldest word.
    pub out_data: Signal<Out, T>,
    /// `out_data` holds a word.
    pub out_valid: Signal<Out, Bit>,
    /// The reader takes it.
    pub out_ready: Signal<In, Bit>,
    /// Words behind the output register, 0..=2^`A`.
    pub count: Signal<Out, Bits<C>>,
    memory: LutRam<T, A>,
    head: DFF<Bits<A>>,
    tail: DFF<Bits<A>>,
    stored: DFF<Bits<C>>,
    /// `stored` is not zero: every bit of the output register looks at it.
    holds: DFF<Bit>,
    valid: DFF<Bit>,
    load: Signal<Local, Bit>,
    store: Signal<Local, Bit>,
    fetch: Signal<Local, Bit>,
    beyond_one: Constant<Bits<C>>,
    one: Constant<Bits<C>>,
    next_place: Constant<Bits<A>>,
}

impl<T: Synth, const A: usize, const C: usize> Default for Reserved<T, A, C> {
    fn default() -> Self {
        assert_eq!(C, A + 1, "count must hold 0..=2^A");
        Self {
            clock: Signal::default(),
            in_data: Signal::default(),
            in_valid: Signal::default(),
            out_data: Signal::default(),
            out_valid: Signal::default(),
            out_ready: Signal::default(),
            count: Signal::default(),
            memory: LutRam::default(),
            head: DFF::default(),
            tail: DFF::default(),
            stored: DFF::default(),
            holds: DFF::default(),
            valid: DFF::default(),
            load: Signal::default(),
            store: Signal::default(),
            fetch: Signal::default(),
            beyond_one: Constant::new(((2_u64 << A) - 2).to_bits()),
            one: Constant::new(1_u64.to_bits()),
            next_place: Constant::new(1_u64.to_bits()),
        }
    }
}

impl<T: Synth, const A: usize, const C: usize> Logic for Reserved<T, A, C> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, head, tail, stored, holds, valid);
        clock!(self, clock, memory);
        self.load.next = self.out_ready.val() | !self.valid.q.val();
        self.fetch.next = self.load.val() & self.holds.q.val();
        // Otherwise the word falls through.
        self.store.next = self.in_valid.val() & !(self.load.val() & !self.holds.q.val());

        self.memory.write_address.next = self.tail.q.val();
        self.memory.write_data.next = self.in_data.val();
        // Also a word that falls through: the place is free, and who reads would be on the way.
        self.memory.write_enable.next = self.in_valid.val();
        self.memory.read_address.next = self.head.q.val();
        self.memory.read_enable.next = self.load.val();
        self.memory.forward.next = !self.holds.q.val();
        if self.load.val() {
            self.valid.d.next = self.in_valid.val() | self.holds.q.val();
        }
        if self.fetch.val() {
            self.head.d.next = self.head.q.val() + self.next_place.val();
            if !self.in_valid.val() {
                self.stored.d.next = self.stored.q.val() - self.one.val();
            }
        } else if self.store.val() {
            self.stored.d.next = self.stored.q.val() + self.one.val();
        }
        self.holds.d.next = self.store.val()
            | (self.holds.q.val() & !self.load.val())
            | (self.stored.q.val() & self.beyond_one.val()).any();
        if self.store.val() {
            self.tail.d.next = self.tail.q.val() + self.next_place.val();
        }
        self.out_data.next = self.memory.read_data.val();
        self.out_valid.next = self.valid.q.val();
        self.count.next = self.stored.q.val();
    }
}

/// LUT RAM FIFO of 2^`A` + 1 words; see the module's text.
#[derive(Clone, Debug, LogicBlock)]
pub struct Fifo<T: Synth, const A: usize, const C: usize> {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Word offered.
    pub in_data: Signal<In, T>,
    /// `in_data` holds a word.
    pub in_valid: Signal<In, Bit>,
    /// There is room.
    pub in_ready: Signal<Out, Bit>,
    /// Oldest word.
    pub out_data: Signal<Out, T>,
    /// `out_data` holds a word.
    pub out_valid: Signal<Out, Bit>,
    /// The reader takes it.
    pub out_ready: Signal<In, Bit>,
    /// Words behind the output register, 0..=2^`A`.
    pub count: Signal<Out, Bits<C>>,
    words: Reserved<T, A, C>,
    full: Signal<Local, Bit>,
    capacity: Constant<Bits<C>>,
}

impl<T: Synth, const A: usize, const C: usize> Default for Fifo<T, A, C> {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            in_data: Signal::default(),
            in_valid: Signal::default(),
            in_ready: Signal::default(),
            out_data: Signal::default(),
            out_valid: Signal::default(),
            out_ready: Signal::default(),
            count: Signal::default(),
            words: Reserved::default(),
            full: Signal::default(),
            capacity: Constant::new((1_u64 << A).to_bits()),
        }
    }
}

impl<T: Synth, const A: usize, const C: usize> Logic for Fifo<T, A, C> {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, words);
        // Never more than the capacity, so its one bit says it all. `in_ready` comes from the count itself, so that
        // simulators see no loop.
        self.full.next = (self.words.count.val() & self.capacity.val()).any();
        self.words.in_data.next = self.in_data.val();
        self.words.in_valid.next = self.in_valid.val() & !self.full.val();
        self.words.out_ready.next = self.out_ready.val();
        self.in_ready.next = !(self.words.count.val() & self.capacity.val()).any();
        self.out_data.next = self.words.out_data.val();
        self.out_valid.next = self.words.out_valid.val();
        self.count.next = self.words.count.val();
    }
}

/// Block RAM FIFO of 2^`A` words (and up to nine more) of `D` bits; see the module's text.
#[derive(Clone, Debug, LogicBlock)]
pub struct BlockFifo<T: Synth, const A: usize, const C: usize> {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Word offered.
    pub in_data: Signal<In, T>,
    /// `in_data` holds a word.
    pub in_valid: Signal<In, Bit>,
    /// There is room.
    pub in_ready: Signal<Out, Bit>,
    /// Oldest word.
    pub out_data: Signal<Out, T>,
    /// `out_data` holds a word.
    pub out_valid: Signal<Out, Bit>,
    /// The reader takes it.
    pub out_ready: Signal<In, Bit>,
    /// Words in block RAM, 0..=2^`A`; up to nine more are on their way out.
    pub count: Signal<Out, Bits<C>>,
    memory: Ram<T, A>,
    front: Reserved<T, 3, 4>,
    head: DFF<Bits<A>>,
    tail: DFF<Bits<A>>,
    stored: DFF<Bits<C>>,
    /// Words leave block RAM two clocks after their address.
    reading: DFF<Bit>,
    arriving: DFF<Bit>,
    full: Signal<Local, Bit>,
    push: Signal<Local, Bit>,
    bypass: Signal<Local, Bit>,
    fetch: Signal<Local, Bit>,
    empty: Signal<Local, Bit>,
    capacity: Constant<Bits<C>>,
    one: Constant<Bits<C>>,
    next_place: Constant<Bits<A>>,
    front_limit: Constant<Bits<4>>,
}

impl<T: Synth, const A: usize, const C: usize> Default for BlockFifo<T, A, C> {
    fn default() -> Self {
        assert_eq!(C, A + 1, "count must hold 0..=2^A");
        Self {
            clock: Signal::default(),
            in_data: Signal::default(),
            in_valid: Signal::default(),
            in_ready: Signal::default(),
            out_data: Signal::default(),
            out_valid: Signal::default(),
            out_ready: Signal::default(),
            count: Signal::default(),
            memory: Ram::default(),
            front: Reserved::default(),
            head: DFF::default(),
            tail: DFF::default(),
            stored: DFF::default(),
            reading: DFF::default(),
            arriving: DFF::default(),
            full: Signal::default(),
            push: Signal::default(),
            bypass: Signal::default(),
            fetch: Signal::default(),
            empty: Signal::default(),
            capacity: Constant::new((1_u64 << A).to_bits()),
            one: Constant::new(1_u64.to_bits()),
            next_place: Constant::new(1_u64.to_bits()),
            // Eight places, less the two words that may be on their way and the one fetched now.
            front_limit: Constant::new(5_u64.to_bits()),
        }
    }
}

impl<T: Synth, const A: usize, const C: usize> Logic for BlockFifo<T, A, C> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, head, tail, stored, reading, arriving);
        clock!(self, clock, memory, front);
        self.empty.next = !self.stored.q.val().any();
        // Never more than the capacity, so its one bit says it all. `in_ready` comes from the register itself, so that
        // simulators see no loop.
        self.full.next = (self.stored.q.val() & self.capacity.val()).any();
        self.push.next = self.in_valid.val() & !self.full.val();
        self.fetch.next = !self.empty.val() & (self.front.count.val() <= self.front_limit.val());
        self.bypass.next = self.empty.val()
            & (!self.reading.q.val())
            & (!self.arriving.q.val())
            & (self.front.count.val() <= self.front_limit.val());

        self.memory.write_address.next = self.tail.q.val();
        self.memory.write_data.next = self.in_data.val();
        self.memory.write_enable.next = self.push.val() & !self.bypass.val();
        self.memory.read_address.next = self.head.q.val();
        self.memory.read_enable.next = self.fetch.val();
        self.reading.d.next = self.fetch.val();
        self.arriving.d.next = self.reading.q.val();

        if self.arriving.q.val() {
            self.front.in_data.next = self.memory.read_data.val();
        } else {
            self.front.in_data.next = self.in_data.val();
        }
        self.front.in_valid.next = self.arriving.q.val() | (self.push.val() & self.bypass.val());
        self.front.out_ready.next = self.out_ready.val();

        if self.fetch.val() {
            self.head.d.next = self.head.q.val() + self.next_place.val();
            if !self.push.val() {
                self.stored.d.next = self.stored.q.val() - self.one.val();
            }
        } else if self.push.val() & !self.bypass.val() {
            self.stored.d.next = self.stored.q.val() + self.one.val();
        }
        if self.push.val() & !self.bypass.val() {
            self.tail.d.next = self.tail.q.val() + self.next_place.val();
        }
        self.in_ready.next = !(self.stored.q.val() & self.capacity.val()).any();
        self.out_data.next = self.front.out_data.val();
        self.out_valid.next = self.front.out_valid.val();
        self.count.next = self.stored.q.val();
    }
}
