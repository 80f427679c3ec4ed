//! One beat of a packet and the contract of the streams that carry it.
//!
//! A stream is three signals: `data` (a [`Beat`] or a record), `valid` and `ready`. A transfer happens at a
//! rising clock edge where `valid` and `ready` are high. `valid` never waits for `ready`; `data` keeps still
//! while `valid & !ready`. No module has a combinational path from a `ready` that comes in to one that goes
//! out: every module ends in a skid buffer, or takes its `ready` from a register behind it.

use rust_hdl_core::prelude::*;

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
}

impl<const W: usize, const K: usize> Synth for Beat<W, K> {
    const BITS: usize = W + K + 1;

    fn descriptor() -> TypeDescriptor {
        let field = |fieldname: &str, kind| {
            Box::new(TypeField { fieldname: fieldname.to_string(), kind })
        };
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
        // Only the initial value is ever printed, and that is all zero.
        assert_eq!(self, Self::default(), "a constant beat is not zero");
        match W {
            64 => Bits::<73>::default().verilog(),
            128 => Bits::<145>::default().verilog(),
            256 => Bits::<289>::default().verilog(),
            512 => Bits::<577>::default().verilog(),
            _ => panic!("streams are 64, 128, 256 or 512 bits wide"),
        }
    }
}
