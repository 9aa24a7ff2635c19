// The control of the LSTM datapath: steps run only from a start on, and not behind a stop, an abort, a reset or other
// weights; whenever those come, everything is dropped at once and all addresses are cleared; without weights nothing runs.
//
// The parts under it are any that have something under way only while steps run or what they began is not done.
module control_proof #(
    parameter [15:0] ADDRESSES = 16'd2
) (
    input wire clock,
    input wire reset,
    input wire start,
    input wire stop,
    input wire abort,
    input wire [1:0] clear_state,
    input wire weights_valid,
    input wire broadcaster_rests,
    input wire array_idle,
    input wire complete,
    input wire drain_busy,
    input wire [1:0] clears_taken,
    input wire step_done
);
    wire run, clear, flush, sweep, busy, computing;
    wire [1:0] clear_pending, sweep_mask;
    wire [15:0] sweep_address;
    control dut (
        .clock(clock), .reset(reset), .start(start), .stop(stop), .abort(abort), .clear_state(clear_state), .weights_valid(weights_valid),
        .broadcaster_rests(broadcaster_rests), .array_idle(array_idle), .complete(complete), .drain_busy(drain_busy),
        .clears_taken(clears_taken), .step_done(step_done), .run(run), .clear(clear), .clear_pending(clear_pending), .flush(flush),
        .sweep(sweep), .sweep_mask(sweep_mask), .sweep_address(sweep_address), .busy(busy), .computing(computing)
    );
    reg past = 1'b0;
    always @(posedge clock) past <= 1'b1;
    reg was_valid = 1'b0, was_run = 1'b1, was_start = 1'b0;
    always @(posedge clock) begin
        was_valid <= weights_valid;
        was_run <= run;
        was_start <= start;
    end
    always @* begin
        if (!past) assume (reset);
        // the host port: no start without weights or while busy (proved of it); weights are not lost while steps
        // may run
        assume (!start || (weights_valid && !busy));
        assume (!(was_valid && !weights_valid) || !(was_run || was_start));
    end
    wire other = past && weights_valid && !was_valid;
    wire drops = reset || abort || other;
    reg started = 1'b0;
    reg [15:0] left = 16'd0;
    always @(posedge clock) begin
        if (start) started <= 1'b1;
        else if (stop) started <= 1'b0;
        if (drops) started <= 1'b0;
        left <= drops ? ADDRESSES : left == 16'd0 ? 16'd0 : left - 16'd1;
    end
    // each address that is cleared, from the first to the last
    reg [15:0] next = 16'd0;
    always @(posedge clock) next <= (drops || left == 16'd0) ? 16'd0 : next + 16'd1;
    always @* if (past) begin
        runs_from_a_start_only: assert (!run || started);
        runs_as_asked: assert (left != 16'd0 || sweeping || run == started);
        nothing_runs_without_weights: assert (!run || weights_valid);
        no_weights_means_clear: assert (weights_valid || clear);
        drops_at_once: assert (!drops || clear);
        clear_while_flushing: assert (flush == (left != 16'd0) && (!flush || (clear && sweep && sweep_mask == 2'b11)));
        every_address: assert (!flush || sweep_address == next);
        busy_while_it_runs_or_clears: assert (!(run || flush || sweep) || busy);
        other_weights_make_busy: assert (!other || busy);
        sweep_of_marked_only: assert (flush || !sweep || (|sweep_mask && !run));
    end
    wire sweeping = sweep && !flush;

    // what the induction must know of the inside
    (* hierconn *) wire [1:0] \dut.mode ;
    (* hierconn *) wire \dut.was_valid ;
    (* hierconn *) wire [15:0] \dut.address ;
    (* hierconn *) wire \dut.running ;
    (* hierconn *) wire [1:0] \dut.sweeping ;
    always @* if (past) begin
        assert (\dut.was_valid == was_valid);
        assert (\dut.mode <= 2'd2);
        assert (left <= ADDRESSES && next <= ADDRESSES);
        assert (left == 16'd0 || left + next == ADDRESSES);
        assert (\dut.mode != 2'd1 || \dut.address == 16'd0 || left == 16'd0);
        assert (\dut.mode != 2'd2 || (|\dut.sweeping && \dut.address < ADDRESSES));
        assert (\dut.mode == 2'd0 || started == \dut.running );
        assert (!(\dut.mode == 2'd2) || !\dut.running );
    end
    reg ran = 1'b0;
    always @(posedge clock) if (past && run) ran <= 1'b1;
    always @* begin
        cover_run: cover (past && run);
        cover_stopped: cover (past && ran && !run && !busy);
        cover_sweep: cover (past && sweeping && ran);
        cover_other_weights: cover (past && ran && other);
    end
endmodule
