"""The hidden truth of a simulated lab: what a scenario file says, and what drifts and instruments make of it."""

from sim.world.scenario.loader import DETECTORS, FOLDER, NODES, PAIR, load_scenario, scenario_names
from sim.world.scenario.paths import ROLES
from sim.world.scenario.truth import NodeTruth, Scenario, StationTruth

__all__ = ["DETECTORS", "FOLDER", "NODES", "PAIR", "ROLES", "NodeTruth", "Scenario", "StationTruth", "load_scenario",
           "scenario_names"]  # fmt: skip
