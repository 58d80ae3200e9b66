"""The physical state of the simulated lab."""

from sim.world.scenario import Scenario, load_scenario, scenario_names
from sim.world.world import World

__all__ = ["Scenario", "World", "load_scenario", "scenario_names"]
