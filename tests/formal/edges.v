// For proofs with several clocks: a register takes its input in every instant in which its clock "is high", which is to
// say that it rises in that instant. The solver chooses which clocks do; any order of edges is a sequence of instants.
// Registers look at rising edges only; one that does not is left as it is, which stops the script.
(* techmap_celltype = "$dff" *)
module edges(CLK, D, Q);
    parameter WIDTH = 1;
    parameter CLK_POLARITY = 1;
    input CLK;
    input [WIDTH-1:0] D;
    output [WIDTH-1:0] Q;
    wire [WIDTH-1:0] next = CLK ? D : Q;
    \$ff #(.WIDTH(WIDTH)) register(.D(next), .Q(Q));
    wire _TECHMAP_FAIL_ = CLK_POLARITY != 1;
endmodule
