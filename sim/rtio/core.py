"""The simulated core device: what the `core` row of device_db.py names in simulation.

It offers ARTIQ's own methods. `World` and `Gateware` are built when the first kernel needs them, so that opening a
device_db stays fast.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Protocol

import numpy
from artiq.language.core import at_mu, kernel, now_mu, portable, syscall
from artiq.language.types import TBool, TInt32, TInt64, TNone

from atomlink.errors import UsageError
from atomlink.topology import topology_of

from .bus import Bus
from .costs import Costs, preset
from .engine import Engine
from .kernel.functions import subkernel_refused


@syscall
def rtio_init() -> TNone:
    """Clear the RTIO FIFOs."""
    raise NotImplementedError("rtio_init() runs in kernels only")


@syscall
def rtio_get_counter() -> TInt64:
    """Return the RTIO counter."""
    raise NotImplementedError("rtio_get_counter() runs in kernels only")


@syscall
def rtio_get_destination_status(destination: TInt32) -> TBool:
    """Say whether a DRTIO destination is up."""
    raise NotImplementedError("rtio_get_destination_status() runs in kernels only")


@syscall
def rtio_wait_until(t_mu: TInt64) -> TNone:
    """Wait for the RTIO counter; the twin jumps to the reading at which the device's loop would end."""
    raise NotImplementedError("rtio_wait_until() runs in kernels only")


class Comm:
    """The link to the core device: nothing in process; a lab that `atomlink lab` keeps is let go of when it closes."""

    def __init__(self) -> None:
        self.lab: Any = None  # sim.daemon.remote.RemoteWorld
        self.bus: Bus | None = None

    def open(self) -> None:
        """Open the link."""

    def load(self, library: bytes) -> None:
        """Refuse a compiled kernel (`artiq_run FILE.elf`): it is machine code for the hardware."""
        raise UsageError("a compiled kernel runs on hardware only: set ATOMLINK_TARGET=hardware, or run the source")

    def close(self) -> None:
        """Close the link, as experiments do before they pause: what the run has put on the timeline still happens, and
        then others may have it.
        """
        if self.lab is not None and self.lab.leased:
            if self.bus is not None:
                self.bus.finish()
            self.lab.release()


class Watch(Protocol):
    """Somebody who sees a run: puts a world between gateware and world, and makes the bus."""

    def world(self, world: Any) -> Any:
        """Return the world that the gateware gets."""

    def bus(self, gateware: Any, costs: Costs, ref_multiplier: int) -> Bus:
        """Return the bus."""


class Core:
    """Run kernels on the simulated lab.

    `gateware` replaces what would be built from the device database and the scenario, for tests; `lab` is the address
    of a lab that is kept alive elsewhere (`atomlink lab`), empty for one of this process's own.
    """

    kernel_invariants = {"core", "ref_period", "coarse_ref_period", "ref_multiplier"}

    def __init__(
        self,
        dmgr: Any,
        ref_period: float = 1e-9,
        ref_multiplier: int = 8,
        scenario: str = "default",
        seed: int = 0,
        costs: str = "kasli_soc",
        lab: str = "",
        gateware: Any = None,
        **unused: Any,
    ) -> None:
        self.ref_period, self.ref_multiplier = ref_period, ref_multiplier
        self.coarse_ref_period = ref_period * ref_multiplier
        self.dmgr, self.core, self.comm = dmgr, self, Comm()
        self.scenario, self.seed, self.lab = scenario, seed, lab
        self.costs = preset(costs)
        self._gateware = gateware
        self._engine: Engine | None = None
        self._watch: Watch | None = None
        self._joined: Core | None = None

    def watch(self, watch: Watch) -> None:
        """Let somebody see the run; to be asked for before the first kernel, when nothing is made yet."""
        self._watch = watch

    def join(self, other: Core) -> None:
        """Share the lab of another core device: experiments that take turns in one process meet the same lab."""
        self._joined, self.comm = other, other.comm

    @property
    def engine(self) -> Engine:
        """Return the engine, with the lab below it; both are made when first asked for."""
        if self._joined is not None:
            return self._joined.engine
        if self._engine is None:
            gateware = self._build() if self._gateware is None else self._gateware
            make = Bus if self._watch is None else self._watch.bus
            bus = make(gateware, self.costs, self.ref_multiplier)
            if self.comm.lab is not None:
                bus.counter = bus.now = self._take_lab()
                self.comm.bus = bus
            self._engine = Engine(bus, self.ref_period)
        return self._engine

    @property
    def bus(self) -> Bus:
        """Return the RTIO bus."""
        return self.engine.bus

    @property
    def world(self) -> Any:
        """Return the simulated lab."""
        return getattr(self.bus.gateware, "world", None)

    def _take_lab(self) -> int:
        """Take the timeline of a lab that is kept elsewhere; return its time, in whole coarse cycles."""
        return -(-self.comm.lab.lease() // self.ref_multiplier) * self.ref_multiplier

    @contextmanager
    def serving(self) -> Iterator[Engine]:
        """Hold the timeline of the lab while a kernel runs, and let instruments be asked when it has ended."""
        self._resume()
        try:
            yield self.engine
        finally:
            self._ended()

    def _resume(self) -> None:
        """Time has passed in a lab that is kept elsewhere while this run did not hold its timeline."""
        if self.comm.lab is not None and not self.comm.lab.leased:
            self.bus.counter = max(self.bus.counter, self._take_lab())

    def _ended(self) -> None:
        """A kernel has ended, the host goes on: what instruments are asked now, they are asked at the counter."""
        if self.comm.lab is not None:
            self.bus.advance(self.bus.counter)
            self.comm.lab.idle(self.bus.counter)

    def _world(self) -> Any:
        if self.lab:
            from sim.daemon.remote import RemoteWorld

            self.comm.lab = RemoteWorld(self.lab, f"process {os.getpid()}")
            return self.comm.lab
        from sim.world.scenario import load_scenario
        from sim.world.world import World

        return World(load_scenario(self.scenario, topology_of(self.dmgr.get_device_db())), self.seed)

    def _build(self) -> Any:
        from sim.gateware.build import Gateware

        world = self._world()
        if self._watch is not None:
            world = self._watch.world(world)
        devices = [description for description, _ in getattr(self.dmgr, "active_devices", ())]
        made: Any = Gateware(self.dmgr.get_device_db(), world, devices)
        made.world = world
        return made

    def _refuse_faulty(self) -> None:
        """Refuse a device that the experiment has made and the gateware could not; the other rows may be as they like.
        """
        gateware: Any = getattr(self.bus, "gateware", None)  # a bus of somebody else's may have none
        if getattr(gateware, "refused", None):
            device_db = self.dmgr.get_device_db()
            for description, _ in getattr(self.dmgr, "active_devices", ()):
                refusal = gateware.refusal(description, device_db)
                if refusal is not None:
                    raise refusal

    def run(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a kernel, called from the host."""
        with self.serving() as engine:
            self._refuse_faulty()
            return engine.run(function, tuple(args), kwargs)

    def compile(self, *call: Any, **options: Any) -> Any:
        """Refuse to compile, which `artiq_compile` asks for."""
        raise UsageError("artiq_compile needs the real core device's row: set ATOMLINK_TARGET=hardware")

    def prepare_subkernel(self, destination: int, function: Any, *call: Any) -> int:
        """Refuse a subkernel that the host calls."""
        raise subkernel_refused(function)

    def precompile(self, function: Any, *args: Any, **kwargs: Any) -> Callable[[], Any]:
        """Return a function that runs a kernel later, with these arguments and without writing attributes back."""
        if not hasattr(function, "artiq_embedded"):
            raise UsageError(
                f"precompile() was given {function!r}, which is not a kernel; pass a method marked @kernel"
            )
        owner = getattr(function, "__self__", None)
        kernel_function = getattr(function, "__func__", function)
        values = args if owner is None else (owner, *args)
        compiled = self.engine.compile(kernel_function, values, kwargs)

        @wraps(function)
        def run_precompiled() -> Any:
            with self.serving() as engine:
                self._refuse_faulty()
                return engine.execute(compiled, values, kwargs, write_back=False)

        return run_precompiled

    @portable
    def seconds_to_mu(self, seconds):
        """Convert seconds to machine units, rounded down."""
        return numpy.int64(seconds // self.ref_period)

    @portable
    def mu_to_seconds(self, mu):
        """Convert machine units to seconds."""
        return mu * self.ref_period

    @kernel
    def get_rtio_counter_mu(self):
        """Return the RTIO counter."""
        return rtio_get_counter()

    @kernel
    def wait_until_mu(self, cursor_mu):
        """Block until the RTIO counter reaches a time; return at once if it has."""
        rtio_wait_until(cursor_mu)

    @kernel
    def get_rtio_destination_status(self, destination):
        """Say whether a DRTIO destination is up."""
        return rtio_get_destination_status(destination)

    @kernel
    def reset(self):
        """Clear the RTIO FIFOs and set the cursor 125000 mu after the counter."""
        rtio_init()
        at_mu(rtio_get_counter() + 125000)

    @kernel
    def break_realtime(self):
        """Set the cursor 125000 mu after the counter, unless it is later already."""
        min_now = rtio_get_counter() + 125000
        if now_mu() < min_now:
            at_mu(min_now)

    def sync(self) -> None:
        """Carry out what is pending up to the RTIO counter and let the lab reach it: first thing of a request that an
        instrument gets while no kernel runs.
        """
        bus = self.bus
        bus.catch_up()
        reach = getattr(self.world, "reach", None)  # a gateware of a test's own may have no lab
        if reach is not None:
            reach(bus.counter)

    def close(self) -> None:
        """Let go of the device; a lab that is shared stays with whom it belongs to."""
        if self._joined is not None:
            return
        self.comm.close()
        if self.comm.lab is not None:
            self.comm.lab.close()

    def notify_run_end(self) -> None:
        """Carry out everything that is pending: the experiment's run() has ended."""
        if self._engine is not None or self._joined is not None:
            self.bus.finish()
