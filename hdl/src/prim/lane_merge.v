// A word of LANES 32-bit lanes in which the bytes of one lane that strobe names are replaced. Combinational.
module lane_merge #(
    parameter LANES = 4,
    parameter INDEX = 2
) (
    input wire [LANES*32-1:0] word,
    input wire [INDEX-1:0] lane,
    input wire [31:0] data,
    input wire [3:0] strobe,
    output wire [LANES*32-1:0] merged
);
    genvar i;
    genvar b;
    generate
        for (i = 0; i < LANES; i = i + 1) begin : lanes
            localparam [31:0] NUMBER = i;
            for (b = 0; b < 4; b = b + 1) begin : bytes
                localparam PLACE = 32 * i + 8 * b;
                wire replaced = strobe[b] && (lane == NUMBER[INDEX-1:0]);
                assign merged[PLACE +: 8] = replaced ? data[8*b +: 8] : word[PLACE +: 8];
            end
        end
    endgenerate
endmodule
