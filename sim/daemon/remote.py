"""The world as a run sees it when `atomlink lab` keeps it: the same functions, over one loopback connection.

Output events are collected and travel with the next question, so a run waits for the lab only when it reads an input.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Sequence
from typing import Any

from atomlink.errors import DeviceError
from atomlink.signals import Cycle, CycleResult
from sim.daemon import messages

_BATCH = 4096  # events that are sent without a question
_CONNECT_S = 10.0
_TIMEOUT_S = 300.0  # a stretch of cycles of a weak link may take a minute of wall time


class Connection:
    """Requests and replies over one socket."""

    def __init__(self, address: str) -> None:
        self.address = address
        host, port = split_address(address)
        try:
            self._socket = socket.create_connection((host, port), timeout=_CONNECT_S)
        except OSError as error:
            raise DeviceError(f"no lab answers at {address} ({error.strerror or error}): start one with "
                              "`atomlink lab`, or leave --lab and ATOMLINK_LAB out") from None
        self._socket.settimeout(_TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()
        self._look = select.poll()
        self._look.register(self._socket, select.POLLIN)
        # Why nothing more can be asked: a late reply must not be taken for the answer to another question.
        self.lost = ""

    def ask(self, **request: Any) -> messages.Message:
        """Send one request and return its reply; DeviceError with the lab's own words where it refuses."""
        line = b""
        if not self.lost:
            try:
                if self._look.poll(0):
                    raise OSError(f"it said {self._socket.recv(60)!r} unasked, or has gone")
                self._socket.sendall(messages.encode(request))
                line = self._line()
            except OSError as error:
                self.lost = str(error)
        if self.lost:
            raise DeviceError(f"the lab at {self.address} is lost ({self.lost}): start it again, then the run")
        try:
            reply = messages.decode(line)
        except DeviceError:
            self.lost = f"it answered {line[:60]!r}"
            raise
        if "error" in reply:
            raise DeviceError(f"lab at {self.address}: {reply['error']}")
        return reply

    def _line(self) -> bytes:
        """Return the line that answers; OSError where none comes, or more than one."""
        self._buffer.clear()
        while (end := self._buffer.find(b"\n")) < 0:
            data = self._socket.recv(1 << 16)
            if not data:
                raise OSError("it closed the connection")
            self._buffer += data
            if len(self._buffer) > messages.LONGEST_LINE:
                raise OSError("its answer does not end")
        if end + 1 < len(self._buffer):
            raise OSError(f"it answered {bytes(self._buffer[:60])!r}, more than one line")
        return bytes(self._buffer)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the lab takes the lease back."""
        self._socket.close()


class RemoteWorld:
    """A stand-in for `sim.world.world.World` in the process of a run."""

    def __init__(self, address: str, who: str) -> None:
        self._connection = Connection(address)
        self._who = who
        self._events: list[tuple[int, int, Any]] = []
        self._leased = False
        self._idle_mu = -1
        self.now_mu = 0
        self.lease()

    @property
    def leased(self) -> bool:
        """Whether this run holds the timeline; of a lab that is lost nobody does."""
        return self._leased and not self._connection.lost

    def lease(self) -> int:
        """Take the RTIO timeline, if it is not held already; return the lab time in mu."""
        if not self.leased:
            self.now_mu = max(self.now_mu, self._connection.ask(op="lease", who=self._who)["now_mu"])
            self._leased = True
        return self.now_mu

    def release(self) -> None:
        """Let others have the timeline."""
        if self.leased:
            self._ask(op="release")
            self._leased = False

    def close(self) -> None:
        """Release and hang up."""
        self.release()
        self.hang_up()

    def hang_up(self) -> None:
        """Close the connection; the lab of a run that holds the timeline closes its shutters."""
        self._connection.close()

    def output(self, port: str, kind: str) -> Any:
        """Return what gateware calls when the signal at a port changes."""
        if kind == "entangler":
            return _RemoteEntangler(self, self._ask(op="entangler", port=port)["id"])
        reply = self._ask(op="output", port=port, kind=kind)
        number, events = reply["id"], self._events

        def sink(t_mu: int, value: Any) -> None:
            events.append((number, int(t_mu), value))
            if len(events) >= _BATCH:
                self._ask(op="events")

        sink.spare = reply["spare"]  # type: ignore[attr-defined]  # whoever drives it may save the call
        return sink

    def clicks(self, port: str) -> Callable[[int, int], list[int]]:
        """Return the function that gives the rising edges of a detector between two times."""
        number = self._ask(op="input", port=port)["id"]

        def between(start_mu: int, stop_mu: int) -> list[int]:
            self.now_mu = max(self.now_mu, int(stop_mu))
            clicks = self._ask(op="clicks", id=number, start_mu=int(start_mu), stop_mu=int(stop_mu))["clicks"]
            return [int(t_mu) for t_mu in clicks]

        return between

    def frames(self, port: str) -> Callable[[int, int], list[tuple[int, Any]]]:
        """Return the function that gives the camera frames at a grabber between two times: (read out at, image)."""
        number = self._ask(op="camera", port=port)["id"]

        def between(start_mu: int, stop_mu: int) -> list[tuple[int, Any]]:
            self.now_mu = max(self.now_mu, int(stop_mu))
            reply = self._ask(op="frames", id=number, start_mu=int(start_mu), stop_mu=int(stop_mu))
            return [(int(t_mu), image) for t_mu, image in messages.unpacked(reply["frames"])]

        return between

    def advance(self, t_mu: int) -> None:
        """Let lab time reach t_mu; nothing of this run acts while it does not hold the timeline."""
        if self.leased:
            self.now_mu = max(self.now_mu, int(t_mu))
            self._ask(op="advance", t_mu=int(t_mu))

    reach = advance

    def idle(self, counter_mu: int) -> None:
        """Say that no kernel runs, with all that acts up to the RTIO counter: instruments may be asked now."""
        if self.leased and counter_mu > self._idle_mu:
            self._idle_mu = counter_mu
            self._ask(op="idle", counter_mu=int(counter_mu))

    def run_cycles(self, number: int, start_mu: int, stop_mu: int, cycle: Cycle) -> CycleResult:
        """Let the lab repeat a cycle of the heralding gateware."""
        reply = self._ask(op="run_cycles", id=number, start_mu=int(start_mu), stop_mu=int(stop_mu), cycle=cycle)
        return messages.cycle_result(reply["result"])

    def run_beside(self, spans: Sequence[tuple[int, int, int, Cycle]]) -> list[CycleResult]:
        """Let the lab repeat cycles of several, spans (number, start_mu, stop_mu, cycle), side by side."""
        asked = [[number, int(start_mu), int(stop_mu), cycle] for number, start_mu, stop_mu, cycle in spans]
        reply = self._ask(op="run_beside", spans=asked)
        return [messages.cycle_result(result) for result in reply["results"]]

    def _ask(self, **request: Any) -> messages.Message:
        events = list(self._events)
        self._events.clear()
        return self._connection.ask(**request, events=events) if events else self._connection.ask(**request)


class _RemoteEntangler:
    def __init__(self, world: RemoteWorld, number: int) -> None:
        self._world, self._number = world, number

    def run(self, t_start_mu: int, t_end_mu: int, cycle: Cycle) -> CycleResult:
        """Repeat a cycle between two times."""
        return self._world.run_cycles(self._number, t_start_mu, t_end_mu, cycle)

    def run_beside(self, spans: Sequence[tuple[_RemoteEntangler, int, int, Cycle]]) -> list[CycleResult]:
        """Repeat the cycles of several, each between its own times."""
        return self._world.run_beside([(port._number, start, stop, cycle) for port, start, stop, cycle in spans])


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of `host:port`; DeviceError says what is wrong with it."""
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise DeviceError(f"the lab's address is {address!r}, must be HOST:PORT such as 127.0.0.1:3290")
    return host.strip("[]"), int(port)
