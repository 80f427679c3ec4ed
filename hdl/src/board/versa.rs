//! The whole board: pins to pins.
//!
//! ```text
//! RGMII ─► mac ─► ingress ─┐             ┌─► egress ─► mac ─► RGMII
//!                          ├─►  core  ───┤
//! RGMII ─► mac ─► ingress ─┘     ▲       └─► egress ─► mac ─► RGMII
//!                                │ register bus
//! serial line ─────────────► uart ──► registers: faults of the ports, PHYs
//! ```
//!
//! The core is [`Postern`], which has no PCIe: tables, punted and injected frames go by the serial line.

use layout::csr as map;
use rust_hdl_core::prelude::*;

use super::buffer::{Egress, Ingress};
use super::lights::Lights;
use super::phys::Phys;
use super::pins::{ReceiveDelay, SharedLine};
use super::pll::Pll;
use super::power_up::PowerUp;
use super::registers::Registers;
use crate::csr::ident::Build;
use crate::mac::Mac;
use crate::mac::management::Management;
use crate::mac::rgmii::DdrOut;
use crate::top::Postern;
use crate::uart::UartBridge;

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
    uart: UartBridge,
    registers: Registers,
    phys: Phys,
    lights: Lights,
    mac0: Mac,
    delay0_data: ReceiveDelay<Bits<4>>,
    delay0_control: ReceiveDelay<Bit>,
    clock_out0: DdrOut<Bit>,
    ingress0: Ingress,
    egress0: Egress,
    management0: Management,
    line0: SharedLine,
    mac1: Mac,
    delay1_data: ReceiveDelay<Bits<4>>,
    delay1_control: ReceiveDelay<Bit>,
    clock_out1: DdrOut<Bit>,
    ingress1: Ingress,
    egress1: Egress,
    management1: Management,
    line1: SharedLine,
    /// The system clock.
    clock: Signal<Local, Clock>,
    reset: Signal<Local, Bit>,
    is_board: Signal<Local, Bit>,
    board_page: Constant<Bits<4>>,
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
            uart: Default::default(),
            registers: Default::default(),
            phys: Default::default(),
            lights: Default::default(),
            mac0: Default::default(),
            delay0_data: Default::default(),
            delay0_control: Default::default(),
            clock_out0: Default::default(),
            ingress0: Default::default(),
            egress0: Default::default(),
            management0: Default::default(),
            line0: Default::default(),
            mac1: Default::default(),
            delay1_data: Default::default(),
            delay1_control: Default::default(),
            clock_out1: Default::default(),
            ingress1: Default::default(),
            egress1: Default::default(),
            management1: Default::default(),
            line1: Default::default(),
            clock: Default::default(),
            reset: Default::default(),
            is_board: Default::default(),
            board_page: Constant::new((u64::from(map::PORT_FAULTS) >> 12).to_bits()),
        }
    }
}

impl Logic for Versa {
    #[hdl_gen]
    fn update(&mut self) {
        // Clock and reset.
        self.pll.board_clock.next = self.clock_100.val();
        self.clock.next = self.pll.clock.val();
        clock!(self, clock, power_up, core, uart, registers, phys, lights);
        self.power_up.reset_n.next = self.reset_n.val();
        self.power_up.locked.next = self.pll.locked.val();
        self.reset.next = self.power_up.reset.val();
        self.core.reset.next = self.reset.val();
        self.uart.reset.next = self.reset.val();

        // Register bus: one page is the board's, all else the core's.
        self.uart.rx.next = self.uart_rx.val();
        self.uart_tx.next = self.uart.tx.val();
        self.is_board.next = self.uart.csr_address.val().get_bits::<4>(12) == self.board_page.val();
        self.core.csr_address.next = self.uart.csr_address.val();
        self.core.csr_wdata.next = self.uart.csr_wdata.val();
        self.core.csr_write.next = self.uart.csr_write.val() & !self.is_board.val();
        self.core.csr_read.next = self.uart.csr_read.val() & !self.is_board.val();
        self.registers.address.next = self.uart.csr_address.val();
        self.registers.wdata.next = self.uart.csr_wdata.val();
        self.registers.write.next = self.uart.csr_write.val() & self.is_board.val();
        self.registers.read.next = self.uart.csr_read.val() & self.is_board.val();
        self.uart.csr_ack.next = self.core.csr_ack.val() | self.registers.ack.val();
        if self.is_board.val() {
            self.uart.csr_rdata.next = self.registers.rdata.val();
        } else {
            self.uart.csr_rdata.next = self.core.csr_rdata.val();
        }
        self.phys.start.next = self.registers.phy_start.val();
        self.phys.command.next = self.registers.phy_command.val();
        self.registers.phy_status.next = self.phys.status.val();
        self.lights.runs.next = !self.reset.val();
        self.led.next = self.lights.led.val();

        // Port 0: pins, then frames.
        clock!(
            self,
            clock,
            mac0,
            clock_out0,
            ingress0,
            egress0,
            management0
        );
        self.delay0_data.pin.next = self.port0_rx_data.val();
        self.delay0_control.pin.next = self.port0_rx_control.val();
        self.mac0.reset.next = self.reset.val();
        self.mac0.rgmii_rx_clock.next = self.port0_rx_clock.val();
        self.mac0.rgmii_rxd.next = self.delay0_data.delayed.val();
        self.mac0.rgmii_rx_ctl.next = self.delay0_control.delayed.val();
        self.port0_tx_data.next = self.mac0.rgmii_txd.val();
        self.port0_tx_control.next = self.mac0.rgmii_tx_ctl.val();
        self.clock_out0.rising.next = true;
        self.clock_out0.falling.next = false;
        self.port0_tx_clock.next = self.clock_out0.pin.val();
        self.ingress0.in_data.next = self.mac0.rx_data.val();
        self.ingress0.in_keep.next = self.mac0.rx_keep.val();
        self.ingress0.in_last.next = self.mac0.rx_last.val();
        self.ingress0.in_valid.next = self.mac0.rx_valid.val();
        self.mac0.rx_ready.next = self.ingress0.in_ready.val();
        self.ingress0.other_waiting.next = self.ingress1.waiting.val();
        self.ingress0.other_room.next = self.egress1.room.val();
        self.core.rx0_data.next = self.ingress0.out_data.val();
        self.core.rx0_keep.next = self.ingress0.out_keep.val();
        self.core.rx0_last.next = self.ingress0.out_last.val();
        self.core.rx0_valid.next = self.ingress0.out_valid.val();
        self.ingress0.out_ready.next = self.core.rx0_ready.val();
        self.egress0.in_data.next = self.core.tx0_data.val();
        self.egress0.in_keep.next = self.core.tx0_keep.val();
        self.egress0.in_last.next = self.core.tx0_last.val();
        self.egress0.in_valid.next = self.core.tx0_valid.val();
        self.core.tx0_ready.next = self.egress0.in_ready.val();
        self.mac0.tx_data.next = self.egress0.out_data.val();
        self.mac0.tx_keep.next = self.egress0.out_keep.val();
        self.mac0.tx_last.next = self.egress0.out_last.val();
        self.mac0.tx_valid.next = self.egress0.out_valid.val();
        self.egress0.out_ready.next = self.mac0.tx_ready.val();

        // Port 0: what is counted, and its PHY.
        self.registers.fault[0].next = self.mac0.rx_bad.val();
        self.registers.fault[1].next = self.mac0.rx_runt.val();
        self.registers.fault[2].next = self.mac0.rx_oversize.val();
        self.registers.fault[3].next = self.mac0.rx_pause.val();
        self.registers.fault[4].next = self.mac0.rx_overrun.val();
        self.registers.fault[5].next = self.mac0.tx_poisoned.val();
        self.registers.fault[6].next = self.mac0.tx_underrun.val();
        self.registers.fault[7].next = false;
        self.management0.request.next = self.phys.request0.val();
        self.management0.write.next = self.phys.write.val();
        self.management0.phy.next = self.phys.phy.val();
        self.management0.address.next = self.phys.address.val();
        self.management0.wdata.next = self.phys.wdata.val();
        self.phys.ack0.next = self.management0.ack.val();
        self.phys.rdata0.next = self.management0.rdata.val();
        self.management0.mdio_in.next = self.line0.hears.val();
        self.line0.says.next = self.management0.mdio_out.val();
        self.line0.drives.next = self.management0.mdio_drive.val();
        Signal::<InOut, Bit>::link(&mut self.port0_mdio, &mut self.line0.pin);
        self.port0_mdc.next = self.management0.mdc.val();
        self.port0_phy_reset_n.next = self.power_up.phys_run.val();
        self.lights.received0.next = self.ingress0.waiting.val();
        self.lights.sent0.next = self.mac0.tx_sent.val();

        // Port 1: pins, then frames.
        clock!(
            self,
            clock,
            mac1,
            clock_out1,
            ingress1,
            egress1,
            management1
        );
        self.delay1_data.pin.next = self.port1_rx_data.val();
        self.delay1_control.pin.next = self.port1_rx_control.val();
        self.mac1.reset.next = self.reset.val();
        self.mac1.rgmii_rx_clock.next = self.port1_rx_clock.val();
        self.mac1.rgmii_rxd.next = self.delay1_data.delayed.val();
        self.mac1.rgmii_rx_ctl.next = self.delay1_control.delayed.val();
        self.port1_tx_data.next = self.mac1.rgmii_txd.val();
        self.port1_tx_control.next = self.mac1.rgmii_tx_ctl.val();
        self.clock_out1.rising.next = true;
        self.clock_out1.falling.next = false;
        self.port1_tx_clock.next = self.clock_out1.pin.val();
        self.ingress1.in_data.next = self.mac1.rx_data.val();
        self.ingress1.in_keep.next = self.mac1.rx_keep.val();
        self.ingress1.in_last.next = self.mac1.rx_last.val();
        self.ingress1.in_valid.next = self.mac1.rx_valid.val();
        self.mac1.rx_ready.next = self.ingress1.in_ready.val();
        self.ingress1.other_waiting.next = self.ingress0.waiting.val();
        self.ingress1.other_room.next = self.egress0.room.val();
        self.core.rx1_data.next = self.ingress1.out_data.val();
        self.core.rx1_keep.next = self.ingress1.out_keep.val();
        self.core.rx1_last.next = self.ingress1.out_last.val();
        self.core.rx1_valid.next = self.ingress1.out_valid.val();
        self.ingress1.out_ready.next = self.core.rx1_ready.val();
        self.egress1.in_data.next = self.core.tx1_data.val();
        self.egress1.in_keep.next = self.core.tx1_keep.val();
        self.egress1.in_last.next = self.core.tx1_last.val();
        self.egress1.in_valid.next = self.core.tx1_valid.val();
        self.core.tx1_ready.next = self.egress1.in_ready.val();
        self.mac1.tx_data.next = self.egress1.out_data.val();
        self.mac1.tx_keep.next = self.egress1.out_keep.val();
        self.mac1.tx_last.next = self.egress1.out_last.val();
        self.mac1.tx_valid.next = self.egress1.out_valid.val();
        self.egress1.out_ready.next = self.mac1.tx_ready.val();

        // Port 1: what is counted, and its PHY.
        self.registers.fault[8].next = self.mac1.rx_bad.val();
        self.registers.fault[9].next = self.mac1.rx_runt.val();
        self.registers.fault[10].next = self.mac1.rx_oversize.val();
        self.registers.fault[11].next = self.mac1.rx_pause.val();
        self.registers.fault[12].next = self.mac1.rx_overrun.val();
        self.registers.fault[13].next = self.mac1.tx_poisoned.val();
        self.registers.fault[14].next = self.mac1.tx_underrun.val();
        self.registers.fault[15].next = false;
        self.management1.request.next = self.phys.request1.val();
        self.management1.write.next = self.phys.write.val();
        self.management1.phy.next = self.phys.phy.val();
        self.management1.address.next = self.phys.address.val();
        self.management1.wdata.next = self.phys.wdata.val();
        self.phys.ack1.next = self.management1.ack.val();
        self.phys.rdata1.next = self.management1.rdata.val();
        self.management1.mdio_in.next = self.line1.hears.val();
        self.line1.says.next = self.management1.mdio_out.val();
        self.line1.drives.next = self.management1.mdio_drive.val();
        Signal::<InOut, Bit>::link(&mut self.port1_mdio, &mut self.line1.pin);
        self.port1_mdc.next = self.management1.mdc.val();
        self.port1_phy_reset_n.next = self.power_up.phys_run.val();
        self.lights.received1.next = self.ingress1.waiting.val();
        self.lights.sent1.next = self.mac1.tx_sent.val();
    }
}
