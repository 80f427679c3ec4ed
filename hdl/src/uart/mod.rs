//! A serial line as the way to BAR0, for boards without PCIe; `layout::uart` says what travels on it.
//!
//! ```text
//! rx ─► receive ─► bridge ─► csr_*
//! tx ◄─ transmit ◄─┘
//! ```

/// Bytes from the line.
pub mod receive;
/// CRC-32 of what travels.
pub mod check;
/// Requests to accesses of the register bus.
pub mod bridge;
/// Bytes to the line.
pub mod transmit;

use layout::uart::BAUD;
use rust_hdl_core::prelude::*;

use self::bridge::Bridge;
use self::receive::Receive;
use self::transmit::Transmit;

/// Clocks of 125 MHz in a bit.
pub const CLOCKS_PER_BIT: u32 = 125_000_000 / BAUD;

/// Pins of the line on one side, the register bus on the other; see the modules' texts.
///
/// The core's `csr_*` ports are connected by name. Cost: 763 LUTs, 51 carry cells, 297 flip-flops, 1 block
/// RAM (`synth_ecp5`, flattened; the parts alone add up to a little more).
#[derive(LogicBlock)]
pub struct UartBridge {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// That of the core.
    pub reset: Signal<In, Bit>,
    /// Pin: from the host.
    pub rx: Signal<In, Bit>,
    /// Pin: to the host.
    pub tx: Signal<Out, Bit>,
    /// Byte address.
    pub csr_address: Signal<Out, Bits<16>>,
    /// Word to write.
    pub csr_wdata: Signal<Out, Bits<32>>,
    /// Write, held until `csr_ack`.
    pub csr_write: Signal<Out, Bit>,
    /// Read, held until `csr_ack`.
    pub csr_read: Signal<Out, Bit>,
    /// Word read, valid with `csr_ack`.
    pub csr_rdata: Signal<In, Bits<32>>,
    /// The access is done, high for one clock.
    pub csr_ack: Signal<In, Bit>,
    receive: Receive,
    bridge: Bridge,
    transmit: Transmit,
}

impl Default for UartBridge {
    /// At 125 MHz.
    fn default() -> Self {
        Self::new(CLOCKS_PER_BIT)
    }
}

impl UartBridge {
    /// With bits of this many clocks, at least sixteen.
    pub fn new(clocks_per_bit: u32) -> Self {
        Self {
            clock: Signal::default(),
            reset: Signal::default(),
            rx: Signal::default(),
            tx: Signal::default(),
            csr_address: Signal::default(),
            csr_wdata: Signal::default(),
            csr_write: Signal::default(),
            csr_read: Signal::default(),
            csr_rdata: Signal::default(),
            csr_ack: Signal::default(),
            receive: Receive::new(clocks_per_bit),
            bridge: Bridge::new(clocks_per_bit),
            transmit: Transmit::new(clocks_per_bit),
        }
    }
}

impl Logic for UartBridge {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, receive, bridge, transmit);
        self.receive.line.next = self.rx.val();
        self.bridge.reset.next = self.reset.val();
        self.bridge.in_data.next = self.receive.data.val();
        self.bridge.in_valid.next = self.receive.valid.val();
        self.bridge.in_broken.next = self.receive.broken.val();
        self.transmit.data.next = self.bridge.out_data.val();
        self.transmit.valid.next = self.bridge.out_valid.val();
        self.bridge.out_ready.next = self.transmit.ready.val();
        self.tx.next = self.transmit.line.val();
        self.csr_address.next = self.bridge.csr_address.val();
        self.csr_wdata.next = self.bridge.csr_wdata.val();
        self.csr_write.next = self.bridge.csr_write.val();
        self.csr_read.next = self.bridge.csr_read.val();
        self.bridge.csr_rdata.next = self.csr_rdata.val();
        self.bridge.csr_ack.next = self.csr_ack.val();
    }
}
