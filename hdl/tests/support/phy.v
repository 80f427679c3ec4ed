// A PHY: bytes of a port in the board's clock on one side, a nibble and a control bit an edge at the pins on the other.
module phy(input wire clock, input wire [7:0] rx, input wire dv, input wire er, output reg [4:0] rx_pins,
    input wire [4:0] tx_pins, output wire [7:0] tx, output wire en, output wire tx_er);
    // The low nibble is there when the clock rises, the high one when it falls.
    initial rx_pins = 0;
    always @(posedge clock or negedge clock) rx_pins <= clock ? {dv ^ er, rx[7:4]} : {dv, rx[3:0]};
    // What a port shows while the clock is high and then low is one byte, seen at the next rising edge.
    reg [4:0] high, low, first = 0;
    always_latch if (clock) high = tx_pins;
    always_latch if (!clock) low = tx_pins;
    always @(posedge clock) first <= high;
    assign {tx, en, tx_er} = {low[3:0], first[3:0], first[4], low[4] ^ first[4]};
endmodule
