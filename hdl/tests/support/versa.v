// The Versa with its PHYs.
module dut(input wire clock, input wire reset_n, input wire uart_rx, output wire uart_tx, output wire [7:0] led,
    input wire [7:0] phy0_rx, input wire phy0_dv, input wire phy0_er,
    output wire [7:0] phy0_tx, output wire phy0_en, output wire phy0_tx_er,
    input wire [7:0] phy1_rx, input wire phy1_dv, input wire phy1_er,
    output wire [7:0] phy1_tx, output wire phy1_en, output wire phy1_tx_er,
    output wire phy0_runs, output wire phy1_runs);
    wire [4:0] in0, in1, out0, out1;
    tri1 mdio0, mdio1;
    phy phy0(.clock(clock), .rx(phy0_rx), .dv(phy0_dv), .er(phy0_er), .rx_pins(in0),
        .tx_pins(out0), .tx(phy0_tx), .en(phy0_en), .tx_er(phy0_tx_er));
    phy phy1(.clock(clock), .rx(phy1_rx), .dv(phy1_dv), .er(phy1_er), .rx_pins(in1),
        .tx_pins(out1), .tx(phy1_tx), .en(phy1_en), .tx_er(phy1_tx_er));
    postern board(.clock_100(clock), .reset_n(reset_n), .uart_rx(uart_rx), .uart_tx(uart_tx), .led(led),
        .port0_rx_clock(clock), .port0_rx_data(in0[3:0]), .port0_rx_control(in0[4]),
        .port0_tx_clock(), .port0_tx_data(out0[3:0]), .port0_tx_control(out0[4]),
        .port0_phy_reset_n(phy0_runs), .port0_mdc(), .port0_mdio(mdio0),
        .port1_rx_clock(clock), .port1_rx_data(in1[3:0]), .port1_rx_control(in1[4]),
        .port1_tx_clock(), .port1_tx_data(out1[3:0]), .port1_tx_control(out1[4]),
        .port1_phy_reset_n(phy1_runs), .port1_mdc(), .port1_mdio(mdio1));
endmodule
