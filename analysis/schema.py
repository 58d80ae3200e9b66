"""Name every dataset of a results file with its dtype, shape, unit and meaning: the single source of truth.

`README.md` beside this tells the same in prose. Experiments and the journal make their arrays with
`array(key, values)`, so that a file written at the end of a run and one recovered from its journal are the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis import masked
from atomlink.errors import DataError

Array = npt.NDArray[Any]

CHECKED_PREFIXES = ("shots.", "link.", "hom.", "run.", "array.")  # `param.*` is drivers' table, `live.*` is for the eye
ENDS = 2  # a link has two: the axis of nodes of `shots.*` and `link.*`, in the order of `link.nodes`
MISSING_INT = -1  # what a shot shows in a column that its journal row did not have; a float shows nan


@dataclass(frozen=True)
class Dataset:
    """One dataset; a letter in `shape` has one value per file (n shots, m settings, k delays …)."""

    key: str
    dtype: str  # a numpy dtype, or "str"
    shape: tuple[str | int, ...]
    unit: str
    meaning: str
    required: bool = True  # in a file that holds any required dataset of the same prefix


def _shots(name: str, dtype: str, unit: str, meaning: str, *columns: int) -> Dataset:
    return Dataset(f"shots.{name}", dtype, ("n", *columns), unit, meaning)


def _optional(key: str, dtype: str, shape: tuple[str | int, ...], unit: str, meaning: str) -> Dataset:
    return Dataset(key, dtype, shape, unit, meaning, required=False)


DATASETS: tuple[Dataset, ...] = (
    _shots("t_herald_mu", "int64", "mu", "RTIO time of the herald (end of the cycle or of the last gate)"),
    _shots("pattern", "int32", "", "bit k: detector k of link.detectors; of two rounds 2 k early, 2 k + 1 late"),
    _shots("t_click_mu", "int64", "mu", "first H- and V-detector click; early and late; or twice the only one", 2),
    _shots("setting", "int32", "", "index into link.settings"),
    _shots("attempts", "int64", "", "attempts since the previous herald, this one included"),
    _shots("counts", "int32", "", "fluorescence counts in the read-out image, by node", ENDS),
    _shots("present", "int32", "", "1 where counts > threshold, by node", ENDS),
    _optional("shots.attempts_lost", "int64", ("n",), "", "of these, attempts whose pair of atoms may have been gone"),
    _shots("pushout", "int32", "", "0: a read-out calibration shot, without push-out"),
    _shots("valid", "int32", "", "0: vetoed (underflow, lost lock, an atom missing at the check)"),
    Dataset("link.settings", "float64", ("m", ENDS, 2), "rad", "polar angle, azimuth of either end's axis"),
    Dataset("link.setting_names", "str", (), "", "comma-separated; XX, YY, ZZ and four that start with CHSH"),
    Dataset("link.nodes", "str", (), "", 'comma-separated: what the axis of nodes means, "alice,bob"'),
    Dataset("link.name", "str", (), "", '"alice-bob@midpoint": the first input\'s end, the second\'s, the station'),
    Dataset("link.station", "str", (), "", '"midpoint"'),
    Dataset("link.detectors", "str", (), "", "comma-separated roles of the station's detectors, c_h, c_v, d_h, d_v"),
    _optional("link.t_phase_s", "float64", (), "s", "mean time from the last reading of the optical phase to a herald"),
    _optional("link.phase_walk_rad2_s", "float64", (), "", "rad^2/s: what these readings say of the phase's walk"),
    _optional("link.phase_readings", "int64", (), "", "corrections of the optical phase, but for first ones"),
    _optional("link.bright_fraction", "float64", (), "", "one photon: the chance that an attempt takes an atom along"),
    _optional("link.t_rounds_s", "float64", (), "s", "two rounds: from the first excitation to the second"),
    _optional("link.scheme", "str", (), "", "the heralding scheme, where it is not polarisation"),
    Dataset("link.herald", "str", (), "", '"entangler" or "software"'),
    Dataset("link.feed_forward", "str", (), "", '"kernel": every pattern was rotated to Psi+; "analysis", "none": not'),
    Dataset("link.attempts", "int64", (), "", "attempts of the whole run"),
    Dataset("link.t_attempting_s", "float64", (), "s", "time spent in attempts (pump, excite, gate)"),
    Dataset("link.t_lab_s", "float64", (), "s", "lab time of the whole run: loading, recooling and read-out included"),
    _optional("link.t_loading_s", "float64", (), "s", "lab time spent loading, looking included"),
    _optional("link.loads", "int64", (), "", "how often the nodes were loaded"),
    _optional("link.veto_mu", "int64", ("v", 2), "mu", "start, stop of the times in which a lock may have been lost"),
    _optional("link.losses", "int64", (), "", "looks that found an atom missing after attempts"),
    _optional("link.recoolings", "int64", (), "", "how often the atoms were recooled"),
    _optional("link.pattern_counts", "int64", ("patterns",), "", "how often each pattern came, heralds and others"),
    _optional("link.pattern_attempts", "int64", ("patterns",), "", "attempts that looked for each; absent: all"),
    _optional(
        "link.efficiency_belief", "float64", (ENDS,), "", "believed clicks/attempt"
    ),
    _optional("link.image_threshold", "float64", (ENDS,), "", "believed threshold of the read-out image, by node"),
    _optional("link.wait_s", "float64", (), "s", "from the herald to the writing of the analysis pulse's phases"),
    _optional("link.t_analysis_s", "float64", (), "s", "from the herald to the analysis pulse's light at the atoms"),
    _optional("link.t_gate_s", "float64", (), "s", "width of the detection gate"),
    _optional("link.dark_rate_belief_hz", "float64", ("detectors",), "/s", "believed dark rate of each detector"),
    _optional("link.visibility_belief", "float64", (), "", "believed two-photon visibility"),
    Dataset("hom.delay_s", "float64", ("k",), "s", "the second end's excitation after the first's"),
    Dataset("hom.attempts", "int64", ("k",), "", "attempts at this delay"),
    Dataset("hom.coincidences_parallel", "int64", ("k",), "", "c & d, same polarisation (c_h & d_h, c_v & d_v)"),
    Dataset("hom.coincidences_orthogonal", "int64", ("k",), "", "c & d, crossed polarisation (c_h & d_v, c_v & d_h)"),
    Dataset("hom.singles", "int64", ("k", "detectors"), "", "gates with a click at this delay, by detector"),
    _optional("hom.dark_clicks", "int64", ("detectors",), "", "gates with a click without excitation light"),
    _optional("hom.dark_gates", "int64", (), "", "gates opened without excitation light"),
    Dataset("hom.nodes", "str", (), "", 'comma-separated, "alice,bob"'),
    Dataset("hom.link", "str", (), "", '"alice-bob@midpoint"'),
    _optional("hom.t_gate_s", "float64", (), "s", "width of the detection gate"),
    Dataset("array.node", "str", (), "", "whose tweezer array"),
    Dataset("array.threshold", "float64", (), "", "electrons of a site above which an atom is there (belief)"),
    _optional("array.electrons", "float32", ("n", "images", "rows", "columns"), "", "electrons of each site, by image"),
    _optional("array.t_trigger_mu", "int64", ("n", "images"), "mu", "RTIO time of the camera's trigger"),
    _optional("array.target", "int64", ("n", 4), "", "sites to fill: first row, first column, rows, columns"),
    _optional("array.moves", "int64", ("n",), "", "moves that were made, before they were split for the AWG"),
    _optional("array.t_move_s", "float64", ("n",), "s", "time that the moves take"),
    Dataset("run.target", "str", (), "", '"simulation" or "hardware"'),
    Dataset("run.scenario", "str", (), "", "scenario of the simulated lab; empty on hardware"),
    Dataset("run.seed", "int64", (), "", "seed of the simulated lab"),
    Dataset("run.costs", "str", (), "", "cost preset of the simulated core: ideal, kasli, kasli_soc"),
    _optional("run.complete", "int32", (), "", "0: the run was stopped, or killed and recovered from its journal"),
    _optional("run.digest", "str", (), "", "checksums of datasets, JSON text (analysis/digest.py)"),
    _optional("run.versions", "str", (), "", 'comma-separated "name version"'),
)
BY_KEY: dict[str, Dataset] = {dataset.key: dataset for dataset in DATASETS}


def array(key: str, values: Any) -> Any:
    """Return `values` as the dataset `key` is stored: an array or numpy scalar of its dtype, or a str.

    Raises DataError where the values do not fit dtype or shape. A key outside the schema takes numpy's own dtype.
    """
    entry = BY_KEY.get(key)
    if isinstance(values, str) or (entry is not None and entry.dtype == "str"):
        return str(values)
    masked.refuse(key, values)
    try:
        made = np.asarray(values)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:  # ragged; too large or too deep
        raise DataError(f"Dataset `{key}` must be {_kind(entry)}, but the values do not fit: {error}.") from None
    if entry is None and made.dtype.kind in "biufcSU":
        return _encoded(key, made) if made.dtype.kind == "U" else made[()]  # h5py stores no <U
    if entry is None:
        raise DataError(
            f"Dataset `{key}` must be numbers or text, but is {type(values).__name__}: HDF5 has no such thing."
        )
    if made.size == 0:
        made = made.reshape([0 if isinstance(side, str) else side for side in entry.shape])
    return _cast(entry, made)[()]


def stored(key: str, values: Any) -> Any:
    """Return `array(key, values)`, or JSON text where the values do not fit: recovering a run may not lose a shot."""
    try:
        made = array(key, values)
    except DataError:
        return json.dumps(values, default=ascii)
    return made if not isinstance(made, str) or is_storable(made) else json.dumps(made)


def is_storable(text: str) -> bool:
    """Return whether HDF5 can hold a text: without NUL and without half a surrogate pair."""
    return "\0" not in text and text.encode("utf-8", "ignore").decode() == text


def _encoded(key: str, texts: Array) -> Array:
    try:
        return np.char.encode(texts, "utf-8")
    except UnicodeEncodeError as error:
        raise DataError(f"Dataset `{key}` must be text, but has what is no Unicode: {error.reason}.") from None


def _cast(entry: Dataset, values: Array) -> Array:
    if values.dtype.kind not in "biuf":
        raise DataError(f"Dataset `{entry.key}` must be {_kind(entry)}, but its values are of dtype {values.dtype}.")
    with np.errstate(invalid="ignore"):
        made = values.astype(entry.dtype)
    if made.dtype.kind == "i" and not np.array_equal(made, values):  # numpy wraps and truncates without a word
        raise DataError(
            f"Dataset `{entry.key}` must be {_kind(entry)}, but not every value is a whole number in range."
        )
    if problem := _misfit(entry, made, {}):
        raise DataError(problem)
    return made


def problems(datasets: Mapping[str, Any]) -> list[str]:
    """Return what disagrees with the schema, one line each; an empty list means the file keeps its promises."""
    unknown = [key for key in datasets if key.startswith(CHECKED_PREFIXES) and key not in BY_KEY]
    missing = [entry for entry in DATASETS if entry.key not in datasets and _due(entry, datasets)]
    return [
        *(f"Dataset `{key}` is not in the schema: add it to analysis/schema.py or rename it." for key in unknown),
        *(f"Dataset `{entry.key}` is missing: it must be {_kind(entry)}." for entry in missing),
        *misfits(datasets),
    ]


def misfits(datasets: Mapping[str, Any]) -> list[str]:
    """Return which of the datasets that are there have a dtype or shape other than the schema's, one line each."""
    sizes: dict[str, int] = {}
    found = (_misfit(entry, datasets[entry.key], sizes) for entry in DATASETS if entry.key in datasets)
    return [problem for problem in found if problem]


def check(datasets: Mapping[str, Any]) -> None:
    """Raise DataError with the first disagreement of a file's datasets (`load(path).datasets`) with the schema."""
    found = problems(datasets)
    if found:
        more = f" ({len(found) - 1} more)" if len(found) > 1 else ""
        raise DataError(found[0] + more)


def require(datasets: Mapping[str, Any], keys: Sequence[str], what_for: str) -> None:
    """Raise DataError naming the datasets of `keys` that a file lacks."""
    missing = [key for key in keys if key not in datasets]
    if missing:
        raise DataError(f"The file has no `{'`, `'.join(missing)}`: {what_for} needs it.")


def _due(entry: Dataset, datasets: Mapping[str, Any]) -> bool:
    prefix = entry.key.split(".")[0] + "."
    return entry.required and any(other.required and other.key in datasets for other in DATASETS
                                  if other.key.startswith(prefix))  # fmt: skip


def _misfit(entry: Dataset, value: Any, sizes: dict[str, int]) -> str:
    if entry.dtype == "str":
        return "" if isinstance(value, str) else f"Dataset `{entry.key}` must be a str, but is {type(value).__name__}."
    dtype, shape = np.asarray(value).dtype, np.shape(value)
    if not (dtype == entry.dtype or (dtype.kind == "i" and np.can_cast(dtype, entry.dtype))):
        return f"Dataset `{entry.key}` must be {_kind(entry)}, but its dtype is {dtype}."
    if not _fits(entry.shape, shape, sizes):
        known = f" with {sizes}" if sizes else ""
        return f"Dataset `{entry.key}` must be {_kind(entry)}{known}, but its shape is {shape}."
    return ""


def _fits(promised: tuple[str | int, ...], shape: tuple[int, ...], sizes: dict[str, int]) -> bool:
    """Return whether a shape is the promised one; the first size met for a letter binds the letter."""
    if len(shape) != len(promised):
        return False
    bound = [
        sizes.setdefault(side, size) if isinstance(side, str) else side
        for side, size in zip(promised, shape, strict=True)
    ]
    return bound == list(shape)


def _kind(entry: Dataset | None) -> str:
    if entry is None:
        return "an array"
    shape = f" of shape ({', '.join(str(side) for side in entry.shape)})" if entry.shape else ""
    return f"{entry.dtype}{shape}"
