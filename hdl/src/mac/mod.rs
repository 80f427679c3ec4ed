//! One port of gigabit Ethernet: RGMII pins on one side, the card's streams on the other.
//!
//! ```text
//! rx_clock:  pins ─► rgmii ─► receive ─► crossing ─► rx_data, rx_keep, rx_last     :clock
//! clock:     pins ◄─ rgmii ◄─ transmit (FIFO) ◄───── tx_data, tx_keep, tx_last     :clock
//! ```
//!
//! Frames on the streams have neither preamble nor check sequence; a bad one ends in a beat without bytes, both ways. The
//! rules are in `receive.rs` and `transmit.rs`. Speed is 1000 Mb/s, full duplex, only. The reader of `rx` must not let
//! a beat wait for more than sixteen beats' time, which is 128 clocks, or frames are lost.
//!
//! From the first byte at the pins to the first beat out: 17 to 18 clocks. From the first beat in to the first byte at
//! the pins: 14 clocks on the ECP5, eight of them preamble. 625 LUTs, 38 LUT RAMs of 16 × 4, 502 flip-flops, five
//! IDDRX1F and five ODDRX1F; no block RAM.

use rust_hdl_core::prelude::*;

use crate::crossing::{Crossing, Pulse, ResetSynchroniser, Synchroniser};
use crate::family::Family;
use crate::stream::Beat;

/// CRC-32.
pub mod crc;
/// Bytes to beats.
pub mod receive;
/// Beats to bytes.
pub mod transmit;
/// Bytes and pins.
pub mod rgmii;
/// Registers of PHYs.
pub mod management;

use receive::Receive;
use rgmii::Rgmii;
use transmit::Transmit;

/// One port; see the module's text.
#[derive(LogicBlock, Default)]
pub struct Mac {
    /// Clock of the card, 125 MHz, and of what goes out at the pins.
    pub clock: Signal<In, Clock>,
    /// The receiver's clock may not be right yet: what it received is forgotten, and it begins anew when `reset`
    /// falls and its clock runs. Held for eight clocks at least; a register.
    pub reset: Signal<In, Bit>,
    /// Receive clock, from the PHY.
    pub rgmii_rx_clock: Signal<In, Clock>,
    /// Receive data.
    pub rgmii_rxd: Signal<In, Bits<4>>,
    /// Receive control.
    pub rgmii_rx_ctl: Signal<In, Bit>,
    /// Transmit data.
    pub rgmii_txd: Signal<Out, Bits<4>>,
    /// Transmit control.
    pub rgmii_tx_ctl: Signal<Out, Bit>,
    /// Frames received.
    pub rx_data: Signal<Out, Bits<64>>,
    /// Bytes present; none in the last beat of a bad frame.
    pub rx_keep: Signal<Out, Bits<8>>,
    /// Last beat.
    pub rx_last: Signal<Out, Bit>,
    /// A beat is offered.
    pub rx_valid: Signal<Out, Bit>,
    /// The beat is taken.
    pub rx_ready: Signal<In, Bit>,
    /// Frames to send.
    pub tx_data: Signal<In, Bits<64>>,
    /// Bytes present; none in the last beat of a frame that is to go out bad.
    pub tx_keep: Signal<In, Bits<8>>,
    /// Last beat.
    pub tx_last: Signal<In, Bit>,
    /// A beat is offered.
    pub tx_valid: Signal<In, Bit>,
    /// The beat is taken.
    pub tx_ready: Signal<Out, Bit>,
    /// One clock for every frame received and handed on, as are those below.
    pub rx_good: Signal<Out, Bit>,
    /// Received with a wrong check sequence or byte.
    pub rx_bad: Signal<Out, Bit>,
    /// Received with less than 64 bytes.
    pub rx_runt: Signal<Out, Bit>,
    /// Received with more than 1522 bytes.
    pub rx_oversize: Signal<Out, Bit>,
    /// MAC control, received and dropped.
    pub rx_pause: Signal<Out, Bit>,
    /// Did not fit.
    pub rx_overrun: Signal<Out, Bit>,
    /// Sent.
    pub tx_sent: Signal<Out, Bit>,
    /// Sent poisoned.
    pub tx_poisoned: Signal<Out, Bit>,
    /// Sent poisoned since beats came too late.
    pub tx_underrun: Signal<Out, Bit>,
    rgmii: Rgmii,
    receive: Receive,
    transmit: Transmit,
    beats: Crossing<Beat<64, 8>, 4, 5>,
    hold: ResetSynchroniser,
    held: Synchroniser<Bit>,
    good: Pulse,
    bad: Pulse,
    runt: Pulse,
    oversize: Pulse,
    pause: Pulse,
    overrun: Pulse,
}

impl Mac {
    /// With the primitives of a family at its pins.
    pub fn new(family: Family) -> Self {
        Self {
            rgmii: Rgmii::new(family),
            ..Self::default()
        }
    }
}

impl Logic for Mac {
    #[hdl_gen]
    fn update(&mut self) {
        // Pins.
        clock!(self, clock, rgmii, transmit, held);
        self.rgmii.rx_clock.next = self.rgmii_rx_clock.val();
        self.rgmii.pin_rxd.next = self.rgmii_rxd.val();
        self.rgmii.pin_rx_ctl.next = self.rgmii_rx_ctl.val();
        self.rgmii_txd.next = self.rgmii.pin_txd.val();
        self.rgmii_tx_ctl.next = self.rgmii.pin_tx_ctl.val();

        // Receiver. The reader's side of the crossing is held until the writer's side runs.
        self.hold.clock.next = self.rgmii_rx_clock.val();
        self.hold.reset.next = self.reset.val();
        self.held.d.next = self.hold.held.val();
        self.receive.clock.next = self.rgmii_rx_clock.val();
        self.receive.reset.next = self.hold.held.val();
        self.receive.rxd.next = self.rgmii.rxd.val();
        self.receive.dv.next = self.rgmii.dv.val();
        self.receive.er.next = self.rgmii.er.val();
        self.receive.ready.next = self.beats.in_ready.val();
        self.beats.in_clock.next = self.rgmii_rx_clock.val();
        self.beats.in_reset.next = self.hold.held.val();
        self.beats.in_data.next = self.receive.beat.val();
        self.beats.in_valid.next = self.receive.valid.val();
        self.beats.out_clock.next = self.clock.val();
        self.beats.out_reset.next = self.reset.val() | self.held.q.val();
        self.beats.out_ready.next = self.rx_ready.val();
        self.rx_data.next = self.beats.out_data.val().data;
        self.rx_keep.next = self.beats.out_data.val().keep;
        self.rx_last.next = self.beats.out_data.val().last;
        self.rx_valid.next = self.beats.out_valid.val();

        // Transmitter.
        self.transmit.beat.next.data = self.tx_data.val();
        self.transmit.beat.next.keep = self.tx_keep.val();
        self.transmit.beat.next.last = self.tx_last.val();
        self.transmit.valid.next = self.tx_valid.val();
        self.tx_ready.next = self.transmit.ready.val();
        self.rgmii.txd.next = self.transmit.txd.val();
        self.rgmii.en.next = self.transmit.en.val();
        self.rgmii.tx_er.next = false;

        // What is counted.
        self.good.in_clock.next = self.rgmii_rx_clock.val();
        self.bad.in_clock.next = self.rgmii_rx_clock.val();
        self.runt.in_clock.next = self.rgmii_rx_clock.val();
        self.oversize.in_clock.next = self.rgmii_rx_clock.val();
        self.pause.in_clock.next = self.rgmii_rx_clock.val();
        self.overrun.in_clock.next = self.rgmii_rx_clock.val();
        self.good.out_clock.next = self.clock.val();
        self.bad.out_clock.next = self.clock.val();
        self.runt.out_clock.next = self.clock.val();
        self.oversize.out_clock.next = self.clock.val();
        self.pause.out_clock.next = self.clock.val();
        self.overrun.out_clock.next = self.clock.val();
        self.good.in_pulse.next = self.receive.good.val();
        self.bad.in_pulse.next = self.receive.bad.val();
        self.runt.in_pulse.next = self.receive.runt.val();
        self.oversize.in_pulse.next = self.receive.oversize.val();
        self.pause.in_pulse.next = self.receive.pause.val();
        self.overrun.in_pulse.next = self.receive.overrun.val();
        self.rx_good.next = self.good.out_pulse.val();
        self.rx_bad.next = self.bad.out_pulse.val();
        self.rx_runt.next = self.runt.out_pulse.val();
        self.rx_oversize.next = self.oversize.out_pulse.val();
        self.rx_pause.next = self.pause.out_pulse.val();
        self.rx_overrun.next = self.overrun.out_pulse.val();
        self.tx_sent.next = self.transmit.sent.val();
        self.tx_poisoned.next = self.transmit.poisoned.val();
        self.tx_underrun.next = self.transmit.underrun.val();
    }
}
