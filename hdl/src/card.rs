//! The card with rings: core, dma block and PCIe endpoint. 64 bits wide, as the hard block's streams are.
//!
//! ```text
//! ports ─► core ─► ports        pins ─┐
//!           ▲ │                       ├─► bus ─► registers of the core, and of the dma block behind them
//!    window │ │ punt buffer       ┌───┘
//!    merge ─┘ ▼                   │
//!      ▲──── dma ◄──────────► endpoint ◄─► link
//! ```

use layout::csr::CAPABILITY_DMA;
use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use crate::core::Core;
use crate::csr::ident::Build;
use crate::dma::Dma;
use crate::dma::merge::Merge;
use crate::pcie::Endpoint;

/// The card; see the module's text.
#[derive(LogicBlock)]
pub struct Card {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Control registers go back to their reset values and no frame is taken in.
    pub reset: Signal<In, Bit>,
    /// Ingress port 0.
    pub rx0_data: Signal<In, Bits<64>>,
    /// Bytes present.
    pub rx0_keep: Signal<In, Bits<8>>,
    /// Last beat.
    pub rx0_last: Signal<In, Bit>,
    /// A beat is offered.
    pub rx0_valid: Signal<In, Bit>,
    /// The beat is taken.
    pub rx0_ready: Signal<Out, Bit>,
    /// Ingress port 1.
    pub rx1_data: Signal<In, Bits<64>>,
    /// Bytes present.
    pub rx1_keep: Signal<In, Bits<8>>,
    /// Last beat.
    pub rx1_last: Signal<In, Bit>,
    /// A beat is offered.
    pub rx1_valid: Signal<In, Bit>,
    /// The beat is taken.
    pub rx1_ready: Signal<Out, Bit>,
    /// Egress port 0.
    pub tx0_data: Signal<Out, Bits<64>>,
    /// Bytes present.
    pub tx0_keep: Signal<Out, Bits<8>>,
    /// Last beat.
    pub tx0_last: Signal<Out, Bit>,
    /// A beat is offered.
    pub tx0_valid: Signal<Out, Bit>,
    /// The beat is taken.
    pub tx0_ready: Signal<In, Bit>,
    /// Egress port 1.
    pub tx1_data: Signal<Out, Bits<64>>,
    /// Bytes present.
    pub tx1_keep: Signal<Out, Bits<8>>,
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
    /// Two DWs from the link.
    pub pcie_rx_data: Signal<In, Bits<64>>,
    /// Bytes present: 0x0f or 0xff.
    pub pcie_rx_keep: Signal<In, Bits<8>>,
    /// Last beat of the TLP.
    pub pcie_rx_last: Signal<In, Bit>,
    /// A beat is offered.
    pub pcie_rx_valid: Signal<In, Bit>,
    /// It is taken.
    pub pcie_rx_ready: Signal<Out, Bit>,
    /// Bit n: the address is in BAR n.
    pub pcie_rx_bar: Signal<In, Bits<7>>,
    /// The TLP is poisoned.
    pub pcie_rx_poisoned: Signal<In, Bit>,
    /// Two DWs to the link.
    pub pcie_tx_data: Signal<Out, Bits<64>>,
    /// Bytes present: 0x0f or 0xff.
    pub pcie_tx_keep: Signal<Out, Bits<8>>,
    /// Last beat of the TLP.
    pub pcie_tx_last: Signal<Out, Bit>,
    /// A beat is offered.
    pub pcie_tx_valid: Signal<Out, Bit>,
    /// It is taken.
    pub pcie_tx_ready: Signal<In, Bit>,
    /// Bus, device and function number.
    pub pcie_completer_id: Signal<In, Bits<16>>,
    /// Command register: bus master enable.
    pub pcie_bus_master: Signal<In, Bit>,
    /// Device Control: code of Max_Payload_Size.
    pub pcie_max_payload: Signal<In, Bits<3>>,
    /// Device Control: code of Max_Read_Request_Size.
    pub pcie_max_read_request: Signal<In, Bits<3>>,
    /// Link Control: where the host cuts completions; nothing here depends on it.
    pub pcie_read_completion_boundary: Signal<In, Bit>,
    /// MSI-X Message Control: enable.
    pub pcie_msix_enable: Signal<In, Bit>,
    /// MSI-X Message Control: function mask.
    pub pcie_msix_mask: Signal<In, Bit>,
    /// The function is being reset.
    pub pcie_function_reset: Signal<In, Bit>,
    core: Core<64, 8, 8, 2>,
    dma: Dma,
    merge: Merge,
    endpoint: Endpoint,
    bus: Bus,
    /// A second unexpected completion, not counted yet.
    strangers: DFF<Bit>,
    unexpected: Signal<Local, Bit>,
    both: Signal<Local, Bit>,
}

impl Card {
    /// The card with the ident values of a build.
    pub fn new(build: Build) -> Self {
        let build = Build {
            capabilities: build.capabilities | CAPABILITY_DMA,
            ..build
        };
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
            pcie_rx_data: Signal::default(),
            pcie_rx_keep: Signal::default(),
            pcie_rx_last: Signal::default(),
            pcie_rx_valid: Signal::default(),
            pcie_rx_ready: Signal::default(),
            pcie_rx_bar: Signal::default(),
            pcie_rx_poisoned: Signal::default(),
            pcie_tx_data: Signal::default(),
            pcie_tx_keep: Signal::default(),
            pcie_tx_last: Signal::default(),
            pcie_tx_valid: Signal::default(),
            pcie_tx_ready: Signal::default(),
            pcie_completer_id: Signal::default(),
            pcie_bus_master: Signal::default(),
            pcie_max_payload: Signal::default(),
            pcie_max_read_request: Signal::default(),
            pcie_read_completion_boundary: Signal::default(),
            pcie_msix_enable: Signal::default(),
            pcie_msix_mask: Signal::default(),
            pcie_function_reset: Signal::default(),
            core: Core::new(build),
            dma: Dma::default(),
            merge: Merge::default(),
            endpoint: Endpoint::default(),
            bus: Bus::default(),
            strangers: DFF::default(),
            unexpected: Signal::default(),
            both: Signal::default(),
        }
    }
}

impl Logic for Card {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, strangers);
        clock!(self, clock, core, dma, merge, endpoint, bus);
        // Ports, verdicts and stages are those of the core.
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
        self.event_valid.next = self.core.event_valid.val();
        self.event_metadata.next = self.core.event_metadata.val();
        self.stage_strobe.next = self.core.stage_strobe.val();
        self.stage_used.next = self.core.stage_used.val();

        // Registers: from the pins, or from the host.
        self.bus.pins_address.next = self.csr_address.val();
        self.bus.pins_wdata.next = self.csr_wdata.val();
        self.bus.pins_write.next = self.csr_write.val();
        self.bus.pins_read.next = self.csr_read.val();
        self.csr_rdata.next = self.bus.pins_rdata.val();
        self.csr_ack.next = self.bus.pins_ack.val();
        self.bus.host_address.next = self.endpoint.csr_address.val();
        self.bus.host_wdata.next = self.endpoint.csr_wdata.val();
        self.bus.host_write.next = self.endpoint.csr_write.val();
        self.bus.host_read.next = self.endpoint.csr_read.val();
        self.endpoint.csr_rdata.next = self.bus.host_rdata.val();
        self.endpoint.csr_ack.next = self.bus.host_ack.val();
        self.core.csr_address.next = self.bus.address.val();
        self.core.csr_wdata.next = self.bus.wdata.val();
        self.core.csr_write.next = self.bus.write.val();
        self.core.csr_read.next = self.bus.read.val();
        self.bus.rdata.next = self.core.csr_rdata.val();
        self.bus.ack.next = self.core.csr_ack.val();
        self.bus.reset.next = self.reset.val();
        self.dma.address.next = self.core.outside_address.val();
        self.dma.write.next = self.core.outside_write.val();
        self.dma.wdata.next = self.core.outside_wdata.val();
        self.core.outside_rdata.next = self.dma.data.val();

        // Frames to the host and from it.
        self.dma.reset.next = self.reset.val();
        self.dma.waiting.next = self.core.punt_waiting.val();
        self.dma.oldest.next = self.core.punt_oldest.val();
        self.core.punt_takes.next = self.dma.takes.val();
        self.core.punt_line.next = self.dma.line.val();
        self.dma.beat.next = self.core.punt_beat.val();
        self.core.punt_pop.next = self.dma.pop.val();
        self.merge.window_beat.next = self.core.window_beat.val();
        self.merge.window_origin.next = self.core.window_origin.val();
        self.merge.window_valid.next = self.core.window_valid.val();
        self.core.window_ready.next = self.merge.window_ready.val();
        self.merge.ring_beat.next = self.dma.inject_beat.val();
        self.merge.ring_valid.next = self.dma.inject_valid.val();
        self.dma.inject_ready.next = self.merge.ring_ready.val();
        self.core.inject_beat.next = self.merge.out_beat.val();
        self.core.inject_origin.next = self.merge.out_origin.val();
        self.core.inject_valid.next = self.merge.out_valid.val();
        self.merge.out_ready.next = self.core.inject_ready.val();
        self.core.inject_sending.next = self.dma.sending.val() | self.merge.out_valid.val();

        // What is counted, from `PUNT_RING_FULL` on. Completions nobody waits for are known in two places.
        self.both.next = self.dma.unexpected.val() & self.endpoint.unexpected.val();
        self.unexpected.next =
            self.dma.unexpected.val() | self.endpoint.unexpected.val() | self.strangers.q.val();
        self.strangers.d.next = self.both.val()
            | (self.strangers.q.val()
                & (self.dma.unexpected.val() | self.endpoint.unexpected.val()));
        self.core.rare[0].next = self.dma.full.val();
        self.core.rare[1].next = self.dma.off.val();
        self.core.rare[2].next = self.dma.bad.val();
        self.core.rare[3].next = self.dma.error.val();
        self.core.rare[4].next = self.dma.overdue.val();
        self.core.rare[5].next = self.endpoint.unsupported.val();
        self.core.rare[6].next = self.endpoint.aborted.val();
        self.core.rare[7].next = self.endpoint.bad.val();
        self.core.rare[8].next = self.unexpected.val();

        // Host memory.
        self.dma.function_reset.next = self.endpoint.function_reset.val();
        self.dma.bus_master.next = self.endpoint.bus_master.val();
        self.dma.max_payload.next = self.endpoint.max_payload.val();
        self.dma.max_read_request.next = self.endpoint.max_read_request.val();
        self.endpoint.write_valid.next = self.dma.write_valid.val();
        self.dma.write_ready.next = self.endpoint.write_ready.val();
        self.endpoint.write_address.next = self.dma.write_address.val();
        self.endpoint.write_dwords.next = self.dma.write_dwords.val();
        self.endpoint.write_data.next = self.dma.write_data.val();
        self.endpoint.write_data_valid.next = self.dma.write_data_valid.val();
        self.dma.write_data_ready.next = self.endpoint.write_data_ready.val();
        self.dma.write_done.next = self.endpoint.write_done.val();
        self.endpoint.read_valid.next = self.dma.read_valid.val();
        self.dma.read_ready.next = self.endpoint.read_ready.val();
        self.endpoint.read_address.next = self.dma.read_address.val();
        self.endpoint.read_dwords.next = self.dma.read_dwords.val();
        self.endpoint.read_first_enable.next = self.dma.read_first_enable.val();
        self.endpoint.read_last_enable.next = self.dma.read_last_enable.val();
        self.endpoint.read_tag.next = self.dma.read_tag.val();
        self.dma.completion_valid.next = self.endpoint.completion_valid.val();
        self.dma.completion_tag.next = self.endpoint.completion_tag.val();
        self.dma.completion_failed.next = self.endpoint.completion_failed.val();
        self.dma.completion_bytes.next = self.endpoint.completion_bytes.val();
        self.dma.completion_lower.next = self.endpoint.completion_lower.val();
        self.dma.completion_dwords.next = self.endpoint.completion_dwords.val();
        self.dma.completion_data.next = self.endpoint.completion_data.val();
        self.dma.completion_data_valid.next = self.endpoint.completion_data_valid.val();
        self.dma.completion_data_last.next = self.endpoint.completion_data_last.val();
        self.endpoint.raise.next = self.dma.raise.val();
        self.endpoint.interrupt_gap.next = self.dma.interrupt_gap.val();

        // The link.
        self.endpoint.rx_data.next = self.pcie_rx_data.val();
        self.endpoint.rx_keep.next = self.pcie_rx_keep.val();
        self.endpoint.rx_last.next = self.pcie_rx_last.val();
        self.endpoint.rx_valid.next = self.pcie_rx_valid.val();
        self.pcie_rx_ready.next = self.endpoint.rx_ready.val();
        self.endpoint.rx_bar.next = self.pcie_rx_bar.val();
        self.endpoint.rx_poisoned.next = self.pcie_rx_poisoned.val();
        self.pcie_tx_data.next = self.endpoint.tx_data.val();
        self.pcie_tx_keep.next = self.endpoint.tx_keep.val();
        self.pcie_tx_last.next = self.endpoint.tx_last.val();
        self.pcie_tx_valid.next = self.endpoint.tx_valid.val();
        self.endpoint.tx_ready.next = self.pcie_tx_ready.val();
        self.endpoint.pcie_completer_id.next = self.pcie_completer_id.val();
        self.endpoint.pcie_bus_master.next = self.pcie_bus_master.val();
        self.endpoint.pcie_max_payload.next = self.pcie_max_payload.val();
        self.endpoint.pcie_max_read_request.next = self.pcie_max_read_request.val();
        self.endpoint.pcie_msix_enable.next = self.pcie_msix_enable.val();
        self.endpoint.pcie_msix_mask.next = self.pcie_msix_mask.val();
        self.endpoint.pcie_function_reset.next = self.pcie_function_reset.val();
    }
}

/// Two masters of one register bus: the pins go first between accesses.
#[derive(LogicBlock, Default)]
pub struct Bus {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// No access is going on.
    pub reset: Signal<In, Bit>,
    /// Byte address.
    pub pins_address: Signal<In, Bits<16>>,
    /// Word to write.
    pub pins_wdata: Signal<In, Bits<32>>,
    /// Write, held until `pins_ack`.
    pub pins_write: Signal<In, Bit>,
    /// Read, held until `pins_ack`.
    pub pins_read: Signal<In, Bit>,
    /// Word read.
    pub pins_rdata: Signal<Out, Bits<32>>,
    /// The access is done.
    pub pins_ack: Signal<Out, Bit>,
    /// Byte address.
    pub host_address: Signal<In, Bits<16>>,
    /// Word to write.
    pub host_wdata: Signal<In, Bits<32>>,
    /// Write, held until `host_ack`.
    pub host_write: Signal<In, Bit>,
    /// Read, held until `host_ack`.
    pub host_read: Signal<In, Bit>,
    /// Word read.
    pub host_rdata: Signal<Out, Bits<32>>,
    /// The access is done.
    pub host_ack: Signal<Out, Bit>,
    /// To the core.
    pub address: Signal<Out, Bits<16>>,
    /// To the core.
    pub wdata: Signal<Out, Bits<32>>,
    /// To the core.
    pub write: Signal<Out, Bit>,
    /// To the core.
    pub read: Signal<Out, Bit>,
    /// From the core.
    pub rdata: Signal<In, Bits<32>>,
    /// From the core.
    pub ack: Signal<In, Bit>,
    busy: DFF<Bit>,
    host_turn: DFF<Bit>,
}

impl Logic for Bus {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, busy, host_turn);
        if self.busy.q.val() {
            self.busy.d.next = !self.ack.val();
        } else {
            self.host_turn.d.next = !(self.pins_write.val() | self.pins_read.val());
            self.busy.d.next = self.pins_write.val()
                | self.pins_read.val()
                | self.host_write.val()
                | self.host_read.val();
        }
        if self.reset.val() {
            self.busy.d.next = false;
        }
        self.address.next = self.pins_address.val();
        self.wdata.next = self.pins_wdata.val();
        self.write.next = self.busy.q.val() & self.pins_write.val();
        self.read.next = self.busy.q.val() & self.pins_read.val();
        if self.host_turn.q.val() {
            self.address.next = self.host_address.val();
            self.wdata.next = self.host_wdata.val();
            self.write.next = self.busy.q.val() & self.host_write.val();
            self.read.next = self.busy.q.val() & self.host_read.val();
        }
        self.pins_rdata.next = self.rdata.val();
        self.host_rdata.next = self.rdata.val();
        self.pins_ack.next = self.busy.q.val() & self.ack.val() & (!self.host_turn.q.val());
        self.host_ack.next = self.busy.q.val() & self.ack.val() & self.host_turn.q.val();
    }
}
