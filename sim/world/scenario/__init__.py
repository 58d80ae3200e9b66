"""The hidden truth of a simulated lab: what a scenario file says, and what drifts and instruments make of it."""

from sim.world.scenario.loader import FOLDER, load_scenario, scenario_names
from sim.world.scenario.paths import DETECTORS, NODES, ROLES
from sim.world.scenario.truth import MidpointTruth, NodeTruth, Scenario

__all__ = ["DETECTORS", "FOLDER", "NODES", "ROLES", "MidpointTruth", "NodeTruth", "Scenario", "load_scenario",
           "scenario_names"]  # fmt: skip
