"""Kernels of the configuration (start-up, idle), and how a kernel gives way without losing or repeating anything."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from virtual_elf import A0, Assembler, asking, blinking, endless, pulse, saying
from virtual_lab import FINISHED, Client, Lab, emulated, eventually

from sim.virtual_core.cortexa9 import CortexA9
from sim.virtual_core.cpu import Cpu, Stopped, trampoline
from sim.virtual_core.flash import Flash
from sim.virtual_core.memory import GUARD, PAYLOAD, SENTINEL, STACK_TOP, Memory
from sim.virtual_core.rv32g import Rv32g

IDLE_MU = 20_000_000


@contextmanager
def lab_with(folder: Path, **kernels: Assembler) -> Iterator[Lab]:
    """Start a core device with kernels in its configuration, by key."""
    flash = Flash(folder / "core.json")
    for name, asm in kernels.items():
        assert flash.put(f"{name}_kernel", asm.library())
    lab = Lab(folder / "core.json")
    try:
        yield lab
    finally:
        lab.server.close()


def said(lab: Lab, text: str, times: int = 1) -> bool:
    """Wait until the log says something that often."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if lab.device.log.content().decode().count(text) >= times:
            return True
        time.sleep(0.01)
    return False


def run(lab: Lab, asm: Assembler) -> int:
    with closing(Client(lab.server)) as client:
        assert client.stream.read(1) == b"e"
        return client.run(asm.library())


@emulated
def test_the_startup_kernel_comes_first_and_then_the_idle_kernel(tmp_path: Path) -> None:
    with lab_with(tmp_path, startup=saying(b"started"), idle=saying(b"idling")) as lab:
        assert said(lab, "idle kernel finished, standing by")
        log = lab.device.log.content().decode()
    order = ["running startup kernel", "started", "startup kernel finished", "running idle kernel", "idling",
             "idle kernel finished"]  # fmt: skip
    assert [log.index(each) for each in order] == sorted(log.index(each) for each in order)


@emulated
@pytest.mark.parametrize("idle", [lambda: blinking(2, 3, IDLE_MU), endless], ids=["blinking", "computing"])
def test_the_idle_kernel_makes_way_for_a_client_and_comes_back_after_it(tmp_path: Path, idle: Any) -> None:
    with lab_with(tmp_path, idle=idle()) as lab:
        assert said(lab, "running idle kernel")
        assert run(lab, pulse(1, 1 << 40)) == FINISHED
        assert said(lab, "idle kernel interrupted")
        assert said(lab, "running idle kernel", 2)
    assert lab.seen(1) == [(1 << 40, 0, 1)]
    assert lab.world.levels == []  # nothing was broken off: the shutters stay as they are


@emulated
def test_a_kernel_of_the_configuration_takes_the_time_that_it_would_take_on_the_device(tmp_path: Path) -> None:
    with lab_with(tmp_path, idle=blinking(2, 3, IDLE_MU)) as lab:
        assert said(lab, "running idle kernel")
        begin_s, begin_mu = time.monotonic(), lab.device.counter
        assert eventually(lambda: lab.device.counter - begin_mu > 200_000_000)
        passed_mu, passed_s = lab.device.counter - begin_mu, time.monotonic() - begin_s
    assert passed_mu < passed_s * 1e9 + 2 * IDLE_MU  # what it is ahead when it begins to wait


@emulated
def test_who_comes_while_the_startup_kernel_runs_waits_for_its_end(tmp_path: Path) -> None:
    with lab_with(tmp_path, startup=asking(1)) as lab:
        assert said(lab, "startup kernel aborted: unexpected RPC in flash kernel")
        assert not lab.device.finished_cleanly
        assert lab.closed()
    starting = waiting(300_000_000)
    with lab_with(tmp_path, startup=starting) as lab:
        assert run(lab, pulse(1, 1 << 40)) == FINISHED
        assert "startup kernel finished" in lab.device.log.content().decode()
        assert lab.core.bus.counter >= 300_000_000


def waiting(t_mu: int) -> Assembler:
    """Return a kernel that waits for an input up to a time, in vain."""
    asm = Assembler()
    asm.enter()
    asm.li(A0, t_mu)
    asm.li(11, 0)
    asm.li(12, 3)
    asm.call("rtio_input_timestamp")
    asm.leave()
    return asm


@emulated
def test_who_gives_up_waiting_for_the_startup_kernel_is_let_go(tmp_path: Path) -> None:
    with lab_with(tmp_path, startup=endless()) as lab:
        client = Client(lab.server)
        client.stream.read(1)
        library = pulse(1, 1000).library()
        client.tell(5, len(library).to_bytes(4, "little") + library)
        client.close()
        deadline = time.monotonic() + 10
        while lab.server.ports["session"]._clients and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not lab.server.ports["session"]._clients


@emulated
def test_a_library_that_cannot_run_is_logged_and_the_core_stays(tmp_path: Path) -> None:
    Flash(tmp_path / "core.json").put("idle_kernel", b"#!/bin/sh")
    lab = Lab(tmp_path / "core.json")
    with closing(lab.server):
        assert said(lab, "idle kernel aborted: the kernel library is no 32-bit little-endian ELF file")
        assert run(lab, pulse(1, 1000)) == FINISHED


@emulated
def test_an_exception_of_a_kernel_of_the_configuration_is_logged(tmp_path: Path) -> None:
    asm = Assembler()
    asm.enter()
    asm.call("subkernel_load_run")
    asm.leave()
    with lab_with(tmp_path, startup=asm) as lab:
        assert said(lab, "exception in flash kernel: RuntimeError(`subkernel_load_run` is not modelled")


# Giving way


def rv32g() -> tuple[Cpu, list[int]]:
    """Return a processor and its loop of calls: t_2 says how many, s2 what, s3 counts beside it."""
    cpu = Rv32g(Memory())
    for register, value in ((8, CALLS), (18, trampoline(1)), (19, 0)):
        cpu.put(register, value)
    #            s1 = ra     jalr s2     s3 += 1     s0 -= 1     bne s0, -12  jr s1
    return cpu, [0x00008493, 0x000900E7, 0x00198993, 0xFFF40413, 0xFE041AE3, 0x00048067]


def cortexa9() -> tuple[Cpu, list[int]]:
    """Return a processor and its loop of calls, as `rv32g`: r4, r6, r7."""
    cpu = CortexA9(Memory())
    for register, value in ((4, CALLS), (6, trampoline(1)), (7, 0)):
        cpu.put(register, value)
    #            r5 = lr     blx r6      r7 += 1     r4 -= 1     bne -12     bx r5
    return cpu, [0xE1A0500E, 0xE12FFF36, 0xE2877001, 0xE2544001, 0x1AFFFFFB, 0xE12FFF15]


CALLS = 40_000


@emulated
@pytest.mark.parametrize("make", [rv32g, cortexa9])
def test_a_kernel_that_is_paused_all_the_time_makes_every_call_once(make: Callable[[], tuple[Cpu, list[int]]]) -> None:
    cpu, instructions = make()
    calls, ways, over = [0], [0], threading.Event()

    def count(what: list[int]) -> None:
        what[0] += 1

    def pause() -> None:
        while not over.is_set():
            cpu.pause()

    cpu.install([lambda: None, lambda: count(calls)])
    cpu.give_way = lambda: count(ways)
    for i, instruction in enumerate(instructions):
        cpu.memory.put_word(PAYLOAD + 4 * i, instruction)
    cpu.map(STACK_TOP - 16 * GUARD & -GUARD, GUARD)
    interval, threads = sys.getswitchinterval(), [threading.Thread(target=pause) for _ in range(2)]
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        while ways[0] < 20:  # some runs, until it has been paused often enough
            before = calls[0]
            cpu.put({Rv32g: 8, CortexA9: 4}[type(cpu)], CALLS)
            cpu.call(PAYLOAD, SENTINEL)
            assert calls[0] - before == CALLS
    finally:
        over.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)
    counted = cpu.get({Rv32g: 19, CortexA9: 7}[type(cpu)])
    cpu.close()
    cpu.memory.close()
    assert counted == calls[0]


@emulated
@pytest.mark.parametrize("make", [rv32g, cortexa9])
def test_a_kernel_that_is_stopped_before_it_begins_does_not_begin(make: Callable[[], tuple[Cpu, list[int]]]) -> None:
    cpu, instructions = make()
    cpu.install([lambda: None, lambda: pytest.fail("it made a call")])
    for i, instruction in enumerate(instructions):
        cpu.memory.put_word(PAYLOAD + 4 * i, instruction)
    cpu.map(STACK_TOP - 16 * GUARD & -GUARD, GUARD)
    cpu.stop()
    with pytest.raises(Stopped):
        cpu.call(PAYLOAD, SENTINEL)
    cpu.close()
    cpu.memory.close()
