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
