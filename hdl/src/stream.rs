//! One beat of a packet and the contract of the streams that carry it.
//!
//! A stream is three signals: `data` (a [`Beat`] or a record), `valid` and `ready`. A transfer happens at a
//! rising clock edge where `valid` and `ready` are high. `valid` never waits for `ready`; `data` keeps still
//! while `valid & !ready`. No module has a combinational path from a `ready` that comes in to one that goes
//! out: every module ends in a skid buffer, or takes its `ready` from a register behind it.

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

/// `W / 8 = K` bytes of a packet, the first byte in the lowest bits.
///
/// What `LogicStruct` would derive is written out, since the derive cannot do const generics.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Beat<const W: usize, const K: usize> {
    /// Bytes.
    pub data: Bits<W>,
    /// One bit a byte, contiguous from bit 0, all ones except in the last beat.
    pub keep: Bits<K>,
    /// Last beat of the frame.
    pub last: Bit,
}

impl<const W: usize, const K: usize> Beat<W, K> {
    /// Width of `data`.
    pub fn get_my_width_data(&self) -> usize {
        W
    }
    /// Lowest bit of `data`.
    pub fn get_my_offset_data(&self) -> usize {
        0
    }
    /// Width of `keep`.
    pub fn get_my_width_keep(&self) -> usize {
        K
    }
    /// Lowest bit of `keep`.
    pub fn get_my_offset_keep(&self) -> usize {
        W
    }
    /// Width of `last`.
    pub fn get_my_width_last(&self) -> usize {
        1
    }
    /// Bit of `last`.
    pub fn get_my_offset_last(&self) -> usize {
        W + K
    }

    /// As one word of `P = W + K + 1` bits.
    fn packed<const P: usize>(self) -> Bits<P> {
        let mut word = Bits::<P>::default();
        word.set_bits(0, self.data);
        word.set_bits(W, self.keep);
        word.replace_bit(W + K, self.last)
    }
}

/// A field of a record whose `Synth` is written out.
pub(crate) fn field(name: &str, kind: TypeDescriptor) -> Box<TypeField> {
    Box::new(TypeField {
        fieldname: name.to_string(),
        kind,
    })
}

impl<const W: usize, const K: usize> Synth for Beat<W, K> {
    const BITS: usize = W + K + 1;

    fn descriptor() -> TypeDescriptor {
        TypeDescriptor {
            name: format!("Beat::<{W}>"),
            kind: TypeKind::Composite(vec![
                field("data", Bits::<W>::descriptor()),
                field("keep", Bits::<K>::descriptor()),
                field("last", Bit::descriptor()),
            ]),
        }
    }

    fn vcd(self) -> VCDValue {
        VCDValue::Composite(vec![
            Box::new(self.data.vcd()),
            Box::new(self.keep.vcd()),
            Box::new(self.last.vcd()),
        ])
    }

    fn verilog(self) -> VerilogLiteral {
        match W {
            64 => self.packed::<73>().verilog(),
            128 => self.packed::<145>().verilog(),
            256 => self.packed::<289>().verilog(),
            512 => self.packed::<577>().verilog(),
            _ => panic!("streams are 64, 128, 256 or 512 bits wide"),
        }
    }
}

/// Bytes of a beat: the number of ones in a contiguous `keep`.
#[derive(LogicBlock, Default)]
pub struct KeepCount<const K: usize> {
    /// `keep` of the beat.
    pub keep: Signal<In, Bits<K>>,
    /// 0..=K.
    pub count: Signal<Out, Bits<7>>,
}

impl<const K: usize> Logic for KeepCount<K> {
    fn update(&mut self) {
        let keep = self.keep.val();
        let count = (0..K).find(|&i| !keep.get_bit(i)).unwrap_or(K);
        self.count.next = (count as u64).to_bits();
    }

    fn connect(&mut self) {
        self.count.connect();
    }

    fn hdl(&self) -> Verilog {
        // The one position where a one meets a zero selects the count: an AND-OR tree, no adders.
        let terms: Vec<String> = (0..K)
            .map(|i| {
                let edge = if i + 1 == K {
                    format!("keep[{i}]")
                } else {
                    format!("keep[{i}] & ~keep[{}]", i + 1)
                };
                format!("({{7{{{edge}}}}} & 7'd{})", i + 1)
            })
            .collect();
        Verilog::Custom(format!("always @(*) count = {};\n", terms.join("\n | ")))
    }
}

/// Offers every transfer of one stream to two readers; both take it at the same edge.
#[derive(LogicBlock, Default)]
pub struct Tee {
    /// Something is offered.
    pub in_valid: Signal<In, Bit>,
    /// Both readers have room.
    pub in_ready: Signal<Out, Bit>,
    /// Offered to the first reader.
    pub first_valid: Signal<Out, Bit>,
    /// The first reader has room.
    pub first_ready: Signal<In, Bit>,
    /// Offered to the second reader.
    pub second_valid: Signal<Out, Bit>,
    /// The second reader has room.
    pub second_ready: Signal<In, Bit>,
}

impl Logic for Tee {
    #[hdl_gen]
    fn update(&mut self) {
        self.in_ready.next = self.first_ready.val() & self.second_ready.val();
        self.first_valid.next = self.in_valid.val() & self.second_ready.val();
        self.second_valid.next = self.in_valid.val() & self.first_ready.val();
    }
}

/// Length of a frame, known with its last beat.
#[derive(LogicBlock)]
pub struct FrameLength<const K: usize> {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// A beat of the frame moves.
    pub moves: Signal<In, Bit>,
    /// `keep` of the beat.
    pub keep: Signal<In, Bits<K>>,
    /// It is the frame's last.
    pub last: Signal<In, Bit>,
    /// Bytes up to and including this beat.
    pub length: Signal<Out, Bits<16>>,
    bytes: KeepCount<K>,
    earlier: DFF<Bits<16>>,
    sum: Signal<Local, Bits<16>>,
    zero: Constant<Bits<16>>,
}

impl<const K: usize> Default for FrameLength<K> {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            moves: Signal::default(),
            keep: Signal::default(),
            last: Signal::default(),
            length: Signal::default(),
            bytes: KeepCount::default(),
            earlier: DFF::default(),
            sum: Signal::default(),
            zero: Constant::new(0.into()),
        }
    }
}

impl<const K: usize> Logic for FrameLength<K> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, earlier);
        self.bytes.keep.next = self.keep.val();
        self.sum.next = self.earlier.q.val() + bit_cast::<16, 7>(self.bytes.count.val());
        self.length.next = self.sum.val();
        if self.moves.val() {
            if self.last.val() {
                self.earlier.d.next = self.zero.val();
            } else {
                self.earlier.d.next = self.sum.val();
            }
        }
    }
}

/// `L` words of 32 bits as one beat, the first in the lowest bits: wires.
#[derive(LogicBlock)]
pub struct Lanes<const W: usize, const L: usize> {
    /// Words in order.
    pub word: [Signal<In, Bits<32>>; L],
    /// The beat.
    pub beat: Signal<Out, Bits<W>>,
}

impl<const W: usize, const L: usize> Default for Lanes<W, L> {
    fn default() -> Self {
        Self {
            word: std::array::from_fn(|_| Default::default()),
            beat: Signal::default(),
        }
    }
}

impl<const W: usize, const L: usize> Logic for Lanes<W, L> {
    fn update(&mut self) {
        let mut beat = Bits::<W>::default();
        for (i, word) in self.word.iter().enumerate() {
            beat.set_bits(32 * i, word.val());
        }
        self.beat.next = beat;
    }

    fn connect(&mut self) {
        self.beat.connect();
    }

    fn hdl(&self) -> Verilog {
        let words: Vec<String> = (0..L).rev().map(|i| format!("word${i}")).collect();
        Verilog::Custom(format!("always @(*) beat = {{{}}};\n", words.join(", ")))
    }
}
