// Incrementally updated checksums equal those computed anew over the whole header.
//
// RFC 1624 equation 3 for every header, in three steps that a solver manages in seconds; asked at
// once it does not finish. All words that do not change enter as their sum, folded: `rest`. It is
// never zero, since a version or protocol number is among them (an ICMP message of zeros alone has
// two right answers, 0 and 0xffff, and is left out). F is the folded sum of the old header, the
// complement of its checksum; old words a, b, p become c, d, q.
//
//   words_cancel    F + ~a + ~b + ~p = rest + 65535 j, for a whole number j
//   fold_is_modulo  fold(x + 65535 j) = fold(x), for x > 0
//   checksum_proof  the module computes ~fold(F + ~a + ~b + ~p + c + d + q)
//
// Together: the module computes ~fold(rest + c + d + q), which is the checksum computed anew.

module fold(input [19:0] sum, output [15:0] folded);
    wire [16:0] once = sum[15:0] + sum[19:16];
    assign folded = once[15:0] + once[16];
endmodule

module words_cancel(input [15:0] rest, a, b, p);
    wire [15:0] f;
    fold old(20'd0 + rest + a + b + p, f);
    wire [15:0] not_a = ~a, not_b = ~b, not_p = ~p;
    wire [19:0] left = 20'd0 + f + not_a + not_b + not_p;
    wire [19:0] base = rest;
    always @*
        if (rest != 0)
            assert (left == base | left == base + 65535 | left == base + 131070 | left == base + 196605);
endmodule

module fold_is_modulo(input [17:0] x, input [1:0] j);
    wire [15:0] plain, shifted;
    fold one({2'd0, x}, plain);
    fold two(x + 20'd65535 * j, shifted);
    always @*
        if (x != 0) assert (plain == shifted);
endmodule

// The lemmas are asked without a module under test.
`ifdef DUT
// Positions of fields are those of hdl/src/record.rs; a wrong one breaks the proof.
module checksum_proof(
    input clock,
    input go,
    input udp, icmp, translate_source,
    input [31:0] old_address, new_address, other_address,
    input [15:0] old_port, new_port, other_port,
    input [15:0] ip_checksum, l4_checksum
);
    wire [31:0] source = translate_source ? old_address : other_address;
    wire [31:0] target = translate_source ? other_address : old_address;
    // The ICMP identifier stands in the source port of the key, whichever address changes.
    wire [15:0] source_port = translate_source | icmp ? old_port : other_port;
    wire [15:0] target_port = translate_source ? other_port : old_port;
    wire [107:0] key = {12'd0, source, target, source_port, target_port};
    wire [59:0] action = {new_address, new_port, 8'd0, !translate_source, translate_source, 2'b01};
    wire [272:0] packet = {119'd0, l4_checksum, ip_checksum, 4'd0, icmp, udp, 116'd0};

    wire [35:0] sums;
    `DUT dut(
        .clock(clock), .go(go), .packet(packet), .key(key), .action(action), .sums(sums)
    );

    // Equation 3 on what went in three enabled clocks ago.
    wire [15:0] f_ip = ~ip_checksum, f_l4 = ~l4_checksum;
    wire [15:0] not_a = ~old_address[31:16], not_b = ~old_address[15:0], not_p = ~old_port;
    wire [16:0] high = not_a + new_address[31:16], low = not_b + new_address[15:0];
    wire [16:0] port = not_p + new_port;
    // ICMP has no pseudo header.
    reg [16:0] high1 = 0, low1 = 0, port1 = 0;
    reg [15:0] f_ip1 = 0, f_l41 = 0;
    reg icmp1 = 0, none1 = 0, valid1 = 0;
    reg [19:0] ip2 = 0, l42 = 0;
    reg none2 = 0, valid2 = 0;
    reg [19:0] ip3 = 0, l43 = 0;
    reg none3 = 0, valid3 = 0;
    always @(posedge clock) if (go) begin
        {high1, low1, port1} <= {high, low, port};
        {f_ip1, f_l41, icmp1, none1} <= {f_ip, f_l4, icmp, udp & (l4_checksum == 0)};
        valid1 <= 1;
        ip2 <= high1 + low1 + f_ip1;
        l42 <= (icmp1 ? 20'd0 : high1 + low1) + (port1 + f_l41);
        none2 <= none1;
        valid2 <= valid1;
        {ip3, l43, none3, valid3} <= {ip2, l42, none2, valid2};
    end
    wire [15:0] ip_want, l4_want;
    fold ip(ip3, ip_want);
    fold l4(l43, l4_want);

    // The last carry is added where the sums are used, to three bits: when there is one, the rest are zero.
    wire [2:0] ip_low = sums[2:0] + sums[16], l4_low = sums[19:17] + sums[33];
    wire [15:0] ip_got = {sums[15:3], ip_low};
    wire [15:0] l4_got = {sums[32:20], l4_low};
    always @* begin
        assume (!(udp & icmp));
        if (valid3) begin
            assert (ip_got == ip_want);
            assert (l4_got == l4_want);
            assert (sums[34] == none3);
            assert (sums[35] == &l4_got);
        end
    end
endmodule
`endif
