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
    wire [31:0] bytes = {{8{strobe[3]}}, {8{strobe[2]}}, {8{strobe[1]}}, {8{strobe[0]}}};
    wire [LANES*32-1:0] low_mask = {{(LANES-1){32'd0}}, bytes};
    wire [LANES*32-1:0] low_data = {{(LANES-1){32'd0}}, data & bytes};
    assign merged = (word & ~(low_mask << {lane, 5'd0})) | (low_data << {lane, 5'd0});
endmodule
