//! The card without rings: the core alone, driven by programmed IO.

use rust_hdl_core::prelude::*;

use crate::core::Core;
use crate::csr::ident::Build;

/// The card with streams of `W` bits (`K` bytes); see the module's text.
#[derive(LogicBlock)]
pub struct Postern<const W: usize, const K: usize, const N: usize, const L: usize> {
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
    pub event_metadata: Signal<Out, Bits<76>>,
    /// Bit s: a frame passes stage s of `layout::simulator::STAGES`, high for one clock a frame, in order.
    pub stage_strobe: Signal<Out, Bits<8>>,
    /// Bit s, with its strobe: the stage did something for the frame.
    pub stage_used: Signal<Out, Bits<8>>,
    core: Core<W, K, N, L>,
    no_word: Constant<Bits<32>>,
    no_line: Constant<Bits<9>>,
}

impl<const W: usize, const K: usize, const N: usize, const L: usize> Postern<W, K, N, L> {
    /// The card with the ident values of a build.
    pub fn new(build: Build) -> Self {
        Self {
            clock: Signal::default(),
            reset: Signal::default(),
            rx0_data: Signal::default(),
            rx0_keep: Signal::default(),
            rx0_last: Signal::default(),
            rx0_valid: Signal::default(),
            rx0_ready: Signal::default(),
            rx1_data: Signal::default(),
            rx1_keep: Signal::default(),
            rx1_last: Signal::default(),
            rx1_valid: Signal::default(),
            rx1_ready: Signal::default(),
            tx0_data: Signal::default(),
            tx0_keep: Signal::default(),
            tx0_last: Signal::default(),
            tx0_valid: Signal::default(),
            tx0_ready: Signal::default(),
            tx1_data: Signal::default(),
            tx1_keep: Signal::default(),
            tx1_last: Signal::default(),
            tx1_valid: Signal::default(),
            tx1_ready: Signal::default(),
            csr_address: Signal::default(),
            csr_wdata: Signal::default(),
            csr_write: Signal::default(),
            csr_read: Signal::default(),
            csr_rdata: Signal::default(),
            csr_ack: Signal::default(),
            event_valid: Signal::default(),
            event_metadata: Signal::default(),
            stage_strobe: Signal::default(),
            stage_used: Signal::default(),
            core: Core::new(build),
            no_word: Constant::new(0.into()),
            no_line: Constant::new(0.into()),
        }
    }
}

impl<const W: usize, const K: usize, const N: usize, const L: usize> Logic for Postern<W, K, N, L> {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, core);
        self.core.reset.next = self.reset.val();
        self.core.rx0_data.next = self.rx0_data.val();
        self.core.rx0_keep.next = self.rx0_keep.val();
        self.core.rx0_last.next = self.rx0_last.val();
        self.core.rx0_valid.next = self.rx0_valid.val();
        self.rx0_ready.next = self.core.rx0_ready.val();
        self.core.rx1_data.next = self.rx1_data.val();
        self.core.rx1_keep.next = self.rx1_keep.val();
        self.core.rx1_last.next = self.rx1_last.val();
        self.core.rx1_valid.next = self.rx1_valid.val();
        self.rx1_ready.next = self.core.rx1_ready.val();
        self.tx0_data.next = self.core.tx0_data.val();
        self.tx0_keep.next = self.core.tx0_keep.val();
        self.tx0_last.next = self.core.tx0_last.val();
        self.tx0_valid.next = self.core.tx0_valid.val();
        self.core.tx0_ready.next = self.tx0_ready.val();
        self.tx1_data.next = self.core.tx1_data.val();
        self.tx1_keep.next = self.core.tx1_keep.val();
        self.tx1_last.next = self.core.tx1_last.val();
        self.tx1_valid.next = self.core.tx1_valid.val();
        self.core.tx1_ready.next = self.tx1_ready.val();
        self.core.csr_address.next = self.csr_address.val();
        self.core.csr_wdata.next = self.csr_wdata.val();
        self.core.csr_write.next = self.csr_write.val();
        self.core.csr_read.next = self.csr_read.val();
        self.csr_rdata.next = self.core.csr_rdata.val();
        self.csr_ack.next = self.core.csr_ack.val();
        self.event_valid.next = self.core.event_valid.val();
        self.event_metadata.next = self.core.event_metadata.val();
        self.stage_strobe.next = self.core.stage_strobe.val();
        self.stage_used.next = self.core.stage_used.val();

        // Nothing is outside.
        self.core.outside_rdata.next = self.no_word.val();
        self.core.punt_takes.next = false;
        self.core.punt_line.next = self.no_line.val();
        self.core.punt_pop.next = false;
        self.core.inject_beat.next = self.core.window_beat.val();
        self.core.inject_origin.next = self.core.window_origin.val();
        self.core.inject_valid.next = self.core.window_valid.val();
        self.core.window_ready.next = self.core.inject_ready.val();
        self.core.inject_sending.next = false;
        for i in 0..9 {
            self.core.rare[i].next = false;
        }
    }
}
