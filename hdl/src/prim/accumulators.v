// Accumulators of an ESE's lane: DEPTH words in distributed RAM, one write port, one read port.
//
// Reading takes one cycle. A word read in the cycle in which it is written is undefined: the
// datapath forwards the sum itself (no_rw_check: no logic is spent on that case).
module accumulators #(
    parameter WIDTH = 40,
    parameter DEPTH = 16,
    parameter ADDRESS = 4
) (
    input wire clock,
    input wire read_enable,
    input wire [ADDRESS-1:0] read_address,
    output reg [WIDTH-1:0] read_data,
    input wire write_enable,
    input wire [ADDRESS-1:0] write_address,
    input wire [WIDTH-1:0] write_data
);
    localparam WORDS = (DEPTH < 2) ? 2 : DEPTH;
    (* ram_style = "distributed", no_rw_check *)
    reg [WIDTH-1:0] words [0:WORDS-1];
    always @(posedge clock) begin
        if (write_enable) words[write_address] <= write_data;
        if (read_enable) read_data <= words[read_address];
    end
endmodule
