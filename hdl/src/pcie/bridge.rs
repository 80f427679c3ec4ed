//! Between the clock of a hard block of PCIe and that of the card: TLPs both ways, and what the block says of the function.
//!
//! ```text
//! link_rx ─► crossing ─► end of what broke off ──────► rx
//! link_tx ◄─ crossing ◄─ without a link, dropped ◄──── tx
//! link_* ──► two flip-flops, for the configuration ──► pcie_*
//! ```
//!
//! **Interface.** On the side of the link the streams of the 7-series hard block, on the other those of
//! [`Endpoint`](super::Endpoint); of the BARs only BAR0 is told, since there is no other. `link_reset` is high while there is
//! no link. Whatever was under way then is lost: a TLP from the link that has begun gets 1024 beats more, which makes it
//! longer than any, so that the endpoint drops it (`TLP_BAD`) whatever its header says; what the card sends is taken and
//! dropped, up to the end of the TLP in which the link came back. For the card that time is a function reset, and bus
//! mastering is off.
//!
//! **Configuration** changes only when the host writes it, and is followed by TLPs only later: a number of several bits may
//! be wrong for one clock of the change, when nobody asks. It arrives before a TLP that was sent behind it.
//!
//! **Latency** is that of [`Crossing`]: two to three clocks of the reader. **Throughput**: a beat a clock of the slower side.
//! No `ready` depends on the other side's in the same clock. **Cost** on the 7-series: 155 LUTs, 92 of them LUT RAM, and 326
//! flip-flops.

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use super::tlp::{RxBeat, TxBeat};
use crate::crossing::{Crossing, ResetSynchroniser, Synchroniser};

/// Clocks of the link for which a function reset is told at least: two of a card half as fast, and one to be sure.
const TOLD: usize = 5;

/// The bridge; see the module's text.
#[derive(LogicBlock)]
pub struct Bridge {
    /// Clock of the hard block, rising edge.
    pub link_clock: Signal<In, Clock>,
    /// There is no link; a register of `link_clock`, which may stand still meanwhile.
    pub link_reset: Signal<In, Bit>,
    /// Two DWs from the link.
    pub link_rx_data: Signal<In, Bits<64>>,
    /// Bytes present: 0x0f or 0xff.
    pub link_rx_keep: Signal<In, Bits<8>>,
    /// Last beat of the TLP.
    pub link_rx_last: Signal<In, Bit>,
    /// A beat is offered.
    pub link_rx_valid: Signal<In, Bit>,
    /// It is taken.
    pub link_rx_ready: Signal<Out, Bit>,
    /// Bit n: the address is in BAR n.
    pub link_rx_bar: Signal<In, Bits<7>>,
    /// The TLP is poisoned.
    pub link_rx_poisoned: Signal<In, Bit>,
    /// Two DWs to the link.
    pub link_tx_data: Signal<Out, Bits<64>>,
    /// Bytes present: 0x0f or 0xff.
    pub link_tx_keep: Signal<Out, Bits<8>>,
    /// Last beat of the TLP.
    pub link_tx_last: Signal<Out, Bit>,
    /// A beat is offered.
    pub link_tx_valid: Signal<Out, Bit>,
    /// It is taken.
    pub link_tx_ready: Signal<In, Bit>,
    /// Bus, device and function number; this and what follows in the clock of the link.
    pub link_completer_id: Signal<In, Bits<16>>,
    /// Bus master enable.
    pub link_bus_master: Signal<In, Bit>,
    /// Code of Max_Payload_Size.
    pub link_max_payload: Signal<In, Bits<3>>,
    /// Code of Max_Read_Request_Size.
    pub link_max_read_request: Signal<In, Bits<3>>,
    /// Read completion boundary.
    pub link_read_completion_boundary: Signal<In, Bit>,
    /// MSI-X enable.
    pub link_msix_enable: Signal<In, Bit>,
    /// MSI-X function mask.
    pub link_msix_mask: Signal<In, Bit>,
    /// The host resets the function; for one clock or more.
    pub link_function_reset: Signal<In, Bit>,
    /// Clock of the card, rising edge.
    pub clock: Signal<In, Clock>,
    /// Two DWs from the link.
    pub rx_data: Signal<Out, Bits<64>>,
    /// Bytes present.
    pub rx_keep: Signal<Out, Bits<8>>,
    /// Last beat of the TLP.
    pub rx_last: Signal<Out, Bit>,
    /// A beat is offered.
    pub rx_valid: Signal<Out, Bit>,
    /// It is taken.
    pub rx_ready: Signal<In, Bit>,
    /// Bit 0: the address is in BAR0.
    pub rx_bar: Signal<Out, Bits<7>>,
    /// The TLP is poisoned.
    pub rx_poisoned: Signal<Out, Bit>,
    /// Two DWs to the link.
    pub tx_data: Signal<In, Bits<64>>,
    /// Bytes present.
    pub tx_keep: Signal<In, Bits<8>>,
    /// Last beat of the TLP.
    pub tx_last: Signal<In, Bit>,
    /// A beat is offered.
    pub tx_valid: Signal<In, Bit>,
    /// It is taken.
    pub tx_ready: Signal<Out, Bit>,
    /// Bus, device and function number.
    pub pcie_completer_id: Signal<Out, Bits<16>>,
    /// Bus master enable.
    pub pcie_bus_master: Signal<Out, Bit>,
    /// Code of Max_Payload_Size.
    pub pcie_max_payload: Signal<Out, Bits<3>>,
    /// Code of Max_Read_Request_Size.
    pub pcie_max_read_request: Signal<Out, Bits<3>>,
    /// Read completion boundary.
    pub pcie_read_completion_boundary: Signal<Out, Bit>,
    /// MSI-X enable.
    pub pcie_msix_enable: Signal<Out, Bit>,
    /// MSI-X function mask.
    pub pcie_msix_mask: Signal<Out, Bit>,
    /// The function is being reset.
    pub pcie_function_reset: Signal<Out, Bit>,
    rx: Crossing<RxBeat, 4, 5>,
    tx: Crossing<TxBeat, 4, 5>,
    /// `link_reset` in the clock of the card.
    down: ResetSynchroniser,
    /// The endpoint has seen the begin of a TLP and not its end.
    rx_within: DFF<Bit>,
    /// It gets the beats in place of the end that never came.
    rx_breaks: DFF<Bit>,
    rx_broken: DFF<Bits<10>>,
    /// The card is within a TLP.
    tx_within: DFF<Bit>,
    /// What the card sends is dropped.
    tx_drops: DFF<Bit>,
    resets: [DFF<Bit>; TOLD],
    told: DFF<Bit>,
    completer_id: Synchroniser<Bits<16>>,
    bus_master: Synchroniser<Bit>,
    max_payload: Synchroniser<Bits<3>>,
    max_read_request: Synchroniser<Bits<3>>,
    read_completion_boundary: Synchroniser<Bit>,
    msix_enable: Synchroniser<Bit>,
    msix_mask: Synchroniser<Bit>,
    function_reset: Synchroniser<Bit>,
    is_down: Signal<Local, Bit>,
    rx_moves: Signal<Local, Bit>,
    rx_ends: Signal<Local, Bit>,
    rx_goes_on: Signal<Local, Bit>,
    tx_moves: Signal<Local, Bit>,
    tx_goes_on: Signal<Local, Bit>,
    any_reset: Signal<Local, Bit>,
    half_beat: Constant<Bits<8>>,
    whole_beat: Constant<Bits<8>>,
    one_beat: Constant<Bits<10>>,
    bar0: Constant<Bits<7>>,
    no_bar: Constant<Bits<7>>,
}

impl Default for Bridge {
    fn default() -> Self {
        Self {
            link_clock: Signal::default(),
            link_reset: Signal::default(),
            link_rx_data: Signal::default(),
            link_rx_keep: Signal::default(),
            link_rx_last: Signal::default(),
            link_rx_valid: Signal::default(),
            link_rx_ready: Signal::default(),
            link_rx_bar: Signal::default(),
            link_rx_poisoned: Signal::default(),
            link_tx_data: Signal::default(),
            link_tx_keep: Signal::default(),
            link_tx_last: Signal::default(),
            link_tx_valid: Signal::default(),
            link_tx_ready: Signal::default(),
            link_completer_id: Signal::default(),
            link_bus_master: Signal::default(),
            link_max_payload: Signal::default(),
            link_max_read_request: Signal::default(),
            link_read_completion_boundary: Signal::default(),
            link_msix_enable: Signal::default(),
            link_msix_mask: Signal::default(),
            link_function_reset: Signal::default(),
            clock: Signal::default(),
            rx_data: Signal::default(),
            rx_keep: Signal::default(),
            rx_last: Signal::default(),
            rx_valid: Signal::default(),
            rx_ready: Signal::default(),
            rx_bar: Signal::default(),
            rx_poisoned: Signal::default(),
            tx_data: Signal::default(),
            tx_keep: Signal::default(),
            tx_last: Signal::default(),
            tx_valid: Signal::default(),
            tx_ready: Signal::default(),
            pcie_completer_id: Signal::default(),
            pcie_bus_master: Signal::default(),
            pcie_max_payload: Signal::default(),
            pcie_max_read_request: Signal::default(),
            pcie_read_completion_boundary: Signal::default(),
            pcie_msix_enable: Signal::default(),
            pcie_msix_mask: Signal::default(),
            pcie_function_reset: Signal::default(),
            rx: Crossing::default(),
            tx: Crossing::default(),
            down: ResetSynchroniser::default(),
            rx_within: DFF::default(),
            rx_breaks: DFF::default(),
            rx_broken: DFF::default(),
            tx_within: DFF::default(),
            tx_drops: DFF::default(),
            resets: std::array::from_fn(|_| DFF::default()),
            told: DFF::default(),
            completer_id: Synchroniser::default(),
            bus_master: Synchroniser::default(),
            max_payload: Synchroniser::default(),
            max_read_request: Synchroniser::default(),
            read_completion_boundary: Synchroniser::default(),
            msix_enable: Synchroniser::default(),
            msix_mask: Synchroniser::default(),
            function_reset: Synchroniser::default(),
            is_down: Signal::default(),
            rx_moves: Signal::default(),
            rx_ends: Signal::default(),
            rx_goes_on: Signal::default(),
            tx_moves: Signal::default(),
            tx_goes_on: Signal::default(),
            any_reset: Signal::default(),
            half_beat: Constant::new(0x0f_u64.to_bits()),
            whole_beat: Constant::new(0xff_u64.to_bits()),
            one_beat: Constant::new(1_u64.to_bits()),
            bar0: Constant::new(1_u64.to_bits()),
            no_bar: Constant::new(0_u64.to_bits()),
        }
    }
}

impl Logic for Bridge {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, rx_within, rx_breaks, rx_broken, tx_within, tx_drops
        );
        clock!(
            self,
            clock,
            down,
            completer_id,
            bus_master,
            max_payload,
            max_read_request,
            read_completion_boundary,
            msix_enable,
            msix_mask,
            function_reset
        );
        self.down.reset.next = self.link_reset.val();
        self.is_down.next = self.down.held.val();

        // From the link. While it is down the FIFO is empty.
        self.rx.in_clock.next = self.link_clock.val();
        self.rx.in_reset.next = self.link_reset.val();
        self.rx.in_data.next.data = self.link_rx_data.val();
        self.rx.in_data.next.upper = self.link_rx_keep.val().get_bit(4);
        self.rx.in_data.next.last = self.link_rx_last.val();
        self.rx.in_data.next.bar0 = self.link_rx_bar.val().get_bit(0);
        self.rx.in_data.next.poisoned = self.link_rx_poisoned.val();
        self.rx.in_valid.next = self.link_rx_valid.val();
        self.link_rx_ready.next = self.rx.in_ready.val();
        self.rx.out_clock.next = self.clock.val();
        self.rx.out_reset.next = self.is_down.val();
        self.rx.out_ready.next = self.rx_ready.val() & !self.rx_breaks.q.val();
        self.rx_valid.next = self.rx.out_valid.val() | self.rx_breaks.q.val();
        self.rx_data.next = self.rx.out_data.val().data;
        self.rx_keep.next = self.half_beat.val();
        if self.rx.out_data.val().upper | self.rx_breaks.q.val() {
            self.rx_keep.next = self.whole_beat.val();
        }
        self.rx_ends.next = (self.rx.out_data.val().last & !self.rx_breaks.q.val())
            | (self.rx_broken.q.val().all() & self.rx_breaks.q.val());
        self.rx_last.next = self.rx_ends.val();
        self.rx_bar.next = self.no_bar.val();
        if self.rx.out_data.val().bar0 {
            self.rx_bar.next = self.bar0.val();
        }
        self.rx_poisoned.next = self.rx.out_data.val().poisoned;

        // Where in a TLP the endpoint is.
        self.rx_moves.next =
            (self.rx.out_valid.val() | self.rx_breaks.q.val()) & self.rx_ready.val();
        self.rx_goes_on.next = (self.rx_moves.val() & !self.rx_ends.val())
            | (self.rx_within.q.val() & !self.rx_moves.val());
        self.rx_within.d.next = self.rx_goes_on.val();
        self.rx_breaks.d.next =
            (self.is_down.val() | self.rx_breaks.q.val()) & self.rx_goes_on.val();
        if self.rx_breaks.q.val() & self.rx_ready.val() {
            self.rx_broken.d.next = self.rx_broken.q.val() + self.one_beat.val();
        }

        // To the link.
        self.tx.in_clock.next = self.clock.val();
        self.tx.in_reset.next = self.is_down.val();
        self.tx.in_data.next.data = self.tx_data.val();
        self.tx.in_data.next.upper = self.tx_keep.val().get_bit(4);
        self.tx.in_data.next.last = self.tx_last.val();
        self.tx.in_valid.next = self.tx_valid.val() & !self.tx_drops.q.val();
        self.tx_ready.next = self.tx.in_ready.val() | self.tx_drops.q.val();
        self.tx.out_clock.next = self.link_clock.val();
        self.tx.out_reset.next = self.link_reset.val();
        self.tx.out_ready.next = self.link_tx_ready.val();
        self.link_tx_valid.next = self.tx.out_valid.val();
        self.link_tx_data.next = self.tx.out_data.val().data;
        self.link_tx_last.next = self.tx.out_data.val().last;
        self.link_tx_keep.next = self.half_beat.val();
        if self.tx.out_data.val().upper {
            self.link_tx_keep.next = self.whole_beat.val();
        }

        // Where in a TLP the card is.
        self.tx_moves.next = self.tx_valid.val() & (self.tx.in_ready.val() | self.tx_drops.q.val());
        self.tx_goes_on.next = (self.tx_moves.val() & !self.tx_last.val())
            | (self.tx_within.q.val() & !self.tx_moves.val());
        self.tx_within.d.next = self.tx_goes_on.val();
        self.tx_drops.d.next = self.is_down.val() | (self.tx_drops.q.val() & self.tx_goes_on.val());

        // A function reset may last one clock of the link.
        self.told.clock.next = self.link_clock.val();
        self.resets[0].clock.next = self.link_clock.val();
        self.resets[0].d.next = self.link_function_reset.val();
        self.any_reset.next = self.resets[0].q.val();
        for i in 1..5 {
            self.resets[i].clock.next = self.link_clock.val();
            self.resets[i].d.next = self.resets[i - 1].q.val();
            self.any_reset.next = self.any_reset.val() | self.resets[i].q.val();
        }
        self.told.d.next = self.any_reset.val();
        self.function_reset.d.next = self.told.q.val();
        self.pcie_function_reset.next = self.function_reset.q.val() | self.is_down.val();

        // The rest of what the hard block says.
        self.completer_id.d.next = self.link_completer_id.val();
        self.bus_master.d.next = self.link_bus_master.val();
        self.max_payload.d.next = self.link_max_payload.val();
        self.max_read_request.d.next = self.link_max_read_request.val();
        self.read_completion_boundary.d.next = self.link_read_completion_boundary.val();
        self.msix_enable.d.next = self.link_msix_enable.val();
        self.msix_mask.d.next = self.link_msix_mask.val();
        self.pcie_completer_id.next = self.completer_id.q.val();
        self.pcie_bus_master.next = self.bus_master.q.val() & !self.is_down.val();
        self.pcie_max_payload.next = self.max_payload.q.val();
        self.pcie_max_read_request.next = self.max_read_request.q.val();
        self.pcie_read_completion_boundary.next = self.read_completion_boundary.q.val();
        self.pcie_msix_enable.next = self.msix_enable.q.val();
        self.pcie_msix_mask.next = self.msix_mask.q.val();
    }
}
