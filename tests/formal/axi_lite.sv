// The AXI4-Lite slave: each transaction is asked of the registers once, as the master sent it, and answered once.
//
// The master is any that keeps to the protocol: what it offers stays until it is taken. The registers answer
// a request in any cycle.
module axi_lite_proof (
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
    input wire ack,
    input wire error,
    input wire [31:0] read_data
);
    wire awready, wready, bvalid, arready, rvalid, request, write;
    wire [1:0] bresp, rresp;
    wire [31:0] rdata, data;
    wire [20:0] address;
    wire [3:0] strobe;
    axi_lite dut (
        .clock(clock), .reset(reset), .awaddr(awaddr), .awvalid(awvalid), .awready(awready), .wdata(wdata), .wstrb(wstrb), .wvalid(wvalid),
        .wready(wready), .bresp(bresp), .bvalid(bvalid), .bready(bready), .araddr(araddr), .arvalid(arvalid), .arready(arready),
        .rdata(rdata), .rresp(rresp), .rvalid(rvalid), .rready(rready), .request(request), .write(write), .address(address), .data(data),
        .strobe(strobe), .ack(ack), .error(error), .read_data(read_data)
    );
    reg past = 1'b0;
    always @(posedge clock) past <= 1'b1;
    always @* if (!past) assume (reset);
    always @* assume (!ack || request);

    // the master
    reg aw_offered = 1'b0, w_offered = 1'b0, ar_offered = 1'b0;
    reg [20:0] aw_offer, ar_offer;
    reg [35:0] w_offer;
    always @(posedge clock) begin
        aw_offered <= awvalid && !awready && !reset;
        w_offered <= wvalid && !wready && !reset;
        ar_offered <= arvalid && !arready && !reset;
        aw_offer <= awaddr;
        ar_offer <= araddr;
        w_offer <= {wstrb, wdata};
    end
    always @* begin
        if (aw_offered) assume (awvalid && awaddr == aw_offer);
        if (w_offered) assume (wvalid && {wstrb, wdata} == w_offer);
        if (ar_offered) assume (arvalid && araddr == ar_offer);
    end

    // what was accepted and not yet asked of the registers, and what they answered and was not yet taken
    reg has_aw = 1'b0, has_w = 1'b0, has_ar = 1'b0, owes_b = 1'b0, owes_r = 1'b0;
    reg [20:0] aw, ar;
    reg [35:0] w;
    reg b_error, r_error;
    reg [31:0] r;
    always @(posedge clock) begin
        if (awvalid && awready) begin
            has_aw <= 1'b1;
            aw <= awaddr;
        end
        if (wvalid && wready) begin
            has_w <= 1'b1;
            w <= {wstrb, wdata};
        end
        if (arvalid && arready) begin
            has_ar <= 1'b1;
            ar <= araddr;
        end
        if (bvalid && bready) owes_b <= 1'b0;
        if (rvalid && rready) owes_r <= 1'b0;
        if (request && ack && write) begin
            has_aw <= 1'b0;
            has_w <= 1'b0;
            owes_b <= 1'b1;
            b_error <= error;
        end
        if (request && ack && !write) begin
            has_ar <= 1'b0;
            owes_r <= 1'b1;
            r_error <= error;
            r <= read_data;
        end
        if (reset) begin
            has_aw <= 1'b0;
            has_w <= 1'b0;
            has_ar <= 1'b0;
            owes_b <= 1'b0;
            owes_r <= 1'b0;
        end
    end

    // the cycle before
    reg was_request = 1'b0, was_write, was_b = 1'b0, was_r = 1'b0;
    reg [56:0] was_asked;
    reg [1:0] was_bresp;
    reg [33:0] was_rdata;
    always @(posedge clock) begin
        was_request <= request && !ack && !reset;
        was_write <= write;
        was_asked <= {address, strobe, data};
        was_b <= bvalid && !bready && !reset;
        was_bresp <= bresp;
        was_r <= rvalid && !rready && !reset;
        was_rdata <= {rresp, rdata};
    end
    // a request is made at the latest in the cycle behind the last answer that is not taken
    wire may_write = has_aw && has_w && !owes_b;
    wire may_read = has_ar && !owes_r;
    always @* if (past) begin
        nothing_is_accepted_twice: assert (awready == !has_aw && wready == !has_w && arready == !has_ar);
        an_answer_is_to_a_request: assert (bvalid == owes_b && rvalid == owes_r);
        request_without_delay: assert (request == (may_write || may_read));
        write_as_sent: assert (!(request && write) || (may_write && {address, strobe, data} == {aw, w}));
        read_as_sent: assert (!(request && !write) || (may_read && address == ar));
        request_is_stable: assert (!was_request || (request && write == was_write && (write ? {address, strobe, data} == was_asked : address == was_asked[56:36])));
        b_is_stable: assert (!was_b || (bvalid && bresp == was_bresp));
        r_is_stable: assert (!was_r || (rvalid && {rresp, rdata} == was_rdata));
        b_says_the_error: assert (!bvalid || bresp == {b_error, 1'b0});
        r_says_data_and_error: assert (!rvalid || (rresp == {r_error, 1'b0} && rdata == r));
    end

    // what the induction must know of the inside: a read that has begun is not left for a write
    (* hierconn *) wire \dut.reading ;
    (* hierconn *) wire [20:0] \dut.aw ;
    (* hierconn *) wire [20:0] \dut.ar ;
    (* hierconn *) wire [31:0] \dut.w ;
    (* hierconn *) wire [3:0] \dut.strobes ;
    always @* if (past) begin
        assert (\dut.reading == (was_request && !was_write));
        assert (!has_aw || \dut.aw == aw);
        assert (!has_w || {\dut.strobes , \dut.w } == w);
        assert (!has_ar || \dut.ar == ar);
        assert (!was_request || !was_write || (may_write && was_asked == {aw, w}));
        assert (!was_request || was_write || (may_read && was_asked[56:36] == ar));
    end

    always @* begin
        cover_b_waits: cover (past && was_b && bready);
        cover_r_waits: cover (past && was_r && rready);
        cover_error: cover (past && bvalid && bresp == 2'b10);
        cover_write_waits_for_a_read: cover (past && may_write && request && !write);
        cover_data_before_address: cover (past && has_w && !has_aw);
    end
    reg [1:0] writes = 2'd0;
    always @(posedge clock) if (request && ack && write && writes != 2'd3) writes <= writes + 2'd1;
    always @* cover_three_writes: cover (writes == 2'd3);
endmodule
