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
            genvar bit_number;
            genvar i;
            // bit by bit: a field's place as a product of its number makes a shifter of it
            for (bit_number = 0; bit_number < WIDTH; bit_number = bit_number + 1) begin : bits
                wire [LANES-1:0] column;
                for (i = 0; i < LANES; i = i + 1) begin : lanes
                    assign column[i] = word[i*WIDTH + bit_number];
                end
                assign field[bit_number] = column[lane];
            end
        end
    endgenerate
endmodule
