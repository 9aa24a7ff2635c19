"""The emitted top in Icarus, driven by the AXI master, stream source and sink of cocotbext-axi, which nobody here wrote.

    axi_witness.py VERILOG_FOLDER FILE.lacuna

Loads the container's image as docs/registers.md says, runs its known-answer test on the ports, with pauses on every
channel of both interfaces, and compares with what the container says the golden model makes of it.
"""

import itertools
import os
import random
import sys
import zlib

import decode_image

ID, CONTROL, STATUS, ERRORS, MEM_SELECT, SECTION_WORDS, SECTION_CRC, SECTION_NEXT = 0x00, 0x14, 0x18, 0x1C, 0x28, 0x30, 0x34, 0x38
WINDOW = 0x100000
START, CHECK, RESTART, STOP = 1, 4, 8, 16
BUSY, VALID, DONE, CHECKING, IN_B = 1, 2, 4, 32, 256


def run(verilog, container):
    """Outside of the simulator: compiles the folder and starts the test below in it."""
    from cocotb_tools.runner import get_runner

    with open(os.path.join(verilog, "files.f")) as listed:
        lines = listed.read().split("\n")
    sources = [os.path.join(verilog, line) for line in lines if line.endswith(".v")]
    top = "lacuna_ese" if any(source.endswith("lacuna_ese.v") for source in sources) else "lacuna_eie"
    runner = get_runner("icarus")
    runner.build(sources=sources, hdl_toplevel=top, build_dir=os.path.join(verilog, "cocotb"), timescale=("1ns", "1ps"), build_args=["-g2005"])
    os.environ["LACUNA_CONTAINER"] = os.path.abspath(container)
    os.environ["PYTHONPATH"] = os.path.dirname(os.path.abspath(__file__))
    results = runner.test(hdl_toplevel=top, test_module="axi_witness", build_dir=os.path.join(verilog, "cocotb"))
    from cocotb_tools.runner import get_results

    ran, failed = get_results(results)
    if ran != 1 or failed:
        sys.exit(f"axi_witness: {ran} tests ran, {failed} failed")


if __name__ != "__main__":
    import cocotb
    from cocotb.clock import Clock
    from cocotb.triggers import ClockCycles
    from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource

    def pauses(seed):
        chance = random.Random(seed)
        return (chance.random() < 0.3 for _ in itertools.count())

    class Host:
        def __init__(self, dut):
            self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.clock, dut.reset)
            channels = self.master.write_if, self.master.read_if
            for seed, channel in enumerate(
                [channels[0].aw_channel, channels[0].w_channel, channels[0].b_channel, channels[1].ar_channel, channels[1].r_channel]
            ):
                channel.set_pause_generator(pauses(seed))

        async def write(self, address, value):
            await self.master.write_dword(address, value)

        async def read(self, address):
            return await self.master.read_dword(address)

        async def until(self, bit, value):
            while bool(await self.read(STATUS) & bit) != value:
                pass

        async def store(self, memory, pe, words, width):
            lanes = 1 << (-(-width // 32) - 1).bit_length()
            await self.write(MEM_SELECT, memory << 8 | pe)
            for k, word in enumerate(words):
                for lane in range(-(-width // 32)):
                    await self.write(WINDOW + 4 * (k * lanes + lane), word >> 32 * lane & 0xFFFFFFFF)

        async def load(self, container):
            image = [(memory, pe) for memory, pe in container.memories if memory not in (decode_image.ANSWER_IN, decode_image.ANSWER_OUT)]
            await self.until(BUSY, False)
            assert await self.read(ID) == 0x4C414355
            await self.write(CONTROL, RESTART)
            for memory, pe in image:
                await self.store(memory, pe, container.memories[memory, pe], container.widths[memory, pe])
            for memory, pe in image:
                assert await self.read(SECTION_NEXT) == memory << 8 | pe
                words, lanes = container.memories[memory, pe], -(-container.widths[memory, pe] // 32)
                await self.write(SECTION_WORDS, len(words))
                await self.write(SECTION_CRC, zlib.crc32(b"".join(word.to_bytes(4 * lanes, "little") for word in words)))
                await self.write(CONTROL, CHECK)
                await self.until(CHECKING, False)
                assert await self.read(ERRORS) == 0
            assert await self.read(STATUS) & VALID

    async def layers(host, container, network, inputs):
        n, found = container.arch["pes"], []
        for values in inputs:
            for pe in range(n):
                own = [values[q] & 0xFFFF for q in range(pe, len(values), n)]
                await host.store(5, pe, own, 16)
            await host.write(CONTROL, START)
            await host.until(DONE, True)
            buffer = 6 if await host.read(STATUS) & IN_B else 5
            result = [0] * network.outputs
            for position, row in enumerate(network.order):
                await host.write(MEM_SELECT, buffer << 8 | position % n)
                result[row] = decode_image.signed(await host.read(WINDOW + 4 * (position // n)), 16)
            found.append(result)
        return found

    async def steps(source, sink, host, container, inputs):
        """The same vectors on every channel: each must give the known answer."""
        channels = container.arch["ese"]["channels"]
        await host.write(CONTROL, START)
        found = []
        for number, values in enumerate(inputs):
            for channel in range(channels):
                first = [int(number == 0)] + [0] * (len(values) - 1)
                await source.send(AxiStreamFrame([v & 0xFFFF for v in values], tdest=channel, tuser=first))
        for _ in inputs:
            for channel in range(channels):
                frame = await sink.recv()
                assert frame.tdest == channel, f"found channel {frame.tdest}, expected {channel}"
                vector = [decode_image.signed(v, 16) for v in frame.tdata]
                if channel == 0:
                    found.append(vector)
                assert vector == found[-1], f"channel {channel}: found {vector}, channel 0 gave {found[-1]}"
        await host.write(CONTROL, STOP)
        await host.until(BUSY, False)
        return found

    @cocotb.test()
    async def known_answer(dut):
        with open(os.environ["LACUNA_CONTAINER"], "rb") as file:
            container = decode_image.Container(file.read())
        recurrent = "recurrent" in container.manifest
        network = (decode_image.Recurrent if recurrent else decode_image.Layers)(container)
        inputs, expected = decode_image.known_answer(container, network)
        cocotb.start_soon(Clock(dut.clock, 10, unit="ns").start())
        for name in ("s_axi_awprot", "s_axi_arprot"):
            getattr(dut, name).value = 0
        host = Host(dut)
        if recurrent:
            source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.clock, dut.reset, byte_size=16)
            sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.clock, dut.reset, byte_size=16)
            source.set_pause_generator(pauses(11))
            sink.set_pause_generator(pauses(12))
        dut.reset.value = 1
        await ClockCycles(dut.clock, 3)
        dut.reset.value = 0
        await host.load(container)
        if recurrent:
            found = await steps(source, sink, host, container, inputs)
        else:
            found = await layers(host, container, network, inputs)
        assert sum(found, []) == expected, f"found {found}, expected {expected}"
        assert await host.read(ERRORS) == 0
        dut._log.info(f"{len(expected)} values equal")


if __name__ == "__main__":
    run(*sys.argv[1:])
