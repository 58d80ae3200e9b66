"""What the lab does with a run's requests; it knows no sockets.

One run at a time holds the *lease*: its output events and its questions move lab time. Everybody may ask who the lab is
and where its instruments are.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import atomlink
from atomlink.errors import DeviceError, LabError
from sim.daemon import messages
from sim.instruments.server.supervise import attempt
from sim.world.network.entangler_port import Span
from sim.world.world import World

logger = logging.getLogger(__name__)
KINDS = ("level", "tone", "voltage")  # what travels as events; sim/gateware/README.md
LATEST_MU = 1 << 62
MOST_PORTS = 1024  # that one connection may ask for; device_db.py has some 100 channels
LONGEST_NAME = 200  # characters of a port's or a run's name
_MALFORMED = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)


@dataclass
class Session:
    """One connection: the ports it has asked for, each of them once. `host` is where it reached the lab; `dismissed`:
    why it must not drive the timeline any more.
    """

    host: str = "127.0.0.1"
    who: str = "somebody"
    dismissed: str = ""
    sinks: list[tuple[str, Callable[[int, Any], None]]] = field(default_factory=list)
    inputs: list[Callable[[int, int], list[int]]] = field(default_factory=list)
    entanglers: list[Any] = field(default_factory=list)
    frames: list[Callable[[int, int], list[tuple[int, Any]]]] = field(default_factory=list)
    numbers: dict[tuple[str, str], int] = field(default_factory=dict)

    def number(self, port: Any, kind: str, made: list[Any], make: Callable[[], Any]) -> int:
        """Return the number of a port in the list of its kind, and make it where it was not asked for before."""
        if not isinstance(port, str) or len(port) > LONGEST_NAME:
            raise ValueError(f"port is {str(port)[:40]!r}, must be a name")
        if (port, kind) not in self.numbers:
            if len(self.numbers) >= MOST_PORTS:
                raise DeviceError(f"this connection has {MOST_PORTS} ports, must do with those: there are no more")
            made.append(make())
            self.numbers[port, kind] = len(made) - 1
        return self.numbers[port, kind]


class Service:
    """The lab's side of the connection. `scenario`: how the world's scenario is found (its name, or a path);
    `addresses(host)`: where the instruments listen for a client that reaches this host, by name; `instrument(request)`
    asks one that has no wire.
    """

    def __init__(self, world: World, scenario: str) -> None:
        self.world, self.scenario = world, scenario
        self.addresses: Callable[[str], dict[str, str]] = lambda _host: {}
        self.instrument: Callable[[messages.Message], messages.Message] = _no_instrument
        self._told_mu = self._synced_mu = 0
        self.heard = 0  # requests of those who held the lease
        self._holder: Session | None = None
        self._operations: dict[str, Callable[[Session, messages.Message], messages.Message]] = {
            "hello": self._hello, "addresses": lambda session, _request: {"addresses": self.addresses(session.host)},
            "instrument": lambda _session, request: self.instrument(request),
            "lease": self._lease, "release": self._release, "output": self._output, "input": self._input,
            "entangler": self._entangler, "events": self._events, "clicks": self._clicks, "advance": self._advance,
            "run_cycles": self._run_cycles, "run_beside": self._run_beside,
            "camera": self._camera, "frames": self._frames, "idle": self._idle,
        }  # fmt: skip

    @property
    def holder(self) -> str | None:
        """Return who holds the lease."""
        return None if self._holder is None else self._holder.who

    def handle(self, session: Session, request: messages.Message) -> messages.Message:
        """Carry out one request; what goes wrong is the reply `{"error": …}`."""
        self.heard += self._holder is session
        operation = self._operations.get(str(request.get("op")))
        if operation is None:
            return {"error": f"op is {request.get('op')!r}, must be one of: {', '.join(self._operations)}"}
        try:
            self._deliver(session, request.get("events", ()))
            return operation(session, request)
        except LabError as error:
            return {"error": str(error)}
        except _MALFORMED as error:
            return {"error": f"the request {request['op']!r} is malformed ({type(error).__name__}: {error})"}

    def leave(self, session: Session) -> None:
        """Let a connection go. A run that vanished with the lease leaves light on: the shutters close."""
        if self._holder is session:
            self._holder = None
            self.close_shutters()

    def dismiss(self, why: str) -> None:
        """Take the lease from the run that holds it, as if it had vanished; it is told when it speaks again."""
        session = self._holder
        if session is not None:
            session.dismissed = f"the timeline was taken from {session.who} and its shutters were closed: {why}"
            logger.warning("%s", session.dismissed)
            self.leave(session)

    def sync(self) -> None:
        """Let lab time reach what the run with the lease has reached: first thing of an instrument's request."""
        if self._told_mu > self._synced_mu:
            self._synced_mu = self._told_mu
            self.world.reach(max(self._told_mu, self.world.now_mu))

    def close_shutters(self) -> None:
        """Close the laser shutters at the present lab time, as the watchdog of a real lab does; what a run has sent for
        later does not open them again. Each step is taken whatever the others do; where lab time cannot pass any more
        (a drift out of range) the shutters are closed without it. Never raises.
        """
        went_well = [attempt("lab time, before the shutters close", self.sync),
                     attempt("later signals of the shutters", lambda: self.world.forget("shutter"))]  # fmt: skip
        went_well += [attempt(port, lambda port=port: self.world.output(port, "level")(self.world.now_mu, 0))  # type: ignore[misc]
                      for port in (f"{node}_shutter" for node in self.world.nodes)]  # fmt: skip
        if not all(went_well):
            attempt("shutters", self.world.shut)

    # -- what everybody may ask ----------------------------------------------------------------------------------------

    def _hello(self, _session: Session, _request: messages.Message) -> messages.Message:
        world = self.world
        return {"atomlink": atomlink.__version__, "pid": os.getpid(), "scenario": self.scenario,
                "seed": world.seed, "now_mu": world.now_mu, "lease": self.holder}  # fmt: skip

    # -- what the run with the lease may do ----------------------------------------------------------------------------

    def _lease(self, session: Session, request: messages.Message) -> messages.Message:
        if session.dismissed:
            raise DeviceError(f"{session.dismissed}; start it again")
        if self._holder not in (None, session):
            raise DeviceError(f"the lab is in use by {self.holder}: one run at a time drives the RTIO timeline; "
                              "wait for it, or stop it")
        self._holder, session.who = session, str(request["who"])[:LONGEST_NAME]
        return {"now_mu": self.world.now_mu}

    def _release(self, session: Session, _request: messages.Message) -> messages.Message:
        if self._holder is session:
            self._holder = None  # first, so that nothing that goes wrong keeps the timeline from others
            if not attempt("lab time at the end of a run", self.sync):
                self.close_shutters()
        return {}

    def _output(self, session: Session, request: messages.Message) -> messages.Message:
        port, kind = request["port"], request["kind"]
        if kind not in KINDS:
            raise DeviceError(f"kind is {str(kind)[:40]!r}, must be one of: {', '.join(KINDS)}")
        number = session.number(port, kind, session.sinks, lambda: (kind, self.world.output(port, kind)))
        return {"id": number, "spare": getattr(session.sinks[number][1], "spare", False)}

    def _input(self, session: Session, request: messages.Message) -> messages.Message:
        port = request["port"]
        return {"id": session.number(port, "clicks", session.inputs, lambda: self.world.clicks(port))}

    def _entangler(self, session: Session, request: messages.Message) -> messages.Message:
        port, kind = request["port"], "entangler"
        return {"id": session.number(port, kind, session.entanglers, lambda: self.world.output(port, kind))}

    def _camera(self, session: Session, request: messages.Message) -> messages.Message:
        port = request["port"]
        return {"id": session.number(port, "frames", session.frames, lambda: self.world.frames(port))}

    def _events(self, _session: Session, _request: messages.Message) -> messages.Message:
        return {}  # what came with the request was delivered before it

    def _idle(self, session: Session, request: messages.Message) -> messages.Message:
        """No kernel runs: what instruments are asked now, they are asked at the counter."""
        self._require(session)
        self._told_mu = max(self._told_mu, _time(request["counter_mu"]))
        return {}

    def _clicks(self, session: Session, request: messages.Message) -> messages.Message:
        self._require(session)
        start_mu, stop_mu = _time(request["start_mu"]), _time(request["stop_mu"])
        clicks = session.inputs[_number(request["id"])](start_mu, stop_mu)
        self.world.reach(stop_mu)
        return {"clicks": clicks}

    def _frames(self, session: Session, request: messages.Message) -> messages.Message:
        self._require(session)
        start_mu, stop_mu = _time(request["start_mu"]), _time(request["stop_mu"])
        frames = session.frames[_number(request["id"])](start_mu, stop_mu)
        self.world.reach(stop_mu)
        return {"frames": messages.packed(frames)}

    def _advance(self, session: Session, request: messages.Message) -> messages.Message:
        self._require(session)
        self.world.reach(_time(request["t_mu"]))
        return {}

    def _run_cycles(self, session: Session, request: messages.Message) -> messages.Message:
        self._require(session)
        entangler = session.entanglers[_number(request["id"])]
        start_mu, stop_mu = _time(request["start_mu"]), _time(request["stop_mu"])
        result = entangler.run(start_mu, stop_mu, messages.cycle(request["cycle"]))
        self.world.reach(result.t_end_mu)
        return {"result": result}

    def _run_beside(self, session: Session, request: messages.Message) -> messages.Message:
        self._require(session)
        spans = [Span(session.entanglers[_number(number)], _time(start_mu), _time(stop_mu), messages.cycle(cycle))
                 for number, start_mu, stop_mu, cycle in request["spans"]]  # fmt: skip
        if not spans or len({id(span.port) for span in spans}) < len(spans):
            raise ValueError(f"{len(spans)} spans, must be of different entanglers, at least one")
        results = spans[0].port.run_beside(spans)
        self.world.reach(max(result.t_end_mu for result in results))
        return {"results": results}

    def _deliver(self, session: Session, events: Iterable[tuple[int, int, Any]]) -> None:
        """Hand the events that came with a request to the world, in order."""
        for number, t_mu, value in events:
            self._require(session)
            kind, sink = session.sinks[_number(number)]
            sink(_time(t_mu), messages.signal(kind, value))

    def _require(self, session: Session) -> None:
        if session.dismissed:
            raise DeviceError(f"{session.dismissed}; start it again")
        if self._holder is not session:
            raise DeviceError(f"the RTIO timeline is held by {self.holder or 'nobody'}: ask for the lease first")


def _time(value: Any) -> int:
    if type(value) is not int:
        raise ValueError(f"time is {str(value)[:40]!r}, must be whole machine units")
    t_mu: int = value
    if not -LATEST_MU < t_mu < LATEST_MU:
        raise ValueError(f"time is {t_mu} mu, must be a 64-bit time stamp")
    return t_mu


def _number(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"id is {str(value)[:40]!r}, must be one that the lab gave")
    number: int = value
    return number


def _no_instrument(_request: messages.Message) -> messages.Message:
    raise DeviceError("this lab serves no instruments")
