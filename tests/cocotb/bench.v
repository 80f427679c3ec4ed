// The endpoint with a small register file behind it: 16384 words, each access takes a few clocks.
// What the dma block would drive is left to the test.
module bench(
  input wire clock,
  input wire [63:0] rx_data, input wire [7:0] rx_keep, input wire rx_last, input wire rx_valid, output wire rx_ready,
  input wire [6:0] rx_bar, input wire rx_poisoned,
  output wire [63:0] tx_data, output wire [7:0] tx_keep, output wire tx_last, output wire tx_valid, input wire tx_ready,
  input wire [15:0] pcie_completer_id, input wire pcie_bus_master, input wire [2:0] pcie_max_payload,
  input wire [2:0] pcie_max_read_request, input wire pcie_msix_enable, input wire pcie_msix_mask,
  input wire pcie_function_reset,
  input wire write_valid, output wire write_ready, input wire [63:0] write_address, input wire [9:0] write_dwords,
  input wire [63:0] write_data, input wire write_data_valid, output wire write_data_ready,
  output wire write_done,
  input wire read_valid, output wire read_ready, input wire [63:0] read_address, input wire [9:0] read_dwords,
  input wire [3:0] read_first_enable, input wire [3:0] read_last_enable, input wire [4:0] read_tag,
  output wire completion_valid, output wire [4:0] completion_tag, output wire completion_failed,
  output wire [11:0] completion_bytes, output wire [6:0] completion_lower, output wire [9:0] completion_dwords,
  output wire [63:0] completion_data, output wire completion_data_valid, output wire completion_data_last,
  input wire [5:0] raise, input wire [31:0] interrupt_gap,
  output wire bus_master, output wire [2:0] max_payload, output wire [2:0] max_read_request,
  output wire function_reset,
  output wire unsupported, output wire aborted, output wire bad, output wire unexpected
);
  wire [15:0] csr_address;
  wire [31:0] csr_wdata;
  wire csr_write, csr_read;
  reg [31:0] csr_rdata = 0;
  reg csr_ack = 0;

  reg [31:0] words [0:16383];
  reg [2:0] step = 0;
  integer i;
  initial for (i = 0; i < 16384; i = i + 1) words[i] = 0;

  always @(posedge clock) begin
    csr_ack <= 0;
    if ((csr_write | csr_read) & !csr_ack) step <= step + 1;
    if (step == 5) begin
      step <= 0;
      csr_ack <= 1;
      csr_rdata <= words[csr_address[15:2]];
      if (csr_write) words[csr_address[15:2]] <= csr_wdata;
    end
  end

  endpoint endpoint(.*);
endmodule
