"""A second port in the gate zone: the node's microwave and the first port's light meet its atom once."""

import math

import numpy as np
import pytest

from sim.world import World, load_scenario


@pytest.mark.parametrize("hidden", [True, False])
def test_a_microwave_pi_pulse_is_one_at_a_port_in_the_zone(hidden: bool) -> None:
    """|1> goes to |2>; twice the pulse would bring it back. The noise of the pulse's area is 1 %: 0.3 % at 4 sigma."""
    node = World(load_scenario("repeater"), 1).nodes["charlie"]
    east = node.ports["east"].site
    assert node.tweezers is not None and node.gate is not None and east in node.gate.sites
    node.tweezers.hidden = hidden
    part = node.register.alone(east, 1, 0)
    node.switch_microwave(0, True)
    node.evolve(round(math.pi / node.truth.microwave.rabi_rad_s * 1e9))
    assert part.populations()[2] > 0.995, np.round(part.populations(), 3)
