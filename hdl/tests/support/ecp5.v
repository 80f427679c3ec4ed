// Models of the ECP5's primitives at its pins, for simulation only: synthesis takes the device's own. Clock to clock,
// without any delay within a clock. Input and output registers that work on both edges: FPGA-TN-02035.

// What the pin had at a rising edge (Q0) and at the falling edge after it (Q1) appears at the next rising edge.
module IDDRX1F(input wire D, input wire SCLK, input wire RST, output reg Q0, output reg Q1);
    reg rising, falling;
    initial {rising, falling, Q0, Q1} = 0;
    always @(posedge SCLK or posedge RST)
        if (RST) {rising, Q0, Q1} <= 0;
        else {rising, Q0, Q1} <= {D, rising, falling};
    always @(negedge SCLK or posedge RST)
        if (RST) falling <= 0;
        else falling <= D;
endmodule

// What D0 and D1 had at a rising edge is at the pin two rising edges later: D0 while the clock is high, then D1.
module ODDRX1F(input wire D0, input wire D1, input wire SCLK, input wire RST, output wire Q);
    reg [1:0] first, second, third;
    initial {first, second, third} = 0;
    always @(posedge SCLK or posedge RST)
        if (RST) {first, second, third} <= 0;
        else {first, second, third} <= {D0, D1, first, second};
    assign Q = SCLK ? third[1] : third[0];
endmodule

// An input a little later (FPGA-TN-02032): less than a clock.
module DELAYG #(parameter DEL_MODE = "", DEL_VALUE = 0) (input wire A, output wire Z);
    assign Z = A;
endmodule

// A pin that both sides drive.
module BB(inout wire B, input wire I, input wire T, output wire O);
    assign B = T ? 1'bz : I;
    assign O = B;
endmodule

// The loop is locked, and its clock is the one that comes in (FPGA-TN-02200).
module EHXPLLL #(parameter CLKI_DIV = 1, CLKFB_DIV = 1, CLKOP_DIV = 1, CLKOP_CPHASE = 0, FEEDBK_PATH = "") (
    input wire CLKI, input wire CLKFB, input wire RST, input wire STDBY, input wire PHASESEL0, input wire PHASESEL1,
    input wire PHASEDIR, input wire PHASESTEP, input wire PHASELOADREG, input wire PLLWAKESYNC, input wire ENCLKOP,
    output wire CLKOP, output wire LOCK);
    assign CLKOP = CLKI;
    assign LOCK = 1'b1;
endmodule
