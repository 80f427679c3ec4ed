"""The endpoint under the root complex of cocotbext-pcie, which nobody here wrote.

Enumeration, registers of all sizes, MSI-X, writes and reads of host memory; completions are split at random and come
in any order between tags.
"""

import logging
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, with_timeout
from cocotbext.pcie.core import RootComplex
from cocotbext.pcie.core.tlp import CplStatus, Tlp, TlpType
from cocotbext.pcie.core.utils import PcieId

from dma import Dma
from hard_block import MSIX_PENDING, MSIX_TABLE, VECTORS, Slot

LIMIT = (100, "us")

logging.getLogger("cocotb.pcie").setLevel(logging.ERROR)


class Host(RootComplex):
    """A root complex that splits completions at random and lets those of different tags overtake each other."""

    async def handle_mem_read_tlp(self, tlp):
        cocotb.start_soon(self._answer(tlp))

    async def _answer(self, tlp):
        end = tlp.address + 4 * tlp.length
        if not self.mem_address_space.find_regions(tlp.address, 4 * tlp.length):
            await self.send(Tlp.create_ur_completion_for_tlp(tlp, PcieId(0, 0, 0)))
            return
        data = await self.mem_address_space.read(tlp.address, 4 * tlp.length)
        at = tlp.address
        left = tlp.get_be_byte_count()
        offset = tlp.get_first_be_offset()
        while at < end:
            # Cut at any multiple of 64 bytes, within Max_Payload_Size.
            cuts = [cut for cut in range(at // 64 * 64 + 64, end, 64) if cut - at <= 128 << self.max_payload_size]
            if end - at <= 128 << self.max_payload_size:
                cuts.append(end)
            cut = random.choice(cuts)
            part = Tlp.create_completion_data_for_tlp(tlp, PcieId(0, 0, 0))
            part.byte_count = left
            part.lower_address = (at + offset) & 0x7f
            part.set_data(data[at - tlp.address:cut - tlp.address])
            await cocotb.triggers.Timer(random.randrange(1, 400), "ns")
            await self.send(part)
            left -= cut - at - offset
            offset = 0
            at = cut


class Bench:
    """Everything that a test needs, enumerated."""

    def __init__(self, dut):
        self.dut = dut
        self.host = Host()
        self.slot = Slot(dut)
        self.card = self.slot.card
        self.dma = Dma(dut)
        self.host.make_port().connect(self.slot)
        self.events = dict.fromkeys(("unsupported", "aborted", "bad", "unexpected"), 0)

    async def start(self, max_payload=0):
        for name in ("rx_valid", "rx_last", "rx_poisoned", "tx_ready", "pcie_function_reset"):
            getattr(self.dut, name).value = 0
        cocotb.start_soon(Clock(self.dut.clock, 8, "ns").start())
        await FallingEdge(self.dut.clock)
        self.card.start()
        self.dma.start()
        cocotb.start_soon(self._count())
        self.host.max_payload_size = max_payload
        await with_timeout(self.host.enumerate(), *LIMIT)
        self.device = self.host.find_device(self.card.pcie_id)
        await self.device.enable_device()
        await self.device.set_master()
        self.bar = self.device.bar_window[0]
        # Until the pins tell the card who it is.
        await self.clocks(4)
        return self

    async def _count(self):
        while True:
            await FallingEdge(self.dut.clock)
            for name in self.events:
                self.events[name] += int(getattr(self.dut, name).value)

    def busy(self):
        self.card.link_gaps = 0.3
        self.card.stalls = 0.4

    async def clocks(self, count):
        for _ in range(count):
            await FallingEdge(self.dut.clock)


def noise(length):
    return bytes(random.randrange(256) for _ in range(length))


@cocotb.test()
async def registers_are_read_and_written_in_all_sizes(dut):
    bench = await Bench(dut).start()
    memory = bytearray(0x10000)
    for round in range(40):
        if round == 20:
            bench.busy()
        # Up to a page, any alignment, never the MSI-X page.
        page = random.choice([0, 1, 2, 3, 5, 15]) * 0x1000
        length = random.choice([4, 8, 12, 64, 128, 256, random.randrange(1, 300), 700])
        at = page + random.randrange(0x1000 - length)
        payload = noise(length)
        await with_timeout(bench.bar.write(at, payload), *LIMIT)
        # Words that are not written whole stay as they are.
        for word in range((at + 3) // 4 * 4, (at + length) // 4 * 4, 4):
            memory[word:word + 4] = payload[word - at:word - at + 4]
        seen = await with_timeout(bench.bar.read(at, length), *LIMIT)
        assert seen == memory[at:at + length], f"{length} bytes at {at:x}"
    at = random.randrange(0x800) * 4
    assert await bench.bar.read(at, 0x1000 - at % 0x1000) == memory[at:at // 0x1000 * 0x1000 + 0x1000]
    assert await with_timeout(bench.bar.read(0x5000, 0), *LIMIT) == b""
    assert sum(bench.events.values()) == 0, bench.events


@cocotb.test()
async def requests_that_are_not_served_are_answered(dut):
    bench = await Bench(dut).start()
    bench.card.pass_all = True
    for fmt_type in (TlpType.MEM_READ, TlpType.IO_READ, TlpType.IO_WRITE, TlpType.FETCH_ADD):
        request = Tlp()
        request.fmt_type = fmt_type
        request.requester_id = PcieId(0, 0, 0)
        request.address = bench.device.bar_addr[0] + 0x100000
        request.first_be = 0xf
        request.length = 1
        if request.has_data():
            request.set_data(b"\1\2\3\4")
        request.tag = 7
        before = len(bench.card.from_card)
        await bench.slot.upstream_recv(request)
        await bench.clocks(100)
        (answer,) = bench.card.from_card[before:]
        assert answer.fmt_type == TlpType.CPL and answer.status == CplStatus.UR and answer.tag == 7
        assert answer.byte_count == 4 and answer.completer_id == bench.card.pcie_id
    assert bench.events == {"unsupported": 4, "aborted": 0, "bad": 0, "unexpected": 0}


@cocotb.test()
async def interrupts_reach_their_vectors(dut):
    bench = await Bench(dut).start()
    bench.busy()
    assert await with_timeout(bench.device.alloc_irq_vectors(VECTORS, VECTORS), *LIMIT) == VECTORS
    vectors = bench.device.msi_vectors
    for number in range(VECTORS):
        event = vectors[number].event
        event.clear()
        getattr(dut, "raise").value = 1 << number
        await FallingEdge(dut.clock)
        getattr(dut, "raise").value = 0
        await with_timeout(event.wait(), *LIMIT)
    # Masked, pending, unmasked.
    event = vectors[2].event
    event.clear()
    await bench.bar.write_dword(MSIX_TABLE + 2 * 16 + 12, 1)
    await bench.bar.read_dword(MSIX_TABLE)
    getattr(dut, "raise").value = 1 << 2
    await FallingEdge(dut.clock)
    getattr(dut, "raise").value = 0
    await bench.clocks(200)
    assert not event.is_set()
    assert await bench.bar.read_dword(MSIX_PENDING) == 1 << 2
    await bench.bar.write_dword(MSIX_TABLE + 2 * 16 + 12, 0)
    await with_timeout(event.wait(), *LIMIT)
    assert await bench.bar.read_dword(MSIX_PENDING) == 0
    # One byte of an entry.
    await bench.bar.write(MSIX_TABLE + 5 * 16 + 9, b"\x5a")
    assert (await bench.bar.read(MSIX_TABLE + 5 * 16 + 8, 4))[1] == 0x5a


@cocotb.test()
async def host_memory_is_written_in_order_below_and_above_4_gib(dut):
    bench = await Bench(dut).start(max_payload=1)
    low = bench.host.mem_pool.alloc_region(0x4000)
    high = bench.host.mem_address_space.create_pool(0x2_0000_0000, 0x1_0000).alloc_region(0x4000)
    expected = {region: bytearray(0x4000) for region in (low, high)}
    await bench.device.alloc_irq_vectors(VECTORS, VECTORS)
    vectors = bench.device.msi_vectors
    for round in range(60):
        if round == 30:
            bench.busy()
        region = random.choice([low, high])
        length = 4 * random.randrange(1, 65)
        at = random.randrange(4) * 0x1000 + 4 * random.randrange((0x1000 - length) // 4)
        payload = noise(length)
        expected[region][at:at + length] = payload
        await with_timeout(bench.dma.write(region.get_absolute_address(at), payload), *LIMIT)
    # The interrupt comes behind the data; so does a register read.
    vectors[0].event.clear()
    getattr(dut, "raise").value = 1
    await FallingEdge(dut.clock)
    getattr(dut, "raise").value = 0
    await with_timeout(vectors[0].event.wait(), *LIMIT)
    for region in (low, high):
        assert await region.read(0, 0x4000) == expected[region]
    await bench.dma.write(low.get_absolute_address(0), b"last")
    await with_timeout(bench.bar.read_dword(0x10), *LIMIT)
    assert await low.read(0, 4) == b"last"


@cocotb.test()
async def host_memory_is_read_whatever_the_completions_look_like(dut):
    bench = await Bench(dut).start(max_payload=1)
    low = bench.host.mem_pool.alloc_region(0x4000)
    high = bench.host.mem_address_space.create_pool(0x2_0000_0000, 0x1_0000).alloc_region(0x4000)
    contents = {region: noise(0x4000) for region in (low, high)}
    for region in (low, high):
        await region.write(0, contents[region])

    async def one():
        region = random.choice([low, high])
        length = random.choice([1, 3, 4, 64, random.randrange(1, 500), 500])
        at = random.randrange(4) * 0x1000 + random.randrange(0x1000 - length)
        seen = await bench.dma.read(region.get_absolute_address(at), length)
        assert seen == contents[region][at:at + length], f"{length} bytes at {at:x}"

    async def nowhere():
        assert await bench.dma.read(0xf_0000_0000, 8) is None

    for round in range(2):
        reads = [cocotb.start_soon(one()) for _ in range(60)] + [cocotb.start_soon(nowhere())]
        # The host reads registers meanwhile.
        for at in range(0, 64, 4):
            await bench.bar.write_dword(at, at * 0x01010101)
            assert await with_timeout(bench.bar.read_dword(at), *LIMIT) == at * 0x01010101
        for read in reads:
            await with_timeout(read.join(), *LIMIT)
        bench.busy()
    # Parts of one read come between those of another.
    order = bench.dma.order
    assert any(order[i] in order[i + 2:i + 8] and order[i + 1] != order[i] for i in range(len(order) - 8))
    assert bench.events["bad"] == bench.events["unexpected"] == 0


@cocotb.test()
async def a_function_reset_masks_the_vectors_and_the_host_goes_on(dut):
    bench = await Bench(dut).start()
    await bench.device.alloc_irq_vectors(VECTORS, VECTORS)
    dut.pcie_function_reset.value = 1
    await FallingEdge(dut.clock)
    dut.pcie_function_reset.value = 0
    for number in range(VECTORS):
        assert await with_timeout(bench.bar.read(MSIX_TABLE + 16 * number, 16), *LIMIT) == bytes(12) + b"\1\0\0\0"
