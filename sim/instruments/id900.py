"""Twin of the ID900: SCPI text, the data link's text and JSON, and tags as blocks of 64-bit numbers.

A request is a command (text); ("link", text) for the data link; or ("stream", port) for the tags that a client at a
stream's port gets: a list of messages, empty ones where a recording has ended. Short and long forms, either case, a
leading colon, units behind numbers and commands joined by `;` are taken as by SCPI instruments; every command is
answered, those that succeed with OK. Unlike the instrument, which sends tags when its buffers are full or the recording
is over, this one sends whatever has come when the stream is looked at. Of the combiners TSCO it knows what lets one
input through (ONLYFIR outside and inside) and what counts one input within windows that another opens.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from drivers.instruments.id900 import STREAM_PORT
from drivers.instruments.transport import NoReplyError
from sim.instruments.data_link import DataLink
from sim.instruments.scpi import MESSAGES, ScpiError, boolean, number
from sim.world.elements.tagger import INPUTS, RESOLUTION_PS, Coincidences

from .twin import Handle
from .twin import Twin as Base

COMBINERS = 8
LONGEST_REQUEST = 10_000  # characters
THRESHOLD_V, LONGEST_DELAY_PS = 1.0, 10**12
_TIME = {"TB": 1.0, "KTB": 1e3, "MTB": 1e6, "GTB": 1e9, "PS": 1.0, "NS": 1e3, "US": 1e6, "MS": 1e9, "S": 1e12}
_VOLT = {"V": 1.0, "MV": 1e-3}
_HEADER = re.compile(r"^(:?)(\*?[A-Za-z][A-Za-z0-9:]*)(\??)(?:\s+(\S.*))?$")
_NODE = re.compile(r"^(\*?[A-Z]+)([0-9]{0,4})$")
_BLOCKS = {"INPU": INPUTS, "RAW": INPUTS, "TSCO": COMBINERS}
_OPERATIONS = ("ONLYFIR", "ONLYSEC", "OR", "MUTE")
Handler = Callable[..., str | None]


class Twin(Base):
    """One ID900; `element` is the tagger."""

    identity = "ID Quantique,ID900,TWIN,1.0"

    def __init__(self, element: Any, rng: np.random.Generator) -> None:
        super().__init__(element, rng)
        self._set: dict[str, str] = {}  # settings that only the front panel keeps, by full header
        self._sending = [False] * INPUTS
        self._link = DataLink(element, self._sent_input)
        self._duration_ps: int | None = None
        self._handlers = _handlers(self)

    def handle(self, request: Any) -> Any:
        """Return the answer to a command or a data link's request, or the messages of a stream."""
        if isinstance(request, str):
            return self._command(request)
        if isinstance(request, tuple) and len(request) == 2:
            if request[0] == "link" and isinstance(request[1], str):
                return self._link.answer(request[1])
            if request[0] == "stream" and isinstance(request[1], int):
                return self._link.messages(request[1])
        return "SCPI_ERR_SYNTAX"

    def in_process(self, handle: Handle) -> Any:
        """Return the driver's transport."""
        return InProcess(handle)

    # -- commands ------------------------------------------------------------------------------------------------------

    def _command(self, request: str) -> str:
        if len(request) > LONGEST_REQUEST:
            return "SCPI_ERR_INPUT_BUFFER_OVERRUN"
        answers, path = [], ""
        for part in request.split(";"):
            try:
                answer, path = self._one(part.strip(), path)
            except ScpiError as error:
                text = MESSAGES.get(error.number, "Device specific error").upper().replace(" ", "_")
                answer = f"SCPI_ERR_{text}" + (f" {error.detail}" if error.detail else "")
            answers.append(answer)
        return ";".join(answers)

    def _one(self, text: str, path: str) -> tuple[str, str]:
        """Carry out one command; it continues at the path of the one before unless it begins with a colon."""
        match = _HEADER.match(text)
        if match is None:
            raise ScpiError(-102, text[:40])
        header = match[2].upper()
        absolute = match[1] or header.startswith("*") or not path
        for full in [header] if absolute else [f"{path}:{header}", header]:
            found, block = self._find(full, match[3])
            if found is not None:
                below = full.rpartition(":")[0]
                return self._obey(found, block, match[4]), path if header.startswith("*") else below
        raise ScpiError(-113, text[:40])

    def _find(self, header: str, query: str) -> tuple[Handler | None, tuple[str, ...]]:
        nodes, numbers = [], []
        for node in header.split(":"):
            match = _NODE.match(node)
            if match is None:
                return None, ()
            nodes.append(match[1])
            numbers += [match[2]] if match[2] else []
        handler = self._handlers.get(":".join(nodes) + query)
        top = _BLOCKS.get(nodes[0][:4].rstrip("1234"), 0)
        if handler is None or len(numbers) != (1 if top else 0) or numbers and not 1 <= int(numbers[0]) <= top:
            return None, ()
        return handler, tuple(numbers)

    @staticmethod
    def _obey(handler: Handler, block: tuple[str, ...], argument: str | None) -> str:
        needs = getattr(handler, "needs", 0)
        if argument is None and needs:
            raise ScpiError(-109)
        if argument is not None and not needs:
            raise ScpiError(-108, argument[:40])
        answer = handler(*(int(n) for n in block), *([argument] if argument is not None else []))
        return "OK" if answer is None else answer

    # -- what commands do ----------------------------------------------------------------------------------------------

    def set_enabled(self, n: int, text: str) -> None:
        """Switch an input on or off."""
        self.element.take_in()
        self.element.inputs[n - 1].enabled = boolean(text)

    def set_threshold(self, n: int, text: str) -> None:
        """Set an input's threshold."""
        self.element.take_in()
        self.element.inputs[n - 1].threshold_v = number(text, _VOLT, -THRESHOLD_V, THRESHOLD_V)

    def set_delay(self, n: int, text: str) -> None:
        """Set an input's delay."""
        self.element.take_in()
        self.element.inputs[n - 1].delay_ps = round(number(text, _TIME, 0, LONGEST_DELAY_PS))

    def reset_counts(self, n: int) -> None:
        """Let an input count from 0."""
        self.element.take_in()
        self.element.inputs[n - 1].counts = 0

    def counts(self, n: int) -> str:
        """Return an input's count."""
        self.element.take_in()
        return str(self.element.inputs[n - 1].counts)

    def put(self, key: str, choices: tuple[str, ...], text: str) -> None:
        """Keep a setting that is one of several words."""
        word = next((choice for choice in choices if text.upper() in (choice, choice[:4])), None)
        if word is None:
            raise ScpiError(-224, text[:40])
        self._set[key] = word
        if key.startswith("TSCO"):
            self._combine(key.partition(":")[0])
        self._record()

    def put_time(self, key: str, text: str) -> None:
        """Keep a setting that is a time."""
        self._set[key] = str(round(number(text, _TIME, 0, LONGEST_DELAY_PS)))
        self._combine(key.partition(":")[0])

    def setting(self, key: str, default: str) -> str:
        """Return a setting."""
        return self._set.get(key, default)

    def combined(self, n: int) -> str:
        """Return a combiner's count."""
        self.element.take_in()
        combiner = self.element.combiners.get(f"TSCO{n}")
        return str(combiner.counts if combiner is not None else 0)

    def reset_combiner(self, n: int) -> None:
        """Let a combiner count from 0."""
        self.element.take_in()
        if f"TSCO{n}" in self.element.combiners:
            self.element.combiners[f"TSCO{n}"].counts = 0

    def send(self, n: int, text: str) -> None:
        """Let the tags of a recorder go to the data link, or not."""
        self._sending[n - 1] = boolean(text)
        self._record()

    def sending(self, n: int) -> str:
        """Return whether they go."""
        return "ON" if self._sending[n - 1] else "OFF"

    def lost(self, n: int) -> str:
        """Return how often tags of a recorder were lost."""
        self.element.take_in()
        source = self._source(n)
        return str(self.element.inputs[source].lost if source is not None else 0)

    def clear_lost(self, n: int) -> None:
        """Forget how often."""
        source = self._source(n)
        if source is not None:
            self.element.inputs[source].lost = 0

    def set_duration(self, text: str) -> None:
        """Set how long a recording lasts; INF: until it is stopped."""
        infinite = text.upper() in ("INF", "INFINITY")
        self._duration_ps = None if infinite else round(number(text, _TIME, 1, 1e18))

    def duration(self) -> str:
        """Return how long a recording lasts."""
        return "INF" if self._duration_ps is None else f"{self._duration_ps}TB"

    def play(self) -> None:
        """Start a recording."""
        if self.setting("REC:ENAB", "OFF") != "ON":
            raise ScpiError(-221, "RECord is disabled")
        self.element.play(self._duration_ps)
        self._link.begin()

    def _combine(self, name: str) -> None:
        """Make the counter of a combiner anew from its settings; None unless it counts windows."""
        first, second = self._link_of(f"{name}:WIND:BEGI:LINK"), self._link_of(f"{name}:SEC:LINK")
        delay, end = (int(self.setting(f"{name}:WIND:{what}:DELA", "0")) for what in ("BEGI", "END"))
        wanted = (self.setting(f"{name}:WIND:ENAB", "OFF"), self.setting(f"{name}:OPIN", ""),
                  self.setting(f"{name}:OPOU", "")) == ("ON", "ONLYSEC", "MUTE")  # fmt: skip
        same = first == self._link_of(f"{name}:WIND:END:LINK")
        self.element.take_in()
        self.element.combiners.pop(name, None)
        if wanted and same and first is not None and second is not None and delay == 0 and end > 0:
            self.element.combiners[name] = Coincidences(first, second, end)

    def _sent_input(self, n: int) -> int | None:
        """Return the input whose tags a recorder sends."""
        return self._source(n) if self._sending[n - 1] else None

    def _record(self) -> None:
        """Have the tagger keep the tags of those inputs that are sent."""
        self.element.take_in()
        sent = {self._sent_input(n) for n in range(1, INPUTS + 1)}
        for k, one in enumerate(self.element.inputs):
            one.streamed = k in sent

    def _link_of(self, key: str) -> int | None:
        word = self._set.get(key, "NONE")
        return int(word[4:]) - 1 if word.startswith("INPU") else None

    def _source(self, n: int) -> int | None:
        """Return the input that a recorder records: through a combiner that lets it pass."""
        combiner = self._set.get(f"RAW{n}:STOP:LINK", f"TSCO{n}")
        if self._set.get(f"{combiner}:OPIN") != "ONLYFIR" or self._set.get(f"{combiner}:WIND:ENAB", "OFF") != "OFF":
            return None
        return self._link_of(f"{combiner}:FIR:LINK")


class InProcess:
    """The driver's transport when twin and driver are one process."""

    host, stream_port = "localhost", STREAM_PORT

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def query(self, text: str) -> str:
        """Send a command and return its answer."""
        return str(self._handle(text))

    def link(self, text: str) -> str:
        """Send a request to the data link and return its answer."""
        return str(self._handle(("link", text)))

    def stream(self, port: int, wait: bool) -> list[bytes]:
        """Return the messages of a stream."""
        messages: list[bytes] = self._handle(("stream", port))
        if wait and not messages:
            raise NoReplyError(f"The stream at port {port} has nothing more to say.")
        return messages

    def clear(self) -> None:
        """Do nothing: no answer comes late."""

    def reopen(self) -> None:
        """Do nothing: there is no connection."""

    def close(self) -> None:
        """Do nothing: there is no connection."""


def _handlers(twin: Twin) -> dict[str, Handler]:
    """Return the commands by every spelling of their header, without numbers; those with `needs` take an argument."""
    one, sources = tuple(f"INPU{n}" for n in range(1, INPUTS + 1)), tuple(f"TSCO{n}" for n in range(1, COMBINERS + 1))
    choices = {
        "INPUt:EDGE": (("RISING", "FALLING"), "RISING"), "INPUt:COUPling": (("DC", "AC"), "DC"),
        "INPUt:MODE": (("ACCUM", "CYCLE"), "ACCUM"), "TSCO:FIRst:LINK": ((*one, "NONE"), "NONE"),
        "TSCO:SECond:LINK": ((*one, "NONE"), "NONE"), "TSCO:OPIN": (_OPERATIONS, "MUTE"),
        "TSCO:OPOUt": (_OPERATIONS, "MUTE"), "TSCO:WINDow:ENABle": (("ON", "OFF"), "OFF"),
        "TSCO:WINDow:BEGIn:LINK": ((*one, "NONE"), "NONE"), "TSCO:WINDow:END:LINK": ((*one, "NONE"), "NONE"),
        "TSCO:COUNter:MODE": (("ACCUM", "CYCLE"), "ACCUM"), "RAW:STOP:LINK": ((*sources, "NONE"), "NONE"),
        "RAW:REF:LINK": (("NONE",), "NONE"), "RECord:TRIGger:ARM:MODE": (("MANUAL",), "MANUAL"),
        "RECord:ENABle": (("ON", "OFF"), "OFF"), "RECord:NUMber": (("1",), "1"),
    }  # fmt: skip
    element = twin.element
    table: dict[str, tuple[Handler | None, Handler | None]] = {
        "*IDN": (None, lambda: twin.identity), "*OPC": (lambda: None, lambda: "1"), "*CLS": (lambda: None, None),
        "INPUt:ENABle": (twin.set_enabled, lambda n: "ON" if element.inputs[n - 1].enabled else "OFF"),
        "INPUt:THREshold": (twin.set_threshold, lambda n: f"{element.inputs[n - 1].threshold_v:.4f}V"),
        "INPUt:DELAy": (twin.set_delay, lambda n: f"{element.inputs[n - 1].delay_ps}TB"),
        "INPUt:RESEt": (twin.reset_counts, None), "INPUt:COUNter": (None, twin.counts),
        "TSCO:COUNter": (None, twin.combined), "TSCO:COUNter:RESEt": (twin.reset_combiner, None),
        "RAW:SEND": (twin.send, twin.sending), "RAW:ERRORS": (None, twin.lost),
        "RAW:ERRORS:CLEAR": (twin.clear_lost, None),
        "RECord:DURation": (twin.set_duration, twin.duration), "RECord:PLAY": (twin.play, None),
        "RECord:STOP": (element.stop, None),
        "RECord:STAGe": (None, lambda: "PLAYING" if element.recording else "STOPPED"),
        "DEVIce:RESolution:BWIDth": (None, lambda: f"{RESOLUTION_PS}TB"),
    }  # fmt: skip
    for pattern, (words, default) in choices.items():
        table[pattern] = _choice(twin, pattern, words, default)
    for pattern in ("TSCO:WINDow:BEGIn:DELAy", "TSCO:WINDow:END:DELAy"):
        table[pattern] = _time(twin, pattern)
    arguments = {twin.set_enabled, twin.set_threshold, twin.set_delay, twin.send, twin.set_duration}
    found: dict[str, Handler] = {}
    for pattern, (change, ask) in table.items():
        for form in _forms(pattern):
            if change is not None:
                found[form] = _Needs(change) if change in arguments or hasattr(change, "needs") else change
            if ask is not None:
                found[form + "?"] = ask
    return found


class _Needs:
    """A handler that takes an argument."""

    needs = 1

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def __call__(self, *arguments: Any) -> str | None:
        return self._handler(*arguments)


def _choice(twin: Twin, pattern: str, words: tuple[str, ...], default: str) -> tuple[Handler, Handler]:
    def key(block: tuple[Any, ...]) -> str:
        return _key(pattern, block)

    return (_Needs(lambda *given: twin.put(key(given[:-1]), words, given[-1])),
            lambda *block: twin.setting(key(block), default))  # fmt: skip


def _time(twin: Twin, pattern: str) -> tuple[Handler, Handler]:
    return (_Needs(lambda *given: twin.put_time(_key(pattern, given[:-1]), given[-1])),
            lambda *block: twin.setting(_key(pattern, block), "0") + "TB")  # fmt: skip


def _key(pattern: str, block: tuple[Any, ...]) -> str:
    """Return the full header of a setting in short form, with the block's number behind its first node."""
    first, *rest = (re.sub("[a-z]", "", node) for node in pattern.split(":"))
    return ":".join([first + "".join(str(n) for n in block), *rest])


def _forms(pattern: str) -> list[str]:
    choices = [sorted({re.sub("[a-z]", "", node), node.upper()}) for node in pattern.split(":")]
    return [":".join(nodes) for nodes in itertools.product(*choices)]
