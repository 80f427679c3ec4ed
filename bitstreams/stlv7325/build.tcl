# The bitstream of the STLV7325 with Vivado, in the folder that `cargo xtask bitstream --board stlv7325` filled:
#
#     vivado -mode batch -source build.tcl
#
# In: board.v, stlv7325.xdc. Out: postern.bit and reports. Ends with an error when timing is not met, when a transceiver is not
# at the board's pins, or when the IP did not take a setting.

set part xc7k325tffg676-2
set folder [file dirname [file normalize [info script]]]
cd $folder
create_project -in_memory -part $part
set_property target_language Verilog [current_project]

# The hard block of PCIe. Numbers are those of hdl/layout/src/csr.rs and sim/src/server/config_space.rs. The IP wants what is
# a number in hexadecimal digits, and offsets of MSI-X in units of 8 bytes: the table is at 0x4000, the pending bits at 0x4800.
# It offers no function-level reset; a hot reset or a lost link is one for the card (hdl/src/pcie/bridge.rs).
set settings {
    mode_selection           Advanced
    PCIe_Blk_Locn            X0Y0
    Maximum_Link_Width       X4
    Link_Speed               5.0_GT/s
    Trgt_Link_Speed          4'h2
    Interface_Width          64_bit
    User_Clk_Freq            250
    Ref_Clk_Freq             100_MHz
    Vendor_ID                1234
    Device_ID                504E
    Revision_ID              01
    Subsystem_Vendor_ID      1234
    Subsystem_ID             504E
    Use_Class_Code_Lookup_Assistant false
    Class_Code_Base          02
    Class_Code_Sub           00
    Class_Code_Interface     00
    Max_Payload_Size         512_bytes
    Extended_Tag_Field       false
    Bar0_Enabled             true
    Bar0_Type                Memory
    Bar0_64bit               false
    Bar0_Prefetchable        false
    Bar0_Scale               Kilobytes
    Bar0_Size                64
    Bar1_Enabled             false
    Bar2_Enabled             false
    Expansion_Rom_Enabled    false
    IntX_Generation          false
    Legacy_Interrupt         NONE
    MSI_Enabled              false
    MSIx_Enabled             true
    MSIx_Table_Size          6
    MSIx_Table_BIR           BAR_0
    MSIx_Table_Offset        800
    MSIx_PBA_BIR             BAR_0
    MSIx_PBA_Offset          900
    DSN_Enabled              false
    Trans_Buf_Pipeline       None
    PCIe_Debug_Ports         false
    pipe_mode_sim            None
    en_ext_clk               false
    cfg_ctl_if               true
    cfg_status_if            true
    cfg_mgmt_if              false
    cfg_fc_if                false
    rcv_msg_if               false
    err_reporting_if         false
    pl_interface             false
}
create_ip -name pcie_7x -vendor xilinx.com -library ip -module_name pcie_7x_0 -dir [file normalize .]
set block [get_ips pcie_7x_0]
foreach {name value} $settings {
    dict set properties CONFIG.$name $value
}
set_property -dict $properties $block
foreach {name value} $settings {
    set taken [get_property CONFIG.$name $block]
    if {![string equal -nocase [string trimleft $taken 0] [string trimleft $value 0]]} {
        error "pcie_7x: $name is $taken, not $value"
    }
}
# Synthesised with the rest: names inside and the IP's own constraints are then there without another step.
set_property generate_synth_checkpoint false [get_files pcie_7x_0.xci]
generate_target all $block

read_verilog board.v
synth_design -top postern -part $part
# Behind synthesis: the constraints name cells.
read_xdc stlv7325.xdc
opt_design
place_design
phys_opt_design
route_design

report_utilization -file utilization.rpt
report_clock_interaction -file clocks.rpt
report_cdc -file crossings.rpt
report_timing_summary -report_unconstrained -check_timing_verbose -file timing.rpt

# Lane 0 to 3, to the host and from it.
foreach {port pins} {
    pcie_tx_p {A4 B2 D2 F2} pcie_tx_n {A3 B1 D1 F1}
    pcie_rx_p {B6 C4 E4 G4} pcie_rx_n {B5 C3 E3 G3}
} {
    for {set lane 0} {$lane < 4} {incr lane} {
        set placed [get_property PACKAGE_PIN [get_ports "${port}\[$lane\]"]]
        set wanted [lindex $pins $lane]
        if {$placed ne $wanted} {
            error "$port $lane is at $placed; the board has it at $wanted"
        }
    }
}
foreach {what delay} {setup max hold min} {
    set path [get_timing_paths -delay_type $delay]
    set slack [get_property SLACK $path]
    puts "slack, $what: $slack ns"
    if {$slack < 0} {
        error "timing is not met: $what slack $slack ns, see timing.rpt"
    }
}
write_bitstream -force postern.bit
