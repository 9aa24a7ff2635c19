// A product of two 16-bit numbers shifted left by 0 to 15, sign-extended or cut to SUM bits. Combinational.
//
// It brings a product to the fraction length of the sum that it is added to. Where SUM is narrower than the
// shifted product no bit is lost: the compiler has checked that every sum fits SUM bits.
module align_shift #(
    parameter SUM = 40
) (
    input wire [31:0] product,
    input wire [3:0] shift,
    output wire [SUM-1:0] aligned
);
    localparam FULL = 32 + 15;
    wire [FULL-1:0] wide = {{15{product[31]}}, product};
    wire [FULL-1:0] unused_top = wide << shift;
    generate
        if (SUM > FULL) begin : extended
            assign aligned = {{(SUM-FULL){unused_top[FULL-1]}}, unused_top};
        end else begin : fitting
            assign aligned = unused_top[SUM-1:0];
        end
    endgenerate
endmodule
