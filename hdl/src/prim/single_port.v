// Memory of DEPTH words with one address, for what is written at one time and read at another.
//
// Reading takes one cycle: read_data holds the word of the last read_enable until the next one.
// A word read in the cycle in which it is written is undefined: no logic is spent on that case (no_rw_check).
// Block RAM; a tool that has larger memories with a single port may take one of these.
// With PRELOAD the words start as the file FILE says ($readmemh), else undefined.
module single_port #(
    parameter WIDTH = 8,
    parameter DEPTH = 16,
    parameter ADDRESS = 4,
    parameter PRELOAD = 0,
    parameter FILE = ""
) (
    input wire clock,
    input wire [ADDRESS-1:0] address,
    input wire read_enable,
    output reg [WIDTH-1:0] read_data,
    input wire write_enable,
    input wire [WIDTH-1:0] write_data
);
    // an array of one word has no address bits
    localparam WORDS = (DEPTH < 2) ? 2 : DEPTH;
    (* ram_style = "block", no_rw_check *)
    reg [WIDTH-1:0] words [0:WORDS-1];
    generate
        if (PRELOAD != 0) begin : image
            initial $readmemh(FILE, words);
        end
    endgenerate
    always @(posedge clock) begin
        if (write_enable) words[address] <= write_data;
        if (read_enable) read_data <= words[address];
    end
endmodule
