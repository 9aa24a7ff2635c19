// Memory of DEPTH words with one write port and one read port.
//
// Reading takes one cycle: read_data holds the word of the last read_enable until the next one.
// A word read in the cycle in which it is written is undefined: no logic is spent on that case (no_rw_check).
// STYLE is the kind of RAM for synthesis: "block", "distributed", or "auto" for what the tool thinks best.
// With PRELOAD the words start as the file FILE says ($readmemh), else undefined.
// SLICE (0: none) is the width of RAMs that are as deep as the memory: so many bits of all words are a memory of their own,
// where a tool would otherwise take wider RAMs, one above the other, and a multiplexer behind them. Not with PRELOAD.
module memory #(
    parameter WIDTH = 8,
    parameter DEPTH = 16,
    parameter ADDRESS = 4,
    parameter STYLE = "auto",
    parameter SLICE = 0,
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
    generate
        if (SLICE == 0 || PRELOAD != 0) begin : whole
            (* ram_style = STYLE, no_rw_check *)
            reg [WIDTH-1:0] words [0:WORDS-1];
            if (PRELOAD != 0) begin : image
                initial $readmemh(FILE, words);
            end
            always @(posedge clock) begin
                if (write_enable) words[write_address] <= write_data;
                if (read_enable) read_data <= words[read_address];
            end
        end else begin : sliced
            genvar low;
            for (low = 0; low < WIDTH; low = low + SLICE) begin : slice
                localparam BITS = (WIDTH - low < SLICE) ? WIDTH - low : SLICE;
                (* ram_style = STYLE, no_rw_check *)
                reg [BITS-1:0] words [0:WORDS-1];
                always @(posedge clock) begin
                    if (write_enable) words[write_address] <= write_data[low +: BITS];
                    if (read_enable) read_data[low +: BITS] <= words[read_address];
                end
            end
        end
    endgenerate
endmodule
