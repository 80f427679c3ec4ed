//! Punt buffer: keeps frames for the host with their metadata until it has read them.
//!
//! Beats of punted frames come in and are never held up. A frame that does not fit is given back and counted;
//! one that does appears to the host when its last beat is in. The host reads the oldest frame word by word, as
//! often as it likes, and then pops it. A word is there [`READ_CLOCKS`] clocks after its number. Or the dma block
//! takes it beat by beat. Costs two block RAMs (at 64 bits) and about 350 LUTs.
//!
//! ```text
//!            ┌ base of the frame coming in
//!   │ frames │ beats so far │ free …       beat RAM, 512 beats, at most PUNT_BUFFER_BYTES of them used
//!   └ head of the oldest                   queue of 16: metadata, beats
//! ```

use layout::csr::PUNT_HEADER_BYTES;
use layout::table::{HOST_FRAME_BYTES, PUNT_BUFFER_BYTES, PUNT_FRAMES};
use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use crate::fifo::Fifo;
use crate::ram::Ram;
use crate::record::Route;
use crate::stream::Beat;

/// Clocks from `word` to `data`.
pub const READ_CLOCKS: usize = 4;

/// The buffer; `L` is the number of 32-bit words in a beat. See the module's text.
#[derive(LogicBlock)]
pub struct Punt<const W: usize, const K: usize, const L: usize> {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Beat of a punted frame.
    pub in_beat: Signal<In, Beat<W, K>>,
    /// Its metadata and length.
    pub in_route: Signal<In, Route>,
    /// The beat comes in now.
    pub in_valid: Signal<In, Bit>,
    /// Frames waiting, 0..=16.
    pub waiting: Signal<Out, Bits<5>>,
    /// Release the oldest frame.
    pub pop: Signal<In, Bit>,
    /// The rings take the frames: `line` is read, not `word`.
    pub takes: Signal<In, Bit>,
    /// Beat of the oldest frame.
    pub line: Signal<In, Bits<9>>,
    /// That beat, three clocks later.
    pub beat: Signal<Out, Bits<W>>,
    /// `Metadata` of the oldest frame, and its beats above.
    pub oldest: Signal<Out, Bits<86>>,
    /// Word of `PUNT_WINDOW` to read.
    pub word: Signal<In, Bits<9>>,
    /// The word.
    pub data: Signal<Out, Bits<32>>,
    /// A frame was kept, high for one clock.
    pub kept: Signal<Out, Bit>,
    /// A frame did not fit, high for one clock.
    pub lost: Signal<Out, Bit>,
    /// Bytes of the frame kept.
    pub kept_length: Signal<Out, Bits<16>>,
    memory: Ram<Bits<W>, 9>,
    queue: Fifo<Bits<86>, 4, 5>,
    /// First beat of the frame coming in, and its beats so far.
    base: DFF<Bits<9>>,
    count: DFF<Bits<10>>,
    /// A beat of this frame found no room.
    over: DFF<Bit>,
    /// First beat of the oldest frame.
    head: DFF<Bits<9>>,
    /// Beats of all frames waiting, and with those of the frame coming in.
    used: DFF<Bits<10>>,
    occupied: DFF<Bits<10>>,
    /// Beats that a popped frame gives back, one clock later.
    loss: DFF<Bits<10>>,
    frames: DFF<Bits<5>>,
    keep_event: DFF<Bit>,
    lose_event: DFF<Bit>,
    length: DFF<Bits<16>>,
    position: DFF<Bits<9>>,
    result: DFF<Bits<32>>,
    last: Signal<Local, Bit>,
    frame_length: Signal<Local, Bits<16>>,
    no_room: Signal<Local, Bit>,
    fits: Signal<Local, Bit>,
    keeps: Signal<Local, Bit>,
    pops: Signal<Local, Bit>,
    beats: Signal<Local, Bits<10>>,
    waiting_now: Signal<Local, Bits<10>>,
    remaining: Signal<Local, Bits<10>>,
    occupied_more: Signal<Local, Bits<10>>,
    freed: Signal<Local, Bits<10>>,
    metadata: Signal<Local, Bits<76>>,
    front: Signal<Local, Bits<86>>,
    offset: Signal<Local, Bits<9>>,
    window_line: Signal<Local, Bits<9>>,
    lane: Signal<Local, Bits<9>>,
    frame_word: Signal<Local, Bits<32>>,
    none10: Constant<Bits<10>>,
    none32: Constant<Bits<32>>,
    one5: Constant<Bits<5>>,
    one10: Constant<Bits<10>>,
    capacity: Constant<Bits<10>>,
    most_frames: Constant<Bits<5>>,
    longest: Constant<Bits<16>>,
    header_words: Constant<Bits<9>>,
    lanes_mask: Constant<Bits<9>>,
    lane_bits: Constant<Bits<9>>,
    number: [Constant<Bits<9>>; 16],
}

impl<const W: usize, const K: usize, const L: usize> Default for Punt<W, K, L> {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            in_beat: Signal::default(),
            in_route: Signal::default(),
            in_valid: Signal::default(),
            waiting: Signal::default(),
            pop: Signal::default(),
            takes: Signal::default(),
            line: Signal::default(),
            beat: Signal::default(),
            oldest: Signal::default(),
            word: Signal::default(),
            data: Signal::default(),
            kept: Signal::default(),
            lost: Signal::default(),
            kept_length: Signal::default(),
            memory: Ram::default(),
            queue: Fifo::default(),
            base: DFF::default(),
            count: DFF::default(),
            over: DFF::default(),
            head: DFF::default(),
            used: DFF::default(),
            occupied: DFF::default(),
            loss: DFF::default(),
            frames: DFF::default(),
            keep_event: DFF::default(),
            lose_event: DFF::default(),
            length: DFF::default(),
            position: DFF::default(),
            result: DFF::default(),
            last: Signal::default(),
            frame_length: Signal::default(),
            no_room: Signal::default(),
            fits: Signal::default(),
            keeps: Signal::default(),
            pops: Signal::default(),
            beats: Signal::default(),
            waiting_now: Signal::default(),
            remaining: Signal::default(),
            occupied_more: Signal::default(),
            freed: Signal::default(),
            metadata: Signal::default(),
            front: Signal::default(),
            offset: Signal::default(),
            window_line: Signal::default(),
            lane: Signal::default(),
            frame_word: Signal::default(),
            none10: Constant::new(0.into()),
            none32: Constant::new(0.into()),
            one5: Constant::new(1.into()),
            one10: Constant::new(1.into()),
            capacity: Constant::new(((PUNT_BUFFER_BYTES / K) as u64).to_bits()),
            most_frames: Constant::new((PUNT_FRAMES as u64).to_bits()),
            longest: Constant::new((HOST_FRAME_BYTES as u64).to_bits()),
            header_words: Constant::new((PUNT_HEADER_BYTES as u64 / 4).to_bits()),
            lanes_mask: Constant::new((L as u64 - 1).to_bits()),
            lane_bits: Constant::new((L.ilog2() as u64).to_bits()),
            number: std::array::from_fn(|i| Constant::new((i as u64).to_bits())),
        }
    }
}

impl<const W: usize, const K: usize, const L: usize> Logic for Punt<W, K, L> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, base, count, over, head, used, occupied, loss, frames, keep_event,
            lose_event, length, position, result
        );
        clock!(self, clock, memory, queue);

        // Frames coming in.
        self.last.next = self.in_beat.val().last;
        self.frame_length.next = self.in_route.val().length;
        // The capacity is a power of two, and never exceeded.
        self.no_room.next = self.over.q.val() | (self.occupied.q.val() & self.capacity.val()).any();
        self.beats.next = self.count.q.val() + self.one10.val();
        self.fits.next = (!self.no_room.val())
            & (self.frame_length.val() <= self.longest.val())
            & (self.frames.q.val() < self.most_frames.val());
        self.keeps.next = self.in_valid.val() & self.last.val() & self.fits.val();
        self.memory.write_enable.next = self.in_valid.val() & (!self.no_room.val());
        self.memory.write_address.next = self.base.q.val() + self.count.q.val().get_bits::<9>(0);
        self.memory.write_data.next = self.in_beat.val().data;
        if self.in_valid.val() {
            if self.last.val() {
                self.count.d.next = self.none10.val();
                self.over.d.next = false;
            } else {
                self.over.d.next = self.no_room.val();
                if !self.no_room.val() {
                    self.count.d.next = self.beats.val();
                }
            }
        }
        if self.keeps.val() {
            self.base.d.next = self.base.q.val() + self.beats.val().get_bits::<9>(0);
        }
        self.metadata.next = self.in_route.val().metadata;
        self.queue.in_data.next = (bit_cast::<86, 10>(self.beats.val()) << 76)
            | bit_cast::<86, 76>(self.metadata.val())
            | bit_cast::<86, 16>(self.frame_length.val());
        self.queue.in_valid.next = self.keeps.val();

        // Frames leaving.
        self.front.next = self.queue.out_data.val();
        self.pops.next = self.pop.val() & self.frames.q.val().any();
        self.queue.out_ready.next = self.pops.val();
        self.freed.next = self.none10.val();
        if self.pops.val() {
            self.freed.next = self.front.val().get_bits::<10>(76);
            self.head.d.next = self.head.q.val() + self.front.val().get_bits::<9>(76);
        }
        self.loss.d.next = self.freed.val();
        self.waiting_now.next = self.used.q.val() - self.loss.q.val();
        self.remaining.next = self.occupied.q.val() - self.loss.q.val();
        self.occupied_more.next = self.remaining.val() + self.one10.val();
        self.used.d.next = self.waiting_now.val();
        self.occupied.d.next = self.remaining.val();
        if self.in_valid.val() {
            if self.last.val() & !self.fits.val() {
                self.occupied.d.next = self.waiting_now.val();
            } else if !self.no_room.val() {
                self.occupied.d.next = self.occupied_more.val();
            }
        }
        if self.keeps.val() {
            self.used.d.next = self.occupied_more.val();
        }
        if self.keeps.val() & (!self.pops.val()) {
            self.frames.d.next = self.frames.q.val() + self.one5.val();
        } else if self.pops.val() & (!self.keeps.val()) {
            self.frames.d.next = self.frames.q.val() - self.one5.val();
        }
        self.waiting.next = self.frames.q.val();

        // The host's window: address, two clocks of RAM, word of the beat.
        self.offset.next = self.word.val() - self.header_words.val();
        self.window_line.next = self.offset.val() >> self.lane_bits.val();
        self.lane.next = self.offset.val() & self.lanes_mask.val();
        self.position.d.next = self.head.q.val() + self.window_line.val();
        if self.takes.val() {
            self.position.d.next = self.head.q.val() + self.line.val();
        }
        self.memory.read_enable.next = true;
        self.memory.read_address.next = self.position.q.val();
        self.beat.next = self.memory.read_data.val();
        self.oldest.next = self.front.val();
        self.frame_word.next = self.none32.val();
        for i in 0..L {
            if self.lane.val() == self.number[i].val() {
                self.frame_word.next = self.memory.read_data.val().get_bits::<32>(i * 32);
            }
        }
        self.result.d.next = self.frame_word.val();
        if self.word.val() == self.number[0].val() {
            self.result.d.next = self.front.val().get_bits::<32>(0);
        }
        if self.word.val() == self.number[1].val() {
            self.result.d.next = self.front.val().get_bits::<32>(32);
        }
        if self.word.val() == self.number[2].val() {
            self.result.d.next = bit_cast::<32, 12>(self.front.val().get_bits::<12>(64));
        }
        if self.word.val() == self.number[3].val() {
            self.result.d.next = self.none32.val();
        }
        self.data.next = self.result.q.val();

        self.keep_event.d.next = self.keeps.val();
        self.lose_event.d.next = self.in_valid.val() & self.last.val() & (!self.fits.val());
        self.length.d.next = self.frame_length.val();
        self.kept.next = self.keep_event.q.val();
        self.lost.next = self.lose_event.q.val();
        self.kept_length.next = self.length.q.val();
    }
}
