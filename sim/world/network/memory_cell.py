"""An ensemble memory in the way behind a photon port: photons go in, and come out when its control light lets them.

A photon that enters has one uniform random number: it leaves when the probability to have left passes that number
(`passage`). So nothing is decided before somebody looks, and what the kernel does meanwhile with the control light
decides: on while the photon comes and then off stores it, on again reads it out; left on, the photon is late; off, the
cloud absorbs it. Photons out of a cloud do not interfere at the station with others. Where the cloud is gone photons
pass: their port's station has them as if the memory were not there, but for its rails (`transmission`, `turn`).

A MOT keeps the cloud; while its light is on nothing stays stored. The control light makes noise photons, unpolarised,
in proportion to its power and the depth. Polarisations go through two rails. How the field precesses within one
wavepacket is left out: an atom's phase counts from its photon's mean time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from atomlink.memory_spec import MemorySpec
from atomlink.signals import Tone
from sim.physics.aom import rf_fraction
from sim.physics.eit import Cloud, Control
from sim.physics.emission import Emission
from sim.physics.fibre import transmission
from sim.physics.interference import Complexes
from sim.world.atoms.beam import DARK
from sim.world.atoms.labels import F1, READY
from sim.world.network.passage import Change, Ensemble, Passage
from sim.world.network.photon_port import PhotonPort
from sim.world.network.station import Station
from sim.world.scenario.ensemble_truth import EnsembleTruth

_OFF = Control(0.0)
_DEPTH_STEP = 0.04  # the depth is taken in steps of so much, so that attempts have histories in common
_REMEMBERED_MU = 20_000  # of the control's past: longer than any wavepacket
_KEPT = 64
_GONE = 1e-6  # of a full cloud: that thin, nothing is stored or absorbed


@dataclass
class _Photon:
    start_mu: int  # of its grid
    passage: Passage
    u: float  # it leaves when so much has come out
    polarisation: int


class MemoryCell:
    """One memory: the photons in it, its control light, its cloud."""

    def __init__(self, spec: MemorySpec, truth: EnsembleTruth, port: PhotonPort, rng: np.random.Generator) -> None:
        self.spec, self.name, self.truth, self.port, self.rng = spec, spec.name, truth, port, rng
        self.station: Callable[[PhotonPort], Station | None] = lambda _port: None
        self._tone, self._level = DARK, False
        self._control = _OFF
        self._changes: list[tuple[int, Control]] = [(-(1 << 60), _OFF)]
        self._mot, self._mot_mu, self._filled = False, 0, 0.0
        self._photons: list[_Photon] = []
        self._passages: dict[tuple[int, int, int], tuple[Emission, Passage]] = {}
        self._noise_mu = 0

    @property
    def in_flight(self) -> bool:
        """Whether a photon is inside, or the control light makes noise."""
        return bool(self._photons) or self._control.rabi_rad_s > 0

    # -- photons that pass ---------------------------------------------------------------------------------------------

    def passes(self, t_mu: int) -> bool:
        """Return whether photons pass at t_mu, because the cloud is gone."""
        return not self._mot and self.filled(t_mu) < _GONE

    @property
    def transmission(self) -> float:
        """Return the share that the rails let through, their mean."""
        return float(np.mean(self.truth.rails))

    def turn(self) -> Complexes:
        """Draw by what the rails multiply the photon's amplitudes (H, V), whose squares have the mean 1."""
        return self._rails() / math.sqrt(self.transmission)

    def _rails(self) -> Complexes:
        rails = np.array(self.truth.rails if len(self.truth.rails) > 1 else self.truth.rails * 2)
        phase = self.truth.rail_phase_rad * self.rng.standard_normal()
        return np.asarray(np.sqrt(rails) * np.exp([0.0, 1j * phase]))

    # -- signals -------------------------------------------------------------------------------------------------------

    def set_tone(self, t_mu: int, tone: Tone) -> None:
        """Take a new output of the control's DDS."""
        self._tone = tone
        self._changed(t_mu)

    def set_switch(self, t_mu: int, level: int) -> None:
        """Take the level of the control's TTL."""
        self._level = bool(level)
        self._changed(t_mu)

    def set_mot(self, t_mu: int, level: int) -> None:
        """Switch the MOT, whose light destroys what is stored."""
        self.look(t_mu)
        self._filled, self._mot_mu, self._mot = self.filled(t_mu), t_mu, bool(level)
        if level:
            self._photons.clear()

    def apply(self, truth: EnsembleTruth, t_mu: int) -> None:
        """Live by another truth from t_mu on."""
        if truth != self.truth:
            self.look(t_mu)
            self._filled, self._mot_mu, self.truth = self.filled(t_mu), t_mu, truth
            self._passages.clear()
            self.port.epoch += 1  # the station counts what the rails let pass
            self._changed(t_mu)

    def filled(self, t_mu: int) -> float:
        """Return the depth at t_mu as a share of the full one."""
        dt = (t_mu - self._mot_mu) * 1e-9
        if self._mot:
            return 1 - (1 - self._filled) * math.exp(-dt / self.truth.fill_s)
        return self._filled * math.exp(-dt / self.truth.decay_s)

    def _changed(self, t_mu: int) -> None:
        control = self._present()
        if control == self._control:
            return
        self.look(t_mu)
        self._control = control
        self._changes.append((t_mu, control))
        if not self._photons:
            while len(self._changes) > 1 and self._changes[1][0] < t_mu - _REMEMBERED_MU:
                del self._changes[0]

    def _present(self) -> Control:
        tone, truth = self._tone, self.truth
        if not (self._level or tone.switch) or tone.amplitude <= 0:
            return _OFF
        power = truth.aom.diffraction(rf_fraction(tone.amplitude, tone.attenuation_db))
        return Control(truth.control_rad_s * math.sqrt(power), 2 * math.pi * (tone.frequency_hz - truth.carrier_hz))

    # -- photons -------------------------------------------------------------------------------------------------------

    def enter(self, start_mu: int, stop_mu: int) -> None:
        """Excitation light was on at the port's atom; if it was ready, its photon comes here."""
        port, rng = self.port, self.rng
        if port.label != READY or stop_mu <= start_mu:
            return
        arm = port.arm(stop_mu - start_mu, 0.0)
        emission = arm.emission
        u = rng.random()
        if u >= emission.transferred:
            port.excited(READY)
            return
        port.excited(F1)
        polarisation, ket, through = self._measured(arm.jones)
        collected = emission.efficiency / emission.transferred * port.truth.port.fibre_coupling
        mean_s = float(np.trapezoid(1 - emission.cdf, emission.t_s)) + float(emission.t_s[0])
        station = self.station(port)
        if station is not None:
            station.alone(port, start_mu, mean_s, ket)
            if rng.random() < collected * through * transmission(port.truth.fibre):
                self._let_in(start_mu, emission, polarisation)

    def _let_in(self, start_mu: int, emission: Emission, polarisation: int) -> None:
        components = emission.components
        weights = (np.abs(components) ** 2).sum(axis=1)
        number = int(self.rng.choice(len(weights), p=weights / weights.sum())) if len(weights) > 1 else 0
        first_mu = start_mu + round(float(emission.t_s[0]) * 1e9)
        share = self.filled(start_mu)
        step = round(math.log(share) / math.log1p(-_DEPTH_STEP)) if share >= _GONE else -1
        key = id(emission), number, step
        if key not in self._passages:
            if len(self._passages) >= _KEPT:
                self._passages.clear()
            truth = self.truth
            depth = truth.optical_depth * (1 - _DEPTH_STEP) ** step if step >= 0 else 0.0
            field = components[number] / math.sqrt(weights[number] * 1e-9)
            ensemble = Ensemble(Cloud(depth, truth.gamma_rad_s), truth.coherence_s, truth.direction == "backward")
            self._passages[key] = emission, Passage(ensemble, field)  # the emission is kept: its id stays its own
        self._photons.append(_Photon(first_mu, self._passages[key][1], self.rng.random(), polarisation))

    def _measured(self, jones: np.ndarray) -> tuple[int, np.ndarray, float]:
        """Draw the polarisation that the detectors will see; return it, the state that leaves the atom in, and the
        chance that the rails let the photon through.

        A photon lost on the way is sampled as if its polarisation had been seen, as at a station.
        """
        through = jones @ np.diag(self._rails())
        chances = (np.abs(through) ** 2).sum(axis=1)
        polarisation = int(self.rng.random() < 0.5)
        if chances[polarisation] == 0:
            return polarisation, jones[polarisation], 0.0
        return polarisation, through[polarisation] / math.sqrt(chances[polarisation]), float(chances[polarisation])

    def look(self, t_mu: int) -> None:
        """Somebody looks, or something changes, at t_mu: what has come out by then is on its way to the station."""
        self._shine(t_mu)
        station = self.station(self.port)
        left = []
        for photon in self._photons:
            history = self._history(photon, t_mu)
            if history and photon.passage.until(history, t_mu - photon.start_mu) > photon.u:
                out_mu = photon.start_mu + photon.passage.when(history, photon.u)
                if station is not None:
                    station.arrive(out_mu + self.port.flight_s * 1e9, photon.polarisation)
            elif not self._never(photon, history, t_mu):
                left.append(photon)
        self._photons = left

    def _history(self, photon: _Photon, t_mu: int) -> tuple[Change, ...]:
        """Return the control's changes since the photon's first light, up to t_mu."""
        changes = [(when, control) for when, control in self._changes if when <= t_mu]
        before = [control for when, control in changes if when <= photon.start_mu]
        if t_mu < photon.start_mu:
            return ()
        found: list[Change] = [(0, before[-1] if before else _OFF, 1.0)]
        for when, control in changes:
            if when > photon.start_mu:
                found.append((when - photon.start_mu, control, round(self._atoms(photon, when), 3)))
        return tuple(found)

    def _atoms(self, photon: _Photon, t_mu: int) -> float:
        return math.exp(-(t_mu - photon.start_mu) * 1e-9 / self.truth.decay_s)

    def _never(self, photon: _Photon, history: tuple[Change, ...], t_mu: int) -> bool:
        """Return whether a photon will not come any more: nothing is left inside, or it is far too old."""
        age_mu = t_mu - photon.start_mu
        if age_mu > 6e9 * self.truth.coherence_s + _REMEMBERED_MU:
            return True
        return bool(history) and photon.passage.never(history, photon.u)

    def _shine(self, t_mu: int) -> None:
        """Let the control's noise photons reach the station until t_mu."""
        start, self._noise_mu = self._noise_mu, max(self._noise_mu, t_mu)
        truth, station = self.truth, self.station(self.port)
        if self._control.rabi_rad_s == 0 or station is None or t_mu <= start or truth.control_rad_s == 0:
            return
        power = (self._control.rabi_rad_s / truth.control_rad_s) ** 2
        rate = truth.noise_photons / truth.noise_window_s * power * self.filled(t_mu)
        delay = round(self.port.flight_s * 1e9)
        station.shine(start + delay, t_mu + delay, rate * transmission(self.port.truth.fibre))
