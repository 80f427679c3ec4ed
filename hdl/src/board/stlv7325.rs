//! The card on the STLV7325 (XC7K325T): pins to pins. Two gigabit ports, PCIe Gen2 x4; the SFP+ cages are not used.
//!
//! ```text
//! RGMII ◄─► port 0 ◄─┐           ┌─► bridge ◄─► PCIe block ◄─► lanes
//!                    ├─► card ◄──┤
//! RGMII ◄─► port 1 ◄─┘           └─► console ◄─► serial line
//! ```
//!
//! All but the PCIe block runs with 125 MHz from the board's 200. The host's registers are those of the card; faults of the
//! ports and the PHYs are on the serial line only, which reaches the rest too.

use rust_hdl_core::prelude::*;

use super::console::Console;
use super::lights::Lights;
use super::pcie_block::PcieBlock;
use super::pins::ClockPins;
use super::pll::Pll;
use super::port::Port;
use super::power_up::PowerUp;
use crate::card::Card;
use crate::csr::ident::Build;
use crate::family::Family;
use crate::pcie::bridge::Bridge;

/// The board; see the module's text.
#[derive(LogicBlock)]
pub struct Stlv7325 {
    /// Oscillator, 200 MHz.
    pub clock_200_p: Signal<In, Clock>,
    /// Its opposite.
    pub clock_200_n: Signal<In, Clock>,
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
    /// PERST#: low resets the PCIe block.
    pub pcie_reset_n: Signal<In, Bit>,
    /// Reference clock of the slot, 100 MHz.
    pub pcie_clock_p: Signal<In, Clock>,
    /// Its opposite.
    pub pcie_clock_n: Signal<In, Clock>,
    /// Lanes from the host.
    pub pcie_rx_p: Signal<In, Bits<4>>,
    /// Their opposites.
    pub pcie_rx_n: Signal<In, Bits<4>>,
    /// Lanes to the host.
    pub pcie_tx_p: Signal<Out, Bits<4>>,
    /// Their opposites.
    pub pcie_tx_n: Signal<Out, Bits<4>>,
    oscillator: ClockPins,
    pll: Pll,
    power_up: PowerUp,
    card: Card,
    bridge: Bridge,
    block: PcieBlock,
    console: Console,
    lights: Lights,
    port0: Port,
    port1: Port,
    /// The system clock.
    clock: Signal<Local, Clock>,
    reset: Signal<Local, Bit>,
}

impl Stlv7325 {
    /// The board with the ident values of a build.
    pub fn new(build: Build) -> Self {
        Self {
            clock_200_p: Default::default(),
            clock_200_n: Default::default(),
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
            pcie_reset_n: Default::default(),
            pcie_clock_p: Default::default(),
            pcie_clock_n: Default::default(),
            pcie_rx_p: Default::default(),
            pcie_rx_n: Default::default(),
            pcie_tx_p: Default::default(),
            pcie_tx_n: Default::default(),
            oscillator: Default::default(),
            pll: Pll::new(Family::Series7),
            power_up: Default::default(),
            card: Card::new(build),
            bridge: Default::default(),
            block: Default::default(),
            console: Default::default(),
            lights: Default::default(),
            port0: Port::new(Family::Series7),
            port1: Port::new(Family::Series7),
            clock: Default::default(),
            reset: Default::default(),
        }
    }
}

impl Logic for Stlv7325 {
    #[hdl_gen]
    fn update(&mut self) {
        // Clock and reset.
        self.oscillator.positive.next = self.clock_200_p.val();
        self.oscillator.negative.next = self.clock_200_n.val();
        self.pll.board_clock.next = self.oscillator.clock.val();
        self.clock.next = self.pll.clock.val();
        clock!(
            self, clock, power_up, card, bridge, console, lights, port0, port1
        );
        self.power_up.reset_n.next = self.reset_n.val();
        self.power_up.locked.next = self.pll.locked.val();
        self.reset.next = self.power_up.reset.val();
        self.card.reset.next = self.reset.val();
        self.lights.runs.next = !self.reset.val();
        self.led.next = self.lights.led.val();

        // Serial line and register bus.
        self.console.reset.next = self.reset.val();
        self.console.rx.next = self.uart_rx.val();
        self.uart_tx.next = self.console.tx.val();
        self.card.csr_address.next = self.console.csr_address.val();
        self.card.csr_wdata.next = self.console.csr_wdata.val();
        self.card.csr_write.next = self.console.csr_write.val();
        self.card.csr_read.next = self.console.csr_read.val();
        self.console.csr_rdata.next = self.card.csr_rdata.val();
        self.console.csr_ack.next = self.card.csr_ack.val();

        // PCIe: pins.
        self.block.reset_n.next = self.pcie_reset_n.val();
        self.block.reference_p.next = self.pcie_clock_p.val();
        self.block.reference_n.next = self.pcie_clock_n.val();
        self.block.lanes_rx_p.next = self.pcie_rx_p.val();
        self.block.lanes_rx_n.next = self.pcie_rx_n.val();
        self.pcie_tx_p.next = self.block.lanes_tx_p.val();
        self.pcie_tx_n.next = self.block.lanes_tx_n.val();

        // PCIe: the clock of the link.
        self.bridge.link_clock.next = self.block.link_clock.val();
        self.bridge.link_reset.next = self.block.link_reset.val();
        self.bridge.link_rx_data.next = self.block.link_rx_data.val();
        self.bridge.link_rx_keep.next = self.block.link_rx_keep.val();
        self.bridge.link_rx_last.next = self.block.link_rx_last.val();
        self.bridge.link_rx_valid.next = self.block.link_rx_valid.val();
        self.bridge.link_rx_bar.next = self.block.link_rx_bar.val();
        self.bridge.link_rx_poisoned.next = self.block.link_rx_poisoned.val();
        self.block.link_rx_ready.next = self.bridge.link_rx_ready.val();
        self.block.link_tx_data.next = self.bridge.link_tx_data.val();
        self.block.link_tx_keep.next = self.bridge.link_tx_keep.val();
        self.block.link_tx_last.next = self.bridge.link_tx_last.val();
        self.block.link_tx_valid.next = self.bridge.link_tx_valid.val();
        self.bridge.link_tx_ready.next = self.block.link_tx_ready.val();
        self.bridge.link_completer_id.next = self.block.link_completer_id.val();
        self.bridge.link_bus_master.next = self.block.link_bus_master.val();
        self.bridge.link_max_payload.next = self.block.link_max_payload.val();
        self.bridge.link_max_read_request.next = self.block.link_max_read_request.val();
        self.bridge.link_read_completion_boundary.next =
            self.block.link_read_completion_boundary.val();
        self.bridge.link_msix_enable.next = self.block.link_msix_enable.val();
        self.bridge.link_msix_mask.next = self.block.link_msix_mask.val();
        self.bridge.link_function_reset.next = self.block.link_function_reset.val();

        // PCIe: the clock of the card.
        self.card.pcie_rx_data.next = self.bridge.rx_data.val();
        self.card.pcie_rx_keep.next = self.bridge.rx_keep.val();
        self.card.pcie_rx_last.next = self.bridge.rx_last.val();
        self.card.pcie_rx_valid.next = self.bridge.rx_valid.val();
        self.card.pcie_rx_bar.next = self.bridge.rx_bar.val();
        self.card.pcie_rx_poisoned.next = self.bridge.rx_poisoned.val();
        self.bridge.rx_ready.next = self.card.pcie_rx_ready.val();
        self.bridge.tx_data.next = self.card.pcie_tx_data.val();
        self.bridge.tx_keep.next = self.card.pcie_tx_keep.val();
        self.bridge.tx_last.next = self.card.pcie_tx_last.val();
        self.bridge.tx_valid.next = self.card.pcie_tx_valid.val();
        self.card.pcie_tx_ready.next = self.bridge.tx_ready.val();
        self.card.pcie_completer_id.next = self.bridge.pcie_completer_id.val();
        self.card.pcie_bus_master.next = self.bridge.pcie_bus_master.val();
        self.card.pcie_max_payload.next = self.bridge.pcie_max_payload.val();
        self.card.pcie_max_read_request.next = self.bridge.pcie_max_read_request.val();
        self.card.pcie_read_completion_boundary.next =
            self.bridge.pcie_read_completion_boundary.val();
        self.card.pcie_msix_enable.next = self.bridge.pcie_msix_enable.val();
        self.card.pcie_msix_mask.next = self.bridge.pcie_msix_mask.val();
        self.card.pcie_function_reset.next = self.bridge.pcie_function_reset.val();

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
        self.card.rx0_data.next = self.port0.in_data.val();
        self.card.rx0_keep.next = self.port0.in_keep.val();
        self.card.rx0_last.next = self.port0.in_last.val();
        self.card.rx0_valid.next = self.port0.in_valid.val();
        self.port0.in_ready.next = self.card.rx0_ready.val();
        self.port0.out_data.next = self.card.tx0_data.val();
        self.port0.out_keep.next = self.card.tx0_keep.val();
        self.port0.out_last.next = self.card.tx0_last.val();
        self.port0.out_valid.next = self.card.tx0_valid.val();
        self.card.tx0_ready.next = self.port0.out_ready.val();
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
        self.card.rx1_data.next = self.port1.in_data.val();
        self.card.rx1_keep.next = self.port1.in_keep.val();
        self.card.rx1_last.next = self.port1.in_last.val();
        self.card.rx1_valid.next = self.port1.in_valid.val();
        self.port1.in_ready.next = self.card.rx1_ready.val();
        self.port1.out_data.next = self.card.tx1_data.val();
        self.port1.out_keep.next = self.card.tx1_keep.val();
        self.port1.out_last.next = self.card.tx1_last.val();
        self.port1.out_valid.next = self.card.tx1_valid.val();
        self.card.tx1_ready.next = self.port1.out_ready.val();
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
