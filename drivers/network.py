"""The lab's network, as its row `network` of the device database says: what is connected to what.

    topology = network.topology(experiment)        # in `build`, also while arguments are examined
"""

from typing import Any

from atomlink.topology import Topology


class Network:
    """The device of the row `network`; its arguments are those of `atomlink.topology`."""

    def __init__(self, _dmgr: Any, **arguments: Any) -> None:
        self.topology = Topology.from_arguments(arguments)


def topology(experiment: Any) -> Topology:
    """Return what an experiment's (any HasEnvironment's) device database says of the network."""
    return Topology.from_device_db(experiment.get_device_db())
