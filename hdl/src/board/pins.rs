//! Pins that are more than a wire: a delay behind an input, a line that both sides drive, a clock on two pins.

use rust_hdl_core::prelude::*;

use crate::family::{Family, every_bit, wires};

/// Taps of 25 ps (ECP5) for the data of an RGMII receiver.
///
/// The PHY puts its clock into the middle of the data; on the way to the flip-flops the clock network takes about 2 ns,
/// and so must the data.
const RECEIVE_TAPS_ECP5: u32 = 80;
/// The same in taps of 78 ps (7-series, 1 / (32 x 2 x 200 MHz)). The timing report of a placed board says what is left.
const RECEIVE_TAPS_SERIES7: u32 = 26;

/// DELAYG or IDELAYE2 behind every pin of an RGMII receiver. Nothing in simulation.
#[derive(LogicBlock, Default)]
pub struct ReceiveDelay<T: Synth> {
    /// The pins.
    pub pin: Signal<In, T>,
    /// What they had 2 ns ago.
    pub delayed: Signal<Out, T>,
    _family: Family,
}

impl<T: Synth> ReceiveDelay<T> {
    /// With the primitive of a family.
    pub fn new(family: Family) -> Self {
        Self {
            _family: family,
            ..Self::default()
        }
    }
}

impl<T: Synth> Logic for ReceiveDelay<T> {
    fn update(&mut self) {
        self.delayed.next = self.pin.val();
    }

    fn connect(&mut self) {
        self.delayed.connect();
    }

    fn hdl(&self) -> Verilog {
        every_bit::<T>(|bit, index| match self._family {
            Family::Ecp5 => format!(
                "DELAYG #(.DEL_MODE(\"SCLK_ALIGNED\"), .DEL_VALUE({RECEIVE_TAPS_ECP5})) delay{bit} \
                 (.A(pin{index}), .Z(delayed{index}));\n"
            ),
            Family::Series7 => format!(
                "IDELAYE2 #(.IDELAY_TYPE(\"FIXED\"), .IDELAY_VALUE({RECEIVE_TAPS_SERIES7}), .REFCLK_FREQUENCY(200.0)) \
                 delay{bit} (.IDATAIN(pin{index}), .DATAOUT(delayed{index}), .C(1'b0), .CE(1'b0), .CINVCTRL(1'b0), \
                 .CNTVALUEIN(5'd0), .DATAIN(1'b0), .INC(1'b0), .LD(1'b0), .LDPIPEEN(1'b0), \
                 .REGRST(1'b0));\n"
            ),
        })
    }
}

/// BB or IOBUF: a line that we drive or listen to.
#[derive(LogicBlock, Default)]
pub struct SharedLine {
    /// The pin.
    pub pin: Signal<InOut, Bit>,
    /// What we say.
    pub says: Signal<In, Bit>,
    /// We speak.
    pub drives: Signal<In, Bit>,
    /// What is on the line.
    pub hears: Signal<Out, Bit>,
    _family: Family,
}

impl SharedLine {
    /// With the primitive of a family.
    pub fn new(family: Family) -> Self {
        Self {
            _family: family,
            ..Self::default()
        }
    }
}

impl Logic for SharedLine {
    fn update(&mut self) {
        if self.drives.val() {
            self.pin.next = self.says.val();
        }
        self.pin.set_tristate_is_output(self.drives.val());
        self.hears.next = self.pin.val();
    }

    fn connect(&mut self) {
        self.pin.connect();
        self.hears.connect();
    }

    fn hdl(&self) -> Verilog {
        wires(match self._family {
            Family::Ecp5 => "BB line (.B(pin), .I(says), .T(~drives), .O(hears));\n",
            Family::Series7 => "IOBUF line (.IO(pin), .I(says), .T(~drives), .O(hears));\n",
        })
    }
}

/// IBUFDS: a clock on two pins, on a 7-series device.
#[derive(LogicBlock, Default)]
pub struct ClockPins {
    /// The clock.
    pub positive: Signal<In, Clock>,
    /// Its opposite.
    pub negative: Signal<In, Clock>,
    /// The clock.
    pub clock: Signal<Out, Clock>,
}

impl Logic for ClockPins {
    fn update(&mut self) {
        self.clock.next = self.positive.val();
    }

    fn connect(&mut self) {
        self.clock.connect();
    }

    fn hdl(&self) -> Verilog {
        wires("IBUFDS pair (.I(positive), .IB(negative), .O(clock));\n")
    }
}
