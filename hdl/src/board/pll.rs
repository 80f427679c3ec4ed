//! The board's clock to the 125 MHz of core and ports.
//!
//! On the ECP5 an EHXPLLL: 100 MHz / 4 x 5, its oscillator at 625 MHz (data sheet: 400 to 800). On the 7-series an
//! MMCME2_BASE: 200 MHz x 5 / 8, its oscillator at 1000 MHz (data sheet, speed grade 2: 600 to 1440); the 200 MHz are also
//! what the IDELAYE2 of `pins.rs` measure their taps by, through an IDELAYCTRL. `locked` is low until the clock is good. In
//! simulation the clock passes as it is.

use rust_hdl_core::prelude::*;

use crate::family::{Family, wires};

/// The loop; see the module's text.
#[derive(LogicBlock, Default)]
pub struct Pll {
    /// Clock of the board: 100 MHz with an ECP5, 200 MHz with a 7-series device.
    pub board_clock: Signal<In, Clock>,
    /// Clock of core and ports, 125 MHz.
    pub clock: Signal<Out, Clock>,
    /// The clock is good.
    pub locked: Signal<Out, Bit>,
    _family: Family,
}

impl Pll {
    /// With the primitives of a family.
    pub fn new(family: Family) -> Self {
        Self {
            _family: family,
            ..Self::default()
        }
    }
}

impl Logic for Pll {
    fn update(&mut self) {
        self.clock.next = self.board_clock.val();
        self.locked.next = true;
    }

    fn connect(&mut self) {
        self.clock.connect();
        self.locked.connect();
    }

    fn hdl(&self) -> Verilog {
        match self._family {
            Family::Ecp5 => Verilog::Custom(
                "wire pll_clock, pll_locked;\n\
                       EHXPLLL #(.CLKI_DIV(4), .CLKFB_DIV(5), .CLKOP_DIV(5), .CLKOP_CPHASE(4), .FEEDBK_PATH(\"CLKOP\"))\n\
                       pll (.CLKI(board_clock), .CLKFB(pll_clock), .CLKOP(pll_clock), .LOCK(pll_locked),\n\
                       .RST(1'b0), .STDBY(1'b0), .PHASESEL0(1'b0), .PHASESEL1(1'b0), .PHASEDIR(1'b0), .PHASESTEP(1'b0),\n\
                       .PHASELOADREG(1'b0), .PLLWAKESYNC(1'b0), .ENCLKOP(1'b0));\n\
                       always @(*) clock = pll_clock;\n\
                       always @(*) locked = pll_locked;\n"
                    .into(),
            ),
            // The way of the clock to the loop does not matter, so the feedback needs no buffer.
            Family::Series7 => wires(
                "wire reference, feedback, made;\n\
                 BUFG reference_buffer (.I(board_clock), .O(reference));\n\
                 MMCME2_BASE #(.CLKIN1_PERIOD(5.000), .CLKFBOUT_MULT_F(5.000), .CLKOUT0_DIVIDE_F(8.000))\n\
                 pll (.CLKIN1(reference), .CLKFBIN(feedback), .CLKFBOUT(feedback), .CLKOUT0(made), .LOCKED(locked),\n\
                 .PWRDWN(1'b0), .RST(1'b0));\n\
                 BUFG clock_buffer (.I(made), .O(clock));\n\
                 IDELAYCTRL taps (.REFCLK(reference), .RST(~locked));\n",
            ),
        }
    }
}
