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
    // then by multiples of 4, then by what is left; bits that a shift leaves above 16 must all be the sign
    wire negative = second[LOW+1];
    wire beyond = second[LOW];
    wire [LOW-1:0] differs = second[LOW-1:0] ^ {LOW{negative}};
    reg [18:0] by_fours;
    reg beyond_fours;
    always @* begin
        case (shift[3:2])
            2'd0: {beyond_fours, by_fours} = {|differs[30:19], second[18:0]};
            2'd1: {beyond_fours, by_fours} = {|differs[30:23], second[22:4]};
            2'd2: {beyond_fours, by_fours} = {|differs[30:27], second[26:8]};
            default: {beyond_fours, by_fours} = {1'b0, second[30:12]};
        endcase
    end
    wire [18:15] differs_fours = by_fours[18:15] ^ {4{negative}};
    reg [15:0] shifted;
    reg beyond_ones;
    always @* begin
        case (shift[1:0])
            2'd0: {beyond_ones, shifted} = {|differs_fours[18:15], by_fours[15:0]};
            2'd1: {beyond_ones, shifted} = {|differs_fours[18:16], by_fours[16:1]};
            2'd2: {beyond_ones, shifted} = {|differs_fours[18:17], by_fours[17:2]};
            default: {beyond_ones, shifted} = {differs_fours[18], by_fours[18:3]};
        endcase
    end
    wire fits = !(beyond || beyond_fours || beyond_ones);
    wire unused_low = |differs[18:0];
    wire [15:0] limited = fits ? shifted : {negative, {15{!negative}}};
    assign act = (relu && negative) ? 16'd0 : limited;
endmodule
