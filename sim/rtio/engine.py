"""The host engine: runs kernels in this interpreter against a bus.

It types and writes each program once, and uses it again while the host objects it was written for still have the same
types and constants. The same engine serves real ARTIQ's language layer and drivers and those of the pip-only runtime.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

from atomlink.errors import DeviceError

from .bus import Bus
from .cache import Cache
from .dma import Dma
from .i2c import I2c
from .kernel import numbers as nb
from .kernel.exceptions import HostFailure, from_host, left_behind, seen_by_host
from .kernel.program import Program, signature
from .kernel.rpc import RPCReturnValueError, to_host, to_kernel
from .kernel.types import NONE, Func, Instance, Module
from .kernel.unit import Unit
from .state import State

_log = logging.getLogger(__name__)
_MAX_PROGRAMS = 64


class Compiled:
    """A program ready to run, and what must still hold of the host for it to be used again."""

    def __init__(self, program: Program, engine: Engine, args: tuple[Any, ...]) -> None:
        self.program, self.unit = program, Unit(program, engine)
        self.unit.check_interleaving()
        entry = program.entry
        self.self_first = entry.owner is not None
        known = (args[0],) if self.self_first else None
        self.call = self.unit.write("_Kentry", entry, known)
        self.state = State(program)
        self.receive = [to_kernel(param.type) for param in entry.params]
        self.result = to_host(entry.ret)
        self.returns = entry.ret.find() is not NONE
        self._guards = [(obj, name, _guard(obj, name, typ, program)) for obj, name, typ in program.state()]

    def still_valid(self) -> bool:
        """Say whether the host's attributes still have the types and constants of the program."""
        return all(_current(obj, name, guard[0]) == guard[1] for obj, name, guard in self._guards)

    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """Return the kernel's arguments in order, as kernel values."""
        out = []
        for i, param in enumerate(self.program.entry.params):
            if i < len(args):
                value = args[i]
            elif param.name in kwargs:
                value = kwargs[param.name]
            else:
                assert param.default is not None
                value = param.default[0]
            out.append(self.receive[i](value))
        return out[1:] if self.self_first else out


def _guard(obj: Any, name: str, typ: Any, program: Program) -> tuple[str, Any]:
    """Return what must stay the same of an attribute: its value where it is a constant, else what decides its type."""
    owner = program.embedding.instances.get(type(obj))
    fixed = isinstance(typ.find(), Func | Instance | Module)
    if fixed and (owner is None or (owner, name) not in program.written):
        return "identity", _current(obj, name, "identity")
    if owner is not None and name in owner.invariants:
        return "value", _current(obj, name, "value")
    return "type", _current(obj, name, "type")


def _current(obj: Any, name: str, kind: str) -> Any:
    value = getattr(obj, name, None)
    if kind == "identity":
        return id(getattr(value, "__func__", value))
    sig = signature(value)
    if kind == "value" and isinstance(value, bool | int | float | str | None):
        return sig, value
    return sig


class Engine:
    """Run kernels against `bus`."""

    def __init__(self, bus: Bus, ref_period: float) -> None:
        self.bus, self.ref_period = bus, ref_period
        self.i2c = I2c(bus)
        self.forget()
        self._programs: dict[Any, Compiled] = {}
        self._running: Compiled | None = None
        self._failed: Exception | None = None  # what an asynchronous RPC raised
        self._charging = False
        self.fast = isinstance(bus, Bus)  # a bus of somebody else's knows neither bursts nor counting

    def forget(self) -> None:
        """Have no DMA traces and an empty cache, as when the core device starts."""
        self.dma, self.cache = Dma(self.bus), Cache()

    # Running

    def compile(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Compiled:
        """Return the program of a kernel call, typed and checked."""
        key = (
            function,
            tuple(signature(arg) for arg in args),
            tuple((k, signature(v)) for k, v in sorted(kwargs.items())),
        )
        found = self._programs.get(key)
        if found is not None and found.still_valid():
            return found
        made = Compiled(Program(function, args, kwargs), self, args)
        if len(self._programs) >= _MAX_PROGRAMS:
            self._programs.clear()
        self._programs[key] = made
        return made

    def run(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a kernel from the host and return its result."""
        if self._running is not None:
            raise DeviceError(
                f"kernel {function.__qualname__} was called from an RPC while another kernel runs; the core device runs"
                " one at a time: call it as a kernel, or after the first has ended"
            )
        return self.execute(self.compile(function, args, kwargs), args, kwargs)

    def execute(
        self, compiled: Compiled, args: tuple[Any, ...], kwargs: dict[str, Any], write_back: bool = True
    ) -> Any:
        """Run a compiled kernel."""
        bus, state = self.bus, compiled.state
        values = compiled.arguments(args, kwargs)
        before = sys.exc_info()[1]
        left_behind.clear()
        bus.spend(bus.costs.kernel_start_mu)
        state.enter()
        self._running = compiled
        normally = False
        try:
            result = compiled.call(*values)
            if compiled.returns:
                bus.spend(bus.costs.async_rpc_mu)  # the value goes to the host as the argument of one
                bus.catch_up()
            if self._failed is not None:
                raise self._failed
            normally = True
        except HostFailure as failure:
            raise failure.error from failure.error.__cause__
        except Exception as error:
            seen = error if error is self._failed else seen_by_host(error, before)
            if seen is error:
                raise
            raise seen from seen.__cause__
        finally:
            state.leave(normally and write_back)
            self._running = self._failed = None
            left_behind.clear()
            self._end_kernel()
        return compiled.result(result)

    def _end_kernel(self) -> None:
        self.dma.end_kernel()
        self.cache.end_kernel()
        self.bus.event_mu = self.bus.costs.event_mu
        self._charging = False
        self.bus.note_busy()
        errors = [f"{kind}(s)" for kind, n in self.bus.errors.items() if n]
        if errors:
            text = (", ".join(errors[:-1]) + " and " if len(errors) > 1 else "") + errors[-1]
            _log.warning("%s reported during kernel execution", text)
            self.bus.errors = dict.fromkeys(self.bus.errors, 0)

    # What kernels call

    def call_host(
        self, function: Any, args: list[Any], kwargs: dict[str, Any], receive: Callable[[Any], Any], is_async: bool
    ) -> Any:
        """Carry out a remote procedure call."""
        bus = self.bus
        bus.spend(bus.costs.async_rpc_mu if is_async else bus.costs.rpc_mu)
        compiled = self._running
        assert compiled is not None
        if self._failed is not None:  # nobody serves the kernel any more
            raise HostFailure(self._failed)
        handled = sys.exc_info()[1]
        bus.catch_up()
        compiled.state.to_host()
        try:
            result = function(*args, **kwargs)
        except RPCReturnValueError as e:
            raise HostFailure(e) from None
        except Exception as e:  # noqa: BLE001 - the kernel, or the run, gets it
            if not is_async:
                raise from_host(e, handled)  # noqa: B904 - the same exception
            self._failed = e  # the kernel does not notice before it calls again
            return None
        finally:
            compiled.state.to_kernel()
        if is_async:
            return None
        try:
            return receive(result)
        except Exception as e:  # noqa: BLE001 - the connection breaks, whatever could not be packed
            raise HostFailure(e) from None

    def to_mu(self, seconds: float) -> int:
        """Return a delay in machine units, half rounded away from zero."""
        return nb.round_away(seconds / self.ref_period)

    def method_cost(self, owner: type, method: str) -> int | None:
        """Return what a whole call of a method costs; None where its events are charged one by one."""
        table = self.bus.costs.methods
        return next((table[base.__name__, method] for base in owner.__mro__ if (base.__name__, method) in table), None)

    def charged(self, function: Callable[..., Any], cost_mu: int) -> Callable[..., Any]:
        """Return a function whose call costs a fixed time, and whose events cost nothing more."""
        bus = self.bus

        def run(*args: Any, **kwargs: Any) -> Any:
            if self._charging:
                return function(*args, **kwargs)
            before, bus.event_mu, self._charging = bus.event_mu, 0, True
            bus.spend(cost_mu)
            try:
                return function(*args, **kwargs)
            finally:
                bus.event_mu, self._charging = before, False

        return run

    def namespace(self) -> dict[str, Any]:
        """Return the names that kernels use for time and system calls."""
        return {"_Kb": self.bus, "_Kmu": self.to_mu, "_Krtio_log": self.rtio_log} | {
            "_Ksys_" + name: implementation for name, implementation in self.syscalls().items()
        }

    def syscalls(self) -> dict[str, Callable[..., Any]]:
        """Return the system calls by name."""
        bus, dma, cache = self.bus, self.dma, self.cache
        implemented: dict[str, Callable[..., Any]] = {
            "rtio_init": bus.reset,
            "rtio_get_counter": lambda: bus.counter,
            "rtio_get_destination_status": self.destination_is_up,
            "rtio_output": bus.output,
            "rtio_output_wide": bus.output_wide,
            "rtio_input_timestamp": bus.input_timestamp,
            "rtio_input_data": bus.input_data,
            "rtio_input_timestamped_data": bus.input_timestamped_data,
            "rtio_wait_until": self.wait_until,
            "dma_record_start": dma.record_start,
            "dma_record_stop": dma.record_stop,
            "dma_erase": dma.erase,
            "dma_retrieve": dma.retrieve,
            "dma_playback": dma.playback,
            "cache_get": cache.get,
            "cache_put": cache.put,
        }
        return implemented | self.i2c.syscalls()

    def syscall_names(self) -> str:
        """Return the names of the system calls there are."""
        return ", ".join(sorted(self.syscalls()))

    def wait_until(self, t_mu: int) -> None:
        """Read the counter until it has reached `t_mu`: at least once, and the last reading may be late."""
        bus = self.bus
        step_mu = bus.costs.poll_mu
        readings = max(1, -(-(t_mu - bus.counter) // step_mu)) if step_mu else 0
        bus.wait_until(bus.counter + readings * step_mu if readings else t_mu)

    def destination_is_up(self, destination: int) -> bool:
        """Say whether a DRTIO destination is there: the master, and every satellite that has a channel."""
        return destination == 0 or any(channel >> 16 == destination for channel in self.bus.gateware.channels)

    def rtio_log(self, channel: str, *values: Any) -> None:
        """Take a message for the RTIO log channel; it costs one event."""
        self.bus.spend(self.bus.event_mu)
        logging.getLogger("rtio_log").debug("%s: %s", channel, " ".join(map(str, values)))


__all__ = ["Compiled", "Engine"]
