//! The packet FIFO: every frame waits here for its verdict.
//!
//! A beat of 64 bits is kept in 72, as wide as two block RAMs, and not in 73: `keep` says something in a last beat only, so
//! it also says whether a beat is the last. It is kept as 0 in mid-frame, as it is in a last beat, and as 2, which is not
//! contiguous from bit 0, in a last beat without bytes (a poisoned frame).
//!
//! Latency and throughput of the [`BlockFifo`] inside: a beat a clock. Costs 2 EBR with 64 bits, and a LUT for each bit of
//! `keep` on either side.

use rust_hdl_core::prelude::*;

use crate::fifo::BlockFifo;
use crate::stream::{Beat, field};

/// A beat as the memory keeps it; see the module's text.
///
/// What `LogicStruct` would derive is written out, since the derive cannot do const generics.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Kept<const W: usize, const K: usize> {
    /// Bytes.
    pub data: Bits<W>,
    /// Which of them end the frame, if they do.
    pub ends: Bits<K>,
}

impl<const W: usize, const K: usize> Kept<W, K> {
    /// Width of `data`.
    pub fn get_my_width_data(&self) -> usize {
        W
    }
    /// Lowest bit of `data`.
    pub fn get_my_offset_data(&self) -> usize {
        0
    }
    /// Width of `ends`.
    pub fn get_my_width_ends(&self) -> usize {
        K
    }
    /// Lowest bit of `ends`.
    pub fn get_my_offset_ends(&self) -> usize {
        W
    }

    /// As one word of `P = W + K` bits.
    fn packed<const P: usize>(self) -> Bits<P> {
        let mut word = Bits::<P>::default();
        word.set_bits(0, self.data);
        word.set_bits(W, self.ends);
        word
    }
}

impl<const W: usize, const K: usize> Synth for Kept<W, K> {
    const BITS: usize = W + K;

    fn descriptor() -> TypeDescriptor {
        TypeDescriptor {
            name: format!("Kept::<{W}>"),
            kind: TypeKind::Composite(vec![
                field("data", Bits::<W>::descriptor()),
                field("ends", Bits::<K>::descriptor()),
            ]),
        }
    }

    fn vcd(self) -> VCDValue {
        VCDValue::Composite(vec![Box::new(self.data.vcd()), Box::new(self.ends.vcd())])
    }

    fn verilog(self) -> VerilogLiteral {
        match W {
            64 => self.packed::<72>().verilog(),
            128 => self.packed::<144>().verilog(),
            256 => self.packed::<288>().verilog(),
            512 => self.packed::<576>().verilog(),
            _ => panic!("streams are 64, 128, 256 or 512 bits wide"),
        }
    }
}

/// 512 beats; see the module's text.
#[derive(LogicBlock)]
pub struct Packets<const W: usize, const K: usize> {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Beat offered.
    pub in_beat: Signal<In, Beat<W, K>>,
    /// It is offered.
    pub in_valid: Signal<In, Bit>,
    /// There is room.
    pub in_ready: Signal<Out, Bit>,
    /// Oldest beat.
    pub out_beat: Signal<Out, Beat<W, K>>,
    /// There is one.
    pub out_valid: Signal<Out, Bit>,
    /// The reader takes it.
    pub out_ready: Signal<In, Bit>,
    fifo: BlockFifo<Kept<W, K>, 9, 10>,
    kept: Signal<Local, Kept<W, K>>,
    left: Signal<Local, Kept<W, K>>,
    ends: Signal<Local, Bits<K>>,
    no_bytes: Constant<Bits<K>>,
    all_bytes: Constant<Bits<K>>,
}

impl<const W: usize, const K: usize> Default for Packets<W, K> {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            in_beat: Signal::default(),
            in_valid: Signal::default(),
            in_ready: Signal::default(),
            out_beat: Signal::default(),
            out_valid: Signal::default(),
            out_ready: Signal::default(),
            fifo: BlockFifo::default(),
            kept: Signal::default(),
            left: Signal::default(),
            ends: Signal::default(),
            no_bytes: Constant::new(2_u64.to_bits()),
            all_bytes: Constant::new(!Bits::<K>::default()),
        }
    }
}

impl<const W: usize, const K: usize> Logic for Packets<W, K> {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, fifo);
        self.kept.next.data = self.in_beat.val().data;
        self.kept.next.ends = 0.into();
        if self.in_beat.val().last {
            self.kept.next.ends = self.in_beat.val().keep;
            if !self.in_beat.val().keep.any() {
                self.kept.next.ends = self.no_bytes.val();
            }
        }
        self.fifo.in_data.next = self.kept.val();
        self.fifo.in_valid.next = self.in_valid.val();
        self.in_ready.next = self.fifo.in_ready.val();

        self.left.next = self.fifo.out_data.val();
        self.ends.next = self.left.val().ends;
        self.out_beat.next.data = self.left.val().data;
        self.out_beat.next.keep = self.all_bytes.val();
        self.out_beat.next.last = false;
        if self.ends.val().get_bit(0) {
            self.out_beat.next.keep = self.ends.val();
            self.out_beat.next.last = true;
        } else if self.ends.val().get_bit(1) {
            self.out_beat.next.keep = 0.into();
            self.out_beat.next.last = true;
        }
        self.out_valid.next = self.fifo.out_valid.val();
        self.fifo.out_ready.next = self.out_ready.val();
    }
}
