"""The ways of light that links need: which terminals of which fibre switch are to be connected.

Refused before anything moves: links of which one would take the way of another, and a way that no switch can make.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from atomlink.errors import UsageError
from atomlink.topology import ChannelSpec, LinkSpec, Topology


class Connection(NamedTuple):
    """One connection of a switch, by its row: terminal `source`, where the port ends, to `sink`, the input's."""

    switch: str
    port: str
    end: str
    source: int
    sink: int


def connections(topology: Topology, links: Sequence[LinkSpec]) -> tuple[Connection, ...]:
    """Return what the switches must connect so that all these links have their ways; UsageError if they cannot."""
    taken: dict[str, tuple[ChannelSpec, LinkSpec]] = {}
    for link in links:
        for channel in _channels(topology, link):
            for place in (channel.port, channel.end):
                other, before = taken.setdefault(place, (channel, link))
                if other != channel:
                    raise UsageError(
                        f"Links {before.name} and {link.name} cannot have their ways at once: {place} would lead to "
                        f"{other.end if place == channel.port else other.port} and to "
                        f"{channel.end if place == channel.port else channel.port}; take them in turns."
                    )
    ways = dict.fromkeys(channel for channel, _ in taken.values() if channel.switch)
    return tuple(_connection(topology, channel) for channel in ways)


def connection(topology: Topology, port: str, end: str) -> Connection:
    """Return what leads a port ("node.port") to an input ("station.input"); UsageError where no switch can."""
    for channel in topology.channels_of(port):
        if channel.end == end and channel.switch:
            return _connection(topology, channel)
    can = [channel.end for channel in topology.channels_of(port) if channel.switch]
    raise UsageError(f"No switch can lead port {port} to {end}, only to {', '.join(can) or 'nothing'}: choose one of "
                     "these, or cable it and name the way in network.stations and network.switches.")  # fmt: skip


def watched(topology: Topology, link: LinkSpec, switch: str, first_sink: int) -> dict[int, int]:
    """Return what a switch must connect for a link, source: sink. Where no topology names terminals, the lab's ports
    are at 1, 2, … and the inputs of its stations at `first_sink`, `first_sink` + 1, …
    """
    if topology.switches:
        return {each.source: each.sink for each in connections(topology, [link]) if each.switch == switch}
    ends = [f"{station.name}.{end}" for station in topology.stations for end in station.inputs]
    return {topology.ports.index(channel.port) + 1: ends.index(channel.end) + first_sink
            for channel in _channels(topology, link)}  # fmt: skip


def _channels(topology: Topology, link: LinkSpec) -> list[ChannelSpec]:
    inputs = topology.station(link.station).inputs
    wanted = {(port.key, f"{link.station}.{end}") for port, end in zip(link.ports, inputs, strict=True)}
    return [channel for channel in topology.channels if (channel.port, channel.end) in wanted]


def _connection(topology: Topology, channel: ChannelSpec) -> Connection:
    switch = next(switch for switch in topology.switches if switch.name == channel.switch)
    source, sink = dict(switch.sources)[channel.port], dict(switch.sinks)[channel.end]
    return Connection(switch.name, channel.port, channel.end, source, sink)
