//! The whole board: pins to pins.
//!
//! ```text
//! RGMII ◄─► port 0 ◄─┐
//!                    ├─► core
//! RGMII ◄─► port 1 ◄─┘     ▲ register bus
//! serial line ◄─► console ─┘
//! ```
//!
//! The core is [`Postern`], which has no PCIe: tables, punted and injected frames go by the serial line.

use rust_hdl_core::prelude::*;

use super::console::Console;
use super::lights::Lights;
use super::pll::Pll;
use super::port::Port;
use super::power_up::PowerUp;
use crate::csr::ident::Build;
use crate::top::Postern;

/// The board; see the module's text.
#[derive(LogicBlock)]
pub struct Versa {
    /// Oscillator, 100 MHz.
    pub clock_100: Signal<In, Clock>,
    /// Button: low resets.
    pub reset_n: Signal<In, Bit>,
    /// Serial line from the host.
    pub uart_rx: Signal<In, Bit>,
    /// Serial line to the host.
    pub uart_tx: Signal<Out, Bit>,
    /// Lamps, low lights.
    pub led: Signal<Out, Bits<8>>,
    /// Port 0: receive clock from its PHY, 125 MHz.
    pub port0_rx_clock: Signal<In, Clock>,
    /// Receive data.
    pub port0_rx_data: Signal<In, Bits<4>>,
    /// Receive control.
    pub port0_rx_control: Signal<In, Bit>,
    /// Transmit clock; the PHY delays it.
    pub port0_tx_clock: Signal<Out, Bit>,
    /// Transmit data.
    pub port0_tx_data: Signal<Out, Bits<4>>,
    /// Transmit control.
    pub port0_tx_control: Signal<Out, Bit>,
    /// Low: the PHY is held in reset.
    pub port0_phy_reset_n: Signal<Out, Bit>,
    /// Clock of the PHY's management.
    pub port0_mdc: Signal<Out, Bit>,
    /// Its data, both ways.
    pub port0_mdio: Signal<InOut, Bit>,
    /// Port 1: receive clock from its PHY, 125 MHz.
    pub port1_rx_clock: Signal<In, Clock>,
    /// Receive data.
    pub port1_rx_data: Signal<In, Bits<4>>,
    /// Receive control.
    pub port1_rx_control: Signal<In, Bit>,
    /// Transmit clock; the PHY delays it.
    pub port1_tx_clock: Signal<Out, Bit>,
    /// Transmit data.
    pub port1_tx_data: Signal<Out, Bits<4>>,
    /// Transmit control.
    pub port1_tx_control: Signal<Out, Bit>,
    /// Low: the PHY is held in reset.
    pub port1_phy_reset_n: Signal<Out, Bit>,
    /// Clock of the PHY's management.
    pub port1_mdc: Signal<Out, Bit>,
    /// Its data, both ways.
    pub port1_mdio: Signal<InOut, Bit>,
    pll: Pll,
    power_up: PowerUp,
    core: Postern<64, 8, 8, 2>,
    console: Console,
    lights: Lights,
    port0: Port,
    port1: Port,
    /// The system clock.
    clock: Signal<Local, Clock>,
    reset: Signal<Local, Bit>,
}

impl Versa {
    /// The board with the ident values of a build.
    pub fn new(build: Build) -> Self {
        Self {
            clock_100: Default::default(),
            reset_n: Default::default(),
            uart_rx: Default::default(),
            uart_tx: Default::default(),
            led: Default::default(),
            port0_rx_clock: Default::default(),
            port0_rx_data: Default::default(),
            port0_rx_control: Default::default(),
            port0_tx_clock: Default::default(),
            port0_tx_data: Default::default(),
            port0_tx_control: Default::default(),
            port0_phy_reset_n: Default::default(),
            port0_mdc: Default::default(),
            port0_mdio: Default::default(),
            port1_rx_clock: Default::default(),
            port1_rx_data: Default::default(),
            port1_rx_control: Default::default(),
            port1_tx_clock: Default::default(),
            port1_tx_data: Default::default(),
            port1_tx_control: Default::default(),
            port1_phy_reset_n: Default::default(),
            port1_mdc: Default::default(),
            port1_mdio: Default::default(),
            pll: Default::default(),
            power_up: Default::default(),
            core: Postern::new(build),
            console: Default::default(),
            lights: Default::default(),
            port0: Default::default(),
            port1: Default::default(),
            clock: Default::default(),
            reset: Default::default(),
        }
    }
}

impl Logic for Versa {
    #[hdl_gen]
    fn update(&mut self) {
        // Clock and reset.
        self.pll.board_clock.next = self.clock_100.val();
        self.clock.next = self.pll.clock.val();
        clock!(self, clock, power_up, core, console, lights, port0, port1);
        self.power_up.reset_n.next = self.reset_n.val();
        self.power_up.locked.next = self.pll.locked.val();
        self.reset.next = self.power_up.reset.val();
        self.core.reset.next = self.reset.val();
        self.lights.runs.next = !self.reset.val();
        self.led.next = self.lights.led.val();

        // Serial line and register bus.
        self.console.reset.next = self.reset.val();
        self.console.rx.next = self.uart_rx.val();
        self.uart_tx.next = self.console.tx.val();
        self.core.csr_address.next = self.console.csr_address.val();
        self.core.csr_wdata.next = self.console.csr_wdata.val();
        self.core.csr_write.next = self.console.csr_write.val();
        self.core.csr_read.next = self.console.csr_read.val();
        self.console.csr_rdata.next = self.core.csr_rdata.val();
        self.console.csr_ack.next = self.core.csr_ack.val();

        // Port 0: pins.
        self.port0.reset.next = self.reset.val();
        self.port0.rx_clock.next = self.port0_rx_clock.val();
        self.port0.rx_data.next = self.port0_rx_data.val();
        self.port0.rx_control.next = self.port0_rx_control.val();
        self.port0_tx_clock.next = self.port0.tx_clock.val();
        self.port0_tx_data.next = self.port0.tx_data.val();
        self.port0_tx_control.next = self.port0.tx_control.val();
        self.port0_phy_reset_n.next = self.power_up.phys_run.val();
        self.port0_mdc.next = self.port0.mdc.val();
        Signal::<InOut, Bit>::link(&mut self.port0_mdio, &mut self.port0.mdio);

        // Port 0: frames, and what is seen of them.
        self.core.rx0_data.next = self.port0.in_data.val();
        self.core.rx0_keep.next = self.port0.in_keep.val();
        self.core.rx0_last.next = self.port0.in_last.val();
        self.core.rx0_valid.next = self.port0.in_valid.val();
        self.port0.in_ready.next = self.core.rx0_ready.val();
        self.port0.out_data.next = self.core.tx0_data.val();
        self.port0.out_keep.next = self.core.tx0_keep.val();
        self.port0.out_last.next = self.core.tx0_last.val();
        self.port0.out_valid.next = self.core.tx0_valid.val();
        self.core.tx0_ready.next = self.port0.out_ready.val();
        self.port0.other_waiting.next = self.port1.waiting.val();
        self.port0.other_room.next = self.port1.room.val();
        self.lights.received0.next = self.port0.waiting.val();
        self.lights.sent0.next = self.port0.sent.val();

        // Port 0: its PHY.
        self.port0.request.next = self.console.request0.val();
        self.port0.write.next = self.console.write.val();
        self.port0.phy.next = self.console.phy.val();
        self.port0.address.next = self.console.address.val();
        self.port0.wdata.next = self.console.wdata.val();
        self.console.ack0.next = self.port0.ack.val();
        self.console.rdata0.next = self.port0.rdata.val();

        // Port 1: pins.
        self.port1.reset.next = self.reset.val();
        self.port1.rx_clock.next = self.port1_rx_clock.val();
        self.port1.rx_data.next = self.port1_rx_data.val();
        self.port1.rx_control.next = self.port1_rx_control.val();
        self.port1_tx_clock.next = self.port1.tx_clock.val();
        self.port1_tx_data.next = self.port1.tx_data.val();
        self.port1_tx_control.next = self.port1.tx_control.val();
        self.port1_phy_reset_n.next = self.power_up.phys_run.val();
        self.port1_mdc.next = self.port1.mdc.val();
        Signal::<InOut, Bit>::link(&mut self.port1_mdio, &mut self.port1.mdio);

        // Port 1: frames, and what is seen of them.
        self.core.rx1_data.next = self.port1.in_data.val();
        self.core.rx1_keep.next = self.port1.in_keep.val();
        self.core.rx1_last.next = self.port1.in_last.val();
        self.core.rx1_valid.next = self.port1.in_valid.val();
        self.port1.in_ready.next = self.core.rx1_ready.val();
        self.port1.out_data.next = self.core.tx1_data.val();
        self.port1.out_keep.next = self.core.tx1_keep.val();
        self.port1.out_last.next = self.core.tx1_last.val();
        self.port1.out_valid.next = self.core.tx1_valid.val();
        self.core.tx1_ready.next = self.port1.out_ready.val();
        self.port1.other_waiting.next = self.port0.waiting.val();
        self.port1.other_room.next = self.port0.room.val();
        self.lights.received1.next = self.port1.waiting.val();
        self.lights.sent1.next = self.port1.sent.val();

        // Port 1: its PHY.
        self.port1.request.next = self.console.request1.val();
        self.port1.write.next = self.console.write.val();
        self.port1.phy.next = self.console.phy.val();
        self.port1.address.next = self.console.address.val();
        self.port1.wdata.next = self.console.wdata.val();
        self.console.ack1.next = self.port1.ack.val();
        self.console.rdata1.next = self.port1.rdata.val();
        for i in 0..8 {
            self.console.fault[i].next = self.port0.fault[i].val();
            self.console.fault[i + 8].next = self.port1.fault[i].val();
        }
    }
}
