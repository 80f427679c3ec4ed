// A stream stage never loses, duplicates or reorders a word, and never holds more than it can.
//
// `DUT` is any module with the ready/valid ports of hdl/src/skid.rs. The solver picks one word as it
// enters (`pick`), remembers it and how many words are ahead of it, and demands it back at exactly
// its turn. Since any word may be picked, that covers all of them: none is lost, doubled or swapped.
//
// CAPACITY  words the stage can hold at most
// ROOM      words it always accepts before `in_ready` may fall
// LATENCY   clocks in which a reader that is always ready empties it, once nothing more is offered

module stream_proof(
    input clock,
    input [1:0] in_data,
    input in_valid,
    input out_ready,
    input pick
);
    localparam WORDS = $clog2(`CAPACITY + 2);
    localparam CLOCKS = $clog2(`LATENCY + 1);

    wire in_ready, out_valid;
    wire [1:0] out_data;
    `DUT dut(
        .clock(clock),
        .in_data(in_data), .in_valid(in_valid), .in_ready(in_ready),
        .out_data(out_data), .out_valid(out_valid), .out_ready(out_ready)
    );

    wire enters = in_valid & in_ready;
    wire leaves = out_valid & out_ready;
    reg [WORDS-1:0] held = 0;
    reg [CLOCKS-1:0] calm = 0;

    reg watching = 0;
    reg [WORDS-1:0] ahead = 0;
    reg [1:0] watched = 0;
    wire its_turn = watching & leaves & (ahead == 0);

    reg in_waited = 0, out_waited = 0;
    reg [1:0] in_before = 0, out_before = 0;

    always @(posedge clock) begin
        held <= held + enters - leaves;
        if (in_valid | !out_ready) calm <= 0;
        else if (calm != `LATENCY) calm <= calm + 1;

        if (enters & pick & !watching) begin
            watching <= 1;
            watched <= in_data;
            ahead <= held - leaves;
        end else if (its_turn) watching <= 0;
        else if (watching & leaves) ahead <= ahead - 1;

        in_waited <= in_valid & !in_ready;
        in_before <= in_data;
        out_waited <= out_valid & !out_ready;
        out_before <= out_data;
    end

    always @* begin
        // The writer keeps the contract of hdl/src/stream.rs: an offer stands until it is taken.
        if (in_waited) assume (in_valid & (in_data == in_before));

        // Nothing leaves that is not inside, and no more is inside than fits.
        if (leaves) assert (held != 0);
        assert (held <= `CAPACITY);
        if (held < `ROOM) assert (in_ready);
        // The watched word comes out when all words before it have, and unchanged.
        if (its_turn) assert (out_data == watched);
        if (watching) assert (ahead < held);
        // The stage keeps the contract as well.
        if (out_waited) assert (out_valid & (out_data == out_before));
        // What went in comes out.
        if (calm == `LATENCY) assert (held == 0);
    end
endmodule
