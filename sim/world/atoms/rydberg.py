"""Rydberg light at a node's port: the atom there and those on the sites beside it, or the atoms of a gate zone.

While both beams are on, the F = 2 level |2> of each of these atoms is driven to |r> with
    H = sum Omega/2 (e^{i phi(t)} |2><r| + h.c.) + sum d |r><r| + sum V_ij |rr><rr|,   V = 2 pi C6/r^6
phi the sum of both beams' phases against the two-photon resonance, d an atom's Doppler shift in this shot; F = 1 is
dark. Who is whose neighbour is a matter of place alone: atoms that shift one another by more than `_FELT_HZ` are in one
group, and each group is integrated by itself, so that a zone makes several gates at a time.
Light of constant tones is integrated exactly; its edges are steps. An atom in |r> decays at 1/lifetime out of the qubit
and is lost; one that is in |r> when anything else touches it is expelled by the tweezer. Scattering from the
intermediate level is not in the model.
Sources: as `sim.physics.rydberg`; J. Dalibard, Y. Castin, K. Molmer, PRL 68, 580 (1992) for the decay.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from atomlink.errors import LabError
from sim.physics.constants import BOLTZMANN_J_K
from sim.physics.evolution import propagator
from sim.physics.rydberg import pair_shift_rad_s
from sim.physics.rydberg import state as rydberg_state
from sim.physics.species import Species
from sim.world.atoms.beam import Beam
from sim.world.atoms.labels import F2, READY
from sim.world.atoms.register import Register
from sim.world.atoms.states import LEVELS, Part
from sim.world.scenario.array_truth import RydbergTruth

Complexes = npt.NDArray[np.complex128]
_R = LEVELS  # the level |r>, after |0>, |1>, |2>
_STEPS = 64  # of a stretch of light in which an atom decays: when it does is known to this fraction
_FELT_HZ = 2e4  # weaker shifts turn less than 5 mrad in a gate of 0.3 us, both atoms half in |r>
_FELT = 2 * math.pi * _FELT_HZ
_MOST = 5  # atoms of one group: 4^5 basis states


class Atom(NamedTuple):
    """One atom in the light: its site, its part in the joint state, its Doppler shift in rad/s."""

    site: int
    part: Part
    shift_rad_s: float


class RydbergGate:
    """The Rydberg beams on a port of a node with an array, and the sites beside it or of the zone. Atoms stay in
    `groups` from the first light until they are settled.
    """

    def __init__(self, register: Register, beams: Mapping[str, Beam], species: Species, port: tuple[int, int],
                 rng: np.random.Generator) -> None:  # fmt: skip
        self.register, self.beams, self.species, self.rng = register, beams, species, rng
        self.groups: list[list[Atom]] = []
        row, column = port
        rows, columns = register.shape
        zone = self.truth.zone_rows, self.truth.zone_columns
        beside = [(row, column), (row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
        if zone[0]:
            beside = [(row + r, column + c) for r in range(zone[0]) for c in range(zone[1])]
        # The sites in the light: the port's first, then those beside it or those of the zone.
        self.sites = tuple(r * columns + c for r, c in beside if 0 <= r < rows and 0 <= c < columns)
        self._scale = 1.0
        self._until_mu = 0

    @property
    def truth(self) -> RydbergTruth:
        """Return what is true of the light now."""
        assert self.register.truth.rydberg is not None
        return self.register.truth.rydberg

    @property
    def global_drives(self) -> bool:
        """Return whether the other light of the port is on these sites, too."""
        return self.truth.global_drives

    def drive(self, start_mu: int, stop_mu: int) -> None:
        """Let constant light of both beams act between two times."""
        if not self.groups:
            self._excite(start_mu)
        if not self.groups:
            return
        blue, red = self.beams["rydberg_420"], self.beams["rydberg_1013"]
        if start_mu > self._until_mu:  # |r> goes on between two pulses
            self._evolve_all(0.0, 0.0, 0.0, (start_mu - self._until_mu) * 1e-9)
        if not self.groups:
            return
        rabi = self.truth.rabi_rad_s * math.sqrt(blue.power * red.power) * self._scale
        # Phases reckoned from the first light: what the resonance adds before is common to all atoms.
        away = blue.tone.frequency_hz + red.tone.frequency_hz - self.truth.resonance_hz
        phase = blue.phase_rad(start_mu) + red.phase_rad(start_mu)
        phase -= 2 * math.pi * math.fmod(self.truth.resonance_hz * start_mu * 1e-9, 1.0)
        self._evolve_all(rabi, phase, 2 * math.pi * away, (stop_mu - start_mu) * 1e-9)
        self._until_mu = stop_mu

    def settle(self) -> None:
        """Something else is about to touch the atoms: one in |r> is lost, the others are qubits again."""
        groups, self.groups, self.register.unsettled = self.groups, [], None
        for atom in (atom for group in groups for atom in group):
            if atom.part.drop_level(_R, self.rng):
                self.register.vanish(atom.site)
            else:
                atom.part.state.psi = np.take(atom.part.state.psi, range(_R), axis=atom.part.axis)

    # -- who takes part ------------------------------------------------------------------------------------------------

    def _excite(self, t_mu: int) -> None:
        """Gather the atoms that may be in F = 2, each group into one state, with a fourth level each."""
        self._until_mu = t_mu
        self._scale = 1 + self.truth.rabi_rms * float(self.rng.standard_normal())
        found = [(site, part) for site in self.sites if (part := self._part(site, t_mu)) is not None]
        if not found:
            return
        self.groups = self._grouped([Atom(site, part, self._doppler(site)) for site, part in found])
        for group in self.groups:
            whole = group[0].part.state
            for _, part, _ in group[1:]:
                if part.state is not whole:
                    whole.merge(part.state)
            excited = {part.axis for _, part, _ in group}
            whole.psi = np.pad(whole.psi, [(0, int(axis in excited)) for axis in range(whole.psi.ndim)])
        self.register.unsettled = self.settle

    def _grouped(self, atoms: list[Atom]) -> list[list[Atom]]:
        """Return the atoms in groups that feel one another, each in the order of the sites."""
        groups: list[list[Atom]] = []
        for atom in atoms:
            near = [group for group in groups if any(self._shift_rad_s(atom, other) > _FELT for other in group)]
            groups = [group for group in groups if group not in near] + [[*(a for group in near for a in group), atom]]
        groups = [sorted(group, key=lambda atom: self.sites.index(atom.site)) for group in groups]
        largest = max(len(group) for group in groups)
        if largest > _MOST:
            raise LabError(f"Rydberg light is on {largest} atoms that shift one another, but the model takes at most "
                           f"{_MOST} in a group: leave sites of the gate zone empty between groups.")
        return sorted(groups, key=lambda group: self.sites.index(group[0].site))

    def _part(self, site: int, t_mu: int) -> Part | None:
        """Return the part in a quantum state of an atom that light could excite; None for any other."""
        part = self.register.part(site)
        if part is None and self.register.label.item(site) in (F2, READY):
            part = self.register.alone(site, 2, t_mu)
        return part

    def _doppler(self, site: int) -> float:
        temperature = self.register.temperature_k.item(site)
        speed = math.sqrt(BOLTZMANN_J_K * temperature / self.species.mass_kg)
        return self.truth.wavenumber_rad_m * speed * float(self.rng.standard_normal())

    # -- what the light does -------------------------------------------------------------------------------------------

    def _evolve_all(self, rabi_rad_s: float, phase_rad: float, away_rad_s: float, t_s: float) -> None:
        """Integrate light of constant tones; `away_rad_s` its frequency above the resonance. Atoms may decay."""
        for group in self.groups:
            self._evolve(group, rabi_rad_s, phase_rad, away_rad_s, t_s)
        self.groups = [group for group in self.groups if group]
        if not self.groups:
            self.register.unsettled = None

    def _evolve(self, group: list[Atom], rabi_rad_s: float, phase_rad: float, away_rad_s: float, t_s: float) -> None:
        hamiltonian = self._hamiltonian(group, rabi_rad_s, phase_rad, away_rad_s)
        state, axes = group[0].part.state, [atom.part.axis for atom in group]
        front = np.moveaxis(state.psi, axes, range(len(axes)))
        psi, left = front.reshape(len(hamiltonian), -1), float(self.rng.random())
        after, done_s = propagator(hamiltonian, t_s) @ psi, t_s
        decays = float(np.linalg.norm(after)) ** 2 < left
        if decays:
            step, done_s = propagator(hamiltonian, t_s / _STEPS), 0.0
            after = psi
            while float(np.linalg.norm(after)) ** 2 >= left:
                after, done_s = step @ after, done_s + t_s / _STEPS
        # Back from the frame of the light to that of the resonance.
        after = np.exp(-1j * away_rad_s * done_s * _excitations(len(group)))[:, None] * after / np.linalg.norm(after)
        state.psi = np.moveaxis(after.reshape(front.shape), range(len(axes)), axes)
        if decays:
            self._decay(group)
            if group and t_s > done_s:
                self._evolve(group, rabi_rad_s, phase_rad + away_rad_s * done_s, away_rad_s, t_s - done_s)

    def _decay(self, group: list[Atom]) -> None:
        """Take out the atom whose |r> decayed: the more it is in |r>, the more likely."""
        weights = np.array([atom.part.populations()[_R] for atom in group])
        k = int(np.searchsorted(np.cumsum(weights), self.rng.random() * weights.sum(), side="right"))
        atom = group.pop(min(k, len(weights) - 1))
        atom.part.project(_R)
        self.register.vanish(atom.site)

    def _hamiltonian(self, group: list[Atom], rabi_rad_s: float, phase_rad: float, away_rad_s: float) -> Complexes:
        """Return H/hbar in the frame of the light, not Hermitian: |r> decays; shape (4^n, 4^n)."""
        lifetime_s, n = rydberg_state(self.species.name, self.truth.n).lifetime_s, len(group)
        total = np.zeros((4**n,) * 2, dtype=complex)
        for k, atom in enumerate(group):
            one = np.zeros((4, 4), dtype=complex)
            one[2, _R] = 0.5 * rabi_rad_s * np.exp(1j * phase_rad)
            one[_R, 2] = np.conj(one[2, _R])
            one[_R, _R] = atom.shift_rad_s - away_rad_s - 0.5j / lifetime_s
            total += _on(one, k, n)
            for other in range(k):
                both = np.real(np.diag(_on(_IN_R, k, n))) * np.real(np.diag(_on(_IN_R, other, n)))
                total += np.diag(self._shift_rad_s(atom, group[other]) * both)
        return total

    def _shift_rad_s(self, one: Atom, other: Atom) -> float:
        """Return by how much two atoms, both in |r>, shift one another."""
        assert self.register.truth.array is not None
        columns = self.register.shape[1]
        way = self.register.truth.array.site_m * math.dist(divmod(one.site, columns), divmod(other.site, columns))
        return pair_shift_rad_s(rydberg_state(self.species.name, self.truth.n).c6_hz_m6, way)


def _on(one: Complexes, k: int, n: int) -> Complexes:
    """Return an operator of atom k among n."""
    return np.asarray(np.kron(np.kron(np.eye(4**k), one), np.eye(4 ** (n - 1 - k))))


def _excitations(n: int) -> npt.NDArray[np.float64]:
    """Return how many atoms are in |r> in each basis state, shape (4^n,)."""
    return np.asarray(sum(np.real(np.diag(_on(_IN_R, k, n))) for k in range(n)))


_IN_R = np.diag([0, 0, 0, 1]).astype(complex)
