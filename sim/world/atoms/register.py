"""All atoms of a node: one entry for each site of its tweezers, whatever else the node has there.

What is known of an atom is its label, its temperature, when the vacuum takes it, and the handle of its part in a
quantum state, if it is a qubit. A port is a site of this register. Arrays are flat, in order of row, then column; a
site is an index into them. Light, traps, moving tweezers and stations act by the methods here; the same for any site.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sim.physics.trap import p_lost, survival_after_heating
from sim.world.atoms.labels import ABSENT, F1, F2, QUBIT
from sim.world.atoms.states import Handle, JointState, Part, Unborn, let_go
from sim.world.scenario.truth import NodeTruth

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Labels = NDArray[np.int8]


class Atoms(NamedTuple):
    """Some atoms on their own, off their sites: arrays of shape (n,) each; handles of quantum states by index."""

    temperature_k: Floats
    label: Labels
    death_mu: Floats
    handles: dict[int, Handle]


class Carried(Protocol):
    """Atoms on their way in moving tweezers: entry k of the arrays is an atom where `held`; handles by k."""

    held: Bools
    label: Labels
    temperature_k: Floats
    handles: dict[int, Handle]


class Register:
    """The atoms of one node on (rows, columns) sites, in tweezers `trap_k` deep. Times are in mu."""

    def __init__(self, truth: NodeTruth, shape: tuple[int, int], rng: np.random.Generator) -> None:
        self.truth, self.shape, self.rng = truth, shape, rng
        n = shape[0] * shape[1]
        self.label: Labels = np.full(n, ABSENT, dtype=np.int8)
        self.temperature_k: Floats = np.full(n, truth.atom.temperature_k)
        self.death_mu: Floats = np.full(n, np.inf)  # when the vacuum takes each
        self.next_death_mu = math.inf  # no atom is taken earlier
        self.trap_k = truth.trap.depth_k
        self.larmor_rad_s = 0.0
        self.handles: dict[int, Handle] = {}
        self.carried: Carried | None = None  # what the moving tweezers hold
        self.before_touch: Callable[[], None] = lambda: None  # photons in flight are settled before atoms are touched
        self.unsettled: Callable[[], None] | None = None  # set while Rydberg light has met atoms: settles those first

    # -- who is there --------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.label)

    @property
    def occupied(self) -> Bools:
        """Return where atoms are that can be seen, bool, shape (n,)."""
        return np.asarray(self.label != ABSENT)

    def chain_label(self, site: int) -> int:
        """Return the label as the attempt's chain counts it: a qubit is an atom in F = 1."""
        label = self.label.item(site)
        return F1 if label == QUBIT else label

    def arrive(self, sites: Ints, t_mu: int) -> None:
        """Atoms have come to empty sites (n,): draw when the vacuum takes each."""
        lives = self.rng.exponential(self.truth.atom.vacuum_lifetime_s, len(sites))
        self.death_mu[sites] = t_mu + lives * 1e9
        self.note_deaths()

    def note_deaths(self) -> None:
        """Work out when the next atom is taken."""
        self.next_death_mu = float(self.death_mu.min())

    def lose(self, site: int) -> None:
        """The atom of one site is gone."""
        self.leave(site)
        self.vanish(site)

    def vanish(self, site: int) -> None:
        """The atom of one site has left its quantum state already, and now the trap."""
        self.handles.pop(site, None)
        due_mu = self.death_mu.item(site)
        self.label[site], self.death_mu[site] = ABSENT, math.inf
        if due_mu <= self.next_death_mu < math.inf:
            self.note_deaths()

    def lose_all(self, sites: Ints) -> None:
        """The atoms of some sites (n,) are gone."""
        if len(sites):
            self.leave_all(sites)
            self.label[sites], self.death_mu[sites] = ABSENT, math.inf
            self.note_deaths()

    # -- hot or cold ---------------------------------------------------------------------------------------------------

    def heat(self, site: int, rise_k: float) -> None:
        """Warm one atom; it may leave the trap."""
        if rise_k > 0 and self.label.item(site) != ABSENT:
            before = self.temperature_k.item(site)
            after = self.temperature_k[site] = before + rise_k
            # Colder than this fewer than 1e-14 of the atoms have the energy to leave.
            if after > self.trap_k / 40 and self.rng.random() >= survival_after_heating(before, after, self.trap_k):
                self.lose(site)

    def cycles_until_loss(self, site: int, rise_k: float) -> int | None:
        """Draw after how many steps of heating by rise_k the atom leaves; None if it stays for good (no atom, no
        heating).
        """
        if self.label.item(site) == ABSENT or rise_k <= 0:
            return None
        now_k, depth_k = self.temperature_k.item(site), self.trap_k
        alive = (1 - p_lost(now_k, depth_k)) * self.rng.random()
        low, high = 0, 1
        while 1 - p_lost(now_k + high * rise_k, depth_k) > alive:
            low, high = high, 2 * high
            if high > 1 << 50:
                return None
        while high - low > 1:
            middle = (low + high) // 2
            if 1 - p_lost(now_k + middle * rise_k, depth_k) > alive:
                low = middle
            else:
                high = middle
        return high

    # -- quantum states ------------------------------------------------------------------------------------------------

    def part(self, site: int) -> Part | None:
        """Return one atom's part in a quantum state, None where it has none."""
        found = self.handles.get(site)
        if type(found) is Unborn:
            found = self.handles[site] = found.part()
        return found  # type: ignore[return-value]

    def become(self, site: int, handle: Handle) -> None:
        """Make one atom a qubit."""
        self.handles[site], self.label[site] = handle, QUBIT

    def qubit(self, site: int, t_mu: float) -> Part:
        """Return one atom's part, brought up to t_mu; an atom in F = 1 outside any state is an unpolarised qubit."""
        part = self.part(site)
        if part is None:
            part = self.alone(site, int(self.rng.integers(0, 2)), t_mu)
        self.evolve(part, t_mu)
        return part

    def evolve(self, part: Part, t_mu: float) -> None:
        """Bring an atom's part up to t_mu."""
        storage = self.truth.storage
        memory = storage.memory if part.stored and storage is not None else self.truth.memory
        part.evolve(t_mu, self.larmor_rad_s, memory, self.rng)

    def alone(self, site: int, level: int, t_mu: float) -> Part:
        """Make one atom a qubit of its own in a level."""
        part = self.new_alone(level, t_mu)
        self.become(site, part)
        return part

    def new_alone(self, level: int, t_mu: float) -> Part:
        """Return the part of an atom that is in a level, and in no state with others."""
        part = self.new_part(t_mu)
        JointState(np.eye(3, dtype=complex)[level], [part])
        return part

    def new_part(self, t_mu: float) -> Part:
        """Draw this shot's noise of a qubit."""
        scales = (self.truth.raman.amplitude_rms, self.truth.microwave.amplitude_rms)
        return Part.drawn(t_mu, self.truth.memory, scales, self.rng)

    def leave(self, site: int) -> None:
        """Take one atom out of its quantum state, as if its level had been seen: F1 or F2."""
        if self.unsettled is not None:
            self.unsettled()
        handle = self.handles.pop(site, None)
        if handle is not None:
            self.label[site] = F2 if let_go(handle, self.rng) == 2 else F1

    def leave_all(self, sites: Ints) -> None:
        """Take the atoms of some sites (n,) out of their quantum states."""
        if self.unsettled is not None:
            self.unsettled()
        if self.handles:
            chosen = set(sites.tolist())
            for site in [site for site in self.handles if site in chosen]:
                self.leave(site)

    # -- carried away and brought --------------------------------------------------------------------------------------

    def lift(self, sites: Ints) -> tuple[Bools, Atoms]:
        """Take the atoms off different sites (n,); return where there was one, and the atoms, in order."""
        self.before_touch()
        if self.unsettled is not None:
            self.unsettled()
        here = self.label[sites] != ABSENT
        sites = sites[here]
        found = enumerate(sites.tolist()) if self.handles else ()
        handles = {k: self.handles.pop(site) for k, site in found if site in self.handles}
        atoms = Atoms(self.temperature_k[sites], self.label[sites], self.death_mu[sites], handles)
        self.label[sites], self.death_mu[sites] = ABSENT, math.inf
        return here, atoms

    def put(self, sites: Ints, atoms: Atoms) -> None:
        """Put atoms on different empty sites (n,)."""
        self.temperature_k[sites], self.label[sites] = atoms.temperature_k, atoms.label
        self.death_mu[sites] = atoms.death_mu
        self.handles |= {int(sites[k]): handle for k, handle in atoms.handles.items()}
        self.note_deaths()
