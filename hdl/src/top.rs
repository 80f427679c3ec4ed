//! The card: every block, wired up. The only file that knows all of them.

use rust_hdl_core::prelude::*;

/// The core with streams of `W` bits (`K` bytes); see the module's text.
#[derive(LogicBlock, Default)]
pub struct Postern<const W: usize, const K: usize> {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Control registers go back to their reset values and no frame is taken in.
    pub reset: Signal<In, Bit>,
    /// Ingress port 0.
    pub rx0_data: Signal<In, Bits<W>>,
    /// Bytes present.
    pub rx0_keep: Signal<In, Bits<K>>,
    /// Last beat.
    pub rx0_last: Signal<In, Bit>,
    /// A beat is offered.
    pub rx0_valid: Signal<In, Bit>,
    /// The beat is taken.
    pub rx0_ready: Signal<Out, Bit>,
    /// Ingress port 1.
    pub rx1_data: Signal<In, Bits<W>>,
    /// Bytes present.
    pub rx1_keep: Signal<In, Bits<K>>,
    /// Last beat.
    pub rx1_last: Signal<In, Bit>,
    /// A beat is offered.
    pub rx1_valid: Signal<In, Bit>,
    /// The beat is taken.
    pub rx1_ready: Signal<Out, Bit>,
    /// Egress port 0.
    pub tx0_data: Signal<Out, Bits<W>>,
    /// Bytes present.
    pub tx0_keep: Signal<Out, Bits<K>>,
    /// Last beat.
    pub tx0_last: Signal<Out, Bit>,
    /// A beat is offered.
    pub tx0_valid: Signal<Out, Bit>,
    /// The beat is taken.
    pub tx0_ready: Signal<In, Bit>,
    /// Egress port 1.
    pub tx1_data: Signal<Out, Bits<W>>,
    /// Bytes present.
    pub tx1_keep: Signal<Out, Bits<K>>,
    /// Last beat.
    pub tx1_last: Signal<Out, Bit>,
    /// A beat is offered.
    pub tx1_valid: Signal<Out, Bit>,
    /// The beat is taken.
    pub tx1_ready: Signal<In, Bit>,
    /// Byte address in BAR0.
    pub csr_address: Signal<In, Bits<16>>,
    /// Word to write.
    pub csr_wdata: Signal<In, Bits<32>>,
    /// Write, held until `csr_ack`.
    pub csr_write: Signal<In, Bit>,
    /// Read, held until `csr_ack`.
    pub csr_read: Signal<In, Bit>,
    /// Word read, valid with `csr_ack`.
    pub csr_rdata: Signal<Out, Bits<32>>,
    /// The access is done, high for one clock.
    pub csr_ack: Signal<Out, Bit>,
    /// A verdict, high for one clock a frame.
    pub event_valid: Signal<Out, Bit>,
    /// Its `Metadata`, packed, length zero.
    pub event_metadata: Signal<Out, Bits<74>>,
    /// Bit s: a frame passes stage s of `layout::simulator::STAGES`, high for one clock a frame, in order.
    pub stage_strobe: Signal<Out, Bits<8>>,
    /// Bit s, with its strobe: the stage did something for the frame.
    pub stage_used: Signal<Out, Bits<8>>,
}

impl<const W: usize, const K: usize> Logic for Postern<W, K> {
    #[hdl_gen]
    fn update(&mut self) {
        self.rx0_ready.next = !self.reset.val();
        self.rx1_ready.next = !self.reset.val();
        self.tx0_data.next = self.rx1_data.val();
        self.tx0_keep.next = self.rx1_keep.val();
        self.tx0_last.next = self.rx1_last.val();
        self.tx0_valid.next = false;
        self.tx1_data.next = self.rx0_data.val();
        self.tx1_keep.next = self.rx0_keep.val();
        self.tx1_last.next = self.rx0_last.val();
        self.tx1_valid.next = false;
        self.csr_rdata.next = self.csr_wdata.val();
        self.csr_ack.next = false;
        self.event_valid.next = false;
        self.event_metadata.next = 0.into();
        self.stage_strobe.next = 0.into();
        self.stage_used.next = 0.into();
    }
}
