// The output stream: each finished step is sent once, in order: of each channel of its mask, in order, one vector from
// the first position to the last written one, its end marked; a beat stays until it is taken, and so does the word that
// it shows; a half is not written before it was sent.
//
// The element-wise part behind it writes only while there is room, and ends a step behind its last write.
module stream_out_proof (
    input wire clock,
    input wire reset,
    input wire write,
    input wire [15:0] write_position,
    input wire done,
    input wire [1:0] mask,
    input wire tready
);
    wire write_half, room, read, read_half, tvalid, tlast;
    wire [15:0] read_position;
    wire [4:0] tdest;
    stream_out dut (
        .clock(clock), .reset(reset), .write(write), .write_position(write_position), .write_half(write_half), .done(done), .mask(mask),
        .room(room), .read(read), .read_half(read_half), .read_position(read_position), .tvalid(tvalid), .tready(tready), .tdest(tdest),
        .tlast(tlast)
    );
    reg past = 1'b0;
    always @(posedge clock) past <= 1'b1;
    always @* begin
        if (!past) assume (reset);
        assume (!write || (room && !reset && !done));
        assume (!done || (room && wrote));
        // of the positions of a step, the last one written is the highest
        assume (!write || write_position == next);
    end
    // the half being written
    reg wrote = 1'b0;
    reg [15:0] next = 16'd0;
    always @(posedge clock) begin
        if (write) begin
            wrote <= 1'b1;
            next <= next + 16'd1;
        end
        if (reset || done) begin
            wrote <= 1'b0;
            next <= 16'd0;
        end
    end
    always @* assume (next < 16'd3);

    // the steps that wait to be sent, oldest first: mask and length
    reg [1:0] steps = 2'd0;
    reg [1:0] mask_0, mask_1;
    reg [15:0] last_0, last_1;
    // what is to be read next of the oldest
    reg [1:0] channel = 2'd0;
    reg [15:0] position = 16'd0;
    wire goes_in = done && |mask;
    wire last_read = read && position == last_0;
    wire more = channel == 2'd0 ? mask_0[1] : 1'b0;
    // the half is free again when its last word was read and the unit has gone over the channels without a vector
    wire goes_out = steps != 2'd0 && all_read && \dut.sending && !(|\dut.rest );
    reg all_read = 1'b0;
    always @(posedge clock) begin
        if (read) begin
            position <= position + 16'd1;
            if (position == last_0) begin
                position <= 16'd0;
                channel <= 2'd1;
                all_read <= !more;
            end
        end
        if (goes_out) begin
            all_read <= 1'b0;
            mask_0 <= mask_1;
            last_0 <= last_1;
            channel <= mask_1[0] ? 2'd0 : 2'd1;
            position <= 16'd0;
        end
        if (goes_in) begin
            if (steps - {1'b0, goes_out} == 2'd0) begin
                mask_0 <= mask;
                last_0 <= next - 16'd1;
                channel <= mask[0] ? 2'd0 : 2'd1;
                position <= 16'd0;
            end else begin
                mask_1 <= mask;
                last_1 <= next - 16'd1;
            end
        end
        steps <= steps + {1'b0, goes_in} - {1'b0, goes_out};
        if (reset) begin
            steps <= 2'd0;
            all_read <= 1'b0;
        end
    end
    // the beat that is shown
    reg shown = 1'b0;
    reg shown_last;
    reg [4:0] shown_dest;
    reg was_valid = 1'b0, was_read = 1'b0, was_last;
    reg [4:0] was_dest;
    always @(posedge clock) begin
        if (tvalid && tready) shown <= 1'b0;
        if (read) begin
            shown <= 1'b1;
            shown_last <= position == last_0;
            shown_dest <= {3'd0, channel};
        end
        if (reset) shown <= 1'b0;
        was_valid <= tvalid && !tready && !reset;
        was_last <= tlast;
        was_dest <= tdest;
    end
    reg [3:0] waited = 4'd0;
    always @(posedge clock) waited <= (steps == 2'd0 || read || goes_out || reset || !(tready || !tvalid)) ? 4'd0 : waited + 4'd1;
    reg writing_half = 1'b0;
    always @(posedge clock) writing_half <= reset ? 1'b0 : writing_half ^ goes_in;
    always @* if (past) begin
        no_more_than_two_steps: assert (steps <= 2'd2);
        room_is_a_free_half: assert (room == (steps != 2'd2));
        written_half_is_not_being_sent: assert (write_half == writing_half && (steps != 2'd1 || read_half != write_half));
        reads_what_was_written: assert (!read || (steps != 2'd0 && !all_read && read_position == position && position <= last_0));
        no_word_is_replaced_before_it_was_taken: assert (!read || !tvalid || tready);
        a_beat_for_each_word_read: assert (tvalid == shown);
        beat_says_channel_and_end: assert (!tvalid || (tdest == shown_dest && tlast == shown_last));
        beat_is_stable: assert (!was_valid || (tvalid && tdest == was_dest && tlast == was_last));
        goes_on: assert (waited < 4'd4);
    end

    // what the induction must know of the inside
    (* hierconn *) wire \dut.sending ;
    (* hierconn *) wire [1:0] \dut.rest ;
    (* hierconn *) wire [4:0] \dut.channel ;
    (* hierconn *) wire [15:0] \dut.position ;
    (* hierconn *) wire \dut.full_0 ;
    (* hierconn *) wire \dut.full_1 ;
    (* hierconn *) wire [1:0] \dut.masks_0 ;
    (* hierconn *) wire [1:0] \dut.masks_1 ;
    (* hierconn *) wire [15:0] \dut.last_index_0 ;
    (* hierconn *) wire [15:0] \dut.last_index_1 ;
    (* hierconn *) wire [15:0] \dut.written ;
    wire [33:0] half_0 = {\dut.masks_0 , \dut.last_index_0 };
    wire [33:0] half_1 = {\dut.masks_1 , \dut.last_index_1 };
    wire [33:0] oldest = read_half ? half_1 : half_0;
    wire [33:0] youngest = read_half ? half_0 : half_1;
    wire sending = \dut.sending ;
    wire [1:0] rest = \dut.rest ;
    always @* if (past) begin
        assert (\dut.full_0 + \dut.full_1 == steps);
        assert (steps != 2'd1 || (read_half ? \dut.full_1 : \dut.full_0 ));
        assert ((read_half == write_half) == (steps != 2'd1));
        assert (!sending || steps != 2'd0);
        assert (steps == 2'd0 || (oldest == {mask_0, last_0} && mask_0 != 2'd0 && last_0 < 16'd3));
        assert (steps != 2'd2 || (youngest == {mask_1, last_1} && mask_1 != 2'd0 && last_1 < 16'd3));
        assert (steps == 2'd0 || channel == 2'd1 || (channel == 2'd0 && mask_0[0]));
        assert (steps == 2'd0 || all_read || mask_0[channel[0]]);
        assert (sending || !all_read);
        if (steps != 2'd0 && !sending) assert (position == 16'd0 && channel == (mask_0[0] ? 2'd0 : 2'd1));
        if (sending && !all_read) begin
            assert (position <= last_0);
            assert (channel == {1'b0, \dut.channel [0]} ? (\dut.channel [4:1] == 4'd0 && \dut.position == position && rest == (channel[0] ? {1'b0, mask_0[1]} : mask_0))
                : (channel == 2'd1 && \dut.channel == 5'd0 && rest == {mask_0[1], 1'b0} && \dut.position == 16'd0 && position == 16'd0));
        end
        if (sending && all_read) assert (rest == 2'd0);
        assert (!wrote || \dut.written == next - 16'd1);
        assert (wrote == (next != 16'd0));
        assert (waited == 4'd0 || steps != 2'd0);
    end
    always @* begin
        cover_stalled_end: cover (past && was_valid && tready && tlast && tdest == 5'd1);
        cover_both_halves: cover (past && steps == 2'd2 && tvalid);
        cover_second_channel_alone: cover (past && tvalid && tdest == 5'd1 && mask_0 == 2'b10);
        cover_long_vector: cover (past && tvalid && tlast && last_0 == 16'd2);
    end
endmodule
