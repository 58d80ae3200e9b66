"""Rows about one node: photon extraction (V11), Rydberg gates (V17, V18); and the teleported gate's ceiling (V16)."""

from __future__ import annotations

import math

import numpy as np

from sim.physics.cavity import CavityPort, adiabatic_efficiency, fast_efficiency
from sim.physics.rydberg import Gate, cz, infidelity, mean_rydberg_time, state, time_optimal, two_pulse
from sim.validation.outcome import BOUND_HOLDS, FITTED, NOT_PREDICTED, Finding, Outcome, judged
from sim.validation.table import Row


def ritter2012(row: Row, rng: np.random.Generator) -> Outcome:
    """V11: the closed forms that `cavity.emit` is tested against, with kappa_in = 0."""
    g, kappa, gamma = (2 * math.pi * row.given(f"{name}_over_2pi") for name in ("g", "kappa", "gamma"))
    port = CavityPort(g, kappa, 0.0, gamma)
    values = {"cooperativity": (port.cooperativity, 0.005),
              "adiabatic_efficiency_without_escape": (adiabatic_efficiency(port), 0.0005),
              "fast_excitation_efficiency_without_escape": (fast_efficiency(port), 0.0005)}
    findings = tuple(judged(row.output(name), value, 0.0, rounding=rounding)
                     for name, (value, rounding) in values.items())
    return Outcome(row, findings, "nothing", "sim.physics.cavity, closed forms")


def evered2023(row: Row, rng: np.random.Generator) -> Outcome:
    """V17: integrate the time-optimal gate; the published fidelity holds more errors than the table lists."""
    pulse = time_optimal(row.given("omega_times_T"), row.given("phase_amplitude"),
                         row.given("phase_frequency_over_omega"), row.given("phase_offset"))
    gate = cz(pulse)
    ideal, decay = infidelity(gate), _decay(gate, 2 * math.pi * row.given("omega_over_2pi"))
    remark = (f"decay of 53S (72.6 us) alone costs {decay:.2e}, the table's 1.2e-3 means 85 us; laser noise, "
              "scattering and temperature are not in the table")
    return Outcome(row, (
        judged(row.output("unitary_infidelity_at_infinite_blockade"), ideal, 0.0, rounding=0.5e-6),
        Finding(row.output("cz_fidelity_published"), 1 - ideal - decay, 0.0, NOT_PREDICTED, remark),
    ), "nothing", f"sim.physics.rydberg, Schroedinger equation; Omega T_R = {mean_rydberg_time(gate):.3f} (2.94)")


def levine2019(row: Row, rng: np.random.Generator) -> Outcome:
    """V18: integrate the two-pulse gate."""
    gate = cz(two_pulse(row.given("omega_times_tau"), row.given("detuning_over_omega"), row.given("phase_jump")))
    ideal = infidelity(gate)
    bound = row.output("unitary_infidelity_at_infinite_blockade")
    below = (Finding(bound, ideal, 0.0, BOUND_HOLDS) if ideal <= row.published(bound.name)
             else judged(bound, ideal, 0.0))
    remark = "upper limit: Rabi frequency, temperature and laser noise of the experiment are not in the table"
    return Outcome(row, (
        below, Finding(row.output("cz_fidelity_published"), 1 - ideal, 0.0, NOT_PREDICTED, remark),
    ), "nothing", f"sim.physics.rydberg, Schroedinger equation; Omega T_R = {mean_rydberg_time(gate):.3f} (3.29)")


def main2025(row: Row, rng: np.random.Generator) -> Outcome:
    """V16: average a teleported CNOT over its Pauli errors, then compare with the published gate."""
    ceiling = teleported_gate_fidelity(row.given("bell_fidelity"))
    spread = 0.8 * (next(quantity for quantity in row.inputs).error or 0.0)
    published = row.published("teleported_cz_fidelity_published")
    return Outcome(row, (
        judged(row.output("ceiling_of_teleported_gate_fidelity"), ceiling, spread, rounding=0.5e-4),
        Finding(row.output("teleported_cz_fidelity_published"), published, 0.0, FITTED),
    ), f"fidelity of all local operations together: {published / ceiling:.3f}",
        "average over the Bell-diagonal pair's Pauli errors, Nielsen's relation of process to average fidelity")


def teleported_gate_fidelity(bell_fidelity: float) -> float:
    """Return the average fidelity of a teleported CNOT with perfect local operations: (4 F + 1)/5.

    Each of the three wrong Bell states turns into a Pauli error on the outputs, never the identity, so the process
    fidelity is F; M. Nielsen, Phys. Lett. A 303, 249 (2002): F_avg = (d F_process + 1)/(d + 1), d = 4.
    """
    return (4 * bell_fidelity + 1) / 5


def _decay(gate: Gate, rabi_rad_s: float) -> float:
    return mean_rydberg_time(gate) / (rabi_rad_s * state("Rb-87", 53).lifetime_s)
