"""Rydberg light at a node's port: the atom there and those on the sites beside it, blockading one another.

While both beams are on, the F = 2 level |2> of each of these atoms is driven to |r> with
    H = sum Omega/2 (e^{i phi(t)} |2><r| + h.c.) + sum d |r><r| + sum V_ij |rr><rr|,   V = 2 pi C6/r^6
phi the sum of both beams' phases against the two-photon resonance, d an atom's Doppler shift in this shot; F = 1 is
dark.
Light of constant tones is integrated exactly; its edges are steps. An atom in |r> decays at 1/lifetime out of the qubit
and is lost; one that is in |r> when anything else touches it is expelled by the tweezer. Scattering from the
intermediate level is not in the model.
Sources: as `sim.physics.rydberg`; J. Dalibard, Y. Castin, K. Molmer, PRL 68, 580 (1992) for the decay.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from sim.physics.constants import BOLTZMANN_J_K
from sim.physics.evolution import propagator
from sim.physics.rydberg import pair_shift_rad_s
from sim.physics.rydberg import state as rydberg_state
from sim.world.atoms.global_drives import GlobalDrives
from sim.world.atoms.labels import F2, READY
from sim.world.atoms.states import Cluster, Stored
from sim.world.scenario.array_truth import RydbergTruth

if TYPE_CHECKING:
    from sim.world.network.node import Node

Complexes = npt.NDArray[np.complex128]
Site = tuple[int, int]
_R = 3  # the level |r>, after |0>, |1>, |2>
_STEPS = 64  # of a stretch of light in which an atom decays: when it does is known to this fraction


class Atom(NamedTuple):
    """One atom in the light: its site, its name in the cluster, its Doppler shift in rad/s."""

    site: Site
    name: str
    shift_rad_s: float


class RydbergGate:
    """The Rydberg beams of one node with an array. Atoms stay `excited` from the first light until they are settled."""

    def __init__(self, node: Node, rng: np.random.Generator) -> None:
        assert node.tweezers is not None
        self.node, self.array, self.rng = node, node.tweezers, rng
        self.atoms: list[Atom] = []
        self.global_drives = GlobalDrives(self, rng)
        self._cluster: Cluster | None = None
        self._scale = 1.0
        self._until_mu = 0

    @property
    def truth(self) -> RydbergTruth:
        """Return what is true of the light now."""
        assert self.node.truth.rydberg is not None
        return self.node.truth.rydberg

    def drive(self, start_mu: int, stop_mu: int) -> None:
        """Let constant light of both beams act between two times."""
        if not self.atoms:
            self._excite(start_mu)
        if not self.atoms:
            return
        blue, red = self.node.beams["rydberg_420"], self.node.beams["rydberg_1013"]
        if start_mu > self._until_mu:  # |r> goes on between two pulses
            self._evolve(0.0, 0.0, 0.0, (start_mu - self._until_mu) * 1e-9)
        if not self.atoms:
            return
        rabi = self.truth.rabi_rad_s * math.sqrt(blue.power * red.power) * self._scale
        # Phases reckoned from the first light: what the resonance adds before is common to all atoms.
        away = blue.tone.frequency_hz + red.tone.frequency_hz - self.truth.resonance_hz
        phase = blue.phase_rad(start_mu) + red.phase_rad(start_mu)
        phase -= 2 * math.pi * math.fmod(self.truth.resonance_hz * start_mu * 1e-9, 1.0)
        self._evolve(rabi, phase, 2 * math.pi * away, (stop_mu - start_mu) * 1e-9)
        self._until_mu = stop_mu

    def settle(self) -> None:
        """Something else is about to touch the atoms: one in |r> is lost, the others are qubits again."""
        atoms, self.atoms = self.atoms, []
        for atom in atoms:
            assert self._cluster is not None
            axis = self._cluster.members[atom.name].axis
            if self._cluster.drop_level(atom.name, _R, self.rng):
                self.array.vanish(atom.site)
            else:
                self._cluster.state = np.take(self._cluster.state, range(_R), axis=axis)
        self._cluster = None

    # -- who takes part ------------------------------------------------------------------------------------------------

    def _excite(self, t_mu: int) -> None:
        """Gather the atoms that may be in F = 2 into one cluster with a fourth level each."""
        self._until_mu = t_mu
        self._scale = 1 + self.truth.rabi_rms * float(self.rng.standard_normal())
        found = [(site, stored) for site in self.sites() if (stored := self.qubit(site, t_mu)) is not None]
        if not found:
            return
        whole = found[0][1].cluster
        for _, stored in found[1:]:
            if stored.cluster.members is not whole.members:
                whole.absorb(stored.cluster)
        excited = {whole.members[stored.name].axis for _, stored in found}
        whole.state = np.pad(whole.state, [(0, int(axis in excited)) for axis in range(whole.state.ndim)])
        self.atoms = [Atom(site, stored.name, self._doppler(site)) for site, stored in found]
        self._cluster = whole

    def sites(self) -> list[Site]:
        """Return the sites in the light: the port's first, then those beside it."""
        row, column = self.array.port
        rows, columns = self.array.shape
        beside = [(row, column), (row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
        return [site for site in beside if 0 <= site[0] < rows and 0 <= site[1] < columns]

    def qubit(self, site: Site, t_mu: int) -> Stored | None:
        """Return the part in a quantum state of an atom that light could excite; None for any other."""
        label = self.array.label(*site)
        if self.array.cluster(*site) is None:
            if label not in (F2, READY):
                return None
            name = self.node.name if site == self.array.port else self.node.new_name()
            member = self.node.new_member(0, t_mu)
            self.array.entangle(site, Stored(Cluster(np.array([0, 0, 1], dtype=complex), {name: member}), name))
        return self.array.stored(site)

    def _doppler(self, site: Site) -> float:
        temperature = float(self.array.temperature_k[site])
        speed = math.sqrt(BOLTZMANN_J_K * temperature / self.node.species.mass_kg)
        return self.truth.wavenumber_rad_m * speed * float(self.rng.standard_normal())

    # -- what the light does -------------------------------------------------------------------------------------------

    def _evolve(self, rabi_rad_s: float, phase_rad: float, away_rad_s: float, t_s: float) -> None:
        """Integrate light of constant tones; `away_rad_s` its frequency above the resonance. An atom may decay."""
        cluster = self._cluster
        assert cluster is not None
        hamiltonian = self._hamiltonian(rabi_rad_s, phase_rad, away_rad_s)
        axes = [cluster.members[atom.name].axis for atom in self.atoms]
        front = np.moveaxis(cluster.state, axes, range(len(axes)))
        psi, left = front.reshape(len(hamiltonian), -1), float(self.rng.random())
        after, done_s = propagator(hamiltonian, t_s) @ psi, t_s
        decays = float(np.linalg.norm(after)) ** 2 < left
        if decays:
            step, done_s = propagator(hamiltonian, t_s / _STEPS), 0.0
            after = psi
            while float(np.linalg.norm(after)) ** 2 >= left:
                after, done_s = step @ after, done_s + t_s / _STEPS
        # Back from the frame of the light to that of the resonance.
        after = np.exp(-1j * away_rad_s * done_s * self._excitations())[:, None] * after / np.linalg.norm(after)
        cluster.state = np.moveaxis(after.reshape(front.shape), range(len(axes)), axes)
        if decays:
            self._decay()
            if self.atoms and t_s > done_s:
                self._evolve(rabi_rad_s, phase_rad + away_rad_s * done_s, away_rad_s, t_s - done_s)

    def _decay(self) -> None:
        """Take out the atom whose |r> decayed: the more it is in |r>, the more likely."""
        assert self._cluster is not None
        weights = np.array([self._cluster.populations(atom.name)[_R] for atom in self.atoms])
        k = int(np.searchsorted(np.cumsum(weights), self.rng.random() * weights.sum(), side="right"))
        atom = self.atoms.pop(min(k, len(weights) - 1))
        self._cluster.project(atom.name, _R)
        self.array.vanish(atom.site)

    def _hamiltonian(self, rabi_rad_s: float, phase_rad: float, away_rad_s: float) -> Complexes:
        """Return H/hbar in the frame of the light, not Hermitian: |r> decays; shape (4^n, 4^n)."""
        rydberg = rydberg_state(self.node.species.name, self.truth.n)
        total = np.zeros((4 ** len(self.atoms),) * 2, dtype=complex)
        for k, atom in enumerate(self.atoms):
            one = np.zeros((4, 4), dtype=complex)
            one[2, _R] = 0.5 * rabi_rad_s * np.exp(1j * phase_rad)
            one[_R, 2] = np.conj(one[2, _R])
            one[_R, _R] = atom.shift_rad_s - away_rad_s - 0.5j / rydberg.lifetime_s
            total += self._on(one, k)
            for other in range(k):
                way = self.array.truth.site_m * math.dist(atom.site, self.atoms[other].site)
                both = np.real(np.diag(self._on(_IN_R, k))) * np.real(np.diag(self._on(_IN_R, other)))
                total += np.diag(pair_shift_rad_s(rydberg.c6_hz_m6, way) * both)
        return total

    def _on(self, one: Complexes, k: int) -> Complexes:
        """Return an operator of atom k among all."""
        n = len(self.atoms)
        return np.asarray(np.kron(np.kron(np.eye(4**k), one), np.eye(4 ** (n - 1 - k))))

    def _excitations(self) -> npt.NDArray[np.float64]:
        """Return how many atoms are in |r> in each basis state, shape (4^n,)."""
        return np.asarray(sum(np.real(np.diag(self._on(_IN_R, k))) for k in range(len(self.atoms))))


_IN_R = np.diag([0, 0, 0, 1]).astype(complex)
