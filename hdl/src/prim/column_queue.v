// Queue of the columns that a PE has accepted and not yet started.
//
// A column is stored when offer && room, can be taken from the cycle after that on, and leaves when
// take && valid; room is true while there is a free slot or one becomes free in this cycle. full: no slot is free, whatever leaves in this cycle;
// it comes from a register. DEPTH = 0 is a wire, and always full. clear empties it.
module column_queue #(
    parameter DEPTH = 7,
    parameter VALUE = 16,
    parameter TURN = 12
) (
    input wire clock,
    input wire clear,
    input wire offer,
    input wire in_token,
    input wire [VALUE-1:0] in_value,
    input wire [TURN-1:0] in_first,
    input wire [TURN-1:0] in_turns,
    output wire room,
    output wire full,
    input wire take,
    output wire valid,
    output wire out_token,
    output wire [VALUE-1:0] out_value,
    output wire [TURN-1:0] out_first,
    output wire [TURN-1:0] out_turns
);
    localparam WIDTH = 1 + VALUE + 2 * TURN;
    wire [WIDTH-1:0] in = {in_token, in_value, in_first, in_turns};
    wire [WIDTH-1:0] out;
    assign {out_token, out_value, out_first, out_turns} = out;
    generate
        if (DEPTH == 0) begin : direct
            wire unused = clock | clear;
            assign room = take;
            assign full = 1'b1;
            assign valid = offer;
            assign out = in;
        end else begin : stored
            localparam WORDS = (DEPTH < 2) ? 2 : DEPTH;
            localparam INDEX = $clog2(WORDS);
            localparam COUNT = $clog2(DEPTH + 1);
            localparam [31:0] LAST_INDEX = WORDS - 1;
            localparam [31:0] FULL_COUNT = DEPTH;
            (* ram_style = "distributed", no_rw_check *)
            reg [WIDTH-1:0] words [0:WORDS-1];
            reg [INDEX-1:0] head;
            reg [INDEX-1:0] tail;
            reg [COUNT-1:0] count;
            reg filled;
            reg empty;
            assign full = filled;
            wire [INDEX-1:0] head_next = (head == LAST_INDEX[INDEX-1:0]) ? {INDEX{1'b0}} : head + {{(INDEX-1){1'b0}}, 1'b1};
            wire [INDEX-1:0] tail_next = (tail == LAST_INDEX[INDEX-1:0]) ? {INDEX{1'b0}} : tail + {{(INDEX-1){1'b0}}, 1'b1};
            wire store = offer && room;
            wire remove = take && !empty;
            wire [COUNT:0] count_next = {1'b0, count} + {{COUNT{1'b0}}, store} - {{COUNT{1'b0}}, remove};
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
                    if (store) head <= head_next;
                    if (remove) tail <= tail_next;
                    count <= count_next[COUNT-1:0];
                    filled <= count_next == FULL_COUNT[COUNT:0];
                    empty <= count_next == {(COUNT+1){1'b0}};
                end
            end
        end
    endgenerate
endmodule
