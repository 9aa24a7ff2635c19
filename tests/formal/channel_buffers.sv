// The input buffers of a channel: each vector that was accepted beat by beat is kept whole until it is consumed, vectors
// in order, none in the place of one that waits; a vector of another length than the network's is marked as bad.
//
// One value, any, is followed from its beat to where it is read. Beats come only while room is high and nothing is
// cleared, consume only while ready is high.
module channel_buffers_proof (
    input wire clock,
    input wire reset,
    input wire clear,
    input wire beat,
    input wire [15:0] beat_data,
    input wire beat_first,
    input wire beat_last,
    input wire consume,
    input wire input_read,
    input wire [15:0] input_position,
    input wire pick
);
    localparam [15:0] SIZE = 16'd2;
    wire room, ended_short, ended_long, ready, bad, first;
    wire [15:0] input_value;
    channel_buffers dut (
        .clock(clock), .reset(reset), .clear(clear), .input_size(SIZE), .beat(beat), .beat_data(beat_data), .beat_first(beat_first),
        .beat_last(beat_last), .room(room), .ended_short(ended_short), .ended_long(ended_long), .ready(ready), .bad(bad), .first(first),
        .consume(consume), .input_read(input_read), .input_position(input_position), .input_value(input_value)
    );
    reg past = 1'b0;
    always @(posedge clock) past <= 1'b1;
    always @* begin
        if (!past) assume (reset && clear);
        assume (!beat || (room && !reset && !clear));
        assume (!consume || (ready && !clear));
        assume (!input_read || input_position < SIZE);
    end

    // the vector that comes in: how many beats of it, to one more than it may have; and whether the rest of it is dropped
    reg [1:0] beats = 2'd0;
    reg came_first;
    reg dropping = 1'b0;
    wire takes = beat && !dropping;
    wire ends = takes && beat_last;
    wire is_first = beats == 2'd0 ? beat_first : came_first;
    wire is_short = ends && beats == 2'd0;
    wire is_long = ends && beats == 2'd2;
    // the vectors that wait, oldest first: {bad, first}
    reg [1:0] waiting = 2'd0;
    reg [1:0] one, two;
    wire [1:0] rest = waiting - {1'b0, consume};
    // the value that is followed: its place in its vector, and how many vectors go before that
    reg follow = 1'b0;
    reg [1:0] before;
    reg place;
    reg [15:0] value;
    reg expect_value = 1'b0;
    always @(posedge clock) begin
        if (takes) begin
            beats <= beats == 2'd2 ? 2'd2 : beats + 2'd1;
            came_first <= is_first;
        end
        if (ends) beats <= 2'd0;
        if (beat && beat_last) dropping <= 1'b0;
        if (consume) one <= two;
        if (ends && rest == 2'd0) one <= {beats != 2'd1, is_first};
        if (ends && rest == 2'd1) two <= {beats != 2'd1, is_first};
        waiting <= rest + {1'b0, ends};
        if (follow && consume) begin
            before <= before - 2'd1;
            if (before == 2'd0) follow <= 1'b0;
        end
        if (!follow && pick && takes && beats != 2'd2) begin
            follow <= 1'b1;
            before <= rest;
            place <= beats[0];
            value <= beat_data;
        end
        expect_value <= follow && before == 2'd0 && waiting != 2'd0 && input_read && input_position == {15'd0, place};
        if (clear) begin
            beats <= 2'd0;
            waiting <= 2'd0;
            follow <= 1'b0;
            // the rest of a vector that was coming in
            if (beats != 2'd0) dropping <= 1'b1;
        end
        if (reset) dropping <= 1'b0;
    end
    reg [15:0] expected;
    always @(posedge clock) expected <= value;
    always @* if (past) begin
        no_more_than_two: assert (waiting <= 2'd2);
        room_is_a_free_half: assert (room == (waiting != 2'd2 || dropping));
        none_lost_none_twice: assert (ready == (waiting != 2'd0));
        in_order_with_their_marks: assert (!ready || {bad, first} == one);
        lengths_are_judged: assert (ended_short == is_short && ended_long == is_long);
        values_unchanged: assert (!expect_value || input_value == expected);
    end

    // what the induction must know of the inside
    (* hierconn *) wire [15:0] \dut.position ;
    (* hierconn *) wire \dut.excess ;
    (* hierconn *) wire \dut.began ;
    (* hierconn *) wire \dut.skipping ;
    (* hierconn *) wire \dut.write_half ;
    (* hierconn *) wire \dut.read_half ;
    (* hierconn *) wire \dut.full_0 ;
    (* hierconn *) wire \dut.full_1 ;
    (* hierconn *) wire \dut.faulty_0 ;
    (* hierconn *) wire \dut.faulty_1 ;
    (* hierconn *) wire \dut.fresh_0 ;
    (* hierconn *) wire \dut.fresh_1 ;
    (* hierconn *) wire [15:0] \dut.inputs_0.whole.words[0] ;
    (* hierconn *) wire [15:0] \dut.inputs_0.whole.words[1] ;
    (* hierconn *) wire [15:0] \dut.inputs_1.whole.words[0] ;
    (* hierconn *) wire [15:0] \dut.inputs_1.whole.words[1] ;
    wire read_half = \dut.read_half ;
    wire [1:0] marks_0 = {\dut.faulty_0 , \dut.fresh_0 };
    wire [1:0] marks_1 = {\dut.faulty_1 , \dut.fresh_1 };
    wire half = read_half ^ before[0];
    wire [15:0] held = half ? (place ? \dut.inputs_1.whole.words[1] : \dut.inputs_1.whole.words[0] ) : (place ? \dut.inputs_0.whole.words[1] : \dut.inputs_0.whole.words[0] );
    always @* if (past) begin
        assert (\dut.skipping == dropping);
        assert ({1'b0, \dut.full_0 } + {1'b0, \dut.full_1 } == waiting);
        assert (waiting != 2'd1 || (read_half ? \dut.full_1 : \dut.full_0 ));
        assert ((\dut.write_half == read_half) == (waiting != 2'd1));
        assert (waiting != 2'd2 || (read_half ? marks_0 : marks_1) == two);
        assert (!dropping || beats == 2'd0);
        assert (\dut.began == (beats != 2'd0));
        assert (beats == 2'd0 || (\dut.write_half ? \dut.fresh_1 : \dut.fresh_0 ) == came_first);
        assert (\dut.excess == (beats == 2'd2));
        assert (\dut.position == (beats == 2'd0 ? 16'd0 : 16'd1));
        assert (beats != 2'd3);
        assert (beats == 2'd0 || waiting != 2'd2);
        assert (!follow || (before < waiting || (before == waiting && {1'b0, place} < beats && before != 2'd2)));
        assert (!follow || held == value);
    end
    always @* begin
        cover_two_wait: cover (past && waiting == 2'd2 && !room);
        cover_followed_is_read: cover (past && expect_value && before == 2'd0 && place);
        cover_long: cover (past && ended_long);
        cover_short: cover (past && ended_short);
        cover_dropping: cover (past && dropping && beat && beat_last);
        cover_first: cover (past && ready && first && !bad);
    end
endmodule
