// The sequencer: a start runs the layers 0, 1, ... to the one marked last, each begun once, and ends with one `finished`;
// nothing runs without a start; reset and abort clear all accumulators before the next start is taken.
module sequencer_proof (
    input wire clock,
    input wire reset,
    input wire start,
    input wire abort,
    input wire last,
    input wire [15:0] out_rows_of_layer,
    input wire done,
    input wire stall_queue,
    input wire stall_scan,
    input wire drain
);
    wire clear, begin_layer, run, discard, source_b, busy, computing, finished, result_b;
    wire [15:0] out_rows;
    wire [31:0] cycles, stalls_queue, stalls_scan, stalls_drain;
    wire layer;
    sequencer dut (
        .clock(clock), .reset(reset), .start(start), .abort(abort), .last(last), .out_rows_of_layer(out_rows_of_layer), .done(done),
        .stall_queue(stall_queue), .stall_scan(stall_scan), .drain(drain), .clear(clear), .begin_layer(begin_layer), .run(run),
        .discard(discard), .layer(layer), .source_b(source_b), .out_rows(out_rows), .busy(busy), .computing(computing), .finished(finished),
        .result_b(result_b), .cycles(cycles), .stalls_queue(stalls_queue), .stalls_scan(stalls_scan), .stalls_drain(stalls_drain)
    );
    reg past = 1'b0;
    always @(posedge clock) past <= 1'b1;
    always @* begin
        if (!past) assume (reset);
        // a network has as many layers as the table at most, so that its last one is marked
        assume (!(run && !discard && done && layer) || last);
    end

    // what is asked of it: nothing, a clearing (first a flush), or a network, whose next layer is `number`
    localparam [1:0] NOTHING = 2'd0, FLUSH = 2'd1, CLEARING = 2'd2, NETWORK = 2'd3;
    reg [1:0] asked;
    reg begun;
    reg number;
    reg result;
    reg [31:0] count;
    wire ends_layer = asked == NETWORK && begun && done;
    wire ends_network = ends_layer && last && !abort;
    always @(posedge clock) begin
        case (asked)
            NOTHING: if (start) begin
                asked <= NETWORK;
                begun <= 1'b0;
                number <= 1'b0;
                count <= 32'd0;
            end
            FLUSH: asked <= CLEARING;
            CLEARING: if (done) asked <= NOTHING;
            NETWORK: begin
                count <= count + 32'd1;
                begun <= 1'b1;
                if (ends_layer) begin
                    begun <= 1'b0;
                    number <= number + 1'b1;
                    // the results of layers 0, 2, ... are in buffer B
                    if (last) begin
                        asked <= NOTHING;
                        result <= !number;
                    end
                end
                if (abort) asked <= FLUSH;
            end
        endcase
        if (reset) begin
            asked <= FLUSH;
            result <= 1'b0;
            count <= 32'd0;
        end
    end
    always @* if (past) begin
        a_layer_begins_once: assert (begin_layer == (asked == NETWORK && !begun));
        runs_only_what_began: assert (run == ((asked == NETWORK && begun) || asked == CLEARING));
        flush_of_one_cycle: assert (clear == (asked == FLUSH));
        clearing_is_discarded: assert (!run || discard == (asked == CLEARING));
        all_accumulators_are_cleared: assert (!(run && discard) || out_rows == 16'd2);
        rows_of_the_layer: assert (asked != NETWORK || out_rows == out_rows_of_layer);
        layers_in_order: assert (asked != NETWORK || (layer == number && source_b == number));
        finished_once: assert (finished == ends_network);
        busy_until_the_end: assert (busy == (asked != NOTHING));
        computing_is_a_network: assert (computing == (asked == NETWORK));
        result_where_it_is: assert (result_b == result);
        cycles_of_the_start: assert (cycles == count);
    end

    // what the induction must know of the inside
    (* hierconn *) wire \dut.clearing ;
    (* hierconn *) wire [31:0] \dut.queue_count ;
    always @* if (past) assert (asked == FLUSH || \dut.clearing == (asked == CLEARING));

    reg aborted = 1'b0, again = 1'b0;
    always @(posedge clock) begin
        if (asked == NETWORK && abort) aborted <= 1'b1;
        if (finished) again <= 1'b1;
    end
    always @* begin
        cover_two_layers: cover (past && finished && number);
        cover_after_an_abort: cover (past && aborted && finished);
        cover_second_start: cover (past && again && asked == NETWORK && number);
        cover_abort_in_the_last_cycle: cover (past && ends_layer && last && abort);
        cover_start_while_clearing: cover (past && asked == CLEARING && start);
    end
endmodule
