//! A 64-bit beat in 68 bits, for memories that are 36 bits wide.
//!
//! Four bits in place of nine say where the frame ends: 15 in mid-frame, else the bytes of the last beat, 0 for the last
//! beat of a poisoned frame. Wires and one level of LUTs either way.

use rust_hdl_core::prelude::*;

use crate::stream::KeepCount;

/// A beat to a word; see the module's text.
#[derive(LogicBlock)]
pub struct Fold {
    /// Bytes.
    pub data: Signal<In, Bits<64>>,
    /// Bytes present.
    pub keep: Signal<In, Bits<8>>,
    /// Last beat.
    pub last: Signal<In, Bit>,
    /// The word.
    pub word: Signal<Out, Bits<68>>,
    bytes: KeepCount<8>,
    ending: Signal<Local, Bits<4>>,
    count: Signal<Local, Bits<7>>,
    going_on: Constant<Bits<4>>,
}

impl Default for Fold {
    fn default() -> Self {
        Self {
            data: Signal::default(),
            keep: Signal::default(),
            last: Signal::default(),
            word: Signal::default(),
            bytes: KeepCount::default(),
            ending: Signal::default(),
            count: Signal::default(),
            going_on: Constant::new(15.into()),
        }
    }
}

impl Logic for Fold {
    #[hdl_gen]
    fn update(&mut self) {
        self.bytes.keep.next = self.keep.val();
        self.count.next = self.bytes.count.val();
        self.ending.next = self.going_on.val();
        if self.last.val() {
            self.ending.next = self.count.val().get_bits::<4>(0);
        }
        self.word.next =
            bit_cast::<68, 64>(self.data.val()) | (bit_cast::<68, 4>(self.ending.val()) << 64);
    }
}

/// A word to the beat it was; see the module's text.
#[derive(LogicBlock)]
pub struct Unfold {
    /// The word.
    pub word: Signal<In, Bits<68>>,
    /// Bytes.
    pub data: Signal<Out, Bits<64>>,
    /// Bytes present.
    pub keep: Signal<Out, Bits<8>>,
    /// Last beat.
    pub last: Signal<Out, Bit>,
    ending: Signal<Local, Bits<4>>,
    going_on: Constant<Bits<4>>,
    keeps: [Constant<Bits<8>>; 8],
    all: Constant<Bits<8>>,
}

impl Default for Unfold {
    fn default() -> Self {
        Self {
            word: Signal::default(),
            data: Signal::default(),
            keep: Signal::default(),
            last: Signal::default(),
            ending: Signal::default(),
            going_on: Constant::new(15.into()),
            keeps: std::array::from_fn(|bytes| Constant::new(((1_u64 << bytes) - 1).to_bits())),
            all: Constant::new(0xff.into()),
        }
    }
}

impl Logic for Unfold {
    #[hdl_gen]
    fn update(&mut self) {
        self.ending.next = self.word.val().get_bits::<4>(64);
        self.data.next = self.word.val().get_bits::<64>(0);
        self.last.next = self.ending.val() != self.going_on.val();
        self.keep.next = self.all.val();
        for i in 0..8 {
            if self.ending.val().index() == i {
                self.keep.next = self.keeps[i].val();
            }
        }
    }
}
