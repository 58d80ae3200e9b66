"""An atom at a waveguide against the input-output relations, solved here."""

import math

import numpy as np
import pytest

from atomlink.errors import ScenarioError
from sim.physics.waveguide import Waveguide, extraction, from_beta, optical_depth, scatter

MHZ = 2 * math.pi * 1e6
NANOFIBRE = Waveguide(0.2 * MHZ, 5.9 * MHZ)
CRYSTAL = Waveguide(9.0 * MHZ, 6.0 * MHZ)


def input_output(port, detuning):
    """Solve 0 = (i Delta - Gamma/2) e - i sum sqrt(Gamma_d) E_d for light from the left; return (t, r, scattered)."""
    forward = port.guided_rad_s * port.directionality
    backward = port.guided_rad_s - forward
    e = 1j * math.sqrt(forward) / (1j * detuning - port.linewidth_rad_s / 2)
    return 1 - 1j * math.sqrt(forward) * e, -1j * math.sqrt(backward) * e, port.other_rad_s * abs(e) ** 2


@pytest.mark.parametrize("port", [NANOFIBRE, CRYSTAL, Waveguide(9.0 * MHZ, 6.0 * MHZ, directionality=1.0)])
@pytest.mark.parametrize("detuning", [0.0, 2 * MHZ, -30 * MHZ])
def test_amplitudes_are_those_of_input_output_theory_and_conserve_energy(port, detuning):
    t, r = (complex(x) for x in scatter(port, detuning))
    exact_t, exact_r, lost = input_output(port, detuning)
    assert t == pytest.approx(exact_t, abs=1e-12) and r == pytest.approx(exact_r, abs=1e-12)
    assert abs(t) ** 2 + abs(r) ** 2 + lost == pytest.approx(1.0, abs=1e-12)


def test_resonant_transmission_of_the_design_table():
    assert complex(scatter(CRYSTAL, 0.0)[0]) == pytest.approx(1 - 0.6)
    assert complex(scatter(Waveguide(9.0 * MHZ, 6.0 * MHZ, directionality=1.0), 0.0)[0]) == pytest.approx(1 - 1.2)


def test_optical_depth_of_a_nanofibre_is_near_twice_beta_per_atom_and_adds():
    assert optical_depth(NANOFIBRE, 1) == pytest.approx(2 * NANOFIBRE.beta, rel=0.02)
    assert optical_depth(NANOFIBRE, 400) == pytest.approx(400 * optical_depth(NANOFIBRE, 1))
    assert optical_depth(NANOFIBRE, 0) == 0.0
    assert optical_depth(Waveguide(MHZ, MHZ, directionality=1.0), 1) == math.inf


@pytest.mark.parametrize("chi", [0.5, 0.9, 1.0])
def test_excited_atom_emits_into_one_end_with_the_extraction_probability(chi):
    """Integrate the decay: population e^(-Gamma t), of which the guided share of one direction leaves there."""
    port = Waveguide(9.0 * MHZ, 6.0 * MHZ, chi)
    t = np.linspace(0, 20 / port.linewidth_rad_s, 20_001)
    rate = port.guided_rad_s * chi * np.exp(-port.linewidth_rad_s * t)
    assert extraction(port) == pytest.approx(np.trapezoid(rate, t), rel=1e-5)


def test_impossible_waveguides_are_refused():
    with pytest.raises(ScenarioError, match=r"Waveguide\.guided_rad_s is -1\.0, but must be"):
        Waveguide(-1.0, 1.0)
    with pytest.raises(ScenarioError, match="are both 0, but must add to > 0"):
        Waveguide(0.0, 0.0)
    with pytest.raises(ScenarioError, match=r"Waveguide\.one_sided is 1, but must be true or false"):
        Waveguide(1.0, 1.0, 0.5, 1)  # type: ignore[arg-type]
    with pytest.raises(ScenarioError, match=r"Waveguide\.directionality is 1\.2, but must be a number in \[0, 1\]"):
        Waveguide(1.0, 1.0, 1.2)
    with pytest.raises(ScenarioError, match=r"directionality is 0\.9, but must be 0\.5 where a mirror"):
        Waveguide(1.0, 1.0, 0.9, one_sided=True)
    with pytest.raises(ScenarioError, match=r"Argument `beta` is 1\.1, but must be in \[0, 1\]"):
        from_beta(1.1, MHZ)


@pytest.mark.parametrize("phase", [0.0, 0.4, math.pi / 2])
def test_mirror_doubles_or_ends_the_decay_into_the_waveguide(phase):
    """Decay of an atom and its image: Gamma_1D (1 + cos 2 phi) = 2 Gamma_1D cos^2 phi; energy is conserved."""
    port = Waveguide(2 * MHZ, 6 * MHZ, one_sided=True, mirror_phase_rad=phase)
    assert port.effective_rad_s == pytest.approx(2 * MHZ * (1 + math.cos(2 * phase)))
    t, r = scatter(port, 1.5 * MHZ)
    lost = 4 * port.beta * (1 - port.beta) / (1 + (3 * MHZ / port.linewidth_rad_s) ** 2)
    assert t == 0 and abs(complex(r)) ** 2 + lost == pytest.approx(1.0)
    assert extraction(port) == pytest.approx(port.effective_rad_s / (port.effective_rad_s + 6 * MHZ))
