// Logic of the ECP5 as synthesis uses it (FPGA-DS-02012, chapter 2), for simulation only: what a netlist says that a cell does,
// without its delay.

module LUT4 #(parameter [15:0] INIT = 0) (input wire A, input wire B, input wire C, input wire D, output wire Z);
    assign Z = INIT[{D, C, B, A}];
endmodule

// Two LUTs of a slice as one of five inputs.
module PFUMX(input wire ALUT, input wire BLUT, input wire C0, output wire Z);
    assign Z = C0 ? ALUT : BLUT;
endmodule

// Two of those as one of six.
module L6MUX21(input wire D0, input wire D1, input wire SD, output wire Z);
    assign Z = SD ? D1 : D0;
endmodule

// Two bits of a carry chain. A LUT that is high hands the carry on, one that is low makes it of its inputs A and B.
module CCU2C #(parameter [15:0] INIT0 = 0, INIT1 = 0, parameter INJECT1_0 = "NO", INJECT1_1 = "NO") (
    input wire CIN, input wire A0, input wire B0, input wire C0, input wire D0,
    input wire A1, input wire B1, input wire C1, input wire D1, output wire S0, output wire S1, output wire COUT);
    wire high0 = INIT0[{D0, C0, B0, A0}];
    wire high1 = INIT1[{D1, C1, B1, A1}];
    wire makes0 = INIT0[{2'b0, B0, A0}];
    wire makes1 = INIT1[{2'b0, B1, A1}];
    wire carry0 = INJECT1_0 == "YES" ? 1'b0 : CIN;
    wire between = high0 ? CIN : INJECT1_0 == "YES" ? 1'b0 : makes0;
    wire carry1 = INJECT1_1 == "YES" ? 1'b0 : between;
    assign S0 = high0 ^ carry0;
    assign S1 = high1 ^ carry1;
    assign COUT = high1 ? between : INJECT1_1 == "YES" ? 1'b0 : makes1;
endmodule

// A flip-flop. What LSR makes of it is what it is after power-on.
module TRELLIS_FF #(parameter GSR = "ENABLED", CLKMUX = "CLK", LSRMUX = "LSR", SRMODE = "LSR_OVER_CE", REGSET = "RESET",
    parameter [127:0] CEMUX = "1") (input wire CLK, input wire LSR, input wire CE, input wire DI, output reg Q);
    localparam AFTER = REGSET == "SET" ? 1'b1 : 1'b0;
    wire enable = CEMUX == "1" ? 1'b1 : CEMUX == "INV" ? ~CE : CE;
    initial Q = AFTER;
    generate
        if (CLKMUX != "CLK" || LSRMUX != "LSR") no_model a_mode_without_a_model();
        if (SRMODE == "ASYNC") begin
            always @(posedge CLK or posedge LSR)
                if (LSR) Q <= AFTER;
                else if (enable) Q <= DI;
        end else begin
            always @(posedge CLK)
                if (LSR) Q <= AFTER;
                else if (enable) Q <= DI;
        end
    endgenerate
endmodule

// Sixteen words of four bits, read at once and written at the clock.
module TRELLIS_DPR16X4 #(parameter WCKMUX = "WCK", WREMUX = "WRE", parameter [63:0] INITVAL = 0) (
    input wire [3:0] DI, input wire [3:0] WAD, input wire WRE, input wire WCK, input wire [3:0] RAD, output wire [3:0] DO);
    reg [3:0] words [0:15];
    integer i;
    initial for (i = 0; i < 16; i = i + 1) words[i] = INITVAL[4 * i +: 4];
    generate
        if (WCKMUX != "WCK" || WREMUX != "WRE") no_model a_mode_without_a_model();
    endgenerate
    always @(posedge WCK) if (WRE) words[WAD] <= DI;
    assign DO = words[RAD];
endmodule

// A pin that both sides drive.
module TRELLIS_IO #(parameter DIR = "BIDIR") (inout wire B, input wire I, input wire T, output wire O);
    assign B = T ? 1'bz : I;
    assign O = B;
endmodule
