// From accumulator to activation: shift right arithmetically, saturate to 16 bits, ReLU.
//
// The rounding constant is part of the sum already (it comes with the bias). Combinational.
module requantize #(
    parameter SUM = 40
) (
    input wire [SUM-1:0] sum,
    input wire [5:0] shift,
    input wire relu,
    output wire [15:0] act
);
    wire signed [SUM-1:0] signed_sum = sum;
    wire signed [SUM-1:0] shifted = signed_sum >>> shift;
    wire negative = shifted[SUM-1];
    wire fits = (shifted[SUM-1:15] == {(SUM-15){negative}});
    wire [15:0] limited = fits ? shifted[15:0] : {negative, {15{!negative}}};
    assign act = (relu && negative) ? 16'd0 : limited;
endmodule
