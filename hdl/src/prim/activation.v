// sigmoid or tanh of a 16-bit number by table, three cycles after it, one a cycle.
//
// The same functions are spec::lut: z stands for z / 2^12 when tanh is asked for and for z / 2^11 when sigmoid is;
// results have 15 fraction bits. The table holds tanh over 0 .. 8 in straight pieces, its words written here from
// spec::lut::table: base of the piece, and in the low bits its rise per unit of z.
module activation #(
    parameter SEGMENT_BITS = 10,
    parameter POSITION_BITS = 5,
    parameter BASE_BITS = 22,
    parameter SLOPE_BITS = 11
) (
    input wire clock,
    input wire [15:0] z,
    input wire sigmoid,
    output reg [15:0] value
);
    localparam PIECE = BASE_BITS + SLOPE_BITS;
    localparam RISE = SLOPE_BITS + POSITION_BITS;
    // the table's unit is 2^-BASE_BITS, that of tanh 2^-15, that of (1 + tanh) / 2 one bit more
    localparam TANH_SHIFT = BASE_BITS - 15;
    localparam SIGMOID_SHIFT = TANH_SHIFT + 1;
    localparam SUM = BASE_BITS + 2;
    localparam [SUM-1:0] TANH_HALF = 1 << (TANH_SHIFT - 1);
    localparam [SUM-1:0] ONE_AND_HALF = (1 << BASE_BITS) + (1 << (SIGMOID_SHIFT - 1));

    (* rom_style = "block", ram_style = "block" *)
    reg [PIECE-1:0] pieces [0:(1 << SEGMENT_BITS)-1];
    // TABLE

    // stage 1: magnitude and table, tanh is odd; -32768 counts as -32767
    wire [15:0] absolute = z[15] ? (~z + 16'd1) : z;
    wire [14:0] magnitude = absolute[15] ? 15'h7fff : absolute[14:0];
    reg [PIECE-1:0] piece;
    reg [POSITION_BITS-1:0] position;
    reg negative_1;
    reg sigmoid_1;
    always @(posedge clock) begin
        piece <= pieces[magnitude[14:POSITION_BITS]];
        position <= magnitude[POSITION_BITS-1:0];
        negative_1 <= z[15];
        sigmoid_1 <= sigmoid;
    end

    // stage 2: rise within the piece
    wire [RISE-1:0] wide_slope = {{POSITION_BITS{1'b0}}, piece[SLOPE_BITS-1:0]};
    wire [RISE-1:0] wide_position = {{SLOPE_BITS{1'b0}}, position};
    wire [RISE-1:0] product = wide_slope * wide_position;
    reg [RISE-1:0] rise;
    reg [BASE_BITS-1:0] base;
    reg negative_2;
    reg sigmoid_2;
    always @(posedge clock) begin
        rise <= product;
        base <= piece[PIECE-1:SLOPE_BITS];
        negative_2 <= negative_1;
        sigmoid_2 <= sigmoid_1;
    end

    // stage 3: sum, rounding, sign; 1.0 has no place and becomes the number below
    wire [SUM-1:0] sum = {{(SUM-BASE_BITS){1'b0}}, base} + {{(SUM-RISE){1'b0}}, rise};
    wire [SUM-1:0] tanh_sum = sum + TANH_HALF;
    wire [SUM-1:0] sigmoid_sum = negative_2 ? ONE_AND_HALF - sum : ONE_AND_HALF + sum;
    wire [SUM-1:0] tanh_shifted = tanh_sum >> TANH_SHIFT;
    wire [SUM-1:0] sigmoid_shifted = sigmoid_sum >> SIGMOID_SHIFT;
    wire tanh_beyond = |tanh_shifted[SUM-1:15];
    wire sigmoid_beyond = |sigmoid_shifted[SUM-1:15];
    wire [15:0] tanh_value = {1'b0, tanh_beyond ? 15'h7fff : tanh_shifted[14:0]};
    wire [15:0] sigmoid_value = {1'b0, sigmoid_beyond ? 15'h7fff : sigmoid_shifted[14:0]};
    always @(posedge clock) begin
        if (sigmoid_2) value <= sigmoid_value;
        else value <= negative_2 ? (~tanh_value + 16'd1) : tanh_value;
    end
endmodule
