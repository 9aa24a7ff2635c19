// Self-checking bench: plays recorded bus commands against the design and compares what must be read.
//
// Written for any simulator: `iverilog -g2005 -s testbench *.v && vvp a.out` prints PASS or FAIL and ends.
// A command is {kind, address, data, mask}: 1 write, 2 read and compare with data, 3 read until
// (read & mask) == data, 0 the end. FAIL names the command, the address, what was read and what was expected.
module testbench;
    parameter COMMANDS = "commands.mem";
    parameter COUNT = @COUNT@;
    parameter PRELOAD = @PRELOAD@;
    parameter IMAGE = "./";
    parameter LIMIT = 100000;

    reg clock = 1'b0;
    reg reset = 1'b1;
    always #5 clock = ~clock;

    reg [20:0] awaddr = 21'd0;
    reg awvalid = 1'b0;
    wire awready;
    reg [31:0] wdata = 32'd0;
    reg wvalid = 1'b0;
    wire wready;
    wire [1:0] bresp;
    wire bvalid;
    reg bready = 1'b0;
    reg [20:0] araddr = 21'd0;
    reg arvalid = 1'b0;
    wire arready;
    wire [31:0] rdata;
    wire [1:0] rresp;
    wire rvalid;
    reg rready = 1'b0;
    wire irq;

    lacuna_eie #(.PRELOAD(PRELOAD), .IMAGE(IMAGE)) dut (
        .clock(clock), .reset(reset),
        .s_axi_awaddr(awaddr), .s_axi_awprot(3'd0), .s_axi_awvalid(awvalid), .s_axi_awready(awready),
        .s_axi_wdata(wdata), .s_axi_wstrb(4'hf), .s_axi_wvalid(wvalid), .s_axi_wready(wready),
        .s_axi_bresp(bresp), .s_axi_bvalid(bvalid), .s_axi_bready(bready),
        .s_axi_araddr(araddr), .s_axi_arprot(3'd0), .s_axi_arvalid(arvalid), .s_axi_arready(arready),
        .s_axi_rdata(rdata), .s_axi_rresp(rresp), .s_axi_rvalid(rvalid), .s_axi_rready(rready),
        .irq(irq)
    );

    reg [99:0] commands [0:COUNT-1];
    reg [99:0] command;
    reg [31:0] data;
    reg [1:0] response;
    integer index;
    integer checks;
    integer waited;

    task fail;
        begin
            $display("FAIL: command %0d, address %h: read %h (response %b), expected %h", index, command[95:64], data, response, command[63:32]);
            $finish;
        end
    endtask

    task write;
        begin
            awaddr = command[84:64];
            wdata = command[63:32];
            awvalid = 1'b1;
            wvalid = 1'b1;
            bready = 1'b1;
            waited = 0;
            response = 2'b11;
            while (awvalid || wvalid || bready) begin
                @(negedge clock);
                waited = waited + 1;
                if (waited > LIMIT) begin
                    data = 32'd0;
                    fail;
                end
                // what was ready before the rising edge has been taken at it
                if (aw_taken) awvalid = 1'b0;
                if (w_taken) wvalid = 1'b0;
                if (b_taken) begin
                    bready = 1'b0;
                    response = b_response;
                end
            end
            data = 32'd0;
            if (response != 2'b00) fail;
        end
    endtask

    task read;
        begin
            araddr = command[84:64];
            arvalid = 1'b1;
            rready = 1'b1;
            waited = 0;
            response = 2'b11;
            while (arvalid || rready) begin
                @(negedge clock);
                waited = waited + 1;
                if (waited > LIMIT) fail;
                if (ar_taken) arvalid = 1'b0;
                if (r_taken) begin
                    rready = 1'b0;
                    data = r_data;
                    response = r_response;
                end
            end
            if (response != 2'b00) fail;
        end
    endtask

    // handshakes, as they are at each rising edge
    reg aw_taken, w_taken, b_taken, ar_taken, r_taken;
    reg [1:0] b_response, r_response;
    reg [31:0] r_data;
    always @(posedge clock) begin
        aw_taken <= awvalid && awready;
        w_taken <= wvalid && wready;
        b_taken <= bvalid && bready;
        b_response <= bresp;
        ar_taken <= arvalid && arready;
        r_taken <= rvalid && rready;
        r_response <= rresp;
        r_data <= rdata;
    end

    integer polls;
    initial begin
        $readmemh(COMMANDS, commands);
        checks = 0;
        data = 32'd0;
        response = 2'b00;
        repeat (3) @(negedge clock);
        reset = 1'b0;
        index = 0;
        command = commands[0];
        while (command[99:96] != 4'd0) begin
            case (command[99:96])
                4'd1: write;
                4'd2: begin
                    read;
                    checks = checks + 1;
                    if (data !== command[63:32]) fail;
                end
                4'd3: begin
                    polls = 0;
                    read;
                    while ((data & command[31:0]) !== command[63:32]) begin
                        polls = polls + 1;
                        if (polls > LIMIT) fail;
                        read;
                    end
                end
                default: fail;
            endcase
            index = index + 1;
            command = commands[index];
        end
        $display("PASS: %0d commands, %0d words compared", index, checks);
        $finish;
    end
endmodule
