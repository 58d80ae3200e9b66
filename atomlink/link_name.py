"""What a link is called: "alice-bob@midpoint", and what its beliefs are."""

from __future__ import annotations

from dataclasses import dataclass

from atomlink.errors import UsageError


@dataclass(frozen=True)
class LinkName:
    """What a link is called, and what its beliefs are: "alice-bob@midpoint", the first input's end first.

    An end is called as its node, or "node.port" where the node has several ports.
    """

    ends: tuple[str, str]
    station: str

    @classmethod
    def parse(cls, text: str) -> LinkName:
        """Read "alice-bob@midpoint"; UsageError for anything else."""
        ends, _, station = text.partition("@")
        names = ends.split("-")
        if len(names) != 2 or not all(names) or not station:
            raise UsageError(f"Link {text!r} must be two ends and a station, such as alice-bob@midpoint.")
        return cls((names[0], names[1]), station)

    @property
    def name(self) -> str:
        """Return "alice-bob@midpoint"."""
        return f"{self.ends[0]}-{self.ends[1]}@{self.station}"

    @property
    def nodes(self) -> tuple[str, str]:
        """Return the names of both ends' nodes."""
        first, second = (end.partition(".")[0] for end in self.ends)
        return first, second

    def of_station(self, key: str) -> str:
        """Return the name of a parameter of the station."""
        return of_station(self.station, key)

    def of_channel(self, end: int, key: str) -> str:
        """Return the name of a parameter of the way from one end (0 or 1) to the station."""
        return f"param.{self.ends[end]}.{self.station}.{key}"

    def of_pairs(self, key: str) -> str:
        """Return the name of a parameter of the link's pairs."""
        return f"param.{self.ends[0]}-{self.ends[1]}.{self.station}.{key}"


def of_station(station: str, key: str) -> str:
    """Return the name of a parameter of a station."""
    return f"param.{station}.{key}"
