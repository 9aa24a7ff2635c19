// From accumulator to activation: shift right arithmetically, saturate to 16 bits, ReLU.
//
// The rounding constant is part of the sum already (it comes with the bias). With STAGES 0 it is
// combinational; with STAGES 1 act comes a cycle after sum, and shift and relu must stay till then.
module requantize #(
    parameter SUM = 40,
    parameter STAGES = 0
) (
    input wire clock,
    input wire [SUM-1:0] sum,
    input wire [5:0] shift,
    input wire relu,
    output wire [15:0] act
);
    // what a shift by up to 15 can bring into 16 bits
    localparam LOW = 31;
    localparam WIDE = (SUM > LOW) ? SUM : LOW + 1;
    wire sign = sum[SUM-1];
    wire [WIDE-1:0] wide;
    generate
        if (WIDE > SUM) begin : extended
            assign wide = {{(WIDE-SUM){sign}}, sum};
        end else begin : fitting
            assign wide = sum;
        end
    endgenerate
    // by a multiple of 16 first
    wire signed [WIDE-1:0] signed_wide = wide;
    wire signed [WIDE-1:0] coarse = signed_wide >>> {shift[5:4], 4'd0};
    wire [LOW+1:0] first = {sign, coarse[WIDE-1:LOW] != {(WIDE-LOW){sign}}, coarse[LOW-1:0]};
    wire [LOW+1:0] second;
    generate
        if (STAGES == 0) begin : direct
            wire unused = clock;
            assign second = first;
        end else begin : staged
            reg [LOW+1:0] stored;
            always @(posedge clock) stored <= first;
            assign second = stored;
        end
    endgenerate
    // then by what is left
    wire negative = second[LOW+1];
    wire beyond = second[LOW];
    wire [LOW+14:0] unused_top = {{15{negative}}, second[LOW-1:0]} >> shift[3:0];
    wire fits = !beyond && (unused_top[LOW-1:15] == {(LOW-15){negative}});
    wire [15:0] limited = fits ? unused_top[15:0] : {negative, {15{!negative}}};
    assign act = (relu && negative) ? 16'd0 : limited;
endmodule
