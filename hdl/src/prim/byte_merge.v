// A 32-bit register's next value: the bytes that strobe names come from data. `written` is what a
// write of ones acts on: data with the other bytes zero. Combinational.
module byte_merge (
    input wire [31:0] old,
    input wire [31:0] data,
    input wire [3:0] strobe,
    output wire [31:0] merged,
    output wire [31:0] written
);
    wire [31:0] bytes = {{8{strobe[3]}}, {8{strobe[2]}}, {8{strobe[1]}}, {8{strobe[0]}}};
    assign written = data & bytes;
    assign merged = written | (old & ~bytes);
endmodule
