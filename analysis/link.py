"""Heralded pairs of a link: how often, and how entangled. Twin of experiments/link/remote_entanglement.py.

States: H and V at one output herald Psi+ = (|01> + |10>)/sqrt(2), at different outputs Psi-; ideal <XX>, <YY>, <ZZ>
are +, +, - and -, -, -. With t = +1 (Psi+) or -1 (Psi-) the target of a shot, F = (1 + t <XX> + t <YY> - <ZZ>)/4.
If the kernel fed forward, every shot's target is Psi+; otherwise it follows the pattern. Rows that mix targets are
told in the frame of Psi+: outcomes whose ideal sign differs are flipped. S = sum of the four CHSH correlators with
the signs that their angles predict for the target; three must agree and one differ, which is fixed by the settings
and not by the data. Source: CHSH, PRL 23, 880 (1969). Only valid shots count for states; every herald counts for
the rate. The herald probability is that of an attempt with both atoms there: attempts after which a look found one
missing are left out (`shots.attempts_lost`), in the test of the waits too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis import readout, schema
from analysis.accidentals import Accidentals, estimate_accidentals
from analysis.estimates import Estimate, binomial, renewal
from analysis.load import Run
from analysis.readout import UNCORRECTED, Correlator, Retention
from analysis.waiting import Waiting, check_waiting
from atomlink.errors import DataError
from atomlink.heralds import heralds, labels

STATE_NAMES = {+1: "Ψ+", -1: "Ψ−"}
BASES = {"XX": (1.0, 0.0, 0.0), "YY": (0.0, 1.0, 0.0), "ZZ": (0.0, 0.0, 1.0)}
NEEDED = tuple(entry.key for entry in schema.DATASETS if entry.key.startswith("shots.") and entry.required)

Ints = npt.NDArray[np.integer[Any]]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Setting:
    """One pair of analysis axes (unit vectors) with its name and index in `link.settings`."""

    index: int
    name: str
    first: tuple[float, float, float]
    second: tuple[float, float, float]

    def ideal(self, target: int) -> float:
        """Return <n_A n_B> of Psi+ (target +1) or Psi- (-1)."""
        a, b = self.first, self.second
        return target * (a[0] * b[0] + a[1] * b[1]) - a[2] * b[2]


@dataclass(frozen=True)
class Quality:
    """What shots say about the state: correlators by setting name, fidelity and S, None without shots in a setting."""

    correlators: dict[str, Estimate]
    fidelity: Estimate | None
    chsh: Estimate | None


@dataclass(frozen=True)
class Row:
    """One herald pattern, or a group of them: `heralds` counts all, the qualities rest on valid shots with push-out."""

    label: str
    target: str
    heralds: int
    share: Estimate
    raw: Quality
    corrected: Quality | None


@dataclass(frozen=True)
class LinkResult:
    """Everything the report says about a run of heralded pairs."""

    heralds: int
    vetoed: int
    other_patterns: int
    probability: Estimate  # with both atoms there
    share_lost: Estimate | None  # of all attempts, those whose pair of atoms may have been gone; None: nobody looked
    rate_attempting: Estimate | None
    rate_lab: Estimate | None
    settings: tuple[Setting, ...]
    patterns: tuple[Row, ...]
    states: tuple[Row, ...]  # the two Bell states as heralded
    total: Row
    retention: Retention | None
    waiting: Waiting
    accidentals: Accidentals


def analyse(run: Run) -> LinkResult:
    """Return rates, states and checks of a run; DataError where a dataset is missing or no pair was heralded."""
    data = run.datasets
    schema.require(data, (*NEEDED, "link.settings", "link.setting_names"), "the analysis of heralded pairs")
    if misfits := schema.misfits(data):
        raise DataError(misfits[0])
    patterns = patterns_of(run)
    herald = np.isin(data["shots.pattern"], list(patterns))
    heralds = int(herald.sum())
    if not heralds:
        raise DataError(f"Run {run.label} heralded no pair: there is nothing to analyse yet.")
    shots = _Shots(run, settings_of(run), herald)
    between = data["shots.attempts"][herald]
    alive, lost = _with_atoms(data, herald)
    probability = _probability(data, heralds, alive, lost)
    return LinkResult(
        heralds=heralds,
        vetoed=int(np.sum(herald & (data["shots.valid"] == 0))),
        other_patterns=int(np.sum(~herald)),
        probability=probability,
        share_lost=None if lost is None else binomial(lost, int(data["shots.attempts"].sum())),
        rate_attempting=_rate(heralds, data.get("link.t_attempting_s"), between),
        rate_lab=_rate(heralds, data.get("link.t_lab_s"), np.diff(data["shots.t_herald_mu"][herald])),
        settings=shots.settings,
        patterns=tuple(shots.row(name, (pattern,)) for pattern, (name, _) in patterns.items()),
        states=tuple(
            shots.row(STATE_NAMES[sign], chosen)
            for sign in STATE_NAMES
            if (chosen := tuple(pattern for pattern, (_, state) in patterns.items() if state == sign))
        ),
        total=shots.row("all", tuple(patterns)),
        retention=shots.kept,
        waiting=check_waiting(alive),
        accidentals=estimate_accidentals(run, probability, tuple(patterns)),
    )


def _with_atoms(data: Mapping[str, Any], herald: Bools) -> tuple[Ints, int | None]:
    """Return per herald the attempts for which both atoms were there, and all others, None where nobody looked."""
    attempts, lost = data["shots.attempts"], data.get("shots.attempts_lost")
    if lost is None:
        return attempts[herald], None
    if (lost < 0).any() or (lost >= attempts).any():
        raise DataError("Dataset `shots.attempts_lost` must be >= 0 and below `shots.attempts`: heralds have atoms.")
    return (attempts - lost)[herald], int(lost.sum())


def _probability(data: Mapping[str, Any], heralds: int, alive: Ints, lost: int | None) -> Estimate:
    """Return heralds per attempt with both atoms.

    An atom that a look found missing was lost in the picture before, or while attempting. The attempts that its pair
    lived through are none in the one case, and as many as a herald takes on average in the other: the middle is taken,
    and the standard deviation between the two added to the error.
    """
    if lost is None:
        attempts = int(data.get("link.attempts", data["shots.attempts"].sum()))
        return renewal(heralds, max(attempts, heralds), alive, "heralds/attempts, error of the waits")
    found = renewal(heralds, int(alive.sum()), alive, "heralds/attempts with both atoms, error of the waits")
    unknown = min(int(data.get("link.losses", 0)) / heralds, lost / float(alive.sum()))
    value = found.value / (1 + unknown / 2)
    return replace(found, value=value, error=math.hypot(found.error, value * unknown / math.sqrt(12)))


def patterns_of(run: Run) -> dict[int, tuple[str, int]]:
    """Return the heralding patterns of a run, those of Psi+ first: the detectors that clicked, and the state's sign."""
    names = labels(run.scheme, run.detectors)
    return {
        pattern: (" & ".join(name for k, name in enumerate(names) if pattern >> k & 1), herald.sign)
        for pattern, herald in heralds(run.scheme, run.detectors).items()
    }


def settings_of(run: Run) -> tuple[Setting, ...]:
    """Return the settings of a run; DataError where names and angles disagree."""
    angles = np.asarray(run.datasets["link.settings"], dtype=float)
    names = [name.strip() for name in run.text("link.setting_names").split(",")]
    if len(names) != len(angles):
        raise DataError(
            f"Dataset `link.setting_names` must name {len(angles)} settings, but names {len(names)}: {names}."
        )
    settings = tuple(
        Setting(k, name, _axis(*row[0]), _axis(*row[1]))
        for k, (name, row) in enumerate(zip(names, angles, strict=True))
    )
    for setting in settings:
        axis = BASES.get(setting.name)
        if axis and not (np.allclose(setting.first, axis, atol=1e-6) and np.allclose(setting.second, axis, atol=1e-6)):
            raise DataError(
                f"Setting {setting.name} must have both axes along {axis}, but has {setting.first}, {setting.second}."
            )
    return settings


def _axis(polar: float, azimuth: float) -> tuple[float, float, float]:
    return (math.sin(polar) * math.cos(azimuth), math.sin(polar) * math.sin(azimuth), math.cos(polar))


def _rate(heralds: int, duration_s: Any, between: Ints) -> Estimate | None:
    if duration_s is None or not duration_s > 0:
        return None
    return renewal(heralds, float(duration_s), between, "heralds/time, error of the waits")


class _Shots:
    """The shots of a run: outcome tables (pattern, setting, first end seen, second seen), and the retention."""

    def __init__(self, run: Run, settings: tuple[Setting, ...], herald: Bools) -> None:
        data = run.datasets
        valid = herald & (data["shots.valid"] == 1)
        usable = valid & (data["shots.pushout"] == 1)
        self.settings = settings
        self._signs = {pattern: sign for pattern, (_, sign) in patterns_of(run).items()}
        self._heralds = {pattern: int(np.sum(data["shots.pattern"] == pattern)) for pattern in self._signs}
        self._tables = self._count(data, usable)
        self._to_plus = run.text("link.feed_forward") == "kernel"
        calibration = data["shots.present"][valid & (data["shots.pushout"] == 0)]
        self.kept = readout.retention(calibration) if len(calibration) else None

    def _count(self, data: Mapping[str, Any], usable: Bools) -> dict[int, Ints]:
        """Return by pattern how often the ends were seen, shape (settings, 2, 2)."""
        setting, present = data["shots.setting"][usable], data["shots.present"][usable]
        if not (np.isin(present, (0, 1)).all() and np.isin(setting, range(len(self.settings))).all()):
            raise DataError(
                "Valid shots must have `shots.present` 0 or 1 and `shots.setting` an index of `link.settings`."
            )
        cell = 4 * setting.astype(int) + 2 * present[:, 0] + present[:, 1]
        pattern, cells = data["shots.pattern"][usable], 4 * len(self.settings)
        return {p: np.bincount(cell[pattern == p], minlength=cells).reshape(-1, 2, 2) for p in self._signs}

    def row(self, label: str, patterns: tuple[int, ...]) -> Row:
        """Return what the shots of these patterns say."""
        heralds = sum(self._heralds[pattern] for pattern in patterns)
        targets = sorted({self._target(pattern) for pattern in patterns}, reverse=True)
        return Row(
            label=label,
            target=STATE_NAMES[targets[0]],
            heralds=heralds,
            share=binomial(heralds, sum(self._heralds.values()), "share of heralds"),
            raw=self._quality(patterns, targets[0], UNCORRECTED),
            corrected=self._quality(patterns, targets[0], self.kept) if self.kept else None,
        )

    def _target(self, pattern: int) -> int:
        return +1 if self._to_plus else self._signs[pattern]

    def _quality(self, patterns: tuple[int, ...], frame: int, kept: Retention) -> Quality:
        terms = {setting.name: self._terms(setting, patterns, frame, kept) for setting in self.settings}
        correlators = {name: combine for name, parts in terms.items() if (combine := _sum(parts, kept))}
        weights = {"XX": frame / 4, "YY": frame / 4, "ZZ": -1 / 4}
        fidelity = None
        if all(terms.get(name) for name in weights):
            fidelity = readout.combine([(w * v, c) for name, w in weights.items() for v, c in terms[name]], kept, 0.25)
        return Quality(correlators, fidelity, self._chsh(terms, frame, kept))

    def _terms(
        self, setting: Setting, patterns: tuple[int, ...], frame: int, kept: Retention
    ) -> list[tuple[float, Correlator]]:
        """Return the setting's correlator as a weighted sum over targets, told in the frame of one of them."""
        parts: list[tuple[float, Correlator]] = []
        for target in (+1, -1):
            chosen = [self._tables[pattern][setting.index] for pattern in patterns if self._target(pattern) == target]
            table = np.sum(chosen, axis=0) if chosen else np.zeros((2, 2), dtype=int)
            if n := int(table.sum()):
                flip = -1.0 if setting.ideal(target) * setting.ideal(frame) < 0 else 1.0
                parts.append((flip * n, readout.correlator(table, kept)))
        total = sum(part.n for _, part in parts)
        return [(weight / total, part) for weight, part in parts]

    def _chsh(self, terms: dict[str, list[tuple[float, Correlator]]], frame: int, kept: Retention) -> Estimate | None:
        four = [setting for setting in self.settings if setting.name.upper().startswith("CHSH")]
        if not four or not all(terms[setting.name] for setting in four):
            return None
        signs = chsh_signs(four, frame)
        return readout.combine(
            [(sign * v, c) for setting, sign in zip(four, signs, strict=True) for v, c in terms[setting.name]], kept
        )


def _sum(terms: list[tuple[float, Correlator]], kept: Retention) -> Estimate | None:
    return readout.combine(terms, kept) if terms else None


def chsh_signs(four: list[Setting], target: int) -> tuple[float, ...]:
    """Return the signs with which four correlators add up to S; DataError where they are not two axes a side."""
    signs = tuple(math.copysign(1.0, setting.ideal(target)) for setting in four)
    pairs = {(tuple(np.round(s.first, 9)), tuple(np.round(s.second, 9))) for s in four}
    axes = [len({pair[side] for pair in pairs}) for side in (0, 1)]
    if len(four) != 4 or len(pairs) != 4 or axes != [2, 2] or math.prod(signs) > 0:
        raise DataError(
            f"The CHSH settings {[s.name for s in four]} must be four pairs of two axes each at either end "
            "with an odd number of negative ideal correlators: correct `link.settings`."
        )
    return signs
