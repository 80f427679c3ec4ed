//! One gigabit port of a board: pins on one side, the core's streams on the other, its PHY's registers, and its faults.
//!
//! ```text
//! pins ─► delay ─► mac ─► ingress ─► core
//! pins ◄────────── mac ◄─ egress ◄── core
//! MDIO ◄─────────► management ◄────► phys
//! ```
//!
//! Latency and throughput are those of [`Mac`], [`Ingress`] and [`Egress`]; nothing is added here. Cost: theirs.

use layout::csr::PORT_FAULT_KINDS;
use rust_hdl_core::prelude::*;

use super::buffer::{Egress, Ingress};
use super::pins::{ReceiveDelay, SharedLine};
use crate::family::Family;
use crate::mac::Mac;
use crate::mac::management::Management;
use crate::mac::rgmii::DdrOut;

/// The port; see the module's text.
#[derive(LogicBlock, Default)]
pub struct Port {
    /// Clock, 125 MHz.
    pub clock: Signal<In, Clock>,
    /// As in [`Mac`].
    pub reset: Signal<In, Bit>,
    /// Pin: receive clock from the PHY, 125 MHz.
    pub rx_clock: Signal<In, Clock>,
    /// Pins: receive data.
    pub rx_data: Signal<In, Bits<4>>,
    /// Pin: receive control.
    pub rx_control: Signal<In, Bit>,
    /// Pin: transmit clock; the PHY delays it.
    pub tx_clock: Signal<Out, Bit>,
    /// Pins: transmit data.
    pub tx_data: Signal<Out, Bits<4>>,
    /// Pin: transmit control.
    pub tx_control: Signal<Out, Bit>,
    /// Pin: clock of the PHY's management.
    pub mdc: Signal<Out, Bit>,
    /// Pin: its data, both ways.
    pub mdio: Signal<InOut, Bit>,
    /// Bytes for the core.
    pub in_data: Signal<Out, Bits<64>>,
    /// Bytes present.
    pub in_keep: Signal<Out, Bits<8>>,
    /// Last beat.
    pub in_last: Signal<Out, Bit>,
    /// A beat is offered.
    pub in_valid: Signal<Out, Bit>,
    /// It is taken.
    pub in_ready: Signal<In, Bit>,
    /// Bytes from the core.
    pub out_data: Signal<In, Bits<64>>,
    /// Bytes present.
    pub out_keep: Signal<In, Bits<8>>,
    /// Last beat.
    pub out_last: Signal<In, Bit>,
    /// A beat is offered.
    pub out_valid: Signal<In, Bit>,
    /// It is taken.
    pub out_ready: Signal<Out, Bit>,
    /// A frame waits for the core or passes.
    pub waiting: Signal<Out, Bit>,
    /// `waiting` of the other port.
    pub other_waiting: Signal<In, Bit>,
    /// The port can send a whole frame more.
    pub room: Signal<Out, Bit>,
    /// `room` of the other port.
    pub other_room: Signal<In, Bit>,
    /// A frame was sent, high for one clock.
    pub sent: Signal<Out, Bit>,
    /// What the port met, in the order of `PORT_FAULTS`, each high for one clock.
    pub fault: [Signal<Out, Bit>; PORT_FAULT_KINDS],
    /// An access to the PHY is wanted, until `ack`.
    pub request: Signal<In, Bit>,
    /// To write.
    pub write: Signal<In, Bit>,
    /// Address of the PHY.
    pub phy: Signal<In, Bits<5>>,
    /// Its register.
    pub address: Signal<In, Bits<5>>,
    /// Word to write.
    pub wdata: Signal<In, Bits<16>>,
    /// The access is done.
    pub ack: Signal<Out, Bit>,
    /// What was read.
    pub rdata: Signal<Out, Bits<16>>,
    mac: Mac,
    delay_data: ReceiveDelay<Bits<4>>,
    delay_control: ReceiveDelay<Bit>,
    clock_out: DdrOut<Bit>,
    ingress: Ingress,
    egress: Egress,
    management: Management,
    line: SharedLine,
}

impl Port {
    /// With the primitives of a family at its pins.
    pub fn new(family: Family) -> Self {
        Self {
            mac: Mac::new(family),
            delay_data: ReceiveDelay::new(family),
            delay_control: ReceiveDelay::new(family),
            clock_out: DdrOut::new(family),
            line: SharedLine::new(family),
            ..Self::default()
        }
    }
}

impl Logic for Port {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, mac, clock_out, ingress, egress, management);
        // Pins.
        self.mac.reset.next = self.reset.val();
        self.delay_data.pin.next = self.rx_data.val();
        self.delay_control.pin.next = self.rx_control.val();
        self.mac.rgmii_rx_clock.next = self.rx_clock.val();
        self.mac.rgmii_rxd.next = self.delay_data.delayed.val();
        self.mac.rgmii_rx_ctl.next = self.delay_control.delayed.val();
        self.tx_data.next = self.mac.rgmii_txd.val();
        self.tx_control.next = self.mac.rgmii_tx_ctl.val();
        self.clock_out.rising.next = true;
        self.clock_out.falling.next = false;
        self.tx_clock.next = self.clock_out.pin.val();

        // Frames.
        self.ingress.in_data.next = self.mac.rx_data.val();
        self.ingress.in_keep.next = self.mac.rx_keep.val();
        self.ingress.in_last.next = self.mac.rx_last.val();
        self.ingress.in_valid.next = self.mac.rx_valid.val();
        self.mac.rx_ready.next = self.ingress.in_ready.val();
        self.ingress.other_waiting.next = self.other_waiting.val();
        self.ingress.other_room.next = self.other_room.val();
        self.in_data.next = self.ingress.out_data.val();
        self.in_keep.next = self.ingress.out_keep.val();
        self.in_last.next = self.ingress.out_last.val();
        self.in_valid.next = self.ingress.out_valid.val();
        self.ingress.out_ready.next = self.in_ready.val();
        self.waiting.next = self.ingress.waiting.val();
        self.egress.in_data.next = self.out_data.val();
        self.egress.in_keep.next = self.out_keep.val();
        self.egress.in_last.next = self.out_last.val();
        self.egress.in_valid.next = self.out_valid.val();
        self.out_ready.next = self.egress.in_ready.val();
        self.room.next = self.egress.room.val();
        self.mac.tx_data.next = self.egress.out_data.val();
        self.mac.tx_keep.next = self.egress.out_keep.val();
        self.mac.tx_last.next = self.egress.out_last.val();
        self.mac.tx_valid.next = self.egress.out_valid.val();
        self.egress.out_ready.next = self.mac.tx_ready.val();

        // What is counted.
        self.sent.next = self.mac.tx_sent.val();
        self.fault[0].next = self.mac.rx_bad.val();
        self.fault[1].next = self.mac.rx_runt.val();
        self.fault[2].next = self.mac.rx_oversize.val();
        self.fault[3].next = self.mac.rx_pause.val();
        self.fault[4].next = self.mac.rx_overrun.val();
        self.fault[5].next = self.mac.tx_poisoned.val();
        self.fault[6].next = self.mac.tx_underrun.val();
        self.fault[7].next = false;

        // The PHY.
        self.management.request.next = self.request.val();
        self.management.write.next = self.write.val();
        self.management.phy.next = self.phy.val();
        self.management.address.next = self.address.val();
        self.management.wdata.next = self.wdata.val();
        self.ack.next = self.management.ack.val();
        self.rdata.next = self.management.rdata.val();
        self.management.mdio_in.next = self.line.hears.val();
        self.line.says.next = self.management.mdio_out.val();
        self.line.drives.next = self.management.mdio_drive.val();
        Signal::<InOut, Bit>::link(&mut self.mdio, &mut self.line.pin);
        self.mdc.next = self.management.mdc.val();
    }
}
