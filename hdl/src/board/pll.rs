//! The board's 100 MHz to the 125 MHz of core and ports.
//!
//! An EHXPLLL: 100 MHz / 4 x 5, its oscillator at 625 MHz (data sheet: 400 to 800). `locked` is low until the clock is
//! good. In simulation the clock passes as it is.

use rust_hdl_core::prelude::*;

/// The loop; see the module's text.
#[derive(LogicBlock, Default)]
pub struct Pll {
    /// Clock of the board, 100 MHz.
    pub board_clock: Signal<In, Clock>,
    /// Clock of core and ports, 125 MHz.
    pub clock: Signal<Out, Clock>,
    /// The clock is good.
    pub locked: Signal<Out, Bit>,
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
        Verilog::Custom(
            "wire pll_clock, pll_locked;\n\
                   EHXPLLL #(.CLKI_DIV(4), .CLKFB_DIV(5), .CLKOP_DIV(5), .CLKOP_CPHASE(4), .FEEDBK_PATH(\"CLKOP\"))\n\
                   pll (.CLKI(board_clock), .CLKFB(pll_clock), .CLKOP(pll_clock), .LOCK(pll_locked),\n\
                   .RST(1'b0), .STDBY(1'b0), .PHASESEL0(1'b0), .PHASESEL1(1'b0), .PHASEDIR(1'b0), .PHASESTEP(1'b0),\n\
                   .PHASELOADREG(1'b0), .PLLWAKESYNC(1'b0), .ENCLKOP(1'b0));\n\
                   always @(*) clock = pll_clock;\n\
                   always @(*) locked = pll_locked;\n"
                .into(),
        )
    }
}
