// A sum: base plus the product, or with write_back plus the bias. Combinational.
//
// A carry chain takes one addend as it is, the other through the LUTs in front of it, which have room for the choice.
// Yosys takes as the first the addend of fewer pieces: the choice is made in two.
module accumulate #(
    parameter SUM = 40
) (
    input wire [SUM-1:0] base,
    input wire write_back,
    input wire [SUM-1:0] product,
    input wire [SUM-1:0] bias,
    output wire [SUM-1:0] sum
);
    wire [15:0] low = write_back ? bias[15:0] : product[15:0];
    wire [SUM-17:0] high = write_back ? bias[SUM-1:16] : product[SUM-1:16];
    assign sum = base + {high, low};
endmodule
