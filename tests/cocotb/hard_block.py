"""What the hard block of a 7-series FPGA does, between cocotbext-pcie and the streams of the card (PG054).

Configuration requests are answered by cocotbext-pcie's own endpoint model. Memory requests and completions cross the
streams: DW 0 in the low word of a beat, within a DW the first byte on the link in bits 31..24.
"""

import random
import struct

import cocotb
from cocotb.queue import Queue
from cocotb.triggers import FallingEdge
from cocotbext.pcie.core import Device, Endpoint
from cocotbext.pcie.core.caps import MsixCapability
from cocotbext.pcie.core.tlp import Tlp, TlpType

BAR0_BYTES = 0x10000
MSIX_TABLE = 0x4000
MSIX_PENDING = 0x4800
VECTORS = 6

CONFIGURATION = {TlpType.CFG_READ_0, TlpType.CFG_WRITE_0}


async def hand_over(clock, valid, ready):
    """Offers what is driven until it is taken.

    Every output of the card comes from a register: what is seen at a falling edge holds at the next rising one.
    """
    valid.value = 1
    while True:
        taken = ready.value
        await FallingEdge(clock)
        if taken:
            break
    valid.value = 0


class Card(Endpoint):
    """The function: configuration space here, the rest in the circuit."""

    def __init__(self, dut):
        super().__init__()
        self.dut = dut
        self.vendor_id = 0x1234
        self.device_id = 0x5678
        self.class_code = 0x020000
        self.msix_cap = MsixCapability()
        self.msix_cap.msix_table_size = VECTORS - 1
        self.msix_cap.msix_table_offset = MSIX_TABLE
        self.msix_cap.msix_pba_offset = MSIX_PENDING
        self.register_capability(self.msix_cap)
        self.pcie_cap.max_payload_size_supported = 2
        self.pcie_cap.read_completion_boundary = False
        self.configure_bar(0, BAR0_BYTES)
        self.to_card = Queue()
        self.from_card = []
        self.link_gaps = 0.0
        self.stalls = 0.0
        # Matches nothing: a request that is not for the card goes to it all the same.
        self.pass_all = False

    def match_tlp(self, tlp):
        if self.pass_all and tlp.fmt_type not in CONFIGURATION:
            return True
        return super().match_tlp(tlp)

    async def handle_tlp(self, tlp):
        if tlp.fmt_type in CONFIGURATION:
            await super().handle_tlp(tlp)
        else:
            tlp.release_fc()
            self.to_card.put_nowait(tlp)

    def start(self):
        """Runs the streams and the pins of configuration space."""
        cocotb.start_soon(self._pins())
        cocotb.start_soon(self._receive())
        cocotb.start_soon(self._transmit())

    async def _pins(self):
        while True:
            self.dut.pcie_completer_id.value = int(self.pcie_id)
            self.dut.pcie_bus_master.value = int(self.bus_master_enable)
            self.dut.pcie_max_payload.value = self.pcie_cap.max_payload_size
            self.dut.pcie_max_read_request.value = self.pcie_cap.max_read_request_size
            self.dut.pcie_msix_enable.value = int(self.msix_cap.msix_enable)
            self.dut.pcie_msix_mask.value = int(self.msix_cap.msix_function_mask)
            await FallingEdge(self.dut.clock)

    async def _receive(self):
        dut = self.dut
        dut.rx_valid.value = 0
        while True:
            if self.to_card.empty():
                tlp = await self.to_card.get()
                # The link's model keeps a time of its own.
                await FallingEdge(dut.clock)
            else:
                tlp = self.to_card.get_nowait()
            packed = bytes(tlp.pack())
            words = struct.unpack(f">{len(packed) // 4}L", packed)
            hit = self.match_bar(tlp.address) if hasattr(tlp, "address") else None
            for at in range(0, len(words), 2):
                while random.random() < self.link_gaps:
                    await FallingEdge(dut.clock)
                pair = words[at:at + 2]
                dut.rx_data.value = pair[0] | (pair[1] << 32 if len(pair) == 2 else 0xbad0bad0 << 32)
                dut.rx_keep.value = 0xff if len(pair) == 2 else 0x0f
                dut.rx_last.value = int(at + 2 >= len(words))
                dut.rx_bar.value = 1 if hit and not tlp.is_completion() else 0
                dut.rx_poisoned.value = int(tlp.ep)
                await hand_over(dut.clock, dut.rx_valid, dut.rx_ready)

    async def _transmit(self):
        dut = self.dut
        words = []
        while True:
            ready = random.random() >= self.stalls
            dut.tx_ready.value = int(ready)
            moves = dut.tx_valid.value and ready
            data, keep, last = dut.tx_data.value, dut.tx_keep.value, dut.tx_last.value
            await FallingEdge(dut.clock)
            if not moves:
                continue
            data = data.integer
            words.append(data & 0xffffffff)
            if keep == 0xff:
                words.append(data >> 32)
            else:
                assert keep == 0x0f and last, f"keep {keep}"
            if last:
                tlp = Tlp.unpack(struct.pack(f">{len(words)}L", *words))
                assert tlp.check(), repr(tlp)
                if not tlp.is_completion():
                    assert self.bus_master_enable, "a request without bus mastering"
                words = []
                self.from_card.append(tlp)
                await self.send(tlp)


class Slot(Device):
    """The device that holds the function."""

    def __init__(self, dut):
        self.card = Card(dut)
        super().__init__(self.card)
