//! Register with enable and synchronous reset.
//!
//! `q` takes `d` at the clock edge when `enable`, or the initial value when `reset`. The bitstream
//! sets the initial value too. Latency one clock; costs one flip-flop a bit and no LUT.

use rust_hdl_core::prelude::*;

/// The register; see the module's text.
#[derive(Clone, Debug, LogicBlock)]
pub struct DffR<T: Synth> {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Next value.
    pub d: Signal<In, T>,
    /// Take `d`.
    pub enable: Signal<In, Bit>,
    /// Go back to the initial value; wins over `enable`.
    pub reset: Signal<In, Bit>,
    /// Value.
    pub q: Signal<Out, T>,
    _initial: T,
}

impl<T: Synth> DffR<T> {
    /// A register that starts at `initial`.
    pub fn new(initial: T) -> Self {
        Self {
            clock: Signal::default(),
            d: Signal::default(),
            enable: Signal::default(),
            reset: Signal::default(),
            q: Signal::new_with_default(initial),
            _initial: initial,
        }
    }
}

impl<T: Synth> Default for DffR<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: Synth> Logic for DffR<T> {
    fn update(&mut self) {
        if self.clock.pos_edge() {
            if self.reset.val() {
                self.q.next = self._initial;
            } else if self.enable.val() {
                self.q.next = self.d.val();
            }
        }
    }

    fn connect(&mut self) {
        self.q.connect();
    }

    fn hdl(&self) -> Verilog {
        let initial = self._initial.verilog();
        Verilog::Custom(format!(
            "initial q = {initial};\n\
             always @(posedge clock) if (reset) q <= {initial}; else if (enable) q <= d;\n"
        ))
    }
}
