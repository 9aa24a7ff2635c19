// Arty A7: the accelerator on the board's 100 MHz oscillator, behind the USB bridge.
module top (
    input wire clock,
    input wire uart_rx,
    output wire uart_tx,
    output wire led
);
    // a reset of its own follows the configuration
    lacuna_uart accelerator (
        .clock(clock),
        .reset(1'b0),
        .uart_rx(uart_rx),
        .uart_tx(uart_tx),
        .led(led)
    );
endmodule
