//! PCI Express endpoint: transaction layer packets on 64-bit streams, as the 7-series hard block shows them.
//!
//! It serves BAR0 (registers of the core, MSI-X table and pending bits of its own), writes and reads host memory for
//! the dma block, and sends the interrupts. Links, flow control, configuration space and the removal of malformed
//! packets belong to the hard block; what it lets through is judged once more, and nothing that comes in can stop
//! the endpoint.
//!
//! ```text
//!        ┌► receive ─┬► requests ─► completer ─┬► register bus of the core
//! link ──┤           │                ▲  │     └► msix ◄─ raise
//!        │           └► completions ──│──│──────────│──► dma
//!        └◄ transmit ◄─ order ◄───────┴──┴──────────┴─── dma: writes, reads
//! ```
//!
//! **Interface.** Streams of DWs as in `hdl/CONTRACT.md`, "Bus"; towards the core and the dma block, data are in
//! memory order. A write header that was taken must be followed by all of its data, also across a function reset;
//! the header leaves when its turn comes, and holds up the rest until its data are there. Requests are dropped with
//! their data while bus mastering is off. `function_reset` clears MSI-X; requests of the host are served on.
//!
//! **Order.** Completions, writes, reads and interrupts take turns. A completion or an interrupt leaves after every
//! write whose header was taken before it arose.
//!
//! **Latency.** From the last beat of a read of one register to the first beat of its completion: 16 clocks and the
//! access. From a write's header to its first beat: 5 clocks.
//!
//! **Throughput.** A beat a clock in both directions: writes of 64 bytes leave in ten beats each without a gap, and
//! completions of reads are taken as fast as the link brings them. A register access takes three clocks and what the
//! core needs; meanwhile 33 requests and 4 KiB of payload wait, then the link waits.
//!
//! **Cost.** About 4300 LUTs, 3400 flip-flops and four block RAMs of an ECP5.

/// What the parts tell each other.
pub mod tlp;

/// Headers off, payload in order.
pub mod align;
/// What a TLP is.
pub mod classify;
/// Payload of TLPs that are not over.
pub mod store;
/// Completions on their way to the dma block.
pub mod deliver;
/// What the link brings.
pub mod receive;
/// Byte Count and Lower Address.
pub mod span;
/// Requests on BAR0.
pub mod completer;
/// Interrupts.
pub mod msix;
/// What is sent next.
pub mod order;
/// What the link takes.
pub mod transmit;
/// Another clock on the side of the link.
pub mod bridge;

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

use self::completer::Completer;
use self::msix::Msix;
use self::order::Order;
use self::receive::Receive;
use self::transmit::Transmit;
use crate::skid::Skid;

/// The endpoint; see the module's text.
#[derive(LogicBlock)]
pub struct Endpoint {
    /// Clock, rising edge.
    pub clock: Signal<In, Clock>,
    /// Two DWs from the link.
    pub rx_data: Signal<In, Bits<64>>,
    /// Bytes present: 0x0f or 0xff.
    pub rx_keep: Signal<In, Bits<8>>,
    /// Last beat of the TLP.
    pub rx_last: Signal<In, Bit>,
    /// A beat is offered.
    pub rx_valid: Signal<In, Bit>,
    /// It is taken.
    pub rx_ready: Signal<Out, Bit>,
    /// Bit n: the address is in BAR n.
    pub rx_bar: Signal<In, Bits<7>>,
    /// The TLP is poisoned.
    pub rx_poisoned: Signal<In, Bit>,
    /// Two DWs to the link.
    pub tx_data: Signal<Out, Bits<64>>,
    /// Bytes present: 0x0f or 0xff.
    pub tx_keep: Signal<Out, Bits<8>>,
    /// Last beat of the TLP.
    pub tx_last: Signal<Out, Bit>,
    /// A beat is offered.
    pub tx_valid: Signal<Out, Bit>,
    /// It is taken.
    pub tx_ready: Signal<In, Bit>,
    /// Bus, device and function number.
    pub pcie_completer_id: Signal<In, Bits<16>>,
    /// Command register: bus master enable.
    pub pcie_bus_master: Signal<In, Bit>,
    /// Device Control: code of Max_Payload_Size.
    pub pcie_max_payload: Signal<In, Bits<3>>,
    /// Device Control: code of Max_Read_Request_Size.
    pub pcie_max_read_request: Signal<In, Bits<3>>,
    /// MSI-X Message Control: enable.
    pub pcie_msix_enable: Signal<In, Bit>,
    /// MSI-X Message Control: function mask.
    pub pcie_msix_mask: Signal<In, Bit>,
    /// The function is being reset.
    pub pcie_function_reset: Signal<In, Bit>,
    /// Register bus of the core: byte address.
    pub csr_address: Signal<Out, Bits<16>>,
    /// Word to write.
    pub csr_wdata: Signal<Out, Bits<32>>,
    /// Write, held until `csr_ack`.
    pub csr_write: Signal<Out, Bit>,
    /// Read, held until `csr_ack`.
    pub csr_read: Signal<Out, Bit>,
    /// Word read, with `csr_ack`.
    pub csr_rdata: Signal<In, Bits<32>>,
    /// The access is done.
    pub csr_ack: Signal<In, Bit>,
    /// A write of host memory.
    pub write_valid: Signal<In, Bit>,
    /// It is taken.
    pub write_ready: Signal<Out, Bit>,
    /// Its address, a multiple of four.
    pub write_address: Signal<In, Bits<64>>,
    /// Its DWs, within a page and Max_Payload_Size.
    pub write_dwords: Signal<In, Bits<10>>,
    /// Two DWs of the writes, in their order.
    pub write_data: Signal<In, Bits<64>>,
    /// They are offered.
    pub write_data_valid: Signal<In, Bit>,
    /// They are taken.
    pub write_data_ready: Signal<Out, Bit>,
    /// The oldest write has gone to the link, or was given up; high for one clock.
    pub write_done: Signal<Out, Bit>,
    /// A read of host memory.
    pub read_valid: Signal<In, Bit>,
    /// It is taken.
    pub read_ready: Signal<Out, Bit>,
    /// Its address, a multiple of four.
    pub read_address: Signal<In, Bits<64>>,
    /// Its DWs, 1..=128, within a page and Max_Read_Request_Size.
    pub read_dwords: Signal<In, Bits<10>>,
    /// Byte enables of the first DW.
    pub read_first_enable: Signal<In, Bits<4>>,
    /// Byte enables of the last DW, none when there is one.
    pub read_last_enable: Signal<In, Bits<4>>,
    /// Tag that is not in use.
    pub read_tag: Signal<In, Bits<5>>,
    /// A completion came, for one clock.
    pub completion_valid: Signal<Out, Bit>,
    /// Its tag.
    pub completion_tag: Signal<Out, Bits<5>>,
    /// Its status is not Successful Completion, it is poisoned, or it has no data.
    pub completion_failed: Signal<Out, Bit>,
    /// Byte Count.
    pub completion_bytes: Signal<Out, Bits<12>>,
    /// Lower Address.
    pub completion_lower: Signal<Out, Bits<7>>,
    /// DWs that follow, at most 128.
    pub completion_dwords: Signal<Out, Bits<10>>,
    /// Two of them.
    pub completion_data: Signal<Out, Bits<64>>,
    /// They are there.
    pub completion_data_valid: Signal<Out, Bit>,
    /// They are the last ones.
    pub completion_data_last: Signal<Out, Bit>,
    /// Bit n: raise vector n, for one clock.
    pub raise: Signal<In, Bits<6>>,
    /// `INTERRUPT_GAP`.
    pub interrupt_gap: Signal<In, Bits<32>>,
    /// Bus mastering is on.
    pub bus_master: Signal<Out, Bit>,
    /// Code of Max_Payload_Size.
    pub max_payload: Signal<Out, Bits<3>>,
    /// Code of Max_Read_Request_Size.
    pub max_read_request: Signal<Out, Bits<3>>,
    /// The function is being reset.
    pub function_reset: Signal<Out, Bit>,
    /// `TLP_UNSUPPORTED` counts, for one clock.
    pub unsupported: Signal<Out, Bit>,
    /// `TLP_ABORTED` counts.
    pub aborted: Signal<Out, Bit>,
    /// `TLP_BAD` counts.
    pub bad: Signal<Out, Bit>,
    /// `TLP_UNEXPECTED` counts: not for this function, tag above 31, or longer than any read.
    pub unexpected: Signal<Out, Bit>,
    receive: Receive,
    completer: Completer,
    msix: Msix,
    order: Order,
    transmit: Transmit,
    write_words: Skid<Bits<64>>,
    done: DFF<Bit>,
    identifier: DFF<Bits<16>>,
    master: DFF<Bit>,
    payload_code: DFF<Bits<3>>,
    request_code: DFF<Bits<3>>,
    msix_enable: DFF<Bit>,
    msix_mask: DFF<Bit>,
    resets: DFF<Bit>,
    half_beat: Constant<Bits<8>>,
    whole_beat: Constant<Bits<8>>,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self {
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
            pcie_msix_enable: Signal::default(),
            pcie_msix_mask: Signal::default(),
            pcie_function_reset: Signal::default(),
            csr_address: Signal::default(),
            csr_wdata: Signal::default(),
            csr_write: Signal::default(),
            csr_read: Signal::default(),
            csr_rdata: Signal::default(),
            csr_ack: Signal::default(),
            write_valid: Signal::default(),
            write_ready: Signal::default(),
            write_address: Signal::default(),
            write_dwords: Signal::default(),
            write_data: Signal::default(),
            write_data_valid: Signal::default(),
            write_data_ready: Signal::default(),
            write_done: Signal::default(),
            read_valid: Signal::default(),
            read_ready: Signal::default(),
            read_address: Signal::default(),
            read_dwords: Signal::default(),
            read_first_enable: Signal::default(),
            read_last_enable: Signal::default(),
            read_tag: Signal::default(),
            completion_valid: Signal::default(),
            completion_tag: Signal::default(),
            completion_failed: Signal::default(),
            completion_bytes: Signal::default(),
            completion_lower: Signal::default(),
            completion_dwords: Signal::default(),
            completion_data: Signal::default(),
            completion_data_valid: Signal::default(),
            completion_data_last: Signal::default(),
            raise: Signal::default(),
            interrupt_gap: Signal::default(),
            bus_master: Signal::default(),
            max_payload: Signal::default(),
            max_read_request: Signal::default(),
            function_reset: Signal::default(),
            unsupported: Signal::default(),
            aborted: Signal::default(),
            bad: Signal::default(),
            unexpected: Signal::default(),
            receive: Receive::default(),
            completer: Completer::default(),
            msix: Msix::default(),
            order: Order::default(),
            transmit: Transmit::default(),
            write_words: Skid::default(),
            done: DFF::default(),
            identifier: DFF::default(),
            master: DFF::default(),
            payload_code: DFF::default(),
            request_code: DFF::default(),
            msix_enable: DFF::default(),
            msix_mask: DFF::default(),
            resets: DFF::default(),
            half_beat: Constant::new(0x0f_u64.to_bits()),
            whole_beat: Constant::new(0xff_u64.to_bits()),
        }
    }
}

impl Logic for Endpoint {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            identifier,
            master,
            payload_code,
            request_code,
            msix_enable,
            msix_mask,
            resets,
            done
        );
        clock!(
            self,
            clock,
            receive,
            completer,
            msix,
            order,
            transmit,
            write_words
        );

        // What the hard block says of the function.
        self.identifier.d.next = self.pcie_completer_id.val();
        self.master.d.next = self.pcie_bus_master.val();
        self.payload_code.d.next = self.pcie_max_payload.val();
        self.request_code.d.next = self.pcie_max_read_request.val();
        self.msix_enable.d.next = self.pcie_msix_enable.val();
        self.msix_mask.d.next = self.pcie_msix_mask.val();
        self.resets.d.next = self.pcie_function_reset.val();
        self.bus_master.next = self.master.q.val();
        self.max_payload.next = self.payload_code.q.val();
        self.max_read_request.next = self.request_code.q.val();
        self.function_reset.next = self.resets.q.val();

        // What the link brings.
        self.receive.beat.next.data = self.rx_data.val();
        self.receive.beat.next.upper = self.rx_keep.val().get_bit(4);
        self.receive.beat.next.last = self.rx_last.val();
        self.receive.beat.next.bar0 = self.rx_bar.val().get_bit(0);
        self.receive.beat.next.poisoned = self.rx_poisoned.val();
        self.receive.valid.next = self.rx_valid.val();
        self.rx_ready.next = self.receive.ready.val();
        self.receive.identifier.next = self.identifier.q.val();
        self.completion_valid.next = self.receive.completion_valid.val();
        self.completion_tag.next = self.receive.completion.val().tag;
        self.completion_failed.next = self.receive.completion.val().failed;
        self.completion_bytes.next = self.receive.completion.val().bytes;
        self.completion_lower.next = self.receive.completion.val().lower;
        self.completion_dwords.next = self.receive.completion.val().dwords;
        self.completion_data.next = self.receive.completion_data.val();
        self.completion_data_valid.next = self.receive.completion_data_valid.val();
        self.completion_data_last.next = self.receive.completion_data_last.val();
        self.unsupported.next = self.receive.unsupported.val();
        self.aborted.next = self.receive.aborted.val();
        self.bad.next = self.receive.bad.val();
        self.unexpected.next = self.receive.unexpected.val();

        // The host's requests.
        self.completer.identifier.next = self.identifier.q.val();
        self.completer.request.next = self.receive.request.val();
        self.completer.request_valid.next = self.receive.request_valid.val();
        self.receive.request_ready.next = self.completer.request_ready.val();
        self.completer.payload.next = self.receive.payload.val();
        self.completer.payload_valid.next = self.receive.payload_valid.val();
        self.receive.payload_ready.next = self.completer.payload_ready.val();
        self.csr_address.next = self.completer.csr_address.val();
        self.csr_wdata.next = self.completer.csr_wdata.val();
        self.csr_write.next = self.completer.csr_write.val();
        self.csr_read.next = self.completer.csr_read.val();
        self.completer.csr_rdata.next = self.csr_rdata.val();
        self.completer.csr_ack.next = self.csr_ack.val();

        // Interrupts.
        self.msix.reset.next = self.resets.q.val();
        self.msix.raise.next = self.raise.val();
        self.msix.gap.next = self.interrupt_gap.val();
        self.msix.enable.next = self.msix_enable.q.val();
        self.msix.mask.next = self.msix_mask.q.val();
        self.msix.bus_master.next = self.master.q.val();
        self.msix.identifier.next = self.identifier.q.val();
        self.msix.address.next = self.completer.msix_address.val();
        self.msix.wdata.next = self.completer.msix_wdata.val();
        self.msix.write.next = self.completer.msix_write.val();
        self.msix.read.next = self.completer.msix_read.val();
        self.completer.msix_rdata.next = self.msix.rdata.val();
        self.completer.msix_busy.next = self.msix.busy.val();

        // What is sent.
        self.order.identifier.next = self.identifier.q.val();
        self.order.completion.next = self.completer.completion.val();
        self.order.completion_valid.next = self.completer.completion_valid.val();
        self.completer.completion_ready.next = self.order.completion_ready.val();
        self.order.write.next.address = self.write_address.val();
        self.order.write.next.dwords = self.write_dwords.val();
        self.order.write_valid.next = self.write_valid.val();
        self.write_ready.next = self.order.write_ready.val();
        self.order.read.next.address = self.read_address.val();
        self.order.read.next.dwords = self.read_dwords.val();
        self.order.read.next.first = self.read_first_enable.val();
        self.order.read.next.final_enables = self.read_last_enable.val();
        self.order.read.next.tag = self.read_tag.val();
        self.order.read_valid.next = self.read_valid.val();
        self.read_ready.next = self.order.read_ready.val();
        self.order.message.next = self.msix.message.val();
        self.order.message_valid.next = self.msix.message_valid.val();
        self.msix.message_ready.next = self.order.message_ready.val();
        self.write_words.in_data.next = self.write_data.val();
        self.write_words.in_valid.next = self.write_data_valid.val();
        self.write_data_ready.next = self.write_words.in_ready.val();
        self.transmit.bus_master.next = self.master.q.val();
        self.transmit.head.next = self.order.out.val();
        self.transmit.head_valid.next = self.order.out_valid.val();
        self.order.out_ready.next = self.transmit.head_ready.val();
        self.transmit.completion_data.next = self.completer.data.val();
        self.completer.data_ready.next = self.transmit.completion_ready.val();
        self.transmit.completion_valid.next = self.completer.data_valid.val();
        self.transmit.write_data.next = self.write_words.out_data.val();
        self.transmit.write_valid.next = self.write_words.out_valid.val();
        self.write_words.out_ready.next = self.transmit.write_ready.val();
        self.done.d.next = self.transmit.write_done.val();
        self.write_done.next = self.done.q.val();
        self.transmit.message_data.next = self.msix.data.val();
        self.msix.data_ready.next = self.transmit.message_ready.val();
        self.msix.dropped.next = self.transmit.dropped.val();
        self.tx_data.next = self.transmit.beat.val().data;
        self.tx_keep.next = self.half_beat.val();
        if self.transmit.beat.val().upper {
            self.tx_keep.next = self.whole_beat.val();
        }
        self.tx_last.next = self.transmit.beat.val().last;
        self.tx_valid.next = self.transmit.valid.val();
        self.transmit.ready.next = self.tx_ready.val();
    }
}
