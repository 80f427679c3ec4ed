//! Inject buffer: one frame that the host has written, sent as if a port had received it, or straight to a port.
//!
//! The host writes words, then submits a descriptor; the frame's beats follow with its [`Origin`]. Refused, and
//! nothing happens, when the descriptor is bad or a frame is still leaving. A beat every clock. Costs one block
//! RAM for every 32 bits of stream width and about 150 LUTs.

use layout::desc::InjectDescriptor;
use layout::table::{HOST_FRAME_BYTES, PORTS};
use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use crate::fifo::Fifo;
use crate::ram::Ram;
use crate::record::Origin;
use crate::skid::Skid;
use crate::stream::{Beat, Lanes};

/// The buffer; `L` is the number of 32-bit words in a beat. See the module's text.
#[derive(LogicBlock)]
pub struct Inject<const W: usize, const K: usize, const L: usize> {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Write `data` to `word`.
    pub write: Signal<In, Bit>,
    /// Word of `INJECT_WINDOW`.
    pub word: Signal<In, Bits<9>>,
    /// New word, or descriptor.
    pub data: Signal<In, Bits<32>>,
    /// `data` is a packed `InjectDescriptor`: send the frame.
    pub submit: Signal<In, Bit>,
    /// A frame may be written and submitted.
    pub idle: Signal<Out, Bit>,
    /// The last submit was refused.
    pub refused: Signal<Out, Bit>,
    /// Beat of the frame.
    pub out_beat: Signal<Out, Beat<W, K>>,
    /// How it is to be treated.
    pub out_origin: Signal<Out, Origin>,
    /// It is offered.
    pub out_valid: Signal<Out, Bit>,
    /// It is taken.
    pub out_ready: Signal<In, Bit>,
    memory: [Ram<Bits<32>, 9>; L],
    joined: Lanes<W, L>,
    fifo: Fifo<Bits<W>, 3, 4>,
    tail: Tail<K>,
    busy: DFF<Bit>,
    refusal: DFF<Bit>,
    origin: DFF<Origin>,
    length: DFF<Bits<16>>,
    /// Beats asked of the RAM, and beats sent.
    asked: DFF<Bits<9>>,
    sent: DFF<Bits<9>>,
    /// Last beat and its bytes, and that they are known.
    finish: DFF<Bits<16>>,
    end_keep: DFF<Bits<K>>,
    ready: DFF<Bit>,
    reading: DFF<Bit>,
    arriving: DFF<Bit>,
    /// Beats are left to ask for, and the FIFO has room, all from the last clock.
    more: DFF<Bit>,
    roomy: DFF<Bit>,
    /// Where a frame ends is worked out here, not in the arbiter's way.
    beats: Skid<Beat<W, K>>,
    beat: Signal<Local, Beat<W, K>>,
    last: Signal<Local, Bit>,
    new_length: Signal<Local, Bits<16>>,
    new_port: Signal<Local, Bits<2>>,
    good: Signal<Local, Bit>,
    accepts: Signal<Local, Bit>,
    asking: Signal<Local, Bits<16>>,
    sending: Signal<Local, Bits<16>>,
    at_end: Signal<Local, Bit>,
    asks: Signal<Local, Bit>,
    moves: Signal<Local, Bit>,
    line: Signal<Local, Bits<9>>,
    lane: Signal<Local, Bits<9>>,
    none: Constant<Bits<9>>,
    one9: Constant<Bits<9>>,
    shortest: Constant<Bits<16>>,
    longest: Constant<Bits<16>>,
    ports: Constant<Bits<2>>,
    room: Constant<Bits<4>>,
    lanes_mask: Constant<Bits<9>>,
    lane_bits: Constant<Bits<9>>,
    every_byte: Constant<Bits<K>>,
    number: [Constant<Bits<9>>; L],
}

impl<const W: usize, const K: usize, const L: usize> Default for Inject<W, K, L> {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            write: Signal::default(),
            word: Signal::default(),
            data: Signal::default(),
            submit: Signal::default(),
            idle: Signal::default(),
            refused: Signal::default(),
            out_beat: Signal::default(),
            out_origin: Signal::default(),
            out_valid: Signal::default(),
            out_ready: Signal::default(),
            memory: std::array::from_fn(|_| Default::default()),
            joined: Lanes::default(),
            fifo: Fifo::default(),
            tail: Tail::default(),
            busy: DFF::default(),
            refusal: DFF::default(),
            origin: DFF::default(),
            length: DFF::default(),
            asked: DFF::default(),
            sent: DFF::default(),
            finish: DFF::default(),
            end_keep: DFF::default(),
            ready: DFF::default(),
            reading: DFF::default(),
            arriving: DFF::default(),
            more: DFF::default(),
            roomy: DFF::default(),
            beats: Skid::default(),
            beat: Signal::default(),
            last: Signal::default(),
            new_length: Signal::default(),
            new_port: Signal::default(),
            good: Signal::default(),
            accepts: Signal::default(),
            asking: Signal::default(),
            sending: Signal::default(),
            at_end: Signal::default(),
            asks: Signal::default(),
            moves: Signal::default(),
            line: Signal::default(),
            lane: Signal::default(),
            none: Constant::new(0.into()),
            one9: Constant::new(1.into()),
            shortest: Constant::new(14_u64.to_bits()),
            longest: Constant::new((HOST_FRAME_BYTES as u64).to_bits()),
            ports: Constant::new((PORTS as u64).to_bits()),
            room: Constant::new(4_u64.to_bits()),
            lanes_mask: Constant::new((L as u64 - 1).to_bits()),
            lane_bits: Constant::new((L.ilog2() as u64).to_bits()),
            every_byte: Constant::new(Bits::mask()),
            number: std::array::from_fn(|i| Constant::new((i as u64).to_bits())),
        }
    }
}

impl<const W: usize, const K: usize, const L: usize> Logic for Inject<W, K, L> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, busy, refusal, origin, length, asked, sent, finish, end_keep, ready,
            reading, arriving, more, roomy
        );
        clock!(self, clock, fifo, beats);
        self.idle.next = !self.busy.q.val();
        self.refused.next = self.refusal.q.val();

        // The host writes words and reads none back.
        self.line.next = self.word.val() >> self.lane_bits.val();
        self.lane.next = self.word.val() & self.lanes_mask.val();
        for i in 0..L {
            self.memory[i].clock.next = self.clock.val();
            self.memory[i].write_enable.next =
                self.write.val() & (self.lane.val() == self.number[i].val());
            self.memory[i].write_address.next = self.line.val();
            self.memory[i].write_data.next = self.data.val();
            self.memory[i].read_enable.next = true;
            self.memory[i].read_address.next = self.asked.q.val();
            self.joined.word[i].next = self.memory[i].read_data.val();
        }

        // Descriptor: length 0..16, port 16..18, lookup 18.
        self.new_length.next = self.data.val().get_bits::<16>(0);
        self.new_port.next = self.data.val().get_bits::<2>(16);
        self.good.next = (self.new_length.val() >= self.shortest.val())
            & (self.new_length.val() <= self.longest.val())
            & (self.new_port.val() < self.ports.val());
        self.accepts.next = self.submit.val() & self.good.val() & (!self.busy.q.val());
        if self.submit.val() {
            self.refusal.d.next = !self.accepts.val();
        }
        if self.accepts.val() {
            self.busy.d.next = true;
            self.length.d.next = self.new_length.val();
            self.origin.d.next.port = self.new_port.val();
            self.origin.d.next.reinjected = self.data.val().get_bit(18);
            self.origin.d.next.direct = !self.data.val().get_bit(18);
            self.asked.d.next = self.none.val();
            self.sent.d.next = self.none.val();
        }

        // Ask the RAM only for what the FIFO can take: three beats may be on their way.
        self.tail.length.next = self.length.q.val();
        self.sending.next = bit_cast::<16, 9>(self.sent.q.val());
        self.asking.next = bit_cast::<16, 9>(self.asked.q.val());
        // The last beat is worked out in the clock after the submit.
        self.finish.d.next = self.tail.last_beat.val();
        self.end_keep.d.next = self.tail.keep.val();
        self.at_end.next = self.sending.val() == self.finish.q.val();
        self.ready.d.next = self.busy.q.val();
        self.roomy.d.next = self.fifo.count.val() <= self.room.val();
        self.asks.next = self.more.q.val() & self.roomy.q.val();
        if self.busy.q.val() & !self.ready.q.val() {
            self.more.d.next = true;
        }
        if self.asks.val() {
            self.asked.d.next = self.asked.q.val() + self.one9.val();
            if self.asking.val() == self.finish.q.val() {
                self.more.d.next = false;
            }
        }
        self.reading.d.next = self.asks.val();
        self.arriving.d.next = self.reading.q.val();
        self.fifo.in_data.next = self.joined.beat.val();
        self.fifo.in_valid.next = self.arriving.q.val();

        self.moves.next = self.fifo.out_valid.val() & self.beats.in_ready.val();
        if self.moves.val() {
            self.sent.d.next = self.sent.q.val() + self.one9.val();
        }
        self.fifo.out_ready.next = self.beats.in_ready.val();
        self.beats.in_data.next.data = self.fifo.out_data.val();
        self.beats.in_data.next.keep = self.every_byte.val();
        if self.at_end.val() {
            self.beats.in_data.next.keep = self.end_keep.q.val();
        }
        self.beats.in_data.next.last = self.at_end.val();
        self.beats.in_valid.next = self.fifo.out_valid.val();
        self.beats.out_ready.next = self.out_ready.val();
        self.beat.next = self.beats.out_data.val();
        self.last.next = self.beat.val().last;
        if self.beats.out_valid.val() & self.out_ready.val() & self.last.val() {
            self.busy.d.next = false;
        }
        self.out_beat.next = self.beats.out_data.val();
        self.out_origin.next = self.origin.q.val();
        self.out_valid.next = self.beats.out_valid.val();
    }
}

/// Where a frame of `length` bytes ends; no registers.
#[derive(LogicBlock)]
pub struct Tail<const K: usize> {
    /// Bytes of the frame.
    pub length: Signal<In, Bits<16>>,
    /// The last beat, from 0.
    pub last_beat: Signal<Out, Bits<16>>,
    /// Its `keep`.
    pub keep: Signal<Out, Bits<K>>,
    last_byte: Signal<Local, Bits<16>>,
    not_length: Signal<Local, Bits<16>>,
    unused: Signal<Local, Bits<16>>,
    one: Constant<Bits<16>>,
    ones: Constant<Bits<K>>,
    beat_mask: Constant<Bits<16>>,
    beat_bits: Constant<Bits<16>>,
}

impl<const K: usize> Default for Tail<K> {
    fn default() -> Self {
        Self {
            length: Signal::default(),
            last_beat: Signal::default(),
            keep: Signal::default(),
            last_byte: Signal::default(),
            not_length: Signal::default(),
            unused: Signal::default(),
            one: Constant::new(1.into()),
            ones: Constant::new(Bits::mask()),
            beat_mask: Constant::new((K as u64 - 1).to_bits()),
            beat_bits: Constant::new((K.ilog2() as u64).to_bits()),
        }
    }
}

impl<const K: usize> Logic for Tail<K> {
    #[hdl_gen]
    fn update(&mut self) {
        self.last_byte.next = self.length.val() - self.one.val();
        self.last_beat.next = self.last_byte.val() >> self.beat_bits.val();
        // Bytes of the last beat that are not part of the frame.
        self.not_length.next = !self.length.val();
        self.unused.next = (self.not_length.val() + self.one.val()) & self.beat_mask.val();
        self.keep.next = self.ones.val() >> self.unused.val();
    }
}

// The kernel slices the descriptor by hand.
const _: () = assert!(InjectDescriptor::BITS == 19);
