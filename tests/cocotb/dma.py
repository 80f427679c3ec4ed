"""What the dma block does: writes, reads with tags of their own, and what comes back."""

import random
import struct

import cocotb
from cocotb.queue import Queue
from cocotb.triggers import Event, FallingEdge

from hard_block import hand_over


class Dma:
    """Drives the ports of the endpoint."""

    def __init__(self, dut):
        self.dut = dut
        self.data = Queue()
        self.free = list(range(32))
        self.open = {}
        self.order = []
        self.reading = False

    def start(self):
        """Runs the payload of writes and the completions."""
        for name in ("write_valid", "write_data_valid", "read_valid", "raise", "interrupt_gap"):
            getattr(self.dut, name).value = 0
        cocotb.start_soon(self._payload())
        cocotb.start_soon(self._completions())

    async def write(self, address, payload):
        """Hands a write of whole DWs over."""
        assert address % 4 == 0 and len(payload) % 4 == 0
        await FallingEdge(self.dut.clock)
        self.dut.write_address.value = address
        self.dut.write_dwords.value = len(payload) // 4
        await hand_over(self.dut.clock, self.dut.write_valid, self.dut.write_ready)
        for at in range(0, len(payload), 8):
            self.data.put_nowait(payload[at:at + 8])

    async def _payload(self):
        while True:
            pair = await self.data.get()
            self.dut.write_data.value = int.from_bytes(pair.ljust(8, b"\xa5"), "little")
            await hand_over(self.dut.clock, self.dut.write_data_valid, self.dut.write_data_ready)

    async def read(self, address, length):
        """Reads bytes within a page; None when the read failed."""
        await FallingEdge(self.dut.clock)
        while not self.free:
            await FallingEdge(self.dut.clock)
        tag = self.free.pop(random.randrange(len(self.free)))
        lead = address % 4
        dwords = (lead + length + 3) // 4
        first = 0xf << lead & 0xf
        last = 0xf >> (-(lead + length) % 4)
        if dwords == 1:
            first, last = first & last, 0
        pending = self.open[tag] = {"done": Event(), "bytes": bytearray(), "length": length, "address": address,
                                    "failed": False}
        while self.reading:
            await FallingEdge(self.dut.clock)
        self.reading = True
        self.dut.read_address.value = address - lead
        self.dut.read_dwords.value = dwords
        self.dut.read_first_enable.value = first
        self.dut.read_last_enable.value = last
        self.dut.read_tag.value = tag
        await hand_over(self.dut.clock, self.dut.read_valid, self.dut.read_ready)
        self.reading = False
        await pending["done"].wait()
        del self.open[tag]
        self.free.append(tag)
        return None if pending["failed"] else bytes(pending["bytes"])

    async def _completions(self):
        dut = self.dut
        current = None
        while True:
            await FallingEdge(dut.clock)
            if dut.completion_valid.value:
                assert current is None, "a completion inside another"
                tag = dut.completion_tag.value.integer
                self.order.append(tag)
                pending = self.open[tag]
                left = pending["length"] - len(pending["bytes"])
                dwords = dut.completion_dwords.value.integer
                if dut.completion_failed.value:
                    pending["failed"] = True
                    assert dwords == 0
                    pending["done"].set()
                    continue
                # Byte Count and Lower Address tell where the payload belongs.
                assert dut.completion_bytes.value.integer == left % 4096
                at = pending["address"] + pending["length"] - left
                assert dut.completion_lower.value.integer == at % 128
                current = (pending, at % 4, dwords, bytearray())
            if dut.completion_data_valid.value:
                pending, lead, dwords, got = current
                got += struct.pack("<Q", dut.completion_data.value.integer)
                if dut.completion_data_last.value:
                    assert (len(got) + 7) // 8 == (dwords + 1) // 2
                    payload = got[lead:4 * dwords]
                    pending["bytes"] += payload[:pending["length"] - len(pending["bytes"])]
                    if len(pending["bytes"]) == pending["length"]:
                        pending["done"].set()
                    current = None
