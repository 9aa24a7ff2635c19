// Product of two signed numbers, sign-extended to SUM bits, one cycle after its factors.
module multiply #(
    parameter A = 16,
    parameter B = 16,
    parameter SUM = 40
) (
    input wire clock,
    input wire [A-1:0] a,
    input wire [B-1:0] b,
    output wire [SUM-1:0] product
);
    localparam FULL = A + B;
    wire signed [FULL-1:0] wide_a = {{B{a[A-1]}}, a};
    wire signed [FULL-1:0] wide_b = {{A{b[B-1]}}, b};
    wire signed [FULL-1:0] full = wide_a * wide_b;
    reg signed [FULL-1:0] stored;
    always @(posedge clock) stored <= full;
    generate
        if (SUM > FULL) begin : extended
            assign product = {{(SUM-FULL){stored[FULL-1]}}, stored};
        end else begin : fitting
            // no bit is lost: the compiler has checked that every sum fits SUM bits
            wire [FULL-1:0] unused_top = stored;
            assign product = unused_top[SUM-1:0];
        end
    endgenerate
endmodule
