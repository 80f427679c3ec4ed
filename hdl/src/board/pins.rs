//! Pins that are more than a wire: a delay behind an input, a line that both sides drive.

use rust_hdl_core::prelude::*;

/// Taps of 25 ps for the data of an RGMII receiver.
///
/// The PHY puts its clock into the middle of the data; on the way to the flip-flops the clock network takes about 2 ns,
/// and so must the data.
const RECEIVE_TAPS: u32 = 80;

/// DELAYG behind every pin of an RGMII receiver. Nothing in simulation.
#[derive(LogicBlock, Default)]
pub struct ReceiveDelay<T: Synth> {
    /// The pins.
    pub pin: Signal<In, T>,
    /// What they had 2 ns ago.
    pub delayed: Signal<Out, T>,
}

impl<T: Synth> Logic for ReceiveDelay<T> {
    fn update(&mut self) {
        self.delayed.next = self.pin.val();
    }

    fn connect(&mut self) {
        self.delayed.connect();
    }

    fn hdl(&self) -> Verilog {
        let one = |bit: usize, index: &str| {
            format!(
                "DELAYG #(.DEL_MODE(\"SCLK_ALIGNED\"), .DEL_VALUE({RECEIVE_TAPS})) delay{bit} \
                 (.A(pin{index}), .Z(wire_delayed{index}));\n"
            )
        };
        let delays: String = match T::BITS {
            1 => one(0, ""),
            bits => (0..bits).map(|bit| one(bit, &format!("[{bit}]"))).collect(),
        };
        let range = match T::BITS {
            1 => String::new(),
            bits => format!("[{}:0] ", bits - 1),
        };
        Verilog::Custom(format!(
            "wire {range}wire_delayed;\n{delays}always @(*) delayed = wire_delayed;\n"
        ))
    }
}

/// BB: a line that we drive or listen to.
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
        Verilog::Custom(
            "wire wire_hears;\n\
             BB line (.B(pin), .I(says), .T(~drives), .O(wire_hears));\n\
             always @(*) hears = wire_hears;\n"
                .into(),
        )
    }
}
