//! RGMII: a byte a clock on four wires, at both edges of the clock.
//!
//! RGMII 2.0: the low four bits of a byte go with the rising edge, the high four with the falling one; the control wire has
//! `dv` (`en`) with the rising edge and `dv ^ er` with the falling one. The wires' clock is a quarter period behind them:
//! the PHY, or who places delays before these pins, sees to it for what comes in, and the board shell for what goes out.
//!
//! Pins to bytes takes one clock, bytes to pins three on the ECP5 and one on the 7-series. The primitives of the device are
//! black boxes, five in and five out; one LUT besides. Their models for simulation are in `hdl/tests/support/ecp5.v` and
//! `series7.v`.

use rust_hdl_core::prelude::*;

use crate::family::{Family, every_bit};

/// IDDRX1F or IDDR on every bit: what pins had at a rising and the next falling edge, at the rising edge after.
#[derive(Clone, Debug, Default, LogicBlock)]
pub struct DdrIn<T: Synth> {
    /// Clock, both edges.
    pub clock: Signal<In, Clock>,
    /// The pins.
    pub pin: Signal<In, T>,
    /// What they had at the rising edge.
    pub rising: Signal<Out, T>,
    /// What they had at the falling edge behind it.
    pub falling: Signal<Out, T>,
    _rising: T,
    _falling: T,
    _family: Family,
}

impl<T: Synth> DdrIn<T> {
    /// With the primitive of a family.
    pub fn new(family: Family) -> Self {
        Self {
            _family: family,
            ..Self::default()
        }
    }
}

impl<T: Synth> Logic for DdrIn<T> {
    fn update(&mut self) {
        if self.clock.pos_edge() {
            self.rising.next = self._rising;
            self.falling.next = self._falling;
            self._rising = self.pin.val();
        }
        if self.clock.neg_edge() {
            self._falling = self.pin.val();
        }
    }

    fn connect(&mut self) {
        self.rising.connect();
        self.falling.connect();
    }

    fn hdl(&self) -> Verilog {
        every_bit::<T>(|bit, index| match self._family {
            Family::Ecp5 => format!(
                "IDDRX1F ddr{bit}(.D(pin{index}), .SCLK(clock), .RST(1'b0), \
                 .Q0(rising{index}), .Q1(falling{index}));\n"
            ),
            Family::Series7 => format!(
                "IDDR #(.DDR_CLK_EDGE(\"SAME_EDGE_PIPELINED\")) ddr{bit}(.D(pin{index}), .C(clock), .CE(1'b1), \
                 .R(1'b0), .S(1'b0), .Q1(rising{index}), .Q2(falling{index}));\n"
            ),
        })
    }
}

/// ODDRX1F or ODDR on every bit: at the pins while the clock is high and then low.
///
/// From the rising edge that takes them with the ODDR, two rising edges later with the ODDRX1F.
#[derive(Clone, Debug, Default, LogicBlock)]
pub struct DdrOut<T: Synth> {
    /// Clock, both edges.
    pub clock: Signal<In, Clock>,
    /// For the rising edge.
    pub rising: Signal<In, T>,
    /// For the falling edge behind it.
    pub falling: Signal<In, T>,
    /// The pins.
    pub pin: Signal<Out, T>,
    _stages: [(T, T); 3],
    _family: Family,
}

impl<T: Synth> DdrOut<T> {
    /// With the primitive of a family.
    pub fn new(family: Family) -> Self {
        Self {
            _family: family,
            ..Self::default()
        }
    }
}

impl<T: Synth> Logic for DdrOut<T> {
    fn update(&mut self) {
        if self.clock.pos_edge() {
            let [first, second, _] = self._stages;
            self._stages = [(self.rising.val(), self.falling.val()), first, second];
        }
        let (rising, falling) = match self._family {
            Family::Ecp5 => self._stages[2],
            Family::Series7 => self._stages[0],
        };
        self.pin.next = if self.clock.val().clk {
            rising
        } else {
            falling
        };
    }

    fn connect(&mut self) {
        self.pin.connect();
    }

    fn hdl(&self) -> Verilog {
        every_bit::<T>(|bit, index| match self._family {
            Family::Ecp5 => format!(
                "ODDRX1F ddr{bit}(.D0(rising{index}), .D1(falling{index}), .SCLK(clock), \
                 .RST(1'b0), .Q(pin{index}));\n"
            ),
            Family::Series7 => format!(
                "ODDR #(.DDR_CLK_EDGE(\"SAME_EDGE\")) ddr{bit}(.D1(rising{index}), .D2(falling{index}), .C(clock), \
                 .CE(1'b1), .R(1'b0), .S(1'b0), .Q(pin{index}));\n"
            ),
        })
    }
}

/// Pins of one PHY and bytes; see the module's text.
#[derive(LogicBlock, Default)]
pub struct Rgmii {
    /// Clock of what goes out, rising edge.
    pub clock: Signal<In, Clock>,
    /// Clock of what comes in, from the PHY.
    pub rx_clock: Signal<In, Clock>,
    /// Pins in.
    pub pin_rxd: Signal<In, Bits<4>>,
    /// Control pin in.
    pub pin_rx_ctl: Signal<In, Bit>,
    /// Pins out.
    pub pin_txd: Signal<Out, Bits<4>>,
    /// Control pin out.
    pub pin_tx_ctl: Signal<Out, Bit>,
    /// Byte that came, in the clock of what comes in.
    pub rxd: Signal<Out, Bits<8>>,
    /// There is one.
    pub dv: Signal<Out, Bit>,
    /// It is wrong.
    pub er: Signal<Out, Bit>,
    /// Byte to send.
    pub txd: Signal<In, Bits<8>>,
    /// There is one.
    pub en: Signal<In, Bit>,
    /// Make it a wrong one.
    pub tx_er: Signal<In, Bit>,
    data_in: DdrIn<Bits<4>>,
    control_in: DdrIn<Bit>,
    data_out: DdrOut<Bits<4>>,
    control_out: DdrOut<Bit>,
}

impl Rgmii {
    /// With the primitives of a family.
    pub fn new(family: Family) -> Self {
        Self {
            data_in: DdrIn::new(family),
            control_in: DdrIn::new(family),
            data_out: DdrOut::new(family),
            control_out: DdrOut::new(family),
            ..Self::default()
        }
    }
}

impl Logic for Rgmii {
    #[hdl_gen]
    fn update(&mut self) {
        self.data_in.clock.next = self.rx_clock.val();
        self.control_in.clock.next = self.rx_clock.val();
        self.data_in.pin.next = self.pin_rxd.val();
        self.control_in.pin.next = self.pin_rx_ctl.val();
        self.rxd.next = bit_cast::<8, 4>(self.data_in.rising.val())
            | (bit_cast::<8, 4>(self.data_in.falling.val()) << 4);
        self.dv.next = self.control_in.rising.val();
        self.er.next = self.control_in.rising.val() ^ self.control_in.falling.val();

        self.data_out.clock.next = self.clock.val();
        self.control_out.clock.next = self.clock.val();
        self.data_out.rising.next = self.txd.val().get_bits::<4>(0);
        self.data_out.falling.next = self.txd.val().get_bits::<4>(4);
        self.control_out.rising.next = self.en.val();
        self.control_out.falling.next = self.en.val() ^ self.tx_er.val();
        self.pin_txd.next = self.data_out.pin.val();
        self.pin_tx_ctl.next = self.control_out.pin.val();
    }
}
