"""What a swap should give: correlators of the pair of both ends from those of the two links, closed form.

Let c, z be |<XX>| = |<YY>| and |<ZZ>| of a heralded pair, k what an atom keeps of its coherence between click and
storage, or click and analysis, s what a stored atom keeps, g the gate. After CZ the reading of X of the middle's first
atom is X Z of the two, of the second Z X, of both Y Y, so that

    |<XZ>| = c1 k1 s z2 g     |<ZX>| = z1 c2 k2 g     |<YY>| = c1 k1 s c2 k2 g     F = (1 + their sum)/4

with k1 = k of the first end and of the stored atom, k2 of the second's two. A gate of Bell fidelity F_g is taken as a
depolarising one, g = (4 F_g - 1)/3. Each atom whose reading enters costs its push-out and map. Left out, as in
`analysis.budget`: losses of atoms, T1; and what refocusing leaves, as nobody has measured the storage's T2*.
Sources: M. Zukowski, A. Zeilinger, M. A. Horne, A. K. Ekert, PRL 71, 4287 (1993).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from analysis import heralding
from analysis.estimates import Estimate, binomial
from atomlink.at_port import belief
from atomlink.heralds import FOUR
from atomlink.link_name import LinkName
from sim.physics.bell_pair import TwoPulses, fidelity
from sim.physics.constants import BOLTZMANN_J_K
from sim.physics.rydberg import pair_shift_rad_s, state
from sim.physics.species import species

SETTINGS = ("XZ", "ZX", "YY")  # of the first and the last end
# Of each of 16 outcomes, whether an atom is gone: first end, stored atom of the middle, its other one, last end.
GONE = np.array([[outcome >> k & 1 for k in (3, 2, 1, 0)] for outcome in range(16)])
_FRAME = np.stack([-((-1.0) ** GONE[:, 1]), -((-1.0) ** GONE[:, 2]), (-1.0) ** (GONE[:, 1] + GONE[:, 2])])
SIGNS = _FRAME * (-1.0) ** (GONE[:, 0] + GONE[:, 3])  # (settings, outcomes): what a swap adds to its correlator
FOR_EVER_S = 1e3  # of a Rydberg state
TEMPERATURE_K = 20e-6  # after molasses: Tuchendler et al., PRA 78, 033425 (2008)
WAVENUMBER_RAD_M = 2 * math.pi * (1 / 420e-9 - 1 / 1013e-9)
_ATOM = ("t2_star_s", "t2_s", "pulse_rms", "p_pushout_f1", "t_mw_pi_s")
GATE = ("rydberg_n", "f_rydberg_rabi_hz", "f_cz_detuning_hz", "t_cz_pulse_s", "t_cz_dark_s", "cz_phase_turns",
         "site_m")  # fmt: skip


def beliefs(links: Sequence[LinkName], atoms: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the beliefs that the prediction rests on; `atoms` (4,): first end, middle's two, last end."""
    return (
        *(link.of_channel(end, "efficiency") for link in links for end in range(2)),
        *(link.of_station(key) for link in links for key in heralding.OF_STATION),
        *(belief(atom, key) for atom in atoms for key in _ATOM),
        *(belief(atom, "t2_storage_s") for atom in atoms[:2]),
        *(belief(atoms[1], key) for key in GATE),
    )


@dataclass(frozen=True)
class Correlators:
    """Sizes of the three correlators of the ends' pair: <XZ>, <ZX>, <YY>."""

    xz: float
    zx: float
    yy: float

    @property
    def fidelity(self) -> float:
        """Return the overlap with the Bell pair up to one Hadamard."""
        return (1 + self.xz + self.zx + self.yy) / 4


def correlators(table: npt.NDArray[np.int64]) -> list[Estimate]:
    """Return the raw correlator of each setting from the counts of outcomes, shape (3, 16), each setting with some."""
    found = [binomial(int(row[signs > 0].sum()), int(row.sum())) for row, signs in zip(table, SIGNS, strict=True)]
    return [Estimate(2 * agree.value - 1, 2 * agree.error, agree.n, "raw, signs by the middle") for agree in found]


def gate_fidelity(believed: Mapping[str, float], node: str) -> float:
    """Return the Bell fidelity of a node's CZ gate from beliefs by name."""
    light, phase_rad = _light(believed, node)
    return fidelity(light, phase_rad)


def gate_noise(believed: Mapping[str, float], node: str, temperature_k: float = TEMPERATURE_K) -> float:
    """Return what decay and Doppler shifts cost of that fidelity, of atoms as warm as this on average."""
    light, phase_rad = _light(believed, node)
    light = replace(light, doppler_rad_s=light.doppler_rad_s * math.sqrt(temperature_k / TEMPERATURE_K))
    return fidelity(replace(light, lifetime_s=FOR_EVER_S, doppler_rad_s=0.0), phase_rad) - fidelity(light, phase_rad)


def _light(believed: Mapping[str, float], node: str) -> tuple[TwoPulses, float]:
    of = {key: believed[belief(node, key)] for key in GATE}
    rydberg, turn = state("Rb-87", round(of["rydberg_n"])), 2 * math.pi
    speed = math.sqrt(BOLTZMANN_J_K * TEMPERATURE_K / species("Rb-87").mass_kg)
    light = TwoPulses(
        turn * of["f_rydberg_rabi_hz"], turn * of["f_cz_detuning_hz"], of["t_cz_pulse_s"], of["t_cz_dark_s"],
        pair_shift_rad_s(rydberg.c6_hz_m6, of["site_m"]), rydberg.lifetime_s, WAVENUMBER_RAD_M * speed,
    )  # fmt: skip
    return light, turn * of["cz_phase_turns"]


def predicted(believed: Mapping[str, float], links: Sequence[LinkName], atoms: Sequence[str],
              t_zeeman_s: Sequence[float], t_stored_s: float) -> Correlators:  # fmt: skip
    """Return the correlators that beliefs make, as the images say them.

    `t_zeeman_s` (3,): from click to storage of the first pair, to the analysis of the last end, to that of the middle's
    second atom; `t_stored_s`: mean storage of the first pair.
    """
    first, middle, second, last = atoms
    (c1, z1), (c2, z2) = (_heralded(believed, link) for link in links)
    k1 = _kept(believed, first, t_zeeman_s[0]) * _kept(believed, middle, t_zeeman_s[0])
    k2 = _kept(believed, last, t_zeeman_s[1]) * _kept(believed, second, t_zeeman_s[2])
    s = math.prod(math.exp(-t_stored_s / believed[belief(atom, "t2_storage_s")]) for atom in (first, middle))
    g = (4 * gate_fidelity(believed, middle) - 1) / 3
    a, m, e, b = (_read(believed, atom) for atom in (first, middle, second, last))
    return Correlators(c1 * k1 * s * z2 * g * a * m * b, z1 * c2 * k2 * g * a * e * b,
                       c1 * k1 * s * c2 * k2 * g * a * m * e * b)  # fmt: skip


def _heralded(believed: Mapping[str, float], link: LinkName) -> tuple[float, float]:
    """Return |<XX>| and |<ZZ>| of a heralded pair at its clicks."""
    coherence, populations = heralding.believed(link, "polarisation", FOUR, believed.__getitem__).state
    return coherence, -populations


def _kept(believed: Mapping[str, float], atom: str, t_s: float) -> float:
    """Return by how much one atom's coherence has shrunk after t in the Zeeman pair."""
    t2_star_s, t2_s = (believed[belief(atom, key)] for key in ("t2_star_s", "t2_s"))
    return math.exp(-((t_s / t2_star_s) ** 2) - t_s / t2_s)


def _read(believed: Mapping[str, float], atom: str) -> float:
    """Return what reading one atom leaves of a correlator: F = 1 lost, |1> not mapped, the analysis pulse's spread."""
    rms, lost, mw_s, t2_star_s = (believed[belief(atom, key)] for key in
                                  ("pulse_rms", "p_pushout_f1", "t_mw_pi_s", "t2_star_s"))  # fmt: skip
    stay = (0.5 * math.pi * rms) ** 2 + (mw_s / (math.sqrt(2) * math.pi * t2_star_s)) ** 2
    return 1 - lost - stay
