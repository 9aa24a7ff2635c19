// The larger of two signed numbers. Combinational.
module larger #(
    parameter WIDTH = 16
) (
    input wire [WIDTH-1:0] a,
    input wire [WIDTH-1:0] b,
    output wire [WIDTH-1:0] most
);
    wire signed [WIDTH-1:0] signed_a = a;
    wire signed [WIDTH-1:0] signed_b = b;
    assign most = (signed_a > signed_b) ? a : b;
endmodule
