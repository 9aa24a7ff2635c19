// No column is lost, none comes twice, none overtakes another, none is stored without a free slot.
//
// One column, any, is followed from where it is stored to where it is taken.
module column_queue_proof #(
    parameter DEPTH = 3
) (
    input wire clock,
    input wire clear,
    input wire offer,
    input wire take,
    input wire in_token,
    input wire [1:0] in_value,
    input wire in_first,
    input wire in_minus_turns,
    input wire pick
);
    localparam INDEX = (DEPTH < 2) ? 1 : $clog2(DEPTH);
    localparam WORDS = 1 << INDEX;
    localparam [3:0] MOST = DEPTH;
    localparam [3:0] SLOTS = WORDS;
    wire room, full, valid, out_token, out_first, out_minus_turns;
    wire [1:0] out_value;
    column_queue #(.DEPTH(DEPTH), .VALUE(2), .FIRST(1), .TURNS(1)) dut (
        .clock(clock), .clear(clear), .offer(offer), .in_token(in_token), .in_value(in_value), .in_first(in_first), .in_minus_turns(in_minus_turns),
        .room(room), .full(full), .take(take), .valid(valid), .out_token(out_token), .out_value(out_value), .out_first(out_first), .out_minus_turns(out_minus_turns)
    );
    wire [4:0] in = {in_token, in_value, in_first, in_minus_turns};
    wire [4:0] out = {out_token, out_value, out_first, out_minus_turns};

    reg past = 1'b0;
    always @(posedge clock) past <= 1'b1;
    always @* if (!past) assume (clear);

    // what a queue is: how many are in it, and how many of them go before the one that is followed
    reg [3:0] held = 4'd0;
    reg follow = 1'b0;
    reg [3:0] ahead;
    reg [4:0] followed;
    wire stores = offer && room;
    wire leaves = take && valid;
    always @(posedge clock) begin
        held <= clear ? 4'd0 : held + {3'd0, stores} - {3'd0, leaves};
        if (leaves && follow) begin
            ahead <= ahead - 4'd1;
            if (ahead == 4'd0) follow <= 1'b0;
        end
        if (stores && pick && !follow) begin
            follow <= 1'b1;
            ahead <= held - {3'd0, leaves};
            followed <= in;
        end
        if (clear) follow <= 1'b0;
    end
    always @* if (past) begin
        no_overflow: assert (held <= MOST);
        room_is_a_free_slot: assert (room == (held != MOST || take));
        full_is_no_free_slot: assert (full == (held == MOST));
        valid_is_something_held: assert (valid == (held != 4'd0));
        in_order_and_unchanged: assert (!(leaves && follow && ahead == 4'd0) || out == followed);
        followed_is_held: assert (!follow || ahead < held);
    end

    // what the induction must know of the inside
    localparam COUNT = $clog2(DEPTH + 1);
    (* hierconn *) wire [INDEX-1:0] \dut.stored.head ;
    (* hierconn *) wire [INDEX-1:0] \dut.stored.tail ;
    (* hierconn *) wire [COUNT-1:0] \dut.stored.count ;
    wire [3:0] head = {{(4-INDEX){1'b0}}, \dut.stored.head };
    wire [3:0] tail = {{(4-INDEX){1'b0}}, \dut.stored.tail };
    wire [3:0] count = {{(4-COUNT){1'b0}}, \dut.stored.count };
    (* hierconn *) wire [4:0] \dut.stored.words[0] ;
    (* hierconn *) wire [4:0] \dut.stored.words[1] ;
    (* hierconn *) wire [4:0] \dut.stored.words[2] ;
    (* hierconn *) wire [4:0] \dut.stored.words[3] ;
    (* hierconn *) wire [4:0] \dut.stored.words[4] ;
    (* hierconn *) wire [4:0] \dut.stored.words[5] ;
    (* hierconn *) wire [4:0] \dut.stored.words[6] ;
    (* hierconn *) wire [4:0] \dut.stored.words[7] ;
    wire [39:0] words = {\dut.stored.words[7] , \dut.stored.words[6] , \dut.stored.words[5] , \dut.stored.words[4] , \dut.stored.words[3] , \dut.stored.words[2] , \dut.stored.words[1] , \dut.stored.words[0] };
    wire [4:0] end_sum = {1'b0, tail} + {1'b0, held};
    wire [3:0] end_of_held = (end_sum >= {1'b0, SLOTS}) ? end_sum[3:0] - SLOTS : end_sum[3:0];
    wire [4:0] place_sum = {1'b0, tail} + {1'b0, ahead};
    wire [3:0] place = (place_sum >= {1'b0, SLOTS}) ? place_sum[3:0] - SLOTS : place_sum[3:0];
    wire [4:0] followed_word = words[place * 5 +: 5];
    always @* if (past) begin
        assert (head < SLOTS && tail < SLOTS);
        assert (count == held);
        assert (head == end_of_held);
        assert (!follow || followed_word == followed);
    end
    reg was_full = 1'b0;
    always @(posedge clock) was_full <= !clear && (was_full || full);
    always @* begin
        cover_full_then_empty: cover (past && was_full && held == 4'd0);
        cover_store_into_full: cover (past && stores && held == MOST);
        cover_followed_leaves: cover (past && leaves && follow && ahead == 4'd0);
    end
endmodule
