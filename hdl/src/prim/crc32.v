// CRC-32 (IEEE 802.3, reflected) of one more 32-bit word, its low byte first. Combinational.
//
// The register starts with all ones; the CRC is its complement after the last word.
module crc32 (
    input wire [31:0] state,
    input wire [31:0] word,
    output wire [31:0] result
);
    function [31:0] step;
        input [31:0] value;
        integer i;
        begin
            step = value;
            for (i = 0; i < 32; i = i + 1) begin
                step = {1'b0, step[31:1]} ^ (step[0] ? 32'hedb88320 : 32'd0);
            end
        end
    endfunction
    assign result = step(state ^ word);
endmodule
