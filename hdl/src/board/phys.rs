//! `PHY_COMMAND` to the management of two PHYs, each on its own pair of wires.
//!
//! Holds one command until the port's master has done it; a command that comes while it is busy is passed over. Status one
//! clock behind the master. About 60 flip-flops.

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

/// The block; see the module's text.
#[derive(LogicBlock)]
pub struct Phys {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Start `command`, high for one clock.
    pub start: Signal<In, Bit>,
    /// `PHY_COMMAND`.
    pub command: Signal<In, Bits<32>>,
    /// `PHY_STATUS`.
    pub status: Signal<Out, Bits<32>>,
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
    held: DFF<Bits<32>>,
    busy: DFF<Bit>,
    word: DFF<Bits<16>>,
    at_one: Signal<Local, Bit>,
    done: Signal<Local, Bit>,
    busy_bit: Constant<Bits<32>>,
}

impl Default for Phys {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            start: Signal::default(),
            command: Signal::default(),
            status: Signal::default(),
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
            held: DFF::default(),
            busy: DFF::default(),
            word: DFF::default(),
            at_one: Signal::default(),
            done: Signal::default(),
            busy_bit: Constant::new(u64::from(layout::csr::PHY_BUSY).to_bits()),
        }
    }
}

impl Logic for Phys {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, held, busy, word);
        if self.start.val() & !self.busy.q.val() {
            self.held.d.next = self.command.val();
            self.busy.d.next = true;
        }
        self.at_one.next = self.held.q.val().get_bit(10);
        self.done.next = self.busy.q.val()
            & ((self.ack0.val() & !self.at_one.val()) | (self.ack1.val() & self.at_one.val()));
        if self.done.val() {
            self.busy.d.next = false;
            if self.at_one.val() {
                self.word.d.next = self.rdata1.val();
            } else {
                self.word.d.next = self.rdata0.val();
            }
        }
        self.request0.next = self.busy.q.val() & !self.at_one.val();
        self.request1.next = self.busy.q.val() & self.at_one.val();
        self.address.next = self.held.q.val().get_bits::<5>(0);
        self.phy.next = self.held.q.val().get_bits::<5>(5);
        self.write.next = self.held.q.val().get_bit(11);
        self.wdata.next = self.held.q.val().get_bits::<16>(16);
        self.status.next = bit_cast::<32, 16>(self.word.q.val()) << 16;
        if self.busy.q.val() {
            self.status.next = self.status.val() | self.busy_bit.val();
        }
    }
}
