"""The physical state of the simulated lab, in rooms; each may use those below it, none those beside or above.

    world.py     the lab: what acts when, and the cables of the bus
    elements     what is not on the bus: lasers, locks, switches, electronics
    network      nodes, stations where their light meets, attempts, wiring
    atoms        all atoms of a node: labels, quantum states, light, traps, moving tweezers, camera
    detectors    photon counters
    scenario     the hidden truth, and what drifts and instruments make of it
    ports        kinds of photon ports: pulse and atom in, photon out
"""

from sim.world.scenario import Scenario, load_scenario, scenario_names
from sim.world.world import World

__all__ = ["Scenario", "World", "load_scenario", "scenario_names"]
