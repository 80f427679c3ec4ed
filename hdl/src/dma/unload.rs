//! Empties the reorder buffer: descriptors to the fetcher, whole frames to the arbiter.
//!
//! Two DWs a clock. A frame may begin at any byte of its first DW: a beat is cut out of two words, so a frame of n
//! beats takes n + 2 clocks. Its place becomes free as its last word is read; that of a frame that was lost, at
//! once. Costs about 350 LUTs.

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use super::record::{Descriptor, Injected, Step, Whole};
use crate::fifo::Fifo;

/// The block; see the module's text.
#[derive(LogicBlock)]
pub struct Unload {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Lose descriptors.
    pub forget: Signal<In, Bit>,
    /// Everything is empty: begin anew.
    pub restart: Signal<In, Bit>,
    /// What is at the front of the buffer.
    pub whole: Signal<In, Whole>,
    /// It is offered.
    pub whole_valid: Signal<In, Bit>,
    /// It is taken.
    pub whole_ready: Signal<Out, Bit>,
    /// A DW of the buffer.
    pub read_place: Signal<Out, Bits<10>>,
    /// It and the next, three clocks later.
    pub read_data: Signal<In, Bits<64>>,
    /// DWs that become free.
    pub freed: Signal<Out, Bits<10>>,
    /// The oldest descriptor.
    pub descriptor: Signal<Out, Descriptor>,
    /// It is offered.
    pub descriptor_valid: Signal<Out, Bit>,
    /// It is taken.
    pub descriptor_ready: Signal<In, Bit>,
    /// Beat of a frame.
    pub beat: Signal<Out, Injected>,
    /// It is offered.
    pub beat_valid: Signal<Out, Bit>,
    /// It is taken.
    pub beat_ready: Signal<In, Bit>,
    /// Nothing is on its way out of the buffer.
    pub idle: Signal<Out, Bit>,
    /// A frame is.
    pub sending: Signal<Out, Bit>,
    descriptors: Fifo<Descriptor, 4, 5>,
    beats: Fifo<Injected, 4, 5>,
    active: DFF<Bit>,
    current: DFF<Whole>,
    left: DFF<Bits<9>>,
    /// Not the first word of a frame or descriptor.
    begun: DFF<Bit>,
    place: DFF<Bits<10>>,
    free: DFF<Bits<10>>,
    step1: DFF<Step>,
    step2: DFF<Step>,
    step3: DFF<Step>,
    previous: DFF<Bits<64>>,
    loads: Signal<Local, Bit>,
    front: Signal<Local, Whole>,
    is_descriptors: Signal<Local, Bit>,
    lost: Signal<Local, Bit>,
    dwords: Signal<Local, Bits<10>>,
    length: Signal<Local, Bits<11>>,
    rounded: Signal<Local, Bits<12>>,
    asks: Signal<Local, Bit>,
    final_word: Signal<Local, Bit>,
    room: Signal<Local, Bit>,
    step: Signal<Local, Step>,
    cut: Signal<Local, Bits<64>>,
    offset: Signal<Local, Bits<2>>,
    tail: Signal<Local, Bits<3>>,
    not_tail: Signal<Local, Bits<3>>,
    unused: Signal<Local, Bits<3>>,
    head: Signal<Local, Bits<64>>,
    word: Signal<Local, Bits<64>>,
    length_now: Signal<Local, Bits<11>>,
    one9: Constant<Bits<9>>,
    one3: Constant<Bits<3>>,
    two10: Constant<Bits<10>>,
    none10: Constant<Bits<10>>,
    /// Up to whole beats, and one word more.
    rounding: Constant<Bits<12>>,
    /// Sixteen places less the beats on their way.
    limit: Constant<Bits<5>>,
    ones: Constant<Bits<8>>,
    number: [Constant<Bits<2>>; 4],
}

impl Default for Unload {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            forget: Signal::default(),
            restart: Signal::default(),
            whole: Signal::default(),
            whole_valid: Signal::default(),
            whole_ready: Signal::default(),
            read_place: Signal::default(),
            read_data: Signal::default(),
            freed: Signal::default(),
            descriptor: Signal::default(),
            descriptor_valid: Signal::default(),
            descriptor_ready: Signal::default(),
            beat: Signal::default(),
            beat_valid: Signal::default(),
            beat_ready: Signal::default(),
            idle: Signal::default(),
            sending: Signal::default(),
            descriptors: Fifo::default(),
            beats: Fifo::default(),
            active: DFF::default(),
            current: DFF::default(),
            left: DFF::default(),
            begun: DFF::default(),
            place: DFF::default(),
            free: DFF::default(),
            step1: DFF::default(),
            step2: DFF::default(),
            step3: DFF::default(),
            previous: DFF::default(),
            loads: Signal::default(),
            front: Signal::default(),
            is_descriptors: Signal::default(),
            lost: Signal::default(),
            dwords: Signal::default(),
            length: Signal::default(),
            rounded: Signal::default(),
            asks: Signal::default(),
            final_word: Signal::default(),
            room: Signal::default(),
            step: Signal::default(),
            cut: Signal::default(),
            offset: Signal::default(),
            tail: Signal::default(),
            not_tail: Signal::default(),
            unused: Signal::default(),
            head: Signal::default(),
            word: Signal::default(),
            length_now: Signal::default(),
            one9: Constant::new(1.into()),
            one3: Constant::new(1.into()),
            two10: Constant::new(2_u64.to_bits()),
            none10: Constant::new(0.into()),
            rounding: Constant::new(15_u64.to_bits()),
            limit: Constant::new(11_u64.to_bits()),
            ones: Constant::new(Bits::mask()),
            number: std::array::from_fn(|i| Constant::new((i as u64).to_bits())),
        }
    }
}

impl Logic for Unload {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, active, current, left, begun, place, free, step1, step2, step3, previous
        );
        clock!(self, clock, descriptors, beats);
        self.front.next = self.whole.val();
        self.is_descriptors.next = self.whole.val().descriptors;
        self.lost.next = (!self.is_descriptors.val()) & self.front.val().fault.any();
        self.dwords.next = self.whole.val().dwords;
        self.length.next = self.whole.val().length;
        self.rounded.next = bit_cast::<12, 11>(self.length.val()) + self.rounding.val();
        self.loads.next = self.whole_valid.val() & (!self.active.q.val());
        self.whole_ready.next = self.loads.val();
        self.freed.next = self.none10.val();
        if self.loads.val() {
            self.current.d.next = self.whole.val();
            self.begun.d.next = false;
            self.place.d.next = self.free.q.val();
            if self.lost.val() {
                self.free.d.next = self.free.q.val() + self.dwords.val();
                self.freed.next = self.dwords.val();
            } else {
                self.active.d.next = true;
                self.left.d.next = self.rounded.val().get_bits::<9>(3);
                if self.is_descriptors.val() {
                    self.left.d.next = self.dwords.val().get_bits::<9>(1);
                }
            }
        }

        self.room.next =
            self.current.q.val().descriptors | (self.beats.count.val() <= self.limit.val());
        self.asks.next = self.active.q.val() & self.room.val();
        self.final_word.next = self.left.q.val() == self.one9.val();
        self.read_place.next = self.place.q.val();
        if self.asks.val() {
            self.place.d.next = self.place.q.val() + self.two10.val();
            self.left.d.next = self.left.q.val() - self.one9.val();
            self.begun.d.next = true;
            if self.current.q.val().descriptors {
                self.begun.d.next = !self.begun.q.val();
            }
            if self.final_word.val() {
                self.active.d.next = false;
                self.free.d.next = self.free.q.val() + self.current.q.val().dwords;
                self.freed.next = self.current.q.val().dwords;
            }
        }
        self.length_now.next = self.current.q.val().length;
        self.step.next.valid = self.asks.val();
        self.step.next.first = !self.begun.q.val();
        self.step.next.last = self.final_word.val();
        self.step.next.descriptors = self.current.q.val().descriptors;
        self.step.next.tail = self.length_now.val().get_bits::<3>(0);
        self.step.next.offset = self.current.q.val().offset;
        self.step.next.port = self.current.q.val().port;
        self.step.next.lookup = self.current.q.val().lookup;
        self.step.next.fault = self.current.q.val().fault;
        self.step1.d.next = self.step.val();
        self.step2.d.next = self.step1.q.val();
        self.step3.d.next = self.step2.q.val();

        // The word is here.
        self.word.next = self.read_data.val();
        self.head.next = self.previous.q.val();
        if self.step3.q.val().valid {
            self.previous.d.next = self.word.val();
        }
        self.offset.next = self.step3.q.val().offset;
        self.cut.next = self.head.val();
        if self.offset.val() == self.number[1].val() {
            self.cut.next = (self.head.val() >> 8) | (self.word.val() << 56);
        }
        if self.offset.val() == self.number[2].val() {
            self.cut.next = (self.head.val() >> 16) | (self.word.val() << 48);
        }
        if self.offset.val() == self.number[3].val() {
            self.cut.next = (self.head.val() >> 24) | (self.word.val() << 40);
        }
        self.tail.next = self.step3.q.val().tail;
        self.not_tail.next = !self.tail.val();
        self.unused.next = self.not_tail.val() + self.one3.val();
        self.beats.in_data.next.data = self.cut.val();
        self.beats.in_data.next.keep = self.ones.val();
        if self.step3.q.val().last {
            self.beats.in_data.next.keep = self.ones.val() >> self.unused.val();
        }
        self.beats.in_data.next.last = self.step3.q.val().last;
        self.beats.in_data.next.port = self.step3.q.val().port;
        self.beats.in_data.next.lookup = self.step3.q.val().lookup;
        self.beats.in_valid.next = self.step3.q.val().valid
            & (!self.step3.q.val().descriptors)
            & (!self.step3.q.val().first);
        self.beat.next = self.beats.out_data.val();
        self.beat_valid.next = self.beats.out_valid.val();
        self.beats.out_ready.next = self.beat_ready.val();

        // Length 0..16, port 16..18, lookup 18 in the first word, the address is the second.
        self.descriptors.in_data.next.length = self.head.val().get_bits::<16>(0);
        self.descriptors.in_data.next.port = self.head.val().get_bits::<2>(16);
        self.descriptors.in_data.next.lookup = self.head.val().get_bit(18);
        self.descriptors.in_data.next.fault = self.step3.q.val().fault;
        self.descriptors.in_data.next.address = self.word.val();
        self.descriptors.in_valid.next = self.step3.q.val().valid
            & self.step3.q.val().descriptors
            & (!self.step3.q.val().first)
            & (!self.forget.val());
        self.descriptor.next = self.descriptors.out_data.val();
        self.descriptor_valid.next = self.descriptors.out_valid.val();
        self.descriptors.out_ready.next = self.descriptor_ready.val();
        if self.restart.val() {
            self.free.d.next = self.none10.val();
        }

        self.idle.next = !(self.active.q.val()
            | self.step1.q.val().valid
            | self.step2.q.val().valid
            | self.step3.q.val().valid
            | self.descriptors.out_valid.val());
        self.sending.next = self.beats.out_valid.val()
            | (self.active.q.val() & (!self.current.q.val().descriptors));
    }
}

// The kernel slices the descriptor by hand.
const _: () = assert!(layout::desc::InjectRequest::BITS == 128);
