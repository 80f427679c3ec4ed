# STLV7325, version 2 of the board: pins, clocks, and how late what goes in and out may be. Read by build.tcl after synthesis.

# Oscillator and reset button.
set_property -dict {PACKAGE_PIN AB11 IOSTANDARD DIFF_SSTL15} [get_ports clock_200_p]
set_property -dict {PACKAGE_PIN AC11 IOSTANDARD DIFF_SSTL15} [get_ports clock_200_n]
set_property -dict {PACKAGE_PIN AC16 IOSTANDARD LVCMOS15} [get_ports reset_n]

# Lamps (low: lit), and the serial line: 2.5 V, as the jumper J4 must be set.
set_property -dict {PACKAGE_PIN AA2 IOSTANDARD LVCMOS15} [get_ports {led[0]}]
set_property -dict {PACKAGE_PIN AD5 IOSTANDARD LVCMOS15} [get_ports {led[1]}]
set_property -dict {PACKAGE_PIN W10 IOSTANDARD LVCMOS15} [get_ports {led[2]}]
set_property -dict {PACKAGE_PIN Y10 IOSTANDARD LVCMOS15} [get_ports {led[3]}]
set_property -dict {PACKAGE_PIN AE10 IOSTANDARD LVCMOS15} [get_ports {led[4]}]
set_property -dict {PACKAGE_PIN W11 IOSTANDARD LVCMOS15} [get_ports {led[5]}]
set_property -dict {PACKAGE_PIN V11 IOSTANDARD LVCMOS15} [get_ports {led[6]}]
set_property -dict {PACKAGE_PIN Y12 IOSTANDARD LVCMOS15} [get_ports {led[7]}]
set_property -dict {PACKAGE_PIN L23 IOSTANDARD LVCMOS25} [get_ports uart_tx]
set_property -dict {PACKAGE_PIN K21 IOSTANDARD LVCMOS25 PULLUP true} [get_ports uart_rx]

# PHY at port 0 (RTL8211E), RGMII and management.
set_property -dict {PACKAGE_PIN C12 IOSTANDARD LVCMOS25} [get_ports port0_rx_clock]
set_property -dict {PACKAGE_PIN F8 IOSTANDARD LVCMOS25} [get_ports port0_rx_control]
set_property -dict {PACKAGE_PIN D8 IOSTANDARD LVCMOS25} [get_ports {port0_rx_data[0]}]
set_property -dict {PACKAGE_PIN D9 IOSTANDARD LVCMOS25} [get_ports {port0_rx_data[1]}]
set_property -dict {PACKAGE_PIN C9 IOSTANDARD LVCMOS25} [get_ports {port0_rx_data[2]}]
set_property -dict {PACKAGE_PIN D10 IOSTANDARD LVCMOS25} [get_ports {port0_rx_data[3]}]
set_property -dict {PACKAGE_PIN D11 IOSTANDARD LVCMOS25 SLEW FAST} [get_ports port0_tx_clock]
set_property -dict {PACKAGE_PIN C14 IOSTANDARD LVCMOS25 SLEW FAST} [get_ports port0_tx_control]
set_property -dict {PACKAGE_PIN E12 IOSTANDARD LVCMOS25 SLEW FAST} [get_ports {port0_tx_data[0]}]
set_property -dict {PACKAGE_PIN D13 IOSTANDARD LVCMOS25 SLEW FAST} [get_ports {port0_tx_data[1]}]
set_property -dict {PACKAGE_PIN C13 IOSTANDARD LVCMOS25 SLEW FAST} [get_ports {port0_tx_data[2]}]
set_property -dict {PACKAGE_PIN D14 IOSTANDARD LVCMOS25 SLEW FAST} [get_ports {port0_tx_data[3]}]
set_property -dict {PACKAGE_PIN J8 IOSTANDARD LVCMOS25} [get_ports port0_phy_reset_n]
set_property -dict {PACKAGE_PIN F9 IOSTANDARD LVCMOS25} [get_ports port0_mdc]
set_property -dict {PACKAGE_PIN H11 IOSTANDARD LVCMOS25 PULLUP true} [get_ports port0_mdio]

# PHY at port 1 (RTL8211E), RGMII and management.
set_property -dict {PACKAGE_PIN E10 IOSTANDARD LVCMOS25} [get_ports port1_rx_clock]
set_property -dict {PACKAGE_PIN A8 IOSTANDARD LVCMOS25} [get_ports port1_rx_control]
set_property -dict {PACKAGE_PIN B9 IOSTANDARD LVCMOS25} [get_ports {port1_rx_data[0]}]
set_property -dict {PACKAGE_PIN A9 IOSTANDARD LVCMOS25} [get_ports {port1_rx_data[1]}]
set_property -dict {PACKAGE_PIN B10 IOSTANDARD LVCMOS25} [get_ports {port1_rx_data[2]}]
set_property -dict {PACKAGE_PIN A10 IOSTANDARD LVCMOS25} [get_ports {port1_rx_data[3]}]
set_property -dict {PACKAGE_PIN B11 IOSTANDARD LVCMOS25 SLEW FAST} [get_ports port1_tx_clock]
set_property -dict {PACKAGE_PIN A14 IOSTANDARD LVCMOS25 SLEW FAST} [get_ports port1_tx_control]
set_property -dict {PACKAGE_PIN B12 IOSTANDARD LVCMOS25 SLEW FAST} [get_ports {port1_tx_data[0]}]
set_property -dict {PACKAGE_PIN A12 IOSTANDARD LVCMOS25 SLEW FAST} [get_ports {port1_tx_data[1]}]
set_property -dict {PACKAGE_PIN A13 IOSTANDARD LVCMOS25 SLEW FAST} [get_ports {port1_tx_data[2]}]
set_property -dict {PACKAGE_PIN C11 IOSTANDARD LVCMOS25 SLEW FAST} [get_ports {port1_tx_data[3]}]
set_property -dict {PACKAGE_PIN B14 IOSTANDARD LVCMOS25} [get_ports port1_phy_reset_n]
set_property -dict {PACKAGE_PIN A15 IOSTANDARD LVCMOS25} [get_ports port1_mdc]
set_property -dict {PACKAGE_PIN B15 IOSTANDARD LVCMOS25 PULLUP true} [get_ports port1_mdio]

# PCIe. The lanes are where the IP puts its transceivers; build.tcl compares their pins with the board's.
set_property -dict {PACKAGE_PIN E17 IOSTANDARD LVCMOS25 PULLUP true} [get_ports pcie_reset_n]
set_property PACKAGE_PIN H6 [get_ports pcie_clock_p]
set_property PACKAGE_PIN H5 [get_ports pcie_clock_n]

# Clocks that come in. Those behind the MMCM and in the IP derive from them.
create_clock -name oscillator -period 5.000 [get_ports clock_200_p]
create_clock -name pcie_reference -period 10.000 [get_ports pcie_clock_p]
create_clock -name port0_rx -period 8.000 [get_ports port0_rx_clock]
create_clock -name port1_rx -period 8.000 [get_ports port1_rx_clock]
set system [get_clocks -of_objects [get_pins power_up/runs/q_reg/C]]
set link [get_clocks -of_objects [get_pins bridge/told/q_reg/C]]

# Between two of these clocks go registers that change one bit at a time, or that stand still when they are looked at
# (hdl/src/crossing.rs). Their bits must not arrive further apart than one clock of the faster side.
set_max_delay -datapath_only -from $system -to $link 4.000
set_max_delay -datapath_only -from $link -to $system 4.000
set_max_delay -datapath_only -from $system -to [get_clocks port0_rx] 8.000
set_max_delay -datapath_only -from [get_clocks port0_rx] -to $system 8.000
set_max_delay -datapath_only -from $system -to [get_clocks port1_rx] 8.000
set_max_delay -datapath_only -from [get_clocks port1_rx] -to $system 8.000

# RGMII in: the PHY makes the delay of 2 ns, so data are there from 1 ns before each edge of the clock until 1 ns behind it
# (RGMII 2.0, at the receiver; an edge is 4 ns behind the one before).
set received [get_ports {port0_rx_data[*] port0_rx_control}]
set_input_delay -clock port0_rx -max 3.000 $received
set_input_delay -clock port0_rx -min 1.000 $received
set_input_delay -clock port0_rx -clock_fall -add_delay -max 3.000 $received
set_input_delay -clock port0_rx -clock_fall -add_delay -min 1.000 $received
set received [get_ports {port1_rx_data[*] port1_rx_control}]
set_input_delay -clock port1_rx -max 3.000 $received
set_input_delay -clock port1_rx -min 1.000 $received
set_input_delay -clock port1_rx -clock_fall -add_delay -max 3.000 $received
set_input_delay -clock port1_rx -clock_fall -add_delay -min 1.000 $received

# RGMII out: the PHY delays the clock, so clock and data leave together, not more than 0.5 ns apart (RGMII 2.0, at the
# transmitter). Said of the next edge, 4 ns later: data change 3.5 ns before it at the latest, and 0.5 ns before this one at the
# earliest.
create_generated_clock -name port0_tx -source [get_pins port0/clock_out/ddr0/C] -divide_by 1 [get_ports port0_tx_clock]
set sent [get_ports {port0_tx_data[*] port0_tx_control}]
set_output_delay -clock port0_tx -max 3.500 $sent
set_output_delay -clock port0_tx -min 0.500 $sent
set_output_delay -clock port0_tx -clock_fall -add_delay -max 3.500 $sent
set_output_delay -clock port0_tx -clock_fall -add_delay -min 0.500 $sent
create_generated_clock -name port1_tx -source [get_pins port1/clock_out/ddr0/C] -divide_by 1 [get_ports port1_tx_clock]
set sent [get_ports {port1_tx_data[*] port1_tx_control}]
set_output_delay -clock port1_tx -max 3.500 $sent
set_output_delay -clock port1_tx -min 0.500 $sent
set_output_delay -clock port1_tx -clock_fall -add_delay -max 3.500 $sent
set_output_delay -clock port1_tx -clock_fall -add_delay -min 0.500 $sent

# What is slow, or looked at through two flip-flops.
set slow_in [get_ports {reset_n uart_rx port0_mdio port1_mdio pcie_reset_n}]
set slow_out [get_ports {led[*] uart_tx port0_mdio port1_mdio port0_mdc port1_mdc port0_phy_reset_n port1_phy_reset_n}]
set_false_path -from $slow_in
set_false_path -to $slow_out

# Configuration: voltage as the jumper says, flash on four wires.
set_property CFGBVS VCCO [current_design]
set_property CONFIG_VOLTAGE 2.5 [current_design]
set_property BITSTREAM.CONFIG.SPI_BUSWIDTH 4 [current_design]
set_property BITSTREAM.GENERAL.COMPRESS true [current_design]
