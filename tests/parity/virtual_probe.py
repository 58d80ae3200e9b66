"""What a binary asks of its core device, in one experiment: exceptions, RPC of every type, attributes, DMA, cache,
arithmetic. What each step saw becomes the dataset `seen`.
"""

import numpy as np
from artiq.coredevice.exceptions import DMAError
from artiq.experiment import *


class ProbeError(Exception):
    pass


class VirtualProbe(EnvExperiment):
    def build(self):
        for name in ("core", "core_dma", "core_cache", "alice_shutter"):
            self.setattr_device(name)
        self.seen = []
        self.n, self.x, self.flag = 1, 0.5, False
        self.big = np.int64(1) << 40
        self.numbers = [1, 2, 3]

    @rpc
    def note(self, what):
        self.seen.append(repr(what))

    @rpc(flags={"async"})
    def note_later(self, what, scale=1):
        self.seen.append(f"later {what!r} {scale}")

    @rpc
    def fail(self, text: TStr) -> TInt32:
        raise ProbeError(text)

    @rpc
    def index(self) -> TInt32:
        return [1][3]

    @rpc
    def rows(self, n: TInt32) -> TList(TList(TFloat)):
        return [[0.5 * i] * i for i in range(n)]

    @rpc
    def mixed(self) -> TTuple([TBool, TInt64, TStr, TFloat, TInt32]):
        return True, 1 << 50, "ångström", -0.25, -7

    @rpc
    def array(self) -> TArray(TFloat, 2):
        return np.arange(6.0).reshape(2, 3)

    @kernel
    def run(self):
        self.core.reset()
        self.exceptions()
        self.values()
        self.arithmetic(7, -3, 1000003)
        self.sequences()
        self.n, self.x, self.flag = 5, 1.25, True
        self.big += 1
        self.numbers[1] = 20
        self.timing()

    @kernel
    def exceptions(self):
        try:
            self.deep(3, 0.5)
        except ValueError:
            self.note("ValueError")
        try:
            self.fail("from the host")
        except ProbeError:
            self.note("ProbeError")
        try:
            try:
                self.index()
            finally:
                self.note("finally")
        except IndexError:
            self.note("IndexError of the host")
        try:
            try:
                raise ValueError("first")
            except ValueError:
                raise ProbeError("second")  # noqa: B904 - kernels know no `from`
        except ProbeError:
            self.note("raised in a handler")
        try:
            self.note(self.numbers[self.n + 5])
        except IndexError:
            self.note("IndexError of the kernel")
        try:
            self.note(1 // (self.n - 1))
        except ZeroDivisionError:
            self.note("ZeroDivisionError")
        for i in range(4):
            try:
                if i % 2 == 1:
                    raise ValueError("odd")
                self.note_later(i)
            except ValueError:
                self.note_later(-i, scale=2)

    @kernel
    def deep(self, n, x):
        y = x * 2.0
        try:
            if n == 0:
                raise ValueError("deep")
            self.deep(n - 1, y)
        finally:
            self.note((n, x, y))

    @kernel
    def values(self):
        for row in self.rows(3):
            self.note(len(row))
            for value in row:
                self.note(value)
        self.note(self.mixed())
        self.note([True, False])
        self.note([np.int64(1) << 33, np.int64(-1)])
        self.note(["a", "bc"])
        self.note([[1], [2, 3]])
        self.note([(1, 2.5), (3, 4.5)])
        self.note(range(1, 9, 3))
        a = self.array()
        self.note(a)
        self.note(a[1][2])
        self.note(None)
        print("printed", 3, np.int64(1) << 34, 2.5, True)

    @kernel
    def arithmetic(self, a, b, c):
        wide = np.int64(c) * np.int64(c) * a
        self.note((a // b, a % b, wide // b, wide % a, wide >> 3, wide << 2))
        x = 1.5 * a
        self.note((x ** 0.5, x ** 3, np.sin(x), np.exp(-x), np.floor(-x), round(2.5), round(-x)))
        self.note((float(wide), np.int64(float(wide)), x // 2.0, x % 4.0, int(x)))

    @kernel
    def sequences(self):
        self.core_cache.put("probe", [1, 2, 3])
        row = self.core_cache.get("probe")
        row[0] = 10
        self.note(self.core_cache.get("probe"))
        self.note(len(self.core_cache.get("nothing")))
        with self.core_dma.record("pulses"):
            for _ in range(3):
                self.alice_shutter.pulse(1 * us)
                delay(1 * us)
        handle = self.core_dma.get_handle("pulses")
        self.core.break_realtime()
        self.core_dma.playback_handle(handle)
        self.core_dma.playback("pulses")
        self.core_dma.erase("pulses")
        try:
            self.core_dma.playback("pulses")
        except DMAError:
            self.note("DMAError")

    @kernel
    def timing(self):
        self.core.break_realtime()
        t = now_mu()
        with parallel:
            self.alice_shutter.pulse(2 * us)
            delay(5 * us)
        self.note(now_mu() - t)
        at_mu(self.core.get_rtio_counter_mu() - 1000)
        try:
            self.alice_shutter.on()
        except RTIOUnderflow:
            self.note("RTIOUnderflow")
        self.core.break_realtime()
        delay(1.5 * ms)
        self.core.wait_until_mu(now_mu())
        self.note(self.core.get_rtio_counter_mu() - now_mu())

    def analyze(self):
        attributes = (self.n, self.x, self.flag, int(self.big), self.numbers)
        self.set_dataset("seen", "\n".join([*self.seen, repr(attributes)]))
