"""The calibration graph of the lab: one node for each experiment that sets beliefs, or that watches over the result.

A node names what must be right before it can be measured. Time-outs say how long a calibration is trusted, tolerances
by how much a belief may be off before the link notices.
"""

from experiments.calibration.graph import Node

NODES = (
    Node(
        "microwave_rabi",
        "atoms.microwave_rabi:MicrowaveRabi",
        timeout_s=6 * 3600.0,  # the amplitude of a microwave source drifts by per cents in a day
        check={"shots": 25},
        measure={"shots": 60, "refine": 6},
        # 5 % of the pulse area cost 0.6 % of a map
        tolerances={"param.alice.t_mw_pi_s": 0.5e-6, "param.bob.t_mw_pi_s": 0.5e-6},
    ),
)
