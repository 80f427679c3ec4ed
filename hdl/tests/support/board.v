// The board with its PHYs: bytes of both ports in the board's clock, a nibble an edge at the pins.
module dut(input wire clock, input wire reset_n, input wire uart_rx, output wire uart_tx, output wire [7:0] led,
    input wire [7:0] phy0_rx, input wire phy0_dv, input wire phy0_er,
    output wire [7:0] phy0_tx, output wire phy0_en, output wire phy0_tx_er,
    input wire [7:0] phy1_rx, input wire phy1_dv, input wire phy1_er,
    output wire [7:0] phy1_tx, output wire phy1_en, output wire phy1_tx_er,
    output wire phy0_runs, output wire phy1_runs);
    wire [3:0] tx0, tx1;
    wire control0, control1;
    tri1 mdio0, mdio1;
    // The low nibble is there when the clock rises, the high one when it falls.
    reg [4:0] pins0 = 0, pins1 = 0;
    always @(posedge clock or negedge clock) begin
        pins0 <= clock ? {phy0_dv ^ phy0_er, phy0_rx[7:4]} : {phy0_dv, phy0_rx[3:0]};
        pins1 <= clock ? {phy1_dv ^ phy1_er, phy1_rx[7:4]} : {phy1_dv, phy1_rx[3:0]};
    end
    postern board(.clock_100(clock), .reset_n(reset_n), .uart_rx(uart_rx), .uart_tx(uart_tx), .led(led),
        .port0_rx_clock(clock), .port0_rx_data(pins0[3:0]), .port0_rx_control(pins0[4]),
        .port0_tx_clock(), .port0_tx_data(tx0), .port0_tx_control(control0),
        .port0_phy_reset_n(phy0_runs), .port0_mdc(), .port0_mdio(mdio0),
        .port1_rx_clock(clock), .port1_rx_data(pins1[3:0]), .port1_rx_control(pins1[4]),
        .port1_tx_clock(), .port1_tx_data(tx1), .port1_tx_control(control1),
        .port1_phy_reset_n(phy1_runs), .port1_mdc(), .port1_mdio(mdio1));
    // What a port shows while the clock is high and then low is one byte, seen at the next rising edge.
    reg [4:0] high0, high1, low0, low1, first0 = 0, first1 = 0;
    always_latch if (clock) {high0, high1} = {control0, tx0, control1, tx1};
    always_latch if (!clock) {low0, low1} = {control0, tx0, control1, tx1};
    always @(posedge clock) {first0, first1} <= {high0, high1};
    assign {phy0_tx, phy0_en, phy0_tx_er} = {low0[3:0], first0[3:0], first0[4], low0[4] ^ first0[4]};
    assign {phy1_tx, phy1_en, phy1_tx_er} = {low1[3:0], first1[3:0], first1[4], low1[4] ^ first1[4]};
endmodule
