// The STLV7325 with its PHYs, and with the far side of the model of its hard block of PCIe (pcie_7x.v).
module dut(input wire clock, input wire link_clock,
    input wire reset_n, input wire uart_rx, output wire uart_tx, output wire [7:0] led,
    input wire [7:0] phy0_rx, input wire phy0_dv, input wire phy0_er,
    output wire [7:0] phy0_tx, output wire phy0_en, output wire phy0_tx_er,
    input wire [7:0] phy1_rx, input wire phy1_dv, input wire phy1_er,
    output wire [7:0] phy1_tx, output wire phy1_en, output wire phy1_tx_er,
    output wire phy0_runs, output wire phy1_runs,
    input wire link_reset_n, input wire link_up, input wire [15:0] link_identifier, input wire [15:0] link_command,
    input wire [63:0] link_rx_data, input wire [7:0] link_rx_keep, input wire link_rx_last, input wire link_rx_valid,
    input wire [21:0] link_rx_beside, output wire link_rx_ready,
    output wire [63:0] link_tx_data, output wire [7:0] link_tx_keep, output wire link_tx_last,
    output wire link_tx_valid, input wire link_tx_ready);
    wire [4:0] in0, in1, out0, out1;
    tri1 mdio0, mdio1;
    phy phy0(.clock(clock), .rx(phy0_rx), .dv(phy0_dv), .er(phy0_er), .rx_pins(in0),
        .tx_pins(out0), .tx(phy0_tx), .en(phy0_en), .tx_er(phy0_tx_er));
    phy phy1(.clock(clock), .rx(phy1_rx), .dv(phy1_dv), .er(phy1_er), .rx_pins(in1),
        .tx_pins(out1), .tx(phy1_tx), .en(phy1_en), .tx_er(phy1_tx_er));
    postern board(.clock_200_p(clock), .clock_200_n(~clock),
        .reset_n(reset_n), .uart_rx(uart_rx), .uart_tx(uart_tx), .led(led),
        .port0_rx_clock(clock), .port0_rx_data(in0[3:0]), .port0_rx_control(in0[4]),
        .port0_tx_clock(), .port0_tx_data(out0[3:0]), .port0_tx_control(out0[4]),
        .port0_phy_reset_n(phy0_runs), .port0_mdc(), .port0_mdio(mdio0),
        .port1_rx_clock(clock), .port1_rx_data(in1[3:0]), .port1_rx_control(in1[4]),
        .port1_tx_clock(), .port1_tx_data(out1[3:0]), .port1_tx_control(out1[4]),
        .port1_phy_reset_n(phy1_runs), .port1_mdc(), .port1_mdio(mdio1),
        .pcie_reset_n(link_reset_n), .pcie_clock_p(link_clock), .pcie_clock_n(~link_clock),
        .pcie_rx_p(4'd0), .pcie_rx_n(4'd0), .pcie_tx_p(), .pcie_tx_n());
    // The model's registers follow the test.
    always @(*) begin
        board.block.block.up = link_up;
        board.block.block.identifier = link_identifier;
        board.block.block.command = link_command;
        board.block.block.link_data = link_rx_data;
        board.block.block.link_keep = link_rx_keep;
        board.block.block.link_last = link_rx_last;
        board.block.block.link_valid = link_rx_valid;
        board.block.block.link_beside = link_rx_beside;
        board.block.block.link_room = link_tx_ready;
    end
    assign link_rx_ready = board.block.block.m_axis_rx_tready;
    assign link_tx_data = board.block.block.s_axis_tx_tdata;
    assign link_tx_keep = board.block.block.s_axis_tx_tkeep;
    assign link_tx_last = board.block.block.s_axis_tx_tlast;
    assign link_tx_valid = board.block.block.s_axis_tx_tvalid;
endmodule
