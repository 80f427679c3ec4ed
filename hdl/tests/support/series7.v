// Models of the 7-series primitives at its pins, for simulation only: synthesis takes the device's own. Clock to clock,
// without any delay within a clock, and without the outputs that nothing looks at. Input and output registers that work on
// both edges: UG471.

// What the pin had at a rising edge (Q1) and at the falling edge after it (Q2) appears at the next rising edge.
module IDDR #(parameter DDR_CLK_EDGE = "") (input wire D, input wire C, input wire CE, input wire R, input wire S,
    output reg Q1, output reg Q2);
    reg rising, falling;
    initial {rising, falling, Q1, Q2} = 0;
    always @(posedge C) if (CE) {rising, Q1, Q2} <= {D | S, rising, falling} & {3{~R}};
    always @(negedge C) if (CE) falling <= (D | S) & ~R;
endmodule

// What D1 and D2 had at a rising edge is at the pin from then on: D1 while the clock is high, then D2.
module ODDR #(parameter DDR_CLK_EDGE = "") (input wire D1, input wire D2, input wire C, input wire CE, input wire R,
    input wire S, output wire Q);
    reg [1:0] held;
    initial held = 0;
    always @(posedge C) if (CE) held <= {D1 | S, D2 | S} & {2{~R}};
    assign Q = C ? held[1] : held[0];
endmodule

// An input a little later: less than a clock.
module IDELAYE2 #(parameter IDELAY_TYPE = "", IDELAY_VALUE = 0, real REFCLK_FREQUENCY = 200.0) (input wire C,
    input wire CE, input wire CINVCTRL, input wire [4:0] CNTVALUEIN, input wire DATAIN,
    output wire DATAOUT, input wire IDATAIN, input wire INC, input wire LD, input wire LDPIPEEN, input wire REGRST);
    assign DATAOUT = IDATAIN;
endmodule

module IDELAYCTRL(input wire REFCLK, input wire RST);
endmodule

// A pin that both sides drive.
module IOBUF(inout wire IO, input wire I, input wire T, output wire O);
    assign IO = T ? 1'bz : I;
    assign O = IO;
endmodule

// Clocks: on two pins, those of transceivers, and onto the clock network.
module IBUFDS(input wire I, input wire IB, output wire O);
    assign O = I;
endmodule

module IBUFDS_GTE2(input wire I, input wire IB, input wire CEB, output wire O);
    assign O = I & ~CEB;
endmodule

module BUFG(input wire I, output wire O);
    assign O = I;
endmodule

// The loop is locked, and its clock is the one that comes in (UG472).
module MMCME2_BASE #(parameter real CLKIN1_PERIOD = 0.0, CLKFBOUT_MULT_F = 5.0, CLKOUT0_DIVIDE_F = 1.0) (
    input wire CLKIN1, input wire CLKFBIN, input wire PWRDWN, input wire RST, output wire CLKFBOUT,
    output wire CLKOUT0, output wire LOCKED);
    assign CLKOUT0 = CLKIN1;
    assign CLKFBOUT = CLKIN1;
    assign LOCKED = ~(RST | PWRDWN);
endmodule

// The hard block of PCIe with the pins that bitstreams/stlv7325/build.tcl asks for. Its link is a test's: what comes from it
// is in the registers, and the clock is the reference clock.
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
