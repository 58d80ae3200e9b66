"""Two photons at the midpoint, click by click, with the state they leave the atoms in.

Each node emits (|0>|H> + |1>|V>)/sqrt(2) with wavepacket psi. The fibre turns polarisation by a Jones matrix J. The
beam splitter makes A -> (c + d)/sqrt(2), B -> (c - d)/sqrt(2), and each output has a polarising splitter. Clicks of
photon 1 at (port x, polarisation a, t1) and photon 2 at (y, b, t2) leave the atoms in

    s_y psi_A(t1) psi_B(t2) |u_a(t1)>|w_b(t2)>  +  s_x psi_A(t2) psi_B(t1) |u_b(t2)>|w_a(t1)>,      s_c = +1, s_d = -1,

with |u_p(t)> = sum_s J_A[p, s] exp(i E_s t) |s>, E_0 - E_1 = hbar omega_Larmor, the atom's state at the reference time
0 if its photon of polarisation p was emitted at t. The reference is the mean of the two emission times, so that
feed-forward by the clicks' mean time stamp needs nothing else. Summed over equal and different ports the interference
term cancels, so times and polarisations may be drawn as for independent photons, and only the choice "same port or not"
interferes. A photon lost on the way is sampled as if its polarisation had been seen, so a trajectory is always pure.

Source: Simon & Irvine, PRL 91, 110405 (2003) for the pattern; Legero et al., Appl. Phys. B 77, 797 (2003) for the
time-resolved interference.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.physics.emission import Emission

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Complexes = NDArray[np.complex128]

_QUANTILES = 1 << 16


@dataclass(frozen=True)
class Arm:
    """One node's photon on its way to the detectors.

    `delay_s` from the atom to the detectors, `jones` (2, 2) from (H, V) at the port to (H, V) at the midpoint,
    `larmor_rad_s` the splitting of |0> and |1|, `jitter_s` the rms jitter of the emission. `others`: photons that it
    may be instead and that leave the atom outside the qubit, whatever their polarisation (source 2 and on; the photon
    itself is source 1). Until `detach` they are drawn as if the atom had kept their polarisation: whoever has it.
    """

    emission: Emission
    delay_s: float
    jones: Complexes
    larmor_rad_s: float
    jitter_s: float = 0.0
    others: tuple[Emission, ...] = ()

    @cached_property
    def quantiles_s(self) -> Floats:
        """The inverse of each source's arrival-time distribution on a uniform grid of probabilities (sources, k)."""
        at = np.linspace(0.0, 1.0, _QUANTILES + 1)
        return np.array([np.interp(at, each.cdf, each.t_s) + self.delay_s for each in (self.emission, *self.others)])

    @cached_property
    def components(self) -> Complexes:
        """The modes (m, n) of a mixed wavepacket, each with the square root of its share; those of others follow."""
        return np.vstack([each.components for each in (self.emission, *self.others)])

    @cached_property
    def source_of(self) -> Ints:
        """The source (m,) that each mode is of, from 1."""
        counts = [len(each.components) for each in (self.emission, *self.others)]
        return np.repeat(np.arange(1, len(counts) + 1), counts)

    @property
    def mixed(self) -> bool:
        """Whether it has more modes than one."""
        return self.emission.delayed is not None or bool(self.others)

    @property
    def aligned(self) -> bool:
        """Whether H stays H on the way: then photons of different polarisation leave orthogonal atoms."""
        return bool(abs(self.jones[0, 1]) < 1e-9)


@dataclass(frozen=True)
class Midpoint:
    """Beam splitter and detectors: `overlap` |<m_A|m_B>|^2 of all modes but time, `detuning_rad_s` rms between the
    photons, `efficiencies` of c_h, c_v, d_h, d_v relative to the best.
    """

    overlap: float
    detuning_rad_s: float
    efficiencies: tuple[float, float, float, float]
    jitter_s: float


class Modes(NamedTuple):
    """What `states` needs to know of n attempts' photons: `emitted_s`, `shift_s` (jitter of the whole wavepacket),
    `component` (of a mixed wavepacket), `polarisation` (n, 2) by node, the rest (n,).
    """

    emitted_s: Floats
    shift_s: Floats | None
    component: Ints | None
    polarisation: Ints
    pair: Bools
    same_port: Bools
    detuning_rad_s: Floats

    def take(self, rows: Ints) -> Modes:
        """Return these attempts only."""
        return Modes._make(None if field is None else field[rows] for field in self)


class Photons(NamedTuple):
    """Photon clicks of n attempts, by node: `detector` (n, 2) is 0..3 for c_h, c_v, d_h, d_v or -1, `time_s` (n, 2)."""

    detector: Ints
    time_s: Floats
    modes: Modes


def draw_photons(
    rng: np.random.Generator,
    arms: tuple[Arm, Arm],
    midpoint: Midpoint,
    present: Bools,
    same_polarisation: Bools | None = None,
    source: Ints | None = None,
) -> Photons:
    """Draw where and when the photons of n attempts click; `present` (n, 2) says which node's photon reaches the
    detectors.

    `same_polarisation` (n,) fixes whether the two photons of a row have equal polarisation; left out, it is drawn (one
    half). `source` (n, 2): which of its arm's photons each is, from 1; left out, the first.
    """
    n = len(present)
    bits = rng.integers(0, 16, n, dtype=np.uint8)
    polarisation = np.empty((n, 2), dtype=np.int64)
    port = np.empty((n, 2), dtype=np.int64)
    polarisation[:, 0], polarisation[:, 1], port[:, 0], port[:, 1] = bits & 1, bits >> 1 & 1, bits >> 2 & 1, bits >> 3
    if same_polarisation is not None:
        polarisation[:, 1] = polarisation[:, 0] ^ ~same_polarisation
    emitted = np.empty((n, 2))
    # Most wavepackets are pure and start on time; arrays of zeros would cost a tenth of the speed.
    shift = np.zeros((n, 2)) if any(arm.jitter_s for arm in arms) else None
    mixed = any(arm.mixed for arm in arms)
    component = np.zeros((n, 2), dtype=np.int64) if mixed else None
    for k, arm in enumerate(arms):
        mine = None if source is None or not arm.others else np.maximum(source[:, k], 1)
        emitted[:, k] = _draw_times(rng, arm, n, mine)
        if component is not None and arm.mixed:
            component[:, k] = _draw_component(rng, arm, emitted[:, k], mine)
        if shift is not None and arm.jitter_s:
            shift[:, k] = rng.normal(0.0, arm.jitter_s, n)
            emitted[:, k] += shift[:, k]
    pair = present[:, 0] & present[:, 1]
    detuning = rng.normal(0.0, midpoint.detuning_rad_s, n) if midpoint.detuning_rad_s else np.zeros(n)
    same = port[:, 0] == port[:, 1]
    rows = np.flatnonzero(pair & _may_interfere(arms, polarisation))
    if len(rows):
        interference = _Pairs(
            arms, Modes(emitted, shift, component, polarisation, pair, same, detuning).take(rows)
        ).interference()
        same[rows] = rng.random(len(rows)) < 0.5 * (1 + midpoint.overlap * interference)
        port[rows, 1] = np.where(same[rows], port[rows, 0], 1 - port[rows, 0])
    detector = np.where(present, 2 * port + polarisation, -1)
    _thin(rng, detector, midpoint.efficiencies)
    time = emitted + rng.normal(0.0, midpoint.jitter_s, (n, 2)) if midpoint.jitter_s else emitted
    return Photons(detector, time, Modes(emitted, shift, component, polarisation, pair, same, detuning))


def states(
    rng: np.random.Generator, arms: tuple[Arm, Arm], midpoint: Midpoint, modes: Modes, emitted: Bools, rows: Ints
) -> Complexes:
    """Return the atoms' states (r, 4) over |00>, |01>, |10>, |11> after these attempts, at the mean emission time.

    `emitted` (n, 2): the node's own photon was seen; otherwise the atom is a random basis state (photon lost or never
    sent).
    """
    paired = modes.pair[rows]
    if paired.all():
        return _pair_states(rng, arms, midpoint, modes.take(rows))
    out = np.empty((len(rows), 4), dtype=complex)
    out[paired] = _pair_states(rng, arms, midpoint, modes.take(rows[paired]))
    out[~paired] = _product_states(rng, arms, modes.take(rows[~paired]), emitted[rows[~paired]])
    return out


def detach(rng: np.random.Generator, psi: Complexes, wrong: Bools) -> Complexes:
    """Return the states (n, 4) without the atoms that are no qubits, `wrong` (n, 2): whoever has the polarisation of
    their photon keeps it, so that it is measured, and the rest is what follows; a product.
    """
    psi = psi.reshape(-1, 2, 2).copy()
    for k in (0, 1):
        rows = np.flatnonzero(wrong[:, k])
        weights = _square(psi[rows]).sum(axis=2 - k)
        level = (rng.random(len(rows)) * weights.sum(axis=1) >= weights[:, 0]).astype(np.int64)
        kept = np.arange(2) == level[:, None]
        psi[rows] *= kept[:, :, None] if k == 0 else kept[:, None, :]
        psi[rows] /= np.sqrt(_square(psi[rows]).sum(axis=(1, 2)))[:, None, None]
    return np.asarray(psi.reshape(-1, 4))


class _Pairs:
    """Amplitudes of n photon pairs: photon 1 is A's in the direct term and B's in the swapped one; all arrays (n,)."""

    def __init__(self, arms: tuple[Arm, Arm], ph: Modes) -> None:
        a, b = arms
        t1, t2, p1, p2 = ph.emitted_s[:, 0], ph.emitted_s[:, 1], ph.polarisation[:, 0], ph.polarisation[:, 1]
        detuning = ph.detuning_rad_s
        late_a, late_b = (0.0, 0.0) if ph.shift_s is None else ph.shift_s.T
        mode_a, mode_b = (None, None) if ph.component is None else ph.component.T
        self.direct = _psi(a, t1 - late_a, mode_a) * _psi(b, t2 - late_b, mode_b)
        self.swapped = _psi(a, t2 - late_a, mode_a) * _psi(b, t1 - late_b, mode_b)
        if detuning.any():
            self.swapped = self.swapped * np.exp(-1j * detuning * (t2 - t1))
        self.norm = _square(self.direct) + _square(self.swapped)
        self._same_polarisation, self._aligned = p1 == p2, a.aligned and b.aligned
        early_a = np.exp(0.25j * a.larmor_rad_s * (t1 - t2))
        early_b = early_a if b.larmor_rad_s == a.larmor_rad_s else np.exp(0.25j * b.larmor_rad_s * (t1 - t2))
        # (component |0>, component |1>) of each atom in each term; an atom that emitted later has precessed less.
        self.u_direct = a.jones[p1, 0] * early_a, a.jones[p1, 1] * early_a.conj()
        self.u_swapped = a.jones[p2, 0] * early_a.conj(), a.jones[p2, 1] * early_a
        self.w_direct = b.jones[p2, 0] * early_b.conj(), b.jones[p2, 1] * early_b
        self.w_swapped = b.jones[p1, 0] * early_b, b.jones[p1, 1] * early_b.conj()

    def interference(self) -> Floats:
        """Return 2 Re(direct swapped* <swapped atoms|direct atoms>) / (|direct|^2 + |swapped|^2), in -1..1."""
        if self._aligned and not self._same_polarisation.any():
            return np.zeros(len(self.norm))
        overlap = _inner(self.u_swapped, self.u_direct) * _inner(self.w_swapped, self.w_direct)
        cross = 2 * np.real(self.direct * self.swapped.conj() * overlap)
        return np.divide(cross, self.norm, out=np.zeros_like(self.norm), where=self.norm > 0)

    def states(self, sign: Floats, interference: Floats) -> Complexes:
        """Return the atoms' states (n, 4) for the swapped term's sign: +1 for equal ports, -1 for different ones."""
        total = self.norm * (1 + sign * interference)
        scale = np.divide(1.0, np.sqrt(total), out=np.zeros_like(total), where=total > 0)
        psi = np.empty((len(sign), 4), dtype=complex)
        direct, swapped = scale * self.direct, scale * sign * self.swapped
        for i in (0, 1):
            left, right = direct * self.u_direct[i], swapped * self.u_swapped[i]
            for j in (0, 1):
                psi[:, 2 * i + j] = left * self.w_direct[j] + right * self.w_swapped[j]
        return psi


def _pair_states(rng: np.random.Generator, arms: tuple[Arm, Arm], midpoint: Midpoint, ph: Modes) -> Complexes:
    pairs = _Pairs(arms, ph)
    sign = np.where(ph.same_port, 1.0, -1.0)
    interference = pairs.interference()
    # What distinguishes the photons is measured in the basis "symmetric or not": the second outcome flips the sign of
    # the swapped term.
    flipped = 0.5 * (1 - midpoint.overlap) * (1 - sign * interference)
    total = 1 + midpoint.overlap * sign * interference
    sign = np.where(rng.random(len(sign)) * total < flipped, -sign, sign)
    return pairs.states(sign, interference)


def _product_states(rng: np.random.Generator, arms: tuple[Arm, Arm], ph: Modes, emitted: Bools) -> Complexes:
    kets = []
    for k, arm in enumerate(arms):
        lost = np.eye(2, dtype=complex)[rng.integers(0, 2, len(emitted))]
        kets.append(np.where(emitted[:, k, None], arm.jones[ph.polarisation[:, k]], lost))
    return np.asarray((kets[0][:, :, None] * kets[1][:, None, :]).reshape(-1, 4))


def _draw_times(rng: np.random.Generator, arm: Arm, n: int, source: Ints | None) -> Floats:
    at = rng.random(n) * _QUANTILES
    index = at.astype(np.int64)
    if source is None:
        table = arm.quantiles_s[0]
        low, high = table[index], table[index + 1]
    else:
        low, high = arm.quantiles_s[source - 1, index], arm.quantiles_s[source - 1, index + 1]
    return np.asarray(low + (at - index) * (high - low))


def _draw_component(rng: np.random.Generator, arm: Arm, t_s: Floats, source: Ints | None) -> Ints:
    """Draw which mode of its source a photon that arrived at t_s was in."""
    density = np.array([_square(_psi(arm, t_s, np.full(len(t_s), k))) for k in range(len(arm.components))])
    if arm.others:
        density *= arm.source_of[:, None] == (1 if source is None else source)
    edges = np.cumsum(density, axis=0)
    return np.asarray((rng.random(len(t_s)) * edges[-1] >= edges).sum(axis=0).clip(max=len(density) - 1))


def _psi(arm: Arm, t_s: Floats, component: Ints | None) -> Complexes:
    """Return the wavepacket (its given component, where it is a mixture) at the detectors, 0 outside its support."""
    grid = arm.emission.t_s
    scale = 1.0 / (grid[1] - grid[0])
    at = (t_s - (arm.delay_s + grid[0])) * scale
    index = (at + 0.5).astype(np.int64)
    inside = None
    if at.min(initial=0) < 0 or index.max(initial=0) >= len(grid):
        # Not half a step before the start: a photon with a sharp edge would meet the other one too early.
        inside = (at >= -1e-6) & (index < len(grid))
        index = np.clip(index, 0, len(grid) - 1)
    mixed = component is not None and arm.mixed
    psi = arm.components[component, index] if mixed else arm.emission.amplitude[index]
    return np.asarray(psi if inside is None else np.where(inside, psi, 0))


def reference_s(modes: Modes, emitted: Bools) -> Floats:
    """Return the time (n,) that `states` refers to, at the detectors: the mean over the photons seen, 0 where there is
    none.
    """
    first, second = emitted[:, 0], emitted[:, 1]
    total = modes.emitted_s[:, 0] * first + modes.emitted_s[:, 1] * second
    return np.asarray(total / np.maximum(first.astype(np.int8) + second, 1))


def _square(z: Complexes) -> Floats:
    return np.asarray(z.real**2 + z.imag**2, dtype=float)


def _inner(left: tuple[Complexes, Complexes], right: tuple[Complexes, Complexes]) -> Complexes:
    return np.asarray(left[0].conj() * right[0] + left[1].conj() * right[1], dtype=complex)


def _may_interfere(arms: tuple[Arm, Arm], polarisation: Ints) -> Bools:
    """Photons of different polarisation leave orthogonal atoms, unless a fibre mixes H and V."""
    if arms[0].aligned and arms[1].aligned:
        return np.asarray(polarisation[:, 0] == polarisation[:, 1])
    return np.ones(len(polarisation), dtype=bool)


def _thin(rng: np.random.Generator, detector: Ints, efficiencies: tuple[float, ...]) -> None:
    """Remove photons that a detector below the best one misses."""
    if min(efficiencies) < 1.0:
        table = np.append(np.asarray(efficiencies), 0.0)
        detector[rng.random(detector.shape) >= table[detector]] = -1
