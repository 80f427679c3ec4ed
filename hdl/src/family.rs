//! Which device's input, output and clock primitives a circuit is printed with.
//!
//! Everything else is plain Verilog that both tools infer LUT, flip-flop and block RAM from. A circuit behaves the same in
//! simulation whatever the family, but for the two clocks by which an output register of the ECP5 is later.

use rust_hdl_core::prelude::*;

/// Vendor and generation; see the module's text.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Family {
    /// Lattice ECP5: yosys and nextpnr.
    #[default]
    Ecp5,
    /// Xilinx 7-series: Vivado.
    Series7,
}

/// One instance of a primitive for every bit of `T`; a single bit has no index.
pub(crate) fn every_bit<T: Synth>(instance: impl Fn(usize, &str) -> String) -> Verilog {
    let code = match T::BITS {
        1 => instance(0, ""),
        bits => (0..bits)
            .map(|bit| instance(bit, &format!("[{bit}]")))
            .collect(),
    };
    wires(code)
}

/// A body whose instances drive the outputs of the module.
pub(crate) fn wires(code: impl Into<String>) -> Verilog {
    Verilog::Wrapper(Wrapper {
        code: code.into(),
        cores: String::new(),
    })
}
