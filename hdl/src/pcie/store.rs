//! Payload that is kept only if the TLP it belongs to turns out well.
//!
//! Beats are written behind those that are kept already, and become readable when they are kept, or are forgotten
//! when they are not. 512 beats, the longest payload, in two block RAMs. A beat a clock either way; a kept beat is
//! at the output four clocks later at the earliest.

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use crate::fifo::Fifo;
use crate::ram::Ram;

/// The buffer; see the module's text.
#[derive(LogicBlock)]
pub struct Store {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Beat to write.
    pub data: Signal<In, Bits<64>>,
    /// Write it; the writer sees to it that there is room.
    pub write: Signal<In, Bit>,
    /// Beats written since the last `keep` or `forget`.
    pub written: Signal<Out, Bits<10>>,
    /// Keep what was written, that of this clock included.
    pub keep: Signal<In, Bit>,
    /// Forget what was written, that of this clock included.
    pub forget: Signal<In, Bit>,
    /// Fewer than 12 beats fit.
    pub tight: Signal<Out, Bit>,
    /// No kept beat is left in block RAM, so all that was written fits.
    pub alone: Signal<Out, Bit>,
    /// Oldest beat.
    pub out_data: Signal<Out, Bits<64>>,
    /// It is there.
    pub out_valid: Signal<Out, Bit>,
    /// It is taken.
    pub out_ready: Signal<In, Bit>,
    memory: Ram<Bits<64>, 9>,
    front: Fifo<Bits<64>, 3, 4>,
    base: DFF<Bits<9>>,
    count: DFF<Bits<10>>,
    head: DFF<Bits<9>>,
    kept: DFF<Bits<10>>,
    crowded: DFF<Bit>,
    reading: DFF<Bit>,
    arriving: DFF<Bit>,
    beats: Signal<Local, Bits<10>>,
    more: Signal<Local, Bits<10>>,
    occupied: Signal<Local, Bits<10>>,
    fetch: Signal<Local, Bit>,
    none: Constant<Bits<10>>,
    one: Constant<Bits<10>>,
    next_place: Constant<Bits<9>>,
    limit: Constant<Bits<10>>,
    front_limit: Constant<Bits<4>>,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            data: Signal::default(),
            write: Signal::default(),
            written: Signal::default(),
            keep: Signal::default(),
            forget: Signal::default(),
            tight: Signal::default(),
            alone: Signal::default(),
            out_data: Signal::default(),
            out_valid: Signal::default(),
            out_ready: Signal::default(),
            memory: Ram::default(),
            front: Fifo::default(),
            base: DFF::default(),
            count: DFF::default(),
            head: DFF::default(),
            kept: DFF::default(),
            crowded: DFF::default(),
            reading: DFF::default(),
            arriving: DFF::default(),
            beats: Signal::default(),
            more: Signal::default(),
            occupied: Signal::default(),
            fetch: Signal::default(),
            none: Constant::new(0_u64.to_bits()),
            one: Constant::new(1_u64.to_bits()),
            next_place: Constant::new(1_u64.to_bits()),
            limit: Constant::new(500_u64.to_bits()),
            front_limit: Constant::new(5_u64.to_bits()),
        }
    }
}

impl Logic for Store {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, base, count, head, kept, crowded, reading, arriving
        );
        clock!(self, clock, memory, front);

        self.memory.write_enable.next = self.write.val();
        self.memory.write_address.next = self.base.q.val() + self.count.q.val().get_bits::<9>(0);
        self.memory.write_data.next = self.data.val();
        self.written.next = self.count.q.val();
        self.beats.next = self.count.q.val();
        if self.write.val() {
            self.beats.next = self.count.q.val() + self.one.val();
        }
        self.count.d.next = self.beats.val();
        self.more.next = self.kept.q.val();
        if self.keep.val() | self.forget.val() {
            self.count.d.next = self.none.val();
        }
        if self.keep.val() {
            self.base.d.next = self.base.q.val() + self.beats.val().get_bits::<9>(0);
            self.more.next = self.kept.q.val() + self.beats.val();
        }

        // Eight places, less the two beats that may be on their way and the one fetched now.
        self.fetch.next =
            self.kept.q.val().any() & (self.front.count.val() <= self.front_limit.val());
        self.kept.d.next = self.more.val();
        if self.fetch.val() {
            self.kept.d.next = self.more.val() - self.one.val();
            self.head.d.next = self.head.q.val() + self.next_place.val();
        }
        self.memory.read_enable.next = self.fetch.val();
        self.memory.read_address.next = self.head.q.val();
        self.reading.d.next = self.fetch.val();
        self.arriving.d.next = self.reading.q.val();
        self.front.in_data.next = self.memory.read_data.val();
        self.front.in_valid.next = self.arriving.q.val();
        self.front.out_ready.next = self.out_ready.val();
        self.out_data.next = self.front.out_data.val();
        self.out_valid.next = self.front.out_valid.val();

        self.occupied.next = self.kept.q.val() + self.count.q.val();
        self.crowded.d.next = self.occupied.val() > self.limit.val();
        self.tight.next = self.crowded.q.val();
        self.alone.next = !self.kept.q.val().any();
    }
}
