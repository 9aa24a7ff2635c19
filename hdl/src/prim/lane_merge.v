// A word of LANES 32-bit lanes in which one lane is replaced. Combinational.
module lane_merge #(
    parameter LANES = 4,
    parameter INDEX = 2
) (
    input wire [LANES*32-1:0] word,
    input wire [INDEX-1:0] lane,
    input wire [31:0] data,
    output wire [LANES*32-1:0] merged
);
    genvar i;
    generate
        for (i = 0; i < LANES; i = i + 1) begin : lanes
            localparam [31:0] NUMBER = i;
            assign merged[32*i +: 32] = (lane == NUMBER[INDEX-1:0]) ? data : word[32*i +: 32];
        end
    endgenerate
endmodule
