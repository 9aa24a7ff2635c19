// KCU105: the accelerator on the board's differential 125 MHz clock, behind the USB bridge.
module top (
    input wire clock_p,
    input wire clock_n,
    input wire uart_rx,
    output wire uart_tx,
    output wire led
);
    wire pin;
    wire clock;
    IBUFDS differential (
        .I(clock_p),
        .IB(clock_n),
        .O(pin)
    );
    BUFG buffer (
        .I(pin),
        .O(clock)
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
