"""What the lab does with a run's requests; it knows no sockets.

One run at a time holds the *lease*: its output events and its questions move lab time. Everybody may ask who the lab is
and where its instruments are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import atomlink
from atomlink.errors import DeviceError, LabError
from sim.daemon import messages
from sim.world.world import World

KINDS = ("level", "tone", "voltage")  # what travels as events; docs/contracts.md, section 4
_SHUTTERS = ("alice_shutter", "bob_shutter")


@dataclass
class Session:
    """One connection: the ports it has asked for."""

    who: str = "somebody"
    sinks: list[tuple[str, Callable[[int, Any], None]]] = field(default_factory=list)
    inputs: list[Callable[[int, int], list[int]]] = field(default_factory=list)
    entanglers: list[Any] = field(default_factory=list)


class Service:
    """The lab's side of the connection. `scenario`: how the world's scenario is found (its name, or a path);
    `addresses`: where the instruments listen, by name.
    """

    def __init__(self, world: World, scenario: str) -> None:
        self.world, self.scenario = world, scenario
        self.addresses: dict[str, str] = {}
        self._holder: Session | None = None
        self._operations: dict[str, Callable[[Session, messages.Message], messages.Message]] = {
            "hello": self._hello, "addresses": lambda _session, _request: {"addresses": self.addresses},
            "lease": self._lease, "release": self._release, "output": self._output, "input": self._input,
            "entangler": self._entangler, "events": self._events, "clicks": self._clicks, "advance": self._advance,
            "run_cycles": self._run_cycles,
        }  # fmt: skip

    @property
    def holder(self) -> str | None:
        """Return who holds the lease."""
        return None if self._holder is None else self._holder.who

    def handle(self, session: Session, request: messages.Message) -> messages.Message:
        """Carry out one request; what goes wrong is the reply `{"error": …}`."""
        operation = self._operations.get(str(request.get("op")))
        if operation is None:
            return {"error": f"op is {request.get('op')!r}, must be one of: {', '.join(self._operations)}"}
        try:
            self._deliver(session, request.get("events", ()))
            return operation(session, request)
        except LabError as error:
            return {"error": str(error)}
        except (KeyError, TypeError, ValueError, IndexError) as error:
            return {"error": f"the request {request['op']!r} is malformed ({type(error).__name__}: {error})"}

    def leave(self, session: Session) -> None:
        """Let a connection go. A run that vanished with the lease leaves light on: the shutters close."""
        if self._holder is session:
            self.close_shutters()
            self._holder = None

    def close_shutters(self) -> None:
        """Close the laser shutters at the present lab time, as the watchdog of a real lab does."""
        for port in _SHUTTERS:
            self.world.output(port, "level")(self.world.now_mu, 0)

    # -- what everybody may ask ----------------------------------------------------------------------------------------

    def _hello(self, _session: Session, _request: messages.Message) -> messages.Message:
        world = self.world
        return {"atomlink": atomlink.__version__, "pid": os.getpid(), "scenario": self.scenario,
                "seed": world.seed, "now_mu": world.now_mu, "lease": self.holder}  # fmt: skip

    # -- what the run with the lease may do ----------------------------------------------------------------------------

    def _lease(self, session: Session, request: messages.Message) -> messages.Message:
        if self._holder not in (None, session):
            raise DeviceError(f"the lab is in use by {self.holder}: one run at a time drives the RTIO timeline; "
                              "wait for it, or stop it")
        self._holder, session.who = session, str(request["who"])
        return {"now_mu": self.world.now_mu}

    def _release(self, session: Session, _request: messages.Message) -> messages.Message:
        if self._holder is session:
                self._holder = None
        return {}

    def _output(self, session: Session, request: messages.Message) -> messages.Message:
        port, kind = str(request["port"]), request["kind"]
        if kind not in KINDS:
            raise DeviceError(f"kind is {kind!r}, must be one of: {', '.join(KINDS)}")
        sink = self.world.output(port, kind)
        session.sinks.append((kind, sink))
        return {"id": len(session.sinks) - 1, "spare": getattr(sink, "spare", False)}

    def _input(self, session: Session, request: messages.Message) -> messages.Message:
        session.inputs.append(self.world.clicks(str(request["port"])))
        return {"id": len(session.inputs) - 1}

    def _entangler(self, session: Session, request: messages.Message) -> messages.Message:
        session.entanglers.append(self.world.output(str(request["port"]), "entangler"))
        return {"id": len(session.entanglers) - 1}

    def _events(self, _session: Session, _request: messages.Message) -> messages.Message:
        return {}  # what came with the request was delivered before it

    def _clicks(self, session: Session, request: messages.Message) -> messages.Message:
        self._require(session)
        start_mu, stop_mu = int(request["start_mu"]), int(request["stop_mu"])
        clicks = session.inputs[request["id"]](start_mu, stop_mu)
        self.world.reach(stop_mu)
        return {"clicks": clicks}

    def _advance(self, session: Session, request: messages.Message) -> messages.Message:
        self._require(session)
        self.world.reach(int(request["t_mu"]))
        return {}

    def _run_cycles(self, session: Session, request: messages.Message) -> messages.Message:
        self._require(session)
        entangler = session.entanglers[request["id"]]
        result = entangler.run(int(request["start_mu"]), int(request["stop_mu"]), messages.cycle(request["cycle"]))
        self.world.reach(result.t_end_mu)
        return {"result": result}

    def _deliver(self, session: Session, events: Iterable[tuple[int, int, Any]]) -> None:
        """Hand the events that came with a request to the world, in order."""
        for number, t_mu, value in events:
            self._require(session)
            kind, sink = session.sinks[number]
            sink(int(t_mu), messages.signal(kind, value))

    def _require(self, session: Session) -> None:
        if self._holder is not session:
            raise DeviceError(f"the RTIO timeline is held by {self.holder or 'nobody'}: ask for the lease first")
