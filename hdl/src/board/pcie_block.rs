//! The hard block of PCIe of a 7-series device: lanes on one side, the streams of [`Bridge`](crate::pcie::bridge) on the other.
//!
//! A black box: the module `pcie_7x_0` that Vivado makes of its IP `pcie_7x` with the settings in
//! `bitstreams/stlv7325/build.tcl`, which also say which groups of pins it has. Facts are those of PG054. In simulation
//! there is never a link; `hdl/tests/support/series7.v` has a model whose link is a test's.

use rust_hdl_core::prelude::*;

use crate::family::wires;

/// The block; see the module's text.
#[derive(LogicBlock, Default)]
pub struct PcieBlock {
    /// Pin: low resets, PERST#.
    pub reset_n: Signal<In, Bit>,
    /// Pin: reference clock, 100 MHz.
    pub reference_p: Signal<In, Clock>,
    /// Its opposite.
    pub reference_n: Signal<In, Clock>,
    /// Pins: lanes from the host.
    pub lanes_rx_p: Signal<In, Bits<4>>,
    /// Their opposites.
    pub lanes_rx_n: Signal<In, Bits<4>>,
    /// Pins: lanes to the host.
    pub lanes_tx_p: Signal<Out, Bits<4>>,
    /// Their opposites.
    pub lanes_tx_n: Signal<Out, Bits<4>>,
    /// Clock of all that follows, 250 MHz; stands still during a reset.
    pub link_clock: Signal<Out, Clock>,
    /// There is no link, a register.
    pub link_reset: Signal<Out, Bit>,
    /// As in [`Bridge`](crate::pcie::bridge::Bridge), this and all that follows.
    pub link_rx_data: Signal<Out, Bits<64>>,
    /// Bytes present.
    pub link_rx_keep: Signal<Out, Bits<8>>,
    /// Last beat of the TLP.
    pub link_rx_last: Signal<Out, Bit>,
    /// A beat is offered.
    pub link_rx_valid: Signal<Out, Bit>,
    /// It is taken.
    pub link_rx_ready: Signal<In, Bit>,
    /// Bit n: the address is in BAR n; bit 6 is the expansion ROM.
    pub link_rx_bar: Signal<Out, Bits<7>>,
    /// The TLP is poisoned.
    pub link_rx_poisoned: Signal<Out, Bit>,
    /// Two DWs to the link.
    pub link_tx_data: Signal<In, Bits<64>>,
    /// Bytes present.
    pub link_tx_keep: Signal<In, Bits<8>>,
    /// Last beat of the TLP.
    pub link_tx_last: Signal<In, Bit>,
    /// A beat is offered.
    pub link_tx_valid: Signal<In, Bit>,
    /// It is taken.
    pub link_tx_ready: Signal<Out, Bit>,
    /// Bus, device and function number.
    pub link_completer_id: Signal<Out, Bits<16>>,
    /// Bus master enable.
    pub link_bus_master: Signal<Out, Bit>,
    /// Code of Max_Payload_Size.
    pub link_max_payload: Signal<Out, Bits<3>>,
    /// Code of Max_Read_Request_Size.
    pub link_max_read_request: Signal<Out, Bits<3>>,
    /// Read completion boundary.
    pub link_read_completion_boundary: Signal<Out, Bit>,
    /// MSI-X enable.
    pub link_msix_enable: Signal<Out, Bit>,
    /// MSI-X function mask.
    pub link_msix_mask: Signal<Out, Bit>,
    /// The host resets the function.
    pub link_function_reset: Signal<Out, Bit>,
}

impl Logic for PcieBlock {
    fn update(&mut self) {
        self.link_reset.next = true;
    }

    fn connect(&mut self) {
        self.lanes_tx_p.connect();
        self.lanes_tx_n.connect();
        self.link_clock.connect();
        self.link_reset.connect();
        self.link_rx_data.connect();
        self.link_rx_keep.connect();
        self.link_rx_last.connect();
        self.link_rx_valid.connect();
        self.link_rx_bar.connect();
        self.link_rx_poisoned.connect();
        self.link_tx_ready.connect();
        self.link_completer_id.connect();
        self.link_bus_master.connect();
        self.link_max_payload.connect();
        self.link_max_read_request.connect();
        self.link_read_completion_boundary.connect();
        self.link_msix_enable.connect();
        self.link_msix_mask.connect();
        self.link_function_reset.connect();
    }

    fn hdl(&self) -> Verilog {
        wires(BODY)
    }
}

/// The instance, and what its other inputs are tied to. Outputs that are not named are not looked at.
const BODY: &str = r#"wire reference, block_reset, link_up, turn_off;
wire [21:0] rx_user;
wire [15:0] command, device_command, link_command;
IBUFDS_GTE2 reference_pair (.I(reference_p), .IB(reference_n), .CEB(1'b0), .O(reference));

// No link while the block is in reset, or out of it and not trained. The clock may stand still when the reset begins.
reg down;
initial down = 1;
always @(posedge link_clock or posedge block_reset)
    if (block_reset) down <= 1;
    else down <= ~link_up;
assign link_reset = down;

// Facts beside a received TLP: bit 1 poisoned, bits 8..2 the BAR.
assign link_rx_bar = rx_user[8:2];
assign link_rx_poisoned = rx_user[1];
// Command, Device Control and Link Control of configuration space.
assign link_bus_master = command[2];
assign link_max_payload = device_command[7:5];
assign link_max_read_request = device_command[14:12];
assign link_read_completion_boundary = link_command[3];

pcie_7x_0 block (
    .sys_clk(reference), .sys_rst_n(reset_n),
    .pci_exp_rxp(lanes_rx_p), .pci_exp_rxn(lanes_rx_n), .pci_exp_txp(lanes_tx_p), .pci_exp_txn(lanes_tx_n),
    .user_clk_out(link_clock), .user_reset_out(block_reset), .user_lnk_up(link_up),
    .m_axis_rx_tdata(link_rx_data), .m_axis_rx_tkeep(link_rx_keep), .m_axis_rx_tlast(link_rx_last),
    .m_axis_rx_tvalid(link_rx_valid), .m_axis_rx_tready(link_rx_ready), .m_axis_rx_tuser(rx_user),
    .s_axis_tx_tdata(link_tx_data), .s_axis_tx_tkeep(link_tx_keep), .s_axis_tx_tlast(link_tx_last),
    .s_axis_tx_tvalid(link_tx_valid), .s_axis_tx_tready(link_tx_ready),
    // A TLP leaves when the block has all of it, so beats may come with gaps; none is poisoned or given up.
    .s_axis_tx_tuser(4'b0000),
    // Completions of configuration requests go first, whenever the block has one.
    .tx_cfg_gnt(1'b1),
    // Reads of the host are always welcome: the endpoint keeps 33 of them and then holds up the stream.
    .rx_np_ok(1'b1), .rx_np_req(1'b1),
    .cfg_command(command), .cfg_dcommand(device_command), .cfg_lcommand(link_command),
    .cfg_bus_number(link_completer_id[15:8]), .cfg_device_number(link_completer_id[7:3]),
    .cfg_function_number(link_completer_id[2:0]),
    .cfg_received_func_lvl_rst(link_function_reset),
    .cfg_interrupt_msixenable(link_msix_enable), .cfg_interrupt_msixfm(link_msix_mask),
    // The endpoint sends MSI-X messages as the memory writes that they are: the block has no interrupt to send.
    .cfg_interrupt(1'b0), .cfg_interrupt_assert(1'b0), .cfg_interrupt_di(8'd0), .cfg_interrupt_stat(1'b0),
    .cfg_pciecap_interrupt_msgnum(5'd0),
    // Nothing is saved before power goes: a host that asks is told at once that it may.
    .cfg_to_turnoff(turn_off), .cfg_turnoff_ok(turn_off),
    // Reads of host memory under way are not told of in Device Status.
    .cfg_trn_pending(1'b0),
    // Power states follow the host and the link; the card wakes nobody.
    .cfg_pm_halt_aspm_l0s(1'b0), .cfg_pm_halt_aspm_l1(1'b0), .cfg_pm_force_state_en(1'b0), .cfg_pm_force_state(2'd0),
    .cfg_pm_wake(1'b0), .cfg_pm_send_pme_to(1'b0),
    // No serial number is shown, and those of a root port mean nothing here.
    .cfg_dsn(64'd0), .cfg_ds_bus_number(8'd0), .cfg_ds_device_number(5'd0), .cfg_ds_function_number(3'd0));
"#;
