# Xilinx KCU105 with a KU040. Pins and their source: board.toml.
set_property -dict {PACKAGE_PIN G10 IOSTANDARD LVDS} [get_ports clock_p]
set_property -dict {PACKAGE_PIN F10 IOSTANDARD LVDS} [get_ports clock_n]
create_clock -name clock -period 8.000 [get_ports clock_p]
set_property -dict {PACKAGE_PIN G25 IOSTANDARD LVCMOS18} [get_ports uart_rx]
set_property -dict {PACKAGE_PIN K26 IOSTANDARD LVCMOS18} [get_ports uart_tx]
set_property -dict {PACKAGE_PIN AP8 IOSTANDARD LVCMOS18} [get_ports led]
# the line is slow, and the receiver synchronizes it
set_false_path -from [get_ports uart_rx]
set_false_path -to [get_ports uart_tx]
set_false_path -to [get_ports led]
