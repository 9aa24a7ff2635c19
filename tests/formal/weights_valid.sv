// The rule of weights_valid, on the whole host port: no start with weights that were not checked as they are now.
//
// A section counts as good from a check that has read all its words and had the expected CRC until one of its words
// is written. What the CRC of some words is, is left open: any. The datapath is any that becomes busy only behind a reset,
// a command of the host, or weights that became valid.
module weights_valid_proof #(
    parameter PRELOAD = 0,
    // 2: of the ESE kind, two channels
    parameter CHANNELS = 0,
    // which memories each PE has, and which the accelerator has once
    parameter [7:0] PER_PE = 8'b00001111,
    parameter [7:0] ONCE = 8'b10000000
) (
    input wire clock,
    input wire reset,
    input wire [20:0] awaddr,
    input wire awvalid,
    input wire [31:0] wdata,
    input wire [3:0] wstrb,
    input wire wvalid,
    input wire bready,
    input wire [20:0] araddr,
    input wire arvalid,
    input wire rready,
    input wire [31:0] bus_word,
    input wire busy,
    // steps of an LSTM may run
    input wire runs,
    input wire computing,
    input wire finished
);
    wire start, abort, valid, bus_read, bus_write, bvalid;
    wire [7:0] bus_pe;
    wire [2:0] bus_memory;
    wire [1:0] bresp;
    wire [1:0] clear_state;
    generate
        if (CHANNELS == 0) begin : host
            assign clear_state = 2'd0;
            host_port #(.PRELOAD(PRELOAD)) dut (
                .clock(clock), .reset(reset), .awaddr(awaddr), .awvalid(awvalid), .wdata(wdata), .wstrb(wstrb), .wvalid(wvalid), .bready(bready),
                .bresp(bresp), .bvalid(bvalid), .araddr(araddr), .arvalid(arvalid), .rready(rready), .bus_word(bus_word), .busy(busy),
                .computing(computing), .finished(finished), .pes(9'd2), .start(start), .abort(abort), .valid(valid), .bus_read(bus_read),
                .bus_write(bus_write), .bus_pe(bus_pe), .bus_memory(bus_memory)
            );
        end else begin : host
            host_port #(.PRELOAD(PRELOAD)) dut (
                .clock(clock), .reset(reset), .awaddr(awaddr), .awvalid(awvalid), .wdata(wdata), .wstrb(wstrb), .wvalid(wvalid), .bready(bready),
                .bresp(bresp), .bvalid(bvalid), .araddr(araddr), .arvalid(arvalid), .rready(rready), .bus_word(bus_word), .busy(busy),
                .computing(computing), .finished(finished), .pes(9'd2), .start(start), .abort(abort), .valid(valid), .bus_read(bus_read),
                .bus_write(bus_write), .bus_pe(bus_pe), .bus_memory(bus_memory),
                .clear_state_0(clear_state)
            );
        end
    endgenerate
    reg past = 1'b0;
    always @(posedge clock) past <= 1'b1;
    always @* if (!past) assume (reset);
    // the datapath
    reg may_be_busy = 1'b0;
    reg was_valid = 1'b0;
    reg was_start = 1'b0, was_running = 1'b0;
    wire running = CHANNELS != 0 ? runs : busy;
    always @(posedge clock) begin
        was_valid <= past && valid;
        was_start <= start;
        was_running <= running;
    end
    always @(posedge clock) may_be_busy <= reset || start || abort || busy || |clear_state;
    always @* begin
        assume (!busy || may_be_busy || (CHANNELS != 0 && valid && !was_valid));
        assume (!runs || (busy && (was_start || was_running)));
        // proved of control: weights that become valid make it busy at once
        assume (!(CHANNELS != 0 && valid && !was_valid) || busy);
    end

    (* hierconn *) wire \host.dut.memory_port.at_check ;
    (* hierconn *) wire \host.dut.memory_port.checked ;
    (* hierconn *) wire [31:0] \host.dut.memory_port.crc ;
    (* hierconn *) wire [31:0] \host.dut.registers.section_crc ;

    // sections: 8 of PE 0, 8 of PE 1, where the accelerator's own count as PE 0's
    localparam [15:0] ALL = {PER_PE, PER_PE | ONCE};
    reg [15:0] good = (PRELOAD != 0) ? ALL : 16'd0;
    wire [3:0] section = {bus_pe[0], bus_memory};
    wire exists = bus_pe < 8'd2 && ALL[section];
    wire passes = \host.dut.memory_port.checked && \host.dut.memory_port.crc == \host.dut.registers.section_crc ;
    always @(posedge clock) begin
        if (\host.dut.memory_port.checked && !reset) good[section] <= passes && exists;
        if (bus_write && exists) good[section] <= 1'b0;
    end
    always @* if (past) begin
        valid_is_all_sections_good: assert (!valid || (good & ALL) == ALL);
        no_start_without_valid_weights: assert (!start || (valid && (good & ALL) == ALL));
        no_start_while_busy: assert (!start || !busy);
        no_write_under_valid_weights: assert (!(bus_write && exists) || !valid);
        weights_stay_while_it_runs: assert (!(was_valid && !valid) || !(was_start || was_running));
        no_write_while_busy: assert (!bus_write || !busy);
        // a sweep of states, which CLEAR_STATE asks for, does not touch what a check reads
        no_read_while_busy: assert (!bus_read || !busy || (CHANNELS != 0 && \host.dut.memory_port.at_check ));
    end

    // what the induction must know of the inside
    localparam [2:0] IDLE = 3'd0;
    (* hierconn *) wire [2:0] \host.dut.memory_port.step ;
    (* hierconn *) wire \host.dut.memory_port.writing ;
    (* hierconn *) wire [2:0] \host.dut.registers.next_memory ;
    (* hierconn *) wire [7:0] \host.dut.registers.next_pe ;
    (* hierconn *) wire [2:0] \host.dut.registers.mem_memory ;
    (* hierconn *) wire \host.dut.registers.found ;
    (* hierconn *) wire \host.dut.registers.read ;
    (* hierconn *) wire \host.dut.registers.in_window ;
    (* hierconn *) wire \host.dut.axi_lite.request ;
    (* hierconn *) wire \host.dut.axi_lite.reading ;
    (* hierconn *) wire \host.dut.axi_lite.want_write ;
    wire [2:0] next_memory = \host.dut.registers.next_memory ;
    wire [7:0] next_pe = \host.dut.registers.next_pe ;
    wire once = ONCE[next_memory];
    wire [7:0] before = (8'd1 << next_memory) - 8'd1;
    // the sections in front of the next one, in the order of docs/registers.md
    wire [15:0] done_before = once ? {PER_PE, PER_PE | (ONCE & before)} : next_pe[0] ? {PER_PE & before, PER_PE} : {8'd0, PER_PE & before};
    wire at_work = \host.dut.memory_port.step != IDLE;
    always @* if (past) begin
        assert (next_pe < 8'd2 && (once ? next_pe == 8'd0 : PER_PE[next_memory]));
        assert ((good & done_before) == done_before);
        assert (\host.dut.memory_port.step <= 3'd5);
        assert (!at_work || !(running || was_start));
        assert (!at_work || !busy || (CHANNELS != 0 && \host.dut.memory_port.at_check ));
        assert (!(at_work && \host.dut.memory_port.at_check ) || (bus_memory == next_memory && bus_pe == next_pe));
        assert (!(at_work && !\host.dut.memory_port.at_check ) || (\host.dut.axi_lite.request && \host.dut.registers.read && \host.dut.registers.in_window
            && bus_memory == \host.dut.registers.mem_memory ));
        assert (!\host.dut.memory_port.writing || !exists || (!valid && next_memory == 3'd0 && next_pe == 8'd0));
        assert (!\host.dut.memory_port.writing || (!at_work && !busy && !\host.dut.registers.found && !\host.dut.registers.read ));
        assert (!\host.dut.registers.read || \host.dut.axi_lite.request );
        assert (!\host.dut.registers.found || \host.dut.axi_lite.request );
        assert (\host.dut.axi_lite.reading == (\host.dut.registers.found && !\host.dut.axi_lite.want_write ));
    end

    reg started = 1'b0;
    always @(posedge clock) if (past && start) started <= 1'b1;
    always @* begin
        cover_section_passes: cover (past && passes && exists && !reset);
        // the checks of all sections in one witness are too many cycles: from a start with all of them checked
        if (PRELOAD != 0) begin
            cover_start: cover (past && start);
            cover_start_again: cover (past && started && start);
            cover_lost_by_a_write: cover (past && was_valid && !valid && bus_write);
        end
    end
endmodule
