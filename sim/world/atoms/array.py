"""A node's tweezer array: atoms on sites as arrays of numbers, what light and time do to them, and the camera.

The atom on the port's site is the node's own (`Node.label` and the rest); all others live here, each with a label, and
the few that are entangled keep their cluster, wherever they are carried (`carrier`). Pumping, excitation, Raman,
microwave and push-out light is focused on the port's site (where it is not: `global_drives`); cooling and repump light
is everywhere, unless the hiding light shifts the other sites out of its way.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from sim.physics.aod import p_lost_displaced
from sim.physics.arrays import Sites, load_sites
from sim.physics.recapture import release_and_catch
from sim.world.atoms.camera import ArrayCamera
from sim.world.atoms.carrier import Atoms, Carrier, Schedule
from sim.world.atoms.labels import ABSENT, F1, F2, QUBIT
from sim.world.atoms.states import Cluster, Stored
from sim.world.network.node import Node
from sim.world.scenario.array_truth import ArrayTruth

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


class Tweezers:
    """The array of one node, seen from the world: light, time, and what the AWG plays."""

    def __init__(self, node: Node, rng: np.random.Generator, camera_rng: np.random.Generator,
                 schedule: Schedule) -> None:  # fmt: skip
        assert node.truth.array is not None
        self.node, self.rng = node, rng
        self.camera = ArrayCamera(self.truth, camera_rng, schedule)
        self.port = (self.truth.port_row, self.truth.port_column)
        self.hidden = False  # whether the hiding light is on
        self.carrier = Carrier(self, rng, schedule)
        self.queue, self.clear, self.trigger = self.carrier.queue, self.carrier.clear, self.carrier.trigger
        shape = (self.truth.rows, self.truth.columns)
        # The port's site stays empty in these: its atom is the node's.
        self._occupied, self._temperature_k = np.zeros(shape, dtype=bool), np.zeros(shape)
        self._label = np.full(shape, ABSENT, dtype=np.int8)
        self._death_mu = np.full(shape, np.inf)  # when the vacuum takes the atom, as `Node.death_mu`
        self.next_death_mu = math.inf  # no atom is taken earlier
        self._released: tuple[int, float] | None = None  # while the tweezers are off: since when, how deep they were
        self._qubits: dict[tuple[int, int], Stored] = {}

    @property
    def truth(self) -> ArrayTruth:
        """Return what is true of the array now."""
        assert self.node.truth.array is not None
        return self.node.truth.array

    def apply(self) -> None:
        """Live by another truth from now on."""
        self.camera.apply(self.truth)

    # -- what the rest of the world asks -------------------------------------------------------------------------------

    @property
    def occupied(self) -> Bools:
        """Return where atoms are, bool, shape (rows, columns); those on their way are nowhere."""
        out = self._occupied.copy()
        out[self.port] = self.node.label != ABSENT
        return out

    @property
    def shape(self) -> tuple[int, ...]:
        """Return (rows, columns)."""
        return self._occupied.shape

    @property
    def temperature_k(self) -> Floats:
        """Return the atoms' temperatures, float, shape (rows, columns); nan where there is none."""
        out = np.where(self._occupied, self._temperature_k, np.nan)
        out[self.port] = self.node.temperature_k if self.node.label != ABSENT else np.nan
        return out

    @property
    def frames(self) -> dict[int, npt.NDArray[np.uint16]]:
        """Return the camera's frames by the time of their trigger (mu)."""
        return self.camera.frames

    def label(self, row: int, column: int) -> int:
        """Return the label of one site's atom, as `Node.label`."""
        return self.node.label if (row, column) == self.port else int(self._label[row, column])

    def cluster(self, row: int, column: int) -> Cluster | None:
        """Return the quantum state that one site's atom takes part in, if any."""
        if (row, column) == self.port:
            return self.node.cluster
        stored = self._qubits.get((row, column))
        return None if stored is None else stored.cluster

    @property
    def queued(self) -> int:
        """Return how many of the AWG's blocks wait for a trigger."""
        return self.carrier.queued

    @property
    def missed_triggers(self) -> int:
        """Return how many of the AWG's triggers came with nothing queued, or during a block."""
        return self.carrier.missed_triggers

    def stored(self, site: tuple[int, int]) -> Stored | None:
        """Return one site's part in a quantum state."""
        if site == self.port:
            cluster = self.node.cluster
            return None if cluster is None else Stored(cluster, self.node.name)
        return self._qubits.get(site)

    def entangle(self, site: tuple[int, int], stored: Stored) -> None:
        """Make a site's atom a qubit; at the port under the node's name."""
        if site == self.port:
            self.node.become(stored.cluster)
        else:
            self._qubits[site], self._label[site] = stored, QUBIT

    def vanish(self, site: tuple[int, int]) -> None:
        """A site's atom has left its quantum state already, and now the trap."""
        if site == self.port:
            self.node.vanish()
            return
        self._qubits.pop(site, None)
        self._occupied[site], self._label[site] = False, ABSENT

    def relabel(self, site: tuple[int, int], label: int) -> None:
        """Give an atom beside the port another label, outside any quantum state."""
        self._qubits.pop(site, None)
        self._label[site] = label

    def warm(self, site: tuple[int, int], temperature_k: float) -> None:
        """Set the temperature of an atom beside the port."""
        self._temperature_k[site] = temperature_k

    def forget(self, site: tuple[int, int]) -> None:
        """Take an atom beside the port out of its quantum state, as if its level had been seen."""
        stored = self._qubits.pop(site, None)
        if stored is not None:
            self._label[site] = F2 if stored.measure(self.node.rng) == 2 else F1

    # -- light and time ------------------------------------------------------------------------------------------------

    def shine(self, start_mu: int, stop_mu: int, power: float, loading: bool) -> None:
        """Let cooling and repump light of this power act on every site but the port's."""
        self.idle(start_mu)
        if self.node.trap_k == 0:  # light finds atoms in flight, and takes them away
            self._lose(self._occupied)
        if self.hidden or self.node.trap_k == 0:
            return
        dt, atom = (stop_mu - start_mu) * 1e-9, self.node.truth.atom
        self._forget_qubits(self._occupied)
        if loading:
            before = Sites(self._occupied, self._temperature_k)
            after = load_sites(self.rng, before, dt, atom.temperature_k, self.node.truth.loading)
            fresh = after.occupied & ~self._occupied
            self._death_mu = np.where(fresh, stop_mu + self._lives_mu(fresh.shape), self._death_mu)
            self._occupied = after.occupied
            self._occupied[self.port] = False
            self._temperature_k = np.where(self._occupied, atom.temperature_k, 0.0)
            self._note_deaths()
            self.camera.see(np.where(self.occupied, dt * power, 0.0))
        else:
            self._image(dt, power)
            decay = math.exp(-dt * power / atom.cooling_time_s)
            self._temperature_k = atom.temperature_k + (self._temperature_k - atom.temperature_k) * decay
        self._label = np.where(self._occupied, F2, ABSENT).astype(np.int8)

    def shine_port(self, bright_s: float) -> None:
        """The port's atom shone for so long at full light; the camera sees it too."""
        self.camera.see_site(*self.port, bright_s)

    def set_depth(self, before_k: float, after_k: float) -> None:
        """Make all tweezers shallower, so that the hottest atoms leave, or none: then all fly until there are some."""
        if self._released is not None and after_k > 0:
            self._catch(*self._released, after_k)
        if after_k >= before_k or not self._occupied.any():
            return
        if after_k == 0:
            self._released = self.node.now_mu, before_k
            return
        warm = np.maximum(self._temperature_k, 1e-9)
        kept = (1 - p_lost_displaced(0.0, 1.0, warm, after_k)) / (1 - p_lost_displaced(0.0, 1.0, warm, before_k))
        self._lose(self._occupied & (self.rng.random(kept.shape) >= kept))

    def _catch(self, start_mu: int, before_k: float, after_k: float) -> None:
        """The tweezers are there again: find out which atoms they caught."""
        self._released, here = None, self._occupied.copy()
        trap, time_s = self.node.truth.trap, (self.node.now_mu - start_mu) * 1e-9
        caught, temperature_k = release_and_catch(
            self.rng, replace(trap, depth_k=before_k), replace(trap, depth_k=after_k), self.node.species.mass_kg,
            self._temperature_k[here], time_s,
        )  # fmt: skip
        self._temperature_k[here] = temperature_k
        here[here] = ~caught
        self._lose(here)

    def _image(self, dt: float, power: float) -> None:
        loss_hz = self.node.truth.imaging.loss_hz * power
        lives = self.rng.exponential(size=self._occupied.shape) / loss_hz if loss_hz > 0 else math.inf
        bright_s = np.where(self._occupied, np.minimum(lives, dt), 0.0)
        self.camera.see(bright_s * power)
        self._lose(self._occupied & (bright_s < dt))

    def idle(self, t_mu: int) -> None:
        """Let the vacuum take what it takes until t_mu."""
        if t_mu >= self.next_death_mu:
            self._lose(self._occupied & (self._death_mu <= t_mu))
            self._note_deaths()

    def _note_deaths(self) -> None:
        self.next_death_mu = float(self._death_mu.min(where=self._occupied, initial=math.inf))

    def _lives_mu(self, shape: tuple[int, ...] = ()) -> Floats:
        return np.asarray(1e9 * self.node.truth.atom.vacuum_lifetime_s * self.rng.exponential(size=shape))

    def _lose(self, lost: Bools) -> None:
        self._forget_qubits(lost)
        self._occupied = self._occupied & ~lost
        self._label[lost] = ABSENT

    def _forget_qubits(self, where: Bools) -> None:
        """Take atoms out of their clusters, as if their level had been seen."""
        self.node.settle_gate()
        for site in [site for site in self._qubits if where[site]]:
            self.forget(site)

    # -- atoms that are moved ------------------------------------------------------------------------------------------

    def lift(self, site: Ints) -> tuple[Bools, Atoms]:
        """Take the atoms off different sites, shape (n, 2); return where there was one, and the atoms, in order."""
        self.node.settle_gate()
        for _ in range(int((site == self.port).all(axis=1).sum())):
            self._lift_port()
        here = self._occupied[site[:, 0], site[:, 1]]
        row, column = site[here].T
        places = [(int(r), int(c)) for r, c in site[here]] if self._qubits else []
        qubits = {k: self._qubits.pop(place) for k, place in enumerate(places) if place in self._qubits}
        atoms = Atoms(self._temperature_k[row, column], self._label[row, column], self._death_mu[row, column], qubits)
        self._occupied[row, column] = False
        self._label[row, column] = ABSENT
        return here, atoms

    def settle(self, site: Ints, atoms: Atoms) -> None:
        """Put atoms on different empty sites, shape (n, 2); one at the port becomes the node's own."""
        row, column = site.T
        self._occupied[row, column] = True
        self._temperature_k[row, column] = atoms.temperature_k
        self._label[row, column], self._death_mu[row, column] = atoms.label, atoms.death_mu
        self._qubits |= {(int(site[k, 0]), int(site[k, 1])): stored for k, stored in atoms.qubits.items()}
        if self._occupied[self.port]:
            self._settle_port()
        self._note_deaths()

    def lose_sites(self, sites: Ints) -> None:
        """Lose the atoms of some sites, shape (n, 2), the port's among them."""
        if not len(sites):
            return
        lost = np.zeros_like(self._occupied)
        lost[sites[:, 0], sites[:, 1]] = True
        if lost[self.port] and self.node.label != ABSENT:
            self.node.before_touch()
            self.node.lose()
        self._lose(lost)

    def _lift_port(self) -> None:
        """Put the node's atom among the others, so that it can be lifted like them."""
        if self.node.label == ABSENT:
            return
        label, self._temperature_k[self.port], stored = self.node.release()
        self._label[self.port], self._death_mu[self.port] = label, self.node.now_mu + self._lives_mu()
        self._occupied[self.port] = True
        if stored is not None:
            self._qubits[self.port] = stored

    def _settle_port(self) -> None:
        self.node.receive(int(self._label[self.port]), float(self._temperature_k[self.port]),
                          self._qubits.pop(self.port, None))  # fmt: skip
        self._occupied[self.port], self._label[self.port] = False, ABSENT
