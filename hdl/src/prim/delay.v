// Data some STAGES (at least 1) cycles later. Nothing resets it: what travels with the data says when it counts.
module delay #(
    parameter WIDTH = 16,
    parameter STAGES = 2
) (
    input wire clock,
    input wire [WIDTH-1:0] early,
    output wire [WIDTH-1:0] late
);
    reg [WIDTH*STAGES-1:0] line;
    assign late = line[WIDTH*STAGES-1 -: WIDTH];
    generate
        if (STAGES == 1) begin : one
            always @(posedge clock) line <= early;
        end else begin : several
            always @(posedge clock) line <= {line[WIDTH*(STAGES-1)-1:0], early};
        end
    endgenerate
endmodule
