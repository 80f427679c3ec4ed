//! A PHY and two Ethernet ports in a row, each with a clock of its own: what the PHY is told goes to port a, what port a
//! sends is received by port b, and what port b sends comes back to the PHY.
//!
//! Streams to be sent wait in FIFOs in front of the ports, so that a test need not answer `ready`.

use hdl::fifo::BlockFifo;
use hdl::mac::Mac;
use hdl::mac::rgmii::Rgmii;
use hdl::stream::Beat;
use rust_hdl_core::prelude::*;

/// The row; clocks with `_late` are a quarter period behind.
#[derive(LogicBlock, Default)]
pub struct Row {
    pub phy_clock: Signal<In, Clock>,
    pub phy_late: Signal<In, Clock>,
    pub a_clock: Signal<In, Clock>,
    pub a_late: Signal<In, Clock>,
    pub b_clock: Signal<In, Clock>,
    pub b_late: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub phy_txd: Signal<In, Bits<8>>,
    pub phy_en: Signal<In, Bit>,
    pub phy_er: Signal<In, Bit>,
    /// In the clock `b_late`.
    pub phy_rxd: Signal<Out, Bits<8>>,
    pub phy_dv: Signal<Out, Bit>,
    pub phy_rx_er: Signal<Out, Bit>,
    pub a_tx_data: Signal<In, Bits<64>>,
    pub a_tx_keep: Signal<In, Bits<8>>,
    pub a_tx_last: Signal<In, Bit>,
    pub a_tx_valid: Signal<In, Bit>,
    pub a_waiting: Signal<Out, Bits<10>>,
    pub a_rx_data: Signal<Out, Bits<64>>,
    pub a_rx_keep: Signal<Out, Bits<8>>,
    pub a_rx_last: Signal<Out, Bit>,
    pub a_rx_valid: Signal<Out, Bit>,
    pub a_rx_ready: Signal<In, Bit>,
    /// good, bad, runt, oversize, pause, overrun.
    pub a_counts: Signal<Out, Bits<6>>,
    /// sent, poisoned, underrun.
    pub a_sends: Signal<Out, Bits<3>>,
    pub b_tx_data: Signal<In, Bits<64>>,
    pub b_tx_keep: Signal<In, Bits<8>>,
    pub b_tx_last: Signal<In, Bit>,
    pub b_tx_valid: Signal<In, Bit>,
    pub b_waiting: Signal<Out, Bits<10>>,
    pub b_rx_data: Signal<Out, Bits<64>>,
    pub b_rx_keep: Signal<Out, Bits<8>>,
    pub b_rx_last: Signal<Out, Bit>,
    pub b_rx_valid: Signal<Out, Bit>,
    pub b_rx_ready: Signal<In, Bit>,
    pub b_counts: Signal<Out, Bits<6>>,
    pub b_sends: Signal<Out, Bits<3>>,
    phy: Rgmii,
    a: Mac,
    b: Mac,
    a_beats: BlockFifo<Beat<64, 8>, 9, 10>,
    b_beats: BlockFifo<Beat<64, 8>, 9, 10>,
    a_events: Events,
    b_events: Events,
}

/// Strobes side by side.
#[derive(LogicBlock, Default)]
struct Events {
    rx: [Signal<In, Bit>; 6],
    tx: [Signal<In, Bit>; 3],
    counts: Signal<Out, Bits<6>>,
    sends: Signal<Out, Bits<3>>,
}

impl Logic for Events {
    fn update(&mut self) {
        let word = |bits: &[Signal<In, Bit>]| {
            let bits = bits.iter().enumerate();
            bits.fold(0_u64, |word, (at, bit)| word | u64::from(bit.val()) << at)
        };
        self.counts.next = word(&self.rx).to_bits();
        self.sends.next = word(&self.tx).to_bits();
    }

    fn connect(&mut self) {
        self.counts.connect();
        self.sends.connect();
    }

    fn hdl(&self) -> Verilog {
        Verilog::Custom(
            "always @(*) counts = {rx$5, rx$4, rx$3, rx$2, rx$1, rx$0};\n\
             always @(*) sends = {tx$2, tx$1, tx$0};\n"
                .into(),
        )
    }
}

impl Logic for Row {
    #[hdl_gen]
    fn update(&mut self) {
        self.phy.clock.next = self.phy_clock.val();
        self.phy.rx_clock.next = self.b_late.val();
        self.a.clock.next = self.a_clock.val();
        self.a.rgmii_rx_clock.next = self.phy_late.val();
        self.b.clock.next = self.b_clock.val();
        self.b.rgmii_rx_clock.next = self.a_late.val();
        self.a.reset.next = self.reset.val();
        self.b.reset.next = self.reset.val();

        self.phy.txd.next = self.phy_txd.val();
        self.phy.en.next = self.phy_en.val();
        self.phy.tx_er.next = self.phy_er.val();
        self.a.rgmii_rxd.next = self.phy.pin_txd.val();
        self.a.rgmii_rx_ctl.next = self.phy.pin_tx_ctl.val();
        self.b.rgmii_rxd.next = self.a.rgmii_txd.val();
        self.b.rgmii_rx_ctl.next = self.a.rgmii_tx_ctl.val();
        self.phy.pin_rxd.next = self.b.rgmii_txd.val();
        self.phy.pin_rx_ctl.next = self.b.rgmii_tx_ctl.val();
        self.phy_rxd.next = self.phy.rxd.val();
        self.phy_dv.next = self.phy.dv.val();
        self.phy_rx_er.next = self.phy.er.val();

        self.a_beats.clock.next = self.a_clock.val();
        self.a_beats.in_data.next.data = self.a_tx_data.val();
        self.a_beats.in_data.next.keep = self.a_tx_keep.val();
        self.a_beats.in_data.next.last = self.a_tx_last.val();
        self.a_beats.in_valid.next = self.a_tx_valid.val();
        self.a_waiting.next = self.a_beats.count.val();
        self.a.tx_data.next = self.a_beats.out_data.val().data;
        self.a.tx_keep.next = self.a_beats.out_data.val().keep;
        self.a.tx_last.next = self.a_beats.out_data.val().last;
        self.a.tx_valid.next = self.a_beats.out_valid.val();
        self.a_beats.out_ready.next = self.a.tx_ready.val();
        self.a_rx_data.next = self.a.rx_data.val();
        self.a_rx_keep.next = self.a.rx_keep.val();
        self.a_rx_last.next = self.a.rx_last.val();
        self.a_rx_valid.next = self.a.rx_valid.val();
        self.a.rx_ready.next = self.a_rx_ready.val();
        self.a_events.rx[0].next = self.a.rx_good.val();
        self.a_events.rx[1].next = self.a.rx_bad.val();
        self.a_events.rx[2].next = self.a.rx_runt.val();
        self.a_events.rx[3].next = self.a.rx_oversize.val();
        self.a_events.rx[4].next = self.a.rx_pause.val();
        self.a_events.rx[5].next = self.a.rx_overrun.val();
        self.a_events.tx[0].next = self.a.tx_sent.val();
        self.a_events.tx[1].next = self.a.tx_poisoned.val();
        self.a_events.tx[2].next = self.a.tx_underrun.val();
        self.a_counts.next = self.a_events.counts.val();
        self.a_sends.next = self.a_events.sends.val();

        self.b_beats.clock.next = self.b_clock.val();
        self.b_beats.in_data.next.data = self.b_tx_data.val();
        self.b_beats.in_data.next.keep = self.b_tx_keep.val();
        self.b_beats.in_data.next.last = self.b_tx_last.val();
        self.b_beats.in_valid.next = self.b_tx_valid.val();
        self.b_waiting.next = self.b_beats.count.val();
        self.b.tx_data.next = self.b_beats.out_data.val().data;
        self.b.tx_keep.next = self.b_beats.out_data.val().keep;
        self.b.tx_last.next = self.b_beats.out_data.val().last;
        self.b.tx_valid.next = self.b_beats.out_valid.val();
        self.b_beats.out_ready.next = self.b.tx_ready.val();
        self.b_rx_data.next = self.b.rx_data.val();
        self.b_rx_keep.next = self.b.rx_keep.val();
        self.b_rx_last.next = self.b.rx_last.val();
        self.b_rx_valid.next = self.b.rx_valid.val();
        self.b.rx_ready.next = self.b_rx_ready.val();
        self.b_events.rx[0].next = self.b.rx_good.val();
        self.b_events.rx[1].next = self.b.rx_bad.val();
        self.b_events.rx[2].next = self.b.rx_runt.val();
        self.b_events.rx[3].next = self.b.rx_oversize.val();
        self.b_events.rx[4].next = self.b.rx_pause.val();
        self.b_events.rx[5].next = self.b.rx_overrun.val();
        self.b_events.tx[0].next = self.b.tx_sent.val();
        self.b_events.tx[1].next = self.b.tx_poisoned.val();
        self.b_events.tx[2].next = self.b.tx_underrun.val();
        self.b_counts.next = self.b_events.counts.val();
        self.b_sends.next = self.b_events.sends.val();
    }
}
