"""A PyVISA backend whose resources are twins in the same process.

`ResourceManager("PATH@atomlink")` opens the resources that were registered under PATH; PyVISA keeps one library per
path, so that two labs in one process need two paths. A reply that does not come is a time-out at once: the twin has
answered, or never will. Source: VPP-4.3.2 (VISA library), and PyVISA's guide to writing a backend.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

from pyvisa import attributes, rname
from pyvisa.constants import StatusCode
from pyvisa.highlevel import VisaLibraryBase
from pyvisa.util import LibraryPath


class Served(NamedTuple):
    """A twin as VISA sees it: requests and replies are text without their endings."""

    handle: Callable[[str], str | None]
    request_ending: bytes
    ending: bytes


_labs: dict[str, dict[str, Served]] = {}
_READ = StatusCode.success_termination_character_read
_PART = StatusCode.success_max_count_read
_DONE = StatusCode.success


def register(path: str, resource: str, served: Served) -> None:
    """Offer a twin as a resource of `ResourceManager("PATH@atomlink")`."""
    _labs.setdefault(path, {})[rname.to_canonical_name(resource)] = served


def forget(path: str) -> None:
    """Close a lab: its resources are gone."""
    _labs.pop(path, None)


class Session:
    """One open resource: its attributes, half a request, and the replies that nobody has read yet."""

    def __init__(self, served: Served, resource: str) -> None:
        self.served = served
        self.attributes: dict[int, Any] = {}
        self.request = b""
        self.replies: deque[bytes] = deque()
        self.resource = resource

    def unread(self) -> bytes:
        """Return the replies that nobody has read yet."""
        return b"".join(self.replies)


class TwinLibrary(VisaLibraryBase):
    """VISA calls on twins; what a twin has no use for (events, triggers, locks) is PyVISA's default, an error."""

    def _init(self) -> None:
        self._sessions: dict[int, Session | None] = {}
        self._numbers = itertools.count(1)

    @staticmethod
    def get_library_paths() -> tuple[LibraryPath, ...]:
        """Return the path that `ResourceManager("@atomlink")` takes."""
        return (LibraryPath("lab"),)

    @staticmethod
    def get_debug_info() -> dict[str, Any]:
        """Return what `pyvisa-info` prints."""
        return {"Resources": [f"{path}: {name}" for path, lab in _labs.items() for name in lab]}

    def open_default_resource_manager(self) -> tuple[Any, StatusCode]:
        """Open the library."""
        return self._add(None), _DONE

    def list_resources(self, session: Any, query: str = "?*::INSTR") -> tuple[str, ...]:
        """Return the resources that match a VISA query."""
        return tuple(rname.filter(sorted(self._lab), query))

    def open(self, session: Any, resource_name: str, access_mode: Any = 0, open_timeout: Any = 0) -> Any:
        """Open a resource; VisaIOError if the lab has none of this name."""
        try:
            name = rname.to_canonical_name(resource_name)
        except rname.InvalidResourceName:
            return 0, self.handle_return_value(None, StatusCode.error_invalid_resource_name)
        if name not in self._lab:
            return 0, self.handle_return_value(None, StatusCode.error_resource_not_found)
        return self._add(Session(self._lab[name], name)), _DONE

    def close(self, session: Any) -> StatusCode:
        """Close a resource or the library."""
        self._sessions.pop(session, None)
        return self.handle_return_value(None, _DONE)

    def write(self, session: Any, data: bytes) -> tuple[int, StatusCode]:
        """Hand every complete request to the twin."""
        found = self._sessions.get(session) or self._missing()
        handle, request_ending, ending = found.served
        *requests, found.request = (found.request + data if found.request else data).split(request_ending)
        for request in requests:
            reply = handle(request.decode("latin-1"))
            if reply is not None:
                found.replies.append(reply.encode("latin-1") + ending)
        return len(data), _DONE

    def read(self, session: Any, count: int) -> tuple[bytes, StatusCode]:
        """Return the next reply, or as much of it as was asked for."""
        replies = (self._sessions.get(session) or self._missing()).replies
        if not replies:
            return b"", self.handle_return_value(session, StatusCode.error_timeout)
        reply = replies.popleft()
        if len(reply) <= count:
            return reply, _READ
        replies.appendleft(reply[count:])
        return reply[:count], _PART

    def clear(self, session: Any) -> StatusCode:
        """Drop what is half said."""
        found = self._sessions.get(session) or self._missing()
        found.request = b""
        found.replies.clear()
        return _DONE

    def flush(self, session: Any, mask: Any) -> StatusCode:
        """Drop the buffers."""
        return self.clear(session)

    def get_attribute(self, session: Any, attribute: Any) -> tuple[Any, StatusCode]:
        """Return an attribute: what was set, else VISA's default."""
        found = self._sessions.get(session)
        known = attributes.AttributesByID.get(attribute)
        if known is None:
            return None, self.handle_return_value(session, StatusCode.error_nonsupported_attribute)
        if found is None:
            return known.default, _DONE
        return found.attributes.get(attribute, known.default), _DONE

    def set_attribute(self, session: Any, attribute: Any, attribute_state: Any) -> StatusCode:
        """Remember an attribute: time-outs, baud rates and terminators change nothing without a wire."""
        (self._sessions.get(session) or self._missing()).attributes[attribute] = attribute_state
        return _DONE

    def disable_event(self, session: Any, event_type: Any, mechanism: Any) -> StatusCode:
        """Do nothing: no resource has events."""
        return _DONE

    def discard_events(self, session: Any, event_type: Any, mechanism: Any) -> StatusCode:
        """Do nothing: no resource has events."""
        return _DONE

    @property
    def sessions(self) -> dict[int, Session | None]:
        """Return what is open, by number, as pyvisa-py does."""
        return self._sessions

    @property
    def _lab(self) -> dict[str, Served]:
        return _labs.get(str(self.library_path), {})

    def _add(self, session: Session | None) -> int:
        number = next(self._numbers)
        self._sessions[number] = session
        return number

    def _missing(self) -> NoReturn:
        self.handle_return_value(None, StatusCode.error_invalid_object)
        raise AssertionError("handle_return_value() raises for an error status")
