//! The serial line of a board: the way to the core's registers, and to the board's own.
//!
//! ```text
//! serial line ─► uart ─┬─► register bus of the core
//!                      └─► registers ◄─ faults of the ports
//!                              └─► phys ─► management of the ports
//! ```
//!
//! One page of the address space is the board's, all else the core's. Latency and cost are those of the parts.

use layout::csr as map;
use rust_hdl_core::prelude::*;

use super::phys::Phys;
use super::registers::{FAULTS, Registers};
use crate::uart::UartBridge;

/// The block; see the module's text.
#[derive(LogicBlock)]
pub struct Console {
    /// Clock, 125 MHz.
    pub clock: Signal<In, Clock>,
    /// That of the core.
    pub reset: Signal<In, Bit>,
    /// Pin: from the host.
    pub rx: Signal<In, Bit>,
    /// Pin: to the host.
    pub tx: Signal<Out, Bit>,
    /// To the core: byte address.
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
    /// Fault n of `PORT_FAULTS`, high for one clock.
    pub fault: [Signal<In, Bit>; FAULTS],
    /// An access to the PHY of port 0 is wanted, until `ack0`.
    pub request0: Signal<Out, Bit>,
    /// To that of port 1.
    pub request1: Signal<Out, Bit>,
    /// To write.
    pub write: Signal<Out, Bit>,
    /// Address of the PHY.
    pub phy: Signal<Out, Bits<5>>,
    /// Its register.
    pub address: Signal<Out, Bits<5>>,
    /// Word to write.
    pub wdata: Signal<Out, Bits<16>>,
    /// The access at port 0 is done.
    pub ack0: Signal<In, Bit>,
    /// What was read there.
    pub rdata0: Signal<In, Bits<16>>,
    /// The access at port 1 is done.
    pub ack1: Signal<In, Bit>,
    /// What was read there.
    pub rdata1: Signal<In, Bits<16>>,
    uart: UartBridge,
    registers: Registers,
    phys: Phys,
    is_board: Signal<Local, Bit>,
    board_page: Constant<Bits<4>>,
}

impl Default for Console {
    fn default() -> Self {
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
            fault: std::array::from_fn(|_| Signal::default()),
            request0: Signal::default(),
            request1: Signal::default(),
            write: Signal::default(),
            phy: Signal::default(),
            address: Signal::default(),
            wdata: Signal::default(),
            ack0: Signal::default(),
            rdata0: Signal::default(),
            ack1: Signal::default(),
            rdata1: Signal::default(),
            uart: UartBridge::default(),
            registers: Registers::default(),
            phys: Phys::default(),
            is_board: Signal::default(),
            board_page: Constant::new((u64::from(map::PORT_FAULTS) >> 12).to_bits()),
        }
    }
}

impl Logic for Console {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, uart, registers, phys);
        self.uart.reset.next = self.reset.val();
        self.uart.rx.next = self.rx.val();
        self.tx.next = self.uart.tx.val();

        // Register bus: one page is the board's, all else the core's.
        self.is_board.next = self.uart.csr_address.val().get_bits::<4>(12) == self.board_page.val();
        self.csr_address.next = self.uart.csr_address.val();
        self.csr_wdata.next = self.uart.csr_wdata.val();
        self.csr_write.next = self.uart.csr_write.val() & !self.is_board.val();
        self.csr_read.next = self.uart.csr_read.val() & !self.is_board.val();
        self.registers.address.next = self.uart.csr_address.val();
        self.registers.wdata.next = self.uart.csr_wdata.val();
        self.registers.write.next = self.uart.csr_write.val() & self.is_board.val();
        self.registers.read.next = self.uart.csr_read.val() & self.is_board.val();
        self.uart.csr_ack.next = self.csr_ack.val() | self.registers.ack.val();
        if self.is_board.val() {
            self.uart.csr_rdata.next = self.registers.rdata.val();
        } else {
            self.uart.csr_rdata.next = self.csr_rdata.val();
        }
        for i in 0..16 {
            self.registers.fault[i].next = self.fault[i].val();
        }

        // PHYs.
        self.phys.start.next = self.registers.phy_start.val();
        self.phys.command.next = self.registers.phy_command.val();
        self.registers.phy_status.next = self.phys.status.val();
        self.request0.next = self.phys.request0.val();
        self.request1.next = self.phys.request1.val();
        self.write.next = self.phys.write.val();
        self.phy.next = self.phys.phy.val();
        self.address.next = self.phys.address.val();
        self.wdata.next = self.phys.wdata.val();
        self.phys.ack0.next = self.ack0.val();
        self.phys.rdata0.next = self.rdata0.val();
        self.phys.ack1.next = self.ack1.val();
        self.phys.rdata1.next = self.rdata1.val();
    }
}
