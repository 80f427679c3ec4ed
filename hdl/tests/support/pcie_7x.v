// A model of the hard block of PCIe with the pins that bitstreams/stlv7325/build.tcl asks for and the board uses, for
// simulation; for synthesis only its outline. Its link is a test's: what comes from it is in the registers, and the clock is
// the reference clock.
module pcie_7x_0(
    input wire sys_clk, input wire sys_rst_n, input wire [3:0] pci_exp_rxp, input wire [3:0] pci_exp_rxn,
    output wire [3:0] pci_exp_txp, output wire [3:0] pci_exp_txn,
    output wire user_clk_out, output wire user_reset_out, output wire user_lnk_up,
    output wire [63:0] m_axis_rx_tdata, output wire [7:0] m_axis_rx_tkeep, output wire m_axis_rx_tlast,
    output wire m_axis_rx_tvalid, input wire m_axis_rx_tready, output wire [21:0] m_axis_rx_tuser,
    input wire [63:0] s_axis_tx_tdata, input wire [7:0] s_axis_tx_tkeep, input wire s_axis_tx_tlast,
    input wire s_axis_tx_tvalid, output wire s_axis_tx_tready, input wire [3:0] s_axis_tx_tuser,
    input wire tx_cfg_gnt, input wire rx_np_ok, input wire rx_np_req,
    output wire [15:0] cfg_command, output wire [15:0] cfg_dcommand, output wire [15:0] cfg_lcommand,
    output wire cfg_received_func_lvl_rst,
    output wire [7:0] cfg_bus_number, output wire [4:0] cfg_device_number, output wire [2:0] cfg_function_number,
    input wire cfg_interrupt, input wire cfg_interrupt_assert, input wire [7:0] cfg_interrupt_di,
    output wire cfg_interrupt_msixenable, output wire cfg_interrupt_msixfm,
    input wire cfg_interrupt_stat, input wire [4:0] cfg_pciecap_interrupt_msgnum,
    output wire cfg_to_turnoff, input wire cfg_turnoff_ok, input wire cfg_trn_pending,
    input wire cfg_pm_halt_aspm_l0s, input wire cfg_pm_halt_aspm_l1, input wire cfg_pm_force_state_en,
    input wire [1:0] cfg_pm_force_state, input wire cfg_pm_wake, input wire cfg_pm_send_pme_to,
    input wire [63:0] cfg_dsn, input wire [7:0] cfg_ds_bus_number, input wire [4:0] cfg_ds_device_number,
    input wire [2:0] cfg_ds_function_number);
    // Beat from the link: data, keep, last, valid, and what stands beside it. Room for a beat to the link.
    reg [63:0] link_data = 0;
    reg [7:0] link_keep = 0;
    reg link_last = 0, link_valid = 0, link_room = 0;
    reg [21:0] link_beside = 0;
    // Link up, and registers of configuration space.
    reg up = 0;
    reg [15:0] identifier = 0, command = 0, device_command = 0;
    reg msix_enable = 0;
    assign user_clk_out = sys_clk;
    assign user_lnk_up = up;
    assign user_reset_out = ~sys_rst_n;
    assign {m_axis_rx_tdata, m_axis_rx_tkeep, m_axis_rx_tlast} = {link_data, link_keep, link_last};
    assign {m_axis_rx_tvalid, m_axis_rx_tuser} = {link_valid, link_beside};
    assign s_axis_tx_tready = link_room;
    assign {cfg_bus_number, cfg_device_number, cfg_function_number} = identifier;
    assign {cfg_command, cfg_dcommand, cfg_lcommand} = {command, device_command, 16'd0};
    assign {cfg_interrupt_msixenable, cfg_interrupt_msixfm, cfg_received_func_lvl_rst} = {msix_enable, 2'b00};
    assign {pci_exp_txp, pci_exp_txn, cfg_to_turnoff} = 0;
endmodule
