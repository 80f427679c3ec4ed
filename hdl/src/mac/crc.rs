//! CRC-32 of IEEE 802.3 clause 3.2.9, one byte a clock: what the register becomes with one byte more.
//!
//! Bit 0 of a byte is on the wire first, so the register runs the reflected way: it starts as all ones, the frame check
//! sequence is its complement, lowest byte first, and after a frame with a right one it holds [`RESIDUE`]. No register
//! inside, no clock of latency; 64 LUTs in two levels.

use layout::uart::CRC_POLYNOMIAL;
/// The serial line uses the same check, and says what it is made of.
pub use layout::uart::CRC_RESIDUE as RESIDUE;
use rust_hdl_core::prelude::*;

/// One byte further; see the module's text.
#[derive(Clone, Debug, Default, LogicBlock)]
pub struct Crc {
    /// The register.
    pub state: Signal<In, Bits<32>>,
    /// A byte of the frame.
    pub data: Signal<In, Bits<8>>,
    /// The register behind it.
    pub after: Signal<Out, Bits<32>>,
}

/// The definition, bit by bit.
fn step(state: u32, data: u8) -> u32 {
    (0..8).fold(state ^ u32::from(data), |state, _| {
        (state >> 1) ^ if state & 1 == 1 { CRC_POLYNOMIAL } else { 0 }
    })
}

impl Logic for Crc {
    fn update(&mut self) {
        let state: u64 = self.state.val().into();
        let data: u64 = self.data.val().into();
        self.after.next = u64::from(step(state as u32, data as u8)).to_bits();
    }

    fn connect(&mut self) {
        self.after.connect();
    }

    fn hdl(&self) -> Verilog {
        // The step is linear: bit by bit, which of the eight bits that leave reach this one.
        let equation = |bit: u32| {
            let mut terms: Vec<String> = (0..8)
                .filter(|leaving| step(1 << leaving, 0) >> bit & 1 == 1)
                .map(|leaving| format!("leaving[{leaving}]"))
                .collect();
            if bit < 24 {
                terms.push(format!("state[{}]", bit + 8));
            }
            format!("after[{bit}] = {};\n", terms.join(" ^ "))
        };
        let equations: String = (0..32).map(equation).collect();
        Verilog::Custom(format!(
            "wire [7:0] leaving = state[7:0] ^ data;\nalways @(*) begin\n{equations}end\n"
        ))
    }
}
