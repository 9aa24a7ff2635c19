// Queue of the columns that a PE has accepted and not yet started.
//
// Fall-through: an offered column can be taken in the same cycle when nothing waits before it.
// A column is stored when offer && room, and leaves when take && valid; room is true while there is
// a free slot or one becomes free in this cycle. DEPTH = 0 is a wire. clear empties it.
module column_queue #(
    parameter DEPTH = 7,
    parameter VALUE = 16,
    parameter POINTER = 12
) (
    input wire clock,
    input wire clear,
    input wire offer,
    input wire in_token,
    input wire [VALUE-1:0] in_value,
    input wire [POINTER-1:0] in_first,
    input wire [POINTER-1:0] in_end,
    output wire room,
    input wire take,
    output wire valid,
    output wire out_token,
    output wire [VALUE-1:0] out_value,
    output wire [POINTER-1:0] out_first,
    output wire [POINTER-1:0] out_end
);
    localparam WIDTH = 1 + VALUE + 2 * POINTER;
    wire [WIDTH-1:0] in = {in_token, in_value, in_first, in_end};
    wire [WIDTH-1:0] out;
    assign {out_token, out_value, out_first, out_end} = out;
    generate
        if (DEPTH == 0) begin : direct
            wire unused = clock | clear;
            assign room = take;
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
            reg full;
            reg empty;
            wire [INDEX-1:0] head_next = (head == LAST_INDEX[INDEX-1:0]) ? {INDEX{1'b0}} : head + {{(INDEX-1){1'b0}}, 1'b1};
            wire [INDEX-1:0] tail_next = (tail == LAST_INDEX[INDEX-1:0]) ? {INDEX{1'b0}} : tail + {{(INDEX-1){1'b0}}, 1'b1};
            // what passes straight through is neither stored nor removed
            wire store = offer && room && !(empty && take);
            wire remove = take && !empty;
            wire [COUNT:0] count_next = {1'b0, count} + {{COUNT{1'b0}}, store} - {{COUNT{1'b0}}, remove};
            assign room = !full || take;
            assign valid = !empty || offer;
            assign out = empty ? in : words[tail];
            always @(posedge clock) begin
                if (store) words[head] <= in;
                if (clear) begin
                    head <= {INDEX{1'b0}};
                    tail <= {INDEX{1'b0}};
                    count <= {COUNT{1'b0}};
                    full <= 1'b0;
                    empty <= 1'b1;
                end else begin
                    if (store) head <= head_next;
                    if (remove) tail <= tail_next;
                    count <= count_next[COUNT-1:0];
                    full <= count_next == FULL_COUNT[COUNT:0];
                    empty <= count_next == {(COUNT+1){1'b0}};
                end
            end
        end
    endgenerate
endmodule
