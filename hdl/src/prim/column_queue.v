// Queue of the columns that a PE has accepted and not yet started.
//
// A column is stored when offer && room, can be taken from the cycle after that on, and leaves when
// take && valid; room is true while there is a free slot or one becomes free in this cycle. full: no slot is free, whatever leaves in this cycle;
// it comes from a register. DEPTH = 0 is a wire, and always full. clear empties it.
module column_queue #(
    parameter DEPTH = 7,
    parameter VALUE = 16,
    parameter FIRST = 12,
    parameter TURNS = 7
) (
    input wire clock,
    input wire clear,
    input wire offer,
    input wire in_token,
    input wire [VALUE-1:0] in_value,
    input wire [FIRST-1:0] in_first,
    input wire [TURNS-1:0] in_minus_turns,
    output wire room,
    output wire full,
    input wire take,
    output wire valid,
    output wire out_token,
    output wire [VALUE-1:0] out_value,
    output wire [FIRST-1:0] out_first,
    output wire [TURNS-1:0] out_minus_turns
);
    localparam WIDTH = 1 + VALUE + FIRST + TURNS;
    wire [WIDTH-1:0] in = {in_token, in_value, in_first, in_minus_turns};
    wire [WIDTH-1:0] out;
    assign {out_token, out_value, out_first, out_minus_turns} = out;
    generate
        if (DEPTH == 0) begin : direct
            wire unused = clock | clear;
            assign room = take;
            assign full = 1'b1;
            assign valid = offer;
            assign out = in;
        end else begin : stored
            // a power of two of words: head and tail wrap by themselves; LUT RAM has no fewer
            localparam INDEX = (DEPTH < 2) ? 1 : $clog2(DEPTH);
            localparam COUNT = $clog2(DEPTH + 1);
            localparam [31:0] LAST_COUNT = DEPTH - 1;
            localparam [31:0] ONE = 1;
            (* ram_style = "distributed", no_rw_check *)
            reg [WIDTH-1:0] words [0:(1<<INDEX)-1];
            reg [INDEX-1:0] head;
            reg [INDEX-1:0] tail;
            reg [COUNT-1:0] count;
            reg filled;
            reg empty;
            assign full = filled;
            wire store = offer && room;
            wire remove = take && !empty;
            // counted in LUTs: a carry chain takes more for so few bits
            wire [COUNT-1:0] count_next;
            genvar i;
            for (i = 0; i < COUNT; i = i + 1) begin : counted
                if (i == 0) assign count_next[i] = !count[i];
                else assign count_next[i] = count[i] ^ (store ? &count[i-1:0] : !(|count[i-1:0]));
            end
            assign room = !filled || take;
            assign valid = !empty;
            assign out = words[tail];
            always @(posedge clock) begin
                if (store) words[head] <= in;
                if (clear) begin
                    head <= {INDEX{1'b0}};
                    tail <= {INDEX{1'b0}};
                    count <= {COUNT{1'b0}};
                    filled <= 1'b0;
                    empty <= 1'b1;
                end else begin
                    if (store) head <= head + ONE[INDEX-1:0];
                    if (remove) tail <= tail + ONE[INDEX-1:0];
                    if (store != remove) begin
                        count <= count_next;
                        filled <= store && count == LAST_COUNT[COUNT-1:0];
                        empty <= remove && count == ONE[COUNT-1:0];
                    end
                end
            end
        end
    endgenerate
endmodule
