// The pointer read: each broadcast column comes out once, in order, with its entries, its value and its kind; a column
// without entries comes out nowhere; no column is dropped for want of a place.
//
// The queue behind it is any whose room and full belong together (proved of column_queue). The host writes pointers
// only while nothing is under way.
module ptr_read_proof (
    input wire clock,
    input wire clear,
    input wire broadcast,
    input wire in_token,
    input wire [15:0] in_value,
    input wire [1:0] in_column,
    input wire room,
    input wire full,
    input wire host_read,
    input wire host_odd,
    input wire host_write_even,
    input wire host_write_odd,
    input wire host_address,
    input wire [2:0] host_data
);
    wire accept, offer, out_token, busy;
    wire [15:0] out_value;
    wire [2:0] out_first, host_word;
    wire [1:0] out_minus_turns;
    wire read, even_address, odd_address, starts_odd;
    ptr_address addresses (
        .column(in_column), .broadcast(broadcast), .host_read(host_read), .host_memory(host_odd ? 3'd2 : 3'd1), .host_address(host_address),
        .read(read), .even(even_address), .odd(odd_address), .starts_odd(starts_odd)
    );
    ptr_read dut (
        .clock(clock), .clear(clear), .broadcast(broadcast), .in_token(in_token), .in_value(in_value),
        .read(read), .even_address(even_address), .odd_address(odd_address), .starts_odd(starts_odd), .accept(accept), .offer(offer), .out_token(out_token), .out_value(out_value), .out_first(out_first),
        .out_minus_turns(out_minus_turns), .room(room), .full(full), .busy(busy),
        .host_write_even(host_write_even), .host_write_odd(host_write_odd), .host_address(host_address), .host_data(host_data),
        .host_word(host_word)
    );
    wire host = host_read || host_write_even || host_write_odd;
    reg past = 1'b0;
    always @(posedge clock) past <= 1'b1;
    always @* begin
        if (!past) assume (clear);
        assume (!broadcast || accept);
        // neither is there room in a full queue that nothing leaves, nor none in one that has a free slot
        assume (room || full);
        assume (!host || (!busy && !broadcast));
        // a column has no more entries than turns can count
        assume (!broadcast || in_token || {1'b0, stop} - {1'b0, first} < 4'd4);
    end

    // the pointers as numbers: 0 and 2 in the even bank, 1 and 3 in the odd one
    (* hierconn *) wire [2:0] \dut.ptr_even.whole.words[0] ;
    (* hierconn *) wire [2:0] \dut.ptr_even.whole.words[1] ;
    (* hierconn *) wire [2:0] \dut.ptr_odd.whole.words[0] ;
    (* hierconn *) wire [2:0] \dut.ptr_odd.whole.words[1] ;
    wire [11:0] pointers = {\dut.ptr_odd.whole.words[1] , \dut.ptr_even.whole.words[1] , \dut.ptr_odd.whole.words[0] , \dut.ptr_even.whole.words[0] };
    wire [1:0] next_column = in_column + 2'd1;
    wire [2:0] first = pointers[in_column * 3 +: 3];
    wire [2:0] stop = pointers[next_column * 3 +: 3];
    wire [2:0] minus_turns = first - stop;

    // what is under way: the older column in `one`, the younger in `two`
    wire [21:0] now = {in_token, in_value, in_token ? 5'd0 : {first, minus_turns[1:0]}};
    // a token's entries are anything
    wire [21:0] out = {out_token, out_value, out_token ? 5'd0 : {out_first, out_minus_turns}};
    reg [1:0] held = 2'd0;
    reg [21:0] one, two;
    wire empty_column = !one[21] && one[1:0] == 2'd0;
    wire leaves = (offer && room) || drops;
    // a column without entries goes when it has reached the second stage
    (* hierconn *) wire \dut.valid_1 ;
    (* hierconn *) wire \dut.valid_2 ;
    wire drops = \dut.valid_2 && !offer;
    always @(posedge clock) begin
        if (leaves) one <= two;
        if (broadcast) begin
            if (held - {1'b0, leaves} == 2'd0) one <= now;
            else two <= now;
        end
        held <= clear ? 2'd0 : held + {1'b0, broadcast} - {1'b0, leaves};
    end
    reg was_offer = 1'b0;
    reg [21:0] was_out;
    reg [1:0] waited = 2'd0;
    always @(posedge clock) begin
        was_offer <= offer && !room && !clear;
        was_out <= out;
        waited <= (held == 2'd0 || leaves || clear || !room) ? 2'd0 : waited + 2'd1;
    end
    always @* if (past) begin
        nothing_comes_from_nowhere: assert (!leaves || held != 2'd0);
        no_more_than_two: assert (held <= 2'd2);
        none_lost: assert (!(broadcast && held == 2'd2) || leaves);
        as_broadcast: assert (!offer || (out == one && !empty_column));
        dropped_only_without_entries: assert (!drops || empty_column);
        offer_is_stable: assert (!was_offer || (offer && out == was_out));
        busy_while_one_is_under_way: assert (busy == (held != 2'd0));
        moves_on: assert (waited < 2'd2);
    end

    // what the induction must know of the inside
    (* hierconn *) wire \dut.token_1 ;
    (* hierconn *) wire \dut.odd_1 ;
    (* hierconn *) wire [15:0] \dut.value_1 ;
    (* hierconn *) wire \dut.token_2 ;
    (* hierconn *) wire [15:0] \dut.value_2 ;
    (* hierconn *) wire [2:0] \dut.start_2 ;
    (* hierconn *) wire [1:0] \dut.stop_2 ;
    (* hierconn *) wire [2:0] \dut.ptr_even.read_data ;
    (* hierconn *) wire [2:0] \dut.ptr_odd.read_data ;
    wire [2:0] start_1 = \dut.odd_1 ? \dut.ptr_odd.read_data : \dut.ptr_even.read_data ;
    wire [2:0] stop_1 = \dut.odd_1 ? \dut.ptr_even.read_data : \dut.ptr_odd.read_data ;
    wire [2:0] minus_turns_1 = start_1 - stop_1;
    wire [1:0] minus_turns_2 = \dut.start_2 [1:0] - \dut.stop_2 ;
    wire [21:0] first_stage = {\dut.token_1 , \dut.value_1 , \dut.token_1 ? 5'd0 : {start_1, minus_turns_1[1:0]}};
    wire [21:0] second_stage = {\dut.token_2 , \dut.value_2 , \dut.token_2 ? 5'd0 : {\dut.start_2 , minus_turns_2}};
    // the host's last word, until the next read
    reg host_reads = 1'b0, read_odd, read_address;
    always @(posedge clock) begin
        host_reads <= host_read;
        {read_odd, read_address} <= {host_odd, host_address};
    end
    wire [2:0] asked = pointers[{read_address, read_odd} * 3 +: 3];
    reg written = 1'b0;
    always @(posedge clock) written <= host_write_even || host_write_odd;
    always @* if (past) begin
        host_hears_its_word: assert (!host_reads || written || host_word == asked);
    end
    always @* if (past) begin
        assert (held == {1'b0, \dut.valid_1 } + {1'b0, \dut.valid_2 });
        if (\dut.valid_2 ) assert (one == second_stage);
        if (\dut.valid_1 ) assert ((\dut.valid_2 ? two : one) == first_stage);
        // a column that waits in the first stage waits for the second
        if (waited == 2'd1) assert (\dut.valid_2 );
    end
    always @* begin
        cover_two_wait: cover (past && held == 2'd2 && !accept);
        cover_drop: cover (past && drops);
        cover_token: cover (past && offer && room && out_token);
        cover_streams: cover (past && held == 2'd2 && broadcast && leaves);
        cover_two_entries: cover (past && offer && !out_token && out_minus_turns == 2'd2);
    end
endmodule
