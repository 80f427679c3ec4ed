// Words cross from one clock to another complete, once and in order; pointers change one bit at a time.

`ifdef POINTER
module pointer_proof(input clock, input reset, input advance);
    wire [3:0] place;
    wire [4:0] gray, gray_after;
    `POINTER dut(
        .clock(clock), .reset(reset), .advance(advance),
        .place(place), .gray(gray), .gray_after(gray_after)
    );

    reg [4:0] position = 0;
    reg [4:0] gray_before = 0, after_before = 1;
    reg reset_before = 1, advance_before = 0;
    always @(posedge clock) begin
        position <= reset ? 0 : position + advance;
        {gray_before, after_before} <= {gray, gray_after};
        {reset_before, advance_before} <= {reset, advance};
    end
    wire [4:0] change = gray ^ gray_before;
    always @* begin
        assert (place == position[3:0]);
        assert (gray == (position ^ (position >> 1)));
        // Not at a reset: then nobody looks.
        if (!reset_before) begin
            assert ((change & (change - 5'd1)) == 0);
            assert ((change != 0) == advance_before);
            if (advance_before) assert (gray == after_before);
        end
    end
endmodule
`endif

// In every instant any of the clocks may rise: any frequencies, any phases (edges.v beside this file). What a
// synchroniser's first register makes of a bit in motion is the bit before or behind the change, as if its edge had come a
// little earlier or later: those orders of edges are among the ones looked at. That no more than one bit is in motion
// is what `pointer_proof` says.
//
// The solver picks one word as it enters; the word must be at the output when all before it have left, and unchanged.
//
// CAPACITY  words it can hold at most
// LATENCY   edges of the reader, always ready, in which it is emptied once nothing more enters
`ifdef CROSSING
module crossing_proof(
    input in_clock, out_clock,
    input next_data,
    input next_valid, next_ready,
    input pick
);
    wire in_ready, out_valid, out_data;

    // Writer and reader: registers of their clocks; an offer stands until it is taken.
    reg in_data = 0, in_valid = 0, out_ready = 0;
    always @(posedge in_clock)
        if (!in_valid | in_ready) {in_valid, in_data} <= {next_valid, next_data};
    always @(posedge out_clock) out_ready <= next_ready;

    `CROSSING dut(
        .in_clock(in_clock), .in_reset(1'b0),
        .in_data(in_data), .in_valid(in_valid), .in_ready(in_ready),
        .out_clock(out_clock), .out_reset(1'b0),
        .out_data(out_data), .out_valid(out_valid), .out_ready(out_ready)
    );

    reg [3:0] entered = 0, left = 0;
    wire [3:0] held = entered - left;

    reg picked = 0, seen = 0;
    reg [3:0] turn = 0;
    reg watched = 0;
    always @(posedge in_clock) if (in_valid & in_ready) begin
        entered <= entered + 1;
        if (pick & !picked) begin
            picked <= 1;
            turn <= entered;
            watched <= in_data;
        end
    end
    wire its_turn = picked & !seen & out_valid & (left == turn);
    always @(posedge out_clock) if (out_valid & out_ready) begin
        left <= left + 1;
        if (its_turn) seen <= 1;
    end

    reg out_waited = 0;
    reg out_before = 0;
    reg [3:0] calm = 0, entered_before = 0;
    always @(posedge out_clock) begin
        out_waited <= out_valid & !out_ready;
        out_before <= out_data;
        entered_before <= entered;
        if (!out_ready | (entered != entered_before)) calm <= 0;
        else if (calm != `LATENCY) calm <= calm + 1;
    end
    reg [2:0] empty = 0;
    always @(posedge in_clock)
        if ((held != 0) | (in_valid & in_ready)) empty <= 0;
        else if (empty != 4) empty <= empty + 1;

    always @* begin
        assert (held <= `CAPACITY);
        if (out_valid) assert (held != 0);
        if (its_turn) assert (out_data == watched);
        if (out_waited) assert (out_valid & (out_data == out_before));
        // What went in comes out, and room made is seen.
        if ((calm == `LATENCY) & (entered == entered_before)) assert (held == 0);
        if ((empty == 4) & (held == 0)) assert (in_ready);
    end
endmodule
`endif
