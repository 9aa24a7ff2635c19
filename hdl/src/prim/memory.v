// Memory of DEPTH words with one write port and one read port.
//
// Reading takes one cycle: read_data holds the word of the last read_enable until the next one.
// A word read in the cycle in which it is written is undefined: no logic is spent on that case (no_rw_check).
// STYLE is the kind of RAM for synthesis: "block", "distributed", or "auto" for what the tool thinks best.
// With PRELOAD the words start as the file FILE says ($readmemh), else undefined.
module memory #(
    parameter WIDTH = 8,
    parameter DEPTH = 16,
    parameter ADDRESS = 4,
    parameter STYLE = "auto",
    parameter PRELOAD = 0,
    parameter FILE = ""
) (
    input wire clock,
    input wire read_enable,
    input wire [ADDRESS-1:0] read_address,
    output reg [WIDTH-1:0] read_data,
    input wire write_enable,
    input wire [ADDRESS-1:0] write_address,
    input wire [WIDTH-1:0] write_data
);
    // an array of one word has no address bits
    localparam WORDS = (DEPTH < 2) ? 2 : DEPTH;
    // only synthesis reads the style
    wire unused_style = (STYLE == "auto");
    (* ram_style = STYLE, no_rw_check *)
    reg [WIDTH-1:0] words [0:WORDS-1];
    generate
        if (PRELOAD != 0) begin : image
            initial $readmemh(FILE, words);
        end
    endgenerate
    always @(posedge clock) begin
        if (write_enable) words[write_address] <= write_data;
        if (read_enable) read_data <= words[read_address];
    end
endmodule
