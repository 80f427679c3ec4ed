//! A beat of 64 bits as one or two words of 35, for memories that are 36 bits wide.
//!
//! Three bits of a word say where the frame ends: 7 in mid-frame, else the bytes of the last word, 0 for the last beat of a
//! poisoned frame. Wires and two levels of LUTs either way; [`Narrow`] keeps 38 bits.

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use crate::stream::KeepCount;

/// Beats to words, a word a clock: the lower half of a beat at once, the upper half, if there is one, a clock later. See the
/// module's text.
#[derive(LogicBlock)]
pub struct Narrow {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Bytes.
    pub data: Signal<In, Bits<64>>,
    /// Bytes present.
    pub keep: Signal<In, Bits<8>>,
    /// Last beat.
    pub last: Signal<In, Bit>,
    /// A beat is offered.
    pub valid: Signal<In, Bit>,
    /// It is taken.
    pub ready: Signal<Out, Bit>,
    /// The word.
    pub word: Signal<Out, Bits<35>>,
    /// A word is offered.
    pub word_valid: Signal<Out, Bit>,
    /// It is taken.
    pub word_ready: Signal<In, Bit>,
    /// An upper half waits here.
    waits: DFF<Bit>,
    upper: DFF<Bits<32>>,
    upper_keep: DFF<Bits<4>>,
    upper_last: DFF<Bit>,
    bytes: KeepCount<4>,
    ends: Signal<Local, Bit>,
    half: Signal<Local, Bits<32>>,
    count: Signal<Local, Bits<7>>,
    ending: Signal<Local, Bits<3>>,
    going_on: Constant<Bits<3>>,
}

impl Default for Narrow {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            data: Signal::default(),
            keep: Signal::default(),
            last: Signal::default(),
            valid: Signal::default(),
            ready: Signal::default(),
            word: Signal::default(),
            word_valid: Signal::default(),
            word_ready: Signal::default(),
            waits: DFF::default(),
            upper: DFF::default(),
            upper_keep: DFF::default(),
            upper_last: DFF::default(),
            bytes: KeepCount::default(),
            ends: Signal::default(),
            half: Signal::default(),
            count: Signal::default(),
            ending: Signal::default(),
            going_on: Constant::new(7.into()),
        }
    }
}

impl Logic for Narrow {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, waits, upper, upper_keep, upper_last);
        // Whoever asks for `ready` does not find the beat itself behind it.
        self.ready.next = self.word_ready.val() & !self.waits.q.val();
        self.word_valid.next = self.valid.val() | self.waits.q.val();
        if self.word_ready.val() {
            self.waits.d.next = self.valid.val() & self.keep.val().get_bit(4) & !self.waits.q.val();
        }
        if !self.waits.q.val() {
            self.upper.d.next = self.data.val().get_bits::<32>(32);
            self.upper_keep.d.next = self.keep.val().get_bits::<4>(4);
            self.upper_last.d.next = self.last.val();
        }
        self.half.next = self.data.val().get_bits::<32>(0);
        self.bytes.keep.next = self.keep.val().get_bits::<4>(0);
        self.ends.next = self.last.val() & !self.keep.val().get_bit(4);
        if self.waits.q.val() {
            self.half.next = self.upper.q.val();
            self.bytes.keep.next = self.upper_keep.q.val();
            self.ends.next = self.upper_last.q.val();
        }
        self.count.next = self.bytes.count.val();
        self.ending.next = self.going_on.val();
        if self.ends.val() {
            self.ending.next = self.count.val().get_bits::<3>(0);
        }
        self.word.next =
            bit_cast::<35, 32>(self.half.val()) | (bit_cast::<35, 3>(self.ending.val()) << 32);
    }
}

/// A word, and the lower half kept of the word before, to the beat they were. See the module's text.
#[derive(LogicBlock)]
pub struct Widen {
    /// The word.
    pub word: Signal<In, Bits<35>>,
    /// There is a word.
    pub valid: Signal<In, Bit>,
    /// Lower half of its beat.
    pub lower: Signal<In, Bits<32>>,
    /// There is a lower half.
    pub has_lower: Signal<In, Bit>,
    /// Bytes.
    pub data: Signal<Out, Bits<64>>,
    /// Bytes present.
    pub keep: Signal<Out, Bits<8>>,
    /// Last beat.
    pub last: Signal<Out, Bit>,
    /// The word completes a beat; otherwise it is a lower half.
    pub whole: Signal<Out, Bit>,
    /// There is a beat.
    pub holds: Signal<Out, Bit>,
    ending: Signal<Local, Bits<3>>,
    half: Signal<Local, Bits<64>>,
    half_keep: Signal<Local, Bits<8>>,
    going_on: Constant<Bits<3>>,
    keeps: [Constant<Bits<8>>; 4],
    half_full: Constant<Bits<8>>,
}

impl Default for Widen {
    fn default() -> Self {
        Self {
            word: Signal::default(),
            valid: Signal::default(),
            lower: Signal::default(),
            has_lower: Signal::default(),
            data: Signal::default(),
            keep: Signal::default(),
            last: Signal::default(),
            whole: Signal::default(),
            holds: Signal::default(),
            ending: Signal::default(),
            half: Signal::default(),
            half_keep: Signal::default(),
            going_on: Constant::new(7.into()),
            keeps: std::array::from_fn(|bytes| Constant::new(((1_u64 << bytes) - 1).to_bits())),
            half_full: Constant::new(0x0f.into()),
        }
    }
}

impl Logic for Widen {
    #[hdl_gen]
    fn update(&mut self) {
        self.ending.next = self.word.val().get_bits::<3>(32);
        self.half.next = bit_cast::<64, 32>(self.word.val().get_bits::<32>(0));
        self.half_keep.next = self.half_full.val();
        for i in 0..4 {
            if self.ending.val().index() == i {
                self.half_keep.next = self.keeps[i].val();
            }
        }
        self.data.next = self.half.val();
        self.keep.next = self.half_keep.val();
        if self.has_lower.val() {
            self.data.next = (self.half.val() << 32) | bit_cast::<64, 32>(self.lower.val());
            self.keep.next = (self.half_keep.val() << 4) | self.half_full.val();
        }
        self.last.next = self.ending.val() != self.going_on.val();
        self.whole.next = self.has_lower.val() | (self.ending.val() != self.going_on.val());
        self.holds.next =
            self.valid.val() & (self.has_lower.val() | (self.ending.val() != self.going_on.val()));
    }
}
