// One of LANES fields of a word of WORD bits: field 0 is the lowest.
//
// A field that is not whole has bits of field 0 above its own; whoever reads it knows its width.
module lane_select #(
    parameter WIDTH = 8,
    parameter LANES = 8,
    parameter INDEX = 3,
    parameter WORD = 64
) (
    input wire [WORD-1:0] word,
    input wire [INDEX-1:0] lane,
    output wire [WIDTH-1:0] field
);
    generate
        if (LANES == 1) begin : only
            wire unused = |lane;
            if (WORD < WIDTH) begin : short
                assign field = {{(WIDTH-WORD){1'b0}}, word};
            end else begin : whole
                assign field = word[WIDTH-1:0];
            end
        end else begin : several
            genvar bit_number;
            genvar i;
            // bit by bit: a field's place as a product of its number makes a shifter of it
            for (bit_number = 0; bit_number < WIDTH; bit_number = bit_number + 1) begin : bits
                wire [LANES-1:0] column;
                for (i = 0; i < LANES; i = i + 1) begin : lanes
                    assign column[i] = word[(i*WIDTH + bit_number < WORD) ? i*WIDTH + bit_number : bit_number];
                end
                assign field[bit_number] = column[lane];
            end
        end
    endgenerate
endmodule
