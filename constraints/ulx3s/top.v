// ULX3S: the accelerator on a clock made from the board's 25 MHz oscillator, behind the USB bridge.
module top (
    input wire clock,
    input wire uart_rx,
    output wire uart_tx,
    output wire led
);
    wire fast;
    wire stable;
    board_clock multiplied (
        .pin(clock),
        .clock(fast),
        .stable(stable)
    );
    // "stable" comes when it likes
    reg [1:0] settled = 2'b00;
    always @(posedge fast) settled <= {settled[0], stable};
    lacuna_uart accelerator (
        .clock(fast),
        .reset(!settled[1]),
        .uart_rx(uart_rx),
        .uart_tx(uart_tx),
        .led(led)
    );
endmodule
