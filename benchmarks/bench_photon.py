"""Photons of an atom in a cavity: emission times per second, beside QuTiP's mesolve and mcsolve in the same run.

    python benchmarks/bench_photon.py [TRAJECTORIES]        (pip install qutip for the peer)

Atom |u>, |e>, |g>, |decayed> with 0, 1 or 2 photons in the cavity (dimension 12); half of the decays of |e> lead back
to |u>. Ours integrates the three amplitudes that matter once, returns included, and draws first-photon times from the
distribution; the time counts both. The peers take turns with ours, best of several turns. The number of photons
(binomial) and their times (Kolmogorov-Smirnov) must agree with the trajectories, p > 1e-3, or this fails.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from sim.physics import cavity
from sim.physics.emission import Emission, sample_times

MHZ = 2 * math.pi * 1e6
PORT = cavity.CavityPort(5 * MHZ, 2.7 * MHZ, 0.3 * MHZ, 3 * MHZ, branching_back=0.5)
T_S = np.arange(0, 1e-6, 1e-9)
RABI_RAD_S = 20 * MHZ * np.sin(np.pi * np.clip(T_S / 400e-9, 0, 1)) ** 2
U, E, G, D = range(4)
FOCK, PHOTONS, TURNS = 3, 4_000_000, 5


class Comparison(NamedTuple):
    """Rates in 1/s: attempts sampled, wavepackets of a new parameter set; theirs nan without QuTiP. counts_p, times_p:
    agreement of the number of photons and of their times with mcsolve; difference: greatest of |psi(t)|^2 over its
    maximum, between ours and mesolve.
    """

    sampled: float
    wavepackets: float
    mcsolve: float = math.nan
    mesolve: float = math.nan
    counts_p: float = math.nan
    times_p: float = math.nan
    difference: float = math.nan


def sample(rng: np.random.Generator) -> tuple[Emission, np.ndarray]:
    """Return the wavepacket and the times of the photons that PHOTONS attempts give."""
    photon = cavity.emit(PORT, T_S, RABI_RAD_S)
    return photon, sample_times(photon, rng, rng.binomial(PHOTONS, photon.efficiency))


def seconds(work: Callable[[], object]) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


class Peer:
    """QuTiP with the same atom in its whole space, in microseconds: mcsolve finds a jump within 1e-6 of its unit."""

    def __init__(self) -> None:
        import qutip

        self.qutip = qutip
        a = qutip.tensor(qutip.qeye(4), qutip.destroy(FOCK))
        still = 1e-6 * PORT.g_rad_s * (a.dag() * self._atom(G, E) + a * self._atom(E, G))
        pulse = [self._atom(U, E) + self._atom(E, U), 0.5e-6 * RABI_RAD_S]
        self.hamiltonian = qutip.QobjEvo([still, pulse], tlist=1e6 * T_S)
        decay, back = 2e-6 * PORT.gamma_rad_s, PORT.branching_back
        self.number = a.dag() * a
        self.collapse = [math.sqrt(2e-6 * PORT.kappa_ext_rad_s) * a, math.sqrt(2e-6 * PORT.kappa_in_rad_s) * a,
                         math.sqrt(decay * back) * self._atom(U, E), math.sqrt(decay * (1 - back)) * self._atom(D, E)]
        self.start = qutip.tensor(qutip.basis(4, U), qutip.basis(FOCK, 0))

    def _atom(self, to: int, of: int) -> Any:
        jump = self.qutip.basis(4, to) * self.qutip.basis(4, of).dag()
        return self.qutip.tensor(jump, self.qutip.qeye(FOCK))

    def flux(self) -> np.ndarray:
        """Return photons per second into the output mirror, by mesolve."""
        options = {"progress_bar": "", "max_step": 0.02, "nsteps": 100_000}
        result = self.qutip.mesolve(self.hamiltonian, self.start, 1e6 * T_S, self.collapse, e_ops=[self.number],
                                    options=options)
        return 2 * PORT.kappa_ext_rad_s * np.asarray(result.expect[0])

    def trajectories(self, n: int, seed: int) -> list[float]:
        """Return the times of the photons that leave by the output mirror in n trajectories of mcsolve."""
        options = {"progress_bar": "", "max_step": 0.02, "nsteps": 100_000}
        ends = 1e6 * T_S[[0, -1]]
        result = self.qutip.mcsolve(self.hamiltonian, self.start, ends, self.collapse, ntraj=n, seeds=seed,
                                    options=options)
        pairs = zip(result.col_times, result.col_which, strict=True)
        return [1e-6 * t for times, which in pairs for t, k in zip(times, which, strict=True) if k == 0]


def measure(trajectories: int = 500) -> Comparison:
    """Time both and compare what they found."""
    rng = np.random.default_rng(1)
    photon, times = sample(rng)
    try:
        peer = Peer()
    except ImportError:
        sampled = min(seconds(lambda: sample(rng)) for _ in range(TURNS))
        made = min(seconds(lambda: cavity.emit(PORT, T_S, RABI_RAD_S)) for _ in range(TURNS))
        return Comparison(PHOTONS / sampled, 1 / made)
    best = dict.fromkeys(("sample", "emit", "mcsolve", "mesolve"), math.inf)
    arrivals: list[float] = []
    flux = peer.flux()
    for turn in range(TURNS):
        works: dict[str, Callable[[], object]] = {
            "sample": lambda: sample(rng),
            "emit": lambda: cavity.emit(PORT, T_S, RABI_RAD_S),
            "mesolve": peer.flux,
            "mcsolve": lambda turn=turn: arrivals.extend(peer.trajectories(trajectories, turn)),
        }
        for name, work in works.items():
            best[name] = min(best[name], seconds(work))
    n = TURNS * trajectories
    return Comparison(PHOTONS / best["sample"], 1 / best["emit"], trajectories / best["mcsolve"], 1 / best["mesolve"],
                      *agreement(photon, times, arrivals, n), largest_difference(photon, flux))


def agreement(photon: Emission, times: np.ndarray, arrivals: list[float], n: int) -> tuple[float, float]:
    """Return the probabilities that count and times of the photons of n trajectories differ so by chance."""
    from scipy.stats import binomtest, ks_2samp

    return (float(binomtest(len(arrivals), n, photon.efficiency).pvalue),
            float(ks_2samp(arrivals, times[:1_000_000]).pvalue))


def largest_difference(photon: Emission, flux: np.ndarray) -> float:
    """Return the greatest difference of the photon's rate from the master equation's, over the maximum."""
    ours = photon.efficiency * (np.abs(photon.components) ** 2).sum(axis=0)
    return float(np.abs(ours - flux).max() / flux.max())


def refuse_disagreement(found: Comparison) -> None:
    """End the process where the photons are not those of QuTiP."""
    if min(found.counts_p, found.times_p) < 1e-3 or found.difference > 1e-3:
        sys.exit(f"the photons are not those of QuTiP: {found}")


def main() -> None:
    """Print the table."""
    found = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
    print(f"{'work':44s} {'per second':>12s}")
    print(f"{'attempts sampled, wavepacket included':44s} {found.sampled:12.3g}   (to beat: 1e6)")
    print(f"{'wavepackets of a new parameter set':44s} {found.wavepackets:12.3g}")
    if math.isnan(found.mcsolve):
        print("QuTiP is not installed (pip install qutip): no peer in this run")
        return
    print(f"{'mcsolve, trajectories':44s} {found.mcsolve:12.3g}   ours / theirs = {found.sampled / found.mcsolve:.0f} "
          "(to beat: 50)")
    ratio = found.wavepackets / found.mesolve
    print(f"{'mesolve, wavepackets':44s} {found.mesolve:12.3g}   ours / theirs = {ratio:.1f}")
    print(f"agreement with mcsolve: number of photons p = {found.counts_p:.3f}, times p = {found.times_p:.3f}; "
          f"with mesolve: largest difference {found.difference:.1e} of the maximum")
    refuse_disagreement(found)


if __name__ == "__main__":
    main()
