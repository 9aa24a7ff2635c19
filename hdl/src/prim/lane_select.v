// One of LANES fields of a word: field 0 is the lowest.
module lane_select #(
    parameter WIDTH = 8,
    parameter LANES = 8,
    parameter INDEX = 3
) (
    input wire [LANES*WIDTH-1:0] word,
    input wire [INDEX-1:0] lane,
    output wire [WIDTH-1:0] field
);
    generate
        if (LANES == 1) begin : only
            wire unused = |lane;
            assign field = word;
        end else begin : several
            assign field = word[lane*WIDTH +: WIDTH];
        end
    endgenerate
endmodule
