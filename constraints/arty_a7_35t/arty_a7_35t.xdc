# Digilent Arty A7-35T. Pins and their source: board.toml.
set_property -dict {PACKAGE_PIN E3 IOSTANDARD LVCMOS33} [get_ports clock]
create_clock -name clock -period 10.000 [get_ports clock]
set_property -dict {PACKAGE_PIN A9 IOSTANDARD LVCMOS33} [get_ports uart_rx]
set_property -dict {PACKAGE_PIN D10 IOSTANDARD LVCMOS33} [get_ports uart_tx]
set_property -dict {PACKAGE_PIN H5 IOSTANDARD LVCMOS33} [get_ports led]
# the line is slow, and the receiver synchronizes it
set_false_path -from [get_ports uart_rx]
set_false_path -to [get_ports uart_tx]
set_false_path -to [get_ports led]
