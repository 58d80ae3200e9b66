"""Models that experiments fit, each with start values found from the data.

A model says what its parameters measure (`units`, as "x", "1/x", "y", "rad" or "1"), which one the fit is made for
(`key`), which must lie inside the scanned range (`located`), and how to start. What oscillates starts from a
least-squares periodogram, so that unevenly spaced points are fine; peaks start from the extremum against the median.
Source: N. R. Lomb, Astrophys. Space Sci. 39, 447 (1976).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Start = tuple[float, float, float]  # value, lowest, highest
INF = math.inf
MOST_CANDIDATES = 100  # frequencies looked at, for each point; evenly spaced points need five


@dataclass(frozen=True)
class Model:
    """A function y(x; parameters), where to start, and what makes its fit one to believe."""

    name: str
    function: Callable[..., Any]  # (x, **parameters) -> y
    start: Callable[[Floats, Floats, Floats], dict[str, Start]]  # (x, y, error of y) -> value and bounds by name
    units: Mapping[str, str]
    key: str
    located: tuple[str, ...] = ()
    searched: bool = False  # many start values were tried, so noise looks like a feature more often
    constants: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))  # set, not fitted

    def __call__(self, x: Any, **parameters: float) -> Floats:
        """Return y at x."""
        return np.asarray(self.function(np.asarray(x, dtype=float), **self.constants, **parameters), dtype=float)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Return the names of what can be fitted."""
        return tuple(self.units)


def _span(x: Floats) -> float:
    return float(np.ptp(x)) or 1.0


def _step(x: Floats) -> float:
    different = np.unique(x)
    return float(np.min(np.diff(different))) if len(different) > 1 else 1.0


def frequency_of(x: Floats, y: Floats, error: Floats, phase_free: bool = True) -> tuple[float, Floats]:
    """Return the frequency of the best sinusoid and its (offset, cosine, sine) amplitudes.

    Looked for between half a period in the span and half a period per typical step; where points lie so unevenly that
    this would be a search without end, among so many frequencies a point.
    """
    span, x0 = _span(x), 0.0
    steps = np.diff(np.unique(x))
    highest = 0.5 / (float(np.median(steps)) if len(steps) else span)
    best: tuple[float, float, Floats] = (INF, 1 / span, np.zeros(3))
    highest = min(max(highest, 1 / span) * 1.001, MOST_CANDIDATES * len(x) * 0.1 / span)
    for f in np.arange(0.4 / span, highest, 0.1 / span):
        angle = 2 * math.pi * f * (x - x0)
        columns = [np.ones_like(x), np.cos(angle)] + ([np.sin(angle)] if phase_free else [])
        design = np.stack(columns, axis=1) / error[:, None]
        found = np.linalg.lstsq(design, y / error, rcond=None)[0]
        cost = float(np.sum((design @ found - y / error) ** 2))
        if cost < best[0]:
            best = (cost, float(f), np.append(found, np.zeros(3 - len(found))))
    return best[1], best[2]


def _wave(x: Floats, y: Floats, error: Floats) -> dict[str, Start]:
    f, (offset, cosine, sine) = frequency_of(x, y, error)
    size, phase = math.hypot(cosine, sine), math.atan2(-sine, cosine)
    return {
        "offset": (offset, -INF, INF),
        "amplitude": (size or 0.1, 0.0, INF),
        "frequency": (f, 0.2 / _span(x), 2 / _step(x)),
        "phase": (phase, -3 * math.pi, 3 * math.pi),
    }


def _cosine(x: Floats, y: Floats, error: Floats) -> dict[str, Start]:
    f, (offset, cosine, _) = frequency_of(x, y, error, phase_free=False)
    return {
        "offset": (offset, -INF, INF),
        "amplitude": (cosine or 0.1, -INF, INF),
        "frequency": (f, 0.2 / _span(x), 2 / _step(x)),
    }


def _damped(start: Callable[[Floats, Floats, Floats], dict[str, Start]]) -> Callable[..., dict[str, Start]]:
    def with_decay(x: Floats, y: Floats, error: Floats) -> dict[str, Start]:
        return {**start(x, y, error), "decay": (_span(x), _step(x) / 4, 1000 * _span(x))}

    return with_decay


def _extremum(x: Floats, y: Floats, error: Floats) -> tuple[float, float, float, float]:
    """Return offset, height, centre and width of the point that departs most from the median."""
    order = np.argsort(x)
    x, y = x[order], y[order]
    smooth = np.convolve(np.pad(y, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid") if len(y) > 4 else y
    offset = float(np.median(y))
    k = int(np.argmax(np.abs(smooth - offset)))
    height = float(y[k] - offset) or float(np.ptp(y)) or 0.1
    inside = x[(smooth - offset) / height > 0.5]
    width = max(float(np.ptp(inside)) if len(inside) else 0.0, _step(x))
    return offset, height, float(x[k]), width


def _peak(width_of_fwhm: float) -> Callable[[Floats, Floats, Floats], dict[str, Start]]:
    def start(x: Floats, y: Floats, error: Floats) -> dict[str, Start]:
        offset, height, centre, fwhm = _extremum(x, y, error)
        margin = _span(x)
        return {
            "offset": (offset, -INF, INF),
            "amplitude": (height, -INF, INF),
            "centre": (centre, float(x.min()) - margin, float(x.max()) + margin),
            "width": (fwhm * width_of_fwhm, _step(x) / 10, 3 * _span(x)),
        }

    return start


def _decay(x: Floats, y: Floats, error: Floats) -> dict[str, Start]:
    order = np.argsort(x)
    first, last = float(y[order[0]]), float(y[order[-1]])
    middle = x[order][np.argmin(np.abs(y[order] - (first + last) / 2))] - x.min()
    return {
        "offset": (last, -INF, INF),
        "amplitude": ((first - last) or 0.1, -INF, INF),
        "decay": (max(float(middle) / math.log(2), _step(x)), _step(x) / 20, 1000 * _span(x)),
    }


def _recovery(x: Floats, y: Floats, error: Floats) -> dict[str, Start]:
    order = np.argsort(x)
    top = float(y[order[-1]]) or float(y.max()) or 1.0
    risen = x[order][np.argmax(y[order] > top / 2)]
    return {"rate": (top, 0.0, INF), "recovery": (max(float(risen) / math.log(2), _step(x) / 4), 0.0, 10 * _span(x))}


def _line(x: Floats, y: Floats, error: Floats) -> dict[str, Start]:
    slope, offset = np.polyfit(x, y, 1, w=1 / error) if len(np.unique(x)) > 1 else (0.0, float(y.mean()))
    return {"offset": (float(offset), -INF, INF), "slope": (float(slope), -INF, INF)}


def _saturation(x: Floats, y: Floats, error: Floats) -> dict[str, Start]:
    top = float(x[np.argmax(y)]) or _span(x)
    return {
        "offset": (float(y.min()), -INF, INF),
        "amplitude": (float(np.ptp(y)) or 0.1, 0.0, INF),
        "saturation": (top, _step(x) / 4, 10 * float(np.abs(x).max())),
    }


def _fringe_start(turns: float) -> Callable[[Floats, Floats, Floats], dict[str, Start]]:
    def start(x: Floats, y: Floats, error: Floats) -> dict[str, Start]:
        design = np.stack([np.ones_like(x), np.cos(turns * x), np.sin(turns * x)], axis=1) / error[:, None]
        offset, cosine, sine = np.linalg.lstsq(design, y / error, rcond=None)[0]
        return {
            "offset": (float(offset), -INF, INF),
            "amplitude": (math.hypot(cosine, sine) or 0.1, 0.0, INF),
            "phase": (math.atan2(-sine, cosine), -3 * math.pi, 3 * math.pi),
        }

    return start


def _units(**units: str) -> Mapping[str, str]:
    return MappingProxyType(units)


# offset + amplitude cos(2 pi frequency x + phase)
SINUSOID = Model(
    "sinusoid",
    lambda x, offset, amplitude, frequency, phase: offset + amplitude * np.cos(2 * np.pi * frequency * x + phase),
    _wave,
    _units(offset="y", amplitude="y", frequency="1/x", phase="rad"),
    key="frequency",
    searched=True,
)
# offset + amplitude cos(2 pi frequency x): a resonant drive from x = 0 on; the pi time is 1/(2 frequency)
RABI = Model(
    "Rabi",
    lambda x, offset, amplitude, frequency: offset + amplitude * np.cos(2 * np.pi * frequency * x),
    _cosine,
    _units(offset="y", amplitude="y", frequency="1/x"),
    key="frequency",
    searched=True,
)
# the same with exp(-x/decay)
DAMPED_RABI = Model(
    "damped Rabi",
    lambda x, offset, amplitude, frequency, decay: (
        offset + amplitude * np.cos(2 * np.pi * frequency * x) * np.exp(-x / decay)
    ),
    _damped(_cosine),
    _units(offset="y", amplitude="y", frequency="1/x", decay="x"),
    key="frequency",
    searched=True,
)
# offset + amplitude cos(2 pi frequency x + phase) exp(-(x/decay)^2): dephasing by slow Gaussian noise
RAMSEY = Model(
    "Ramsey",
    lambda x, offset, amplitude, frequency, phase, decay: (
        offset + amplitude * np.cos(2 * np.pi * frequency * x + phase) * np.exp(-((x / decay) ** 2))
    ),
    _damped(_wave),
    _units(offset="y", amplitude="y", frequency="1/x", phase="rad", decay="x"),
    key="frequency",
    searched=True,
)
# offset + amplitude exp(-(x - centre)^2/(2 width^2)); amplitude < 0 is a dip
GAUSSIAN = Model(
    "Gaussian",
    lambda x, offset, amplitude, centre, width: offset + amplitude * np.exp(-0.5 * ((x - centre) / width) ** 2),
    _peak(1 / math.sqrt(8 * math.log(2))),
    _units(offset="y", amplitude="y", centre="x", width="x"),
    key="centre",
    located=("centre",),
)
# offset + amplitude/(1 + ((x - centre)/width)^2); width is half of the full width at half maximum
LORENTZIAN = Model(
    "Lorentzian",
    lambda x, offset, amplitude, centre, width: offset + amplitude / (1 + ((x - centre) / width) ** 2),
    _peak(0.5),
    _units(offset="y", amplitude="y", centre="x", width="x"),
    key="centre",
    located=("centre",),
)
# offset + amplitude exp(-x/decay)
DECAY = Model(
    "exponential decay",
    lambda x, offset, amplitude, decay: offset + amplitude * np.exp(-x / decay),
    _decay,
    _units(offset="y", amplitude="y", decay="x"),
    key="decay",
)
# offset + amplitude exp(-(x/decay)^2): a spin wave that moves apart
GAUSSIAN_DECAY = Model(
    "Gaussian decay",
    lambda x, offset, amplitude, decay: offset + amplitude * np.exp(-((x / decay) ** 2)),
    _decay,
    _units(offset="y", amplitude="y", decay="x"),
    key="decay",
)
# rate (1 - exp(-x/recovery)): what a detector clicks at time x after its last click, in steady light
RECOVERY = Model(
    "recovery",
    lambda x, rate, recovery: -rate * np.expm1(-x / recovery),
    _recovery,
    _units(rate="y", recovery="x"),
    key="recovery",
)
# offset + amplitude sin^2(pi/2 x/saturation): light behind an AOM against the amplitude of its drive
SATURATION = Model(
    "sin² saturation",
    lambda x, offset, amplitude, saturation: offset + amplitude * np.sin(0.5 * np.pi * x / saturation) ** 2,
    _saturation,
    _units(offset="y", amplitude="y", saturation="x"),
    key="saturation",
)
# offset + slope x
LINEAR = Model(
    "line", lambda x, offset, slope: offset + slope * x, _line, _units(offset="y", slope="y/x"), key="slope"
)


def fringe(turns: float = 1.0) -> Model:
    """Return offset + amplitude cos(turns x + phase), x in rad: 1 an interferometer, 2 the parity of a pair."""
    return Model(
        f"cosine of {turns:g} x",
        lambda x, offset, amplitude, phase: offset + amplitude * np.cos(turns * x + phase),
        _fringe_start(turns),
        _units(offset="y", amplitude="y", phase="rad"),
        key="amplitude",
    )
