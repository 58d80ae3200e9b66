"""`atomlink runs`: find earlier runs by class, date, argument or estimate, compare two, run one again."""

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analysis.arguments import written_arguments
from analysis.estimates import Estimate
from analysis.load import FILE_NAME, Run, load, whole_of
from analysis.summary import estimates, found, said
from atomlink.errors import DataError, UsageError
from sim.command.find_experiment import FOLDERS
from sim.command.written import QUANTITY, Quantity

DATE = re.compile(r"\d{4}-\d{2}(-\d{2})?")
CONDITION = re.compile(r"(?P<name>[A-Za-z_][\w. ]*?)\s*(?P<sign><=|>=|!=|=|<|>)\s*(?P<value>.+)")
SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
WIDTH = 118
SAME = 1e-9  # relative difference of numbers that are called equal: a value in us has been through a product
NOTEWORTHY = 2.0  # standard errors by which two estimates differ

Test = Callable[[Run], bool]


def search(results: Path, words: Sequence[str], most: int) -> Iterator[str]:
    """Yield a line for each run that has all the words, the newest last; at most so many of the newest."""
    lines: list[str] = []
    unread: list[str] = []
    more = False
    for run in select(results, words):
        if isinstance(run, DataError):
            unread.append(f"atomlink: {run}")
            continue
        if len(lines) == most:
            more = True
            break
        lines.append(_line(run))
    yield from unread if all(DATE.fullmatch(word) for word in words) else []
    yield from reversed(lines)
    if not lines:
        yield f"no run in {results}" + (f" has {' and '.join(words)}" if words else "")
    if more:
        yield f"the newest {most}; more with --most N, fewer with a class, a date, an argument or an estimate"


def select(results: Path, words: Sequence[str], read: Callable[[Path], Run] = load) -> Iterator[Run | DataError]:
    """Yield the runs that have all the words, the newest first, and in between why a file cannot be read."""
    days = [word for word in words if DATE.fullmatch(word)]
    tests = [_test(word) for word in words if not DATE.fullmatch(word)]
    for path in sorted(_files(results), key=_rid, reverse=True):
        if days and not any(path.parent.parent.name.startswith(day) for day in days):
            continue
        try:
            run = read(path)
            if all(test(run) for test in tests):
                yield run
        except DataError as error:
            yield error


def _files(results: Path) -> Iterator[Path]:
    return (path for path in results.glob("????-??-??/*/*.h5") if FILE_NAME.match(path.stem) and whole_of(path) is None)


def _rid(path: Path) -> tuple[int, str]:
    return int(path.stem.partition("-")[0]), path.parent.parent.name


def _line(run: Run) -> str:
    about = f"{run.rid:>6}  {run.date[:16]}  {run.class_name}"
    given = " ".join(f"{key}={value}" for key, value in written_arguments(run).items())
    parts = [about, *([given] if given else []), *(["(not complete)"] if said(run) == "no" else []), summary(run)]
    text = "  ".join(filter(None, parts))
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"


def summary(run: Run) -> str:
    """Return what a run found, in a line; of a file with odd datasets, that it has them."""
    try:
        return found(run)
    except Exception as error:  # noqa: BLE001 - a file that nobody has checked may hold anything
        return f"odd datasets ({type(error).__name__})"


# -- what a word asks for


def _test(word: str) -> Test:
    """Return what asks a run for a word: a condition on argument, estimate, scenario or seed, or part of a name."""
    condition = CONDITION.fullmatch(word)
    if condition is None:
        text = word.lower()
        return lambda run: text in run.class_name.lower() or any(text in name.lower() for name in _estimates(run))
    name, sign, value = condition["name"].strip(), condition["sign"], _value(condition["value"])

    def test(run: Run) -> bool:
        if name in ("rid", "scenario", "seed", "target"):
            held = {"rid": run.rid}.get(name, run.datasets.get(f"run.{name}"))
            return held is not None and _compared(held, sign, value)
        arguments = run.expid.get("arguments") or {}
        if name in arguments:
            return _compared(arguments[name], sign, value)
        held_by = [each.value for key, each in _estimates(run).items() if key == name or key.endswith(f".{name}")]
        return any(_compared(each, sign, value) for each in held_by)

    return test


def _value(text: str) -> Any:
    """Return a number, with its unit worked out, or text."""
    match = QUANTITY.fullmatch(text)
    if match is not None:
        return Quantity(float(match.group(1)), match.group(2) or "").si("the condition")
    return {"true": True, "false": False}.get(text.lower(), text.strip("\"'"))


def _compared(held: Any, sign: str, value: Any) -> bool:
    if isinstance(held, (bool, str, np.bool_)) or isinstance(value, (bool, str)):
        held, value = str(held).lower(), str(value).lower()
        return sign in ("=", "!=") and SIGNS[sign](held, value)
    if not isinstance(held, (int, float, np.integer, np.floating)):
        return False
    equal = abs(held - value) <= SAME * max(abs(held), abs(value))
    if sign in ("=", "!=", "<=", ">=") and equal:
        return sign != "!="
    return not (equal and sign in ("<", ">")) and SIGNS[sign](held, value)


def _estimates(run: Run) -> dict[str, Estimate]:
    try:
        return estimates(run)
    except DataError:
        return {}


# -- the same again


def _file_of(run: Run, root: Path) -> Path:
    """Return the file of a run's experiment: where it was, else at the same place in this lab."""
    file = Path(str(run.expid.get("file") or ""))
    inside = next((Path(*file.parts[k:]) for k, part in enumerate(file.parts) if part in FOLDERS), file)
    places = [file, root / file, root / "repository" / file, root / inside]
    return next((place for place in places if place.is_file()), file)


def words_again(run: Run, root: Path, others: Sequence[str]) -> list[str]:
    """Return the words of `atomlink run` that carry a run out again; `others` take the place of what they name.

    Same file, class, arguments, scenario, seed and costs. UsageError where its file is not there.
    """
    from sim.artiq_runtime import pyon

    file = _file_of(run, root)
    if not file.is_file():
        raise UsageError(f"run {run.rid} was of {file}, which is not there: run another file with its arguments: "
                         f"{' '.join(f'{k}={v}' for k, v in written_arguments(run).items()) or 'none'}")  # fmt: skip
    given = {word.partition("=")[0] for word in others}
    words = [str(file), "-c", run.class_name]
    words += [f"{key}={pyon.encode(value)}" for key, value in (run.expid.get("arguments") or {}).items()
              if key not in given]  # fmt: skip
    if run.text("run.target") == "simulation":
        for option in ("scenario", "seed", "costs"):
            if f"--{option}" not in given and f"run.{option}" in run.datasets:
                words += [f"--{option}", str(run.datasets[f"run.{option}"])]
    return [*words, *others]


# -- two runs side by side


def compare(a: Run, b: Run) -> Iterator[str]:
    """Yield what differs between two runs: how they were made, what they believed, what they found."""
    yield from _table([("", f"run {a.rid}", f"run {b.rid}", ""), *_made(a, b)])
    yield from _section("arguments that differ", _differences(written_arguments(a), written_arguments(b), "default"))
    yield from _section("beliefs that differ", _differences(_beliefs(a), _beliefs(b), "not asked for"))
    yield from _section("estimates", _found_by(a, b))


def _made(a: Run, b: Run) -> list[tuple[str, ...]]:
    kept = ("run.target", "run.scenario", "run.seed", "run.costs")
    rows: list[tuple[str, ...]] = [("experiment", a.class_name, b.class_name), ("started", a.date, b.date)]
    rows += [(key.removeprefix("run."), str(a.datasets.get(key, "–")), str(b.datasets.get(key, "–"))) for key in kept]
    rows += [("complete", said(a), said(b))]
    return [(*row, "" if row[0] == "started" or row[1] == row[2] else "differs") for row in rows]


def _beliefs(run: Run) -> dict[str, str]:
    """Return the believed parameters of a run, as it went by them."""
    keys = {key for store in (run.archive, run.datasets) for key in store if key.startswith(("param.", "lab."))}
    values = {key: run.belief(key) for key in sorted(keys)}
    return {key: f"{value:.6g}" for key, value in values.items() if np.ndim(value) == 0 and not isinstance(value, str)}


def _differences(a: dict[str, str], b: dict[str, str], missing: str) -> list[tuple[str, ...]]:
    keys = dict.fromkeys([*a, *b])
    return [(key, a.get(key, missing), b.get(key, missing)) for key in keys if a.get(key) != b.get(key)]


def _found_by(a: Run, b: Run) -> list[tuple[str, ...]]:
    of_a, of_b = _estimates(a), _estimates(b)
    rows = []
    for name in dict.fromkeys([*of_a, *of_b]):
        one, other = of_a.get(name), of_b.get(name)
        apart = ""
        if one is not None and other is not None and (one.error or other.error):
            sigmas = (other - one).sigmas_from(0.0)
            apart = f"{sigmas:+.1f} σ" + ("  <--" if abs(sigmas) > NOTEWORTHY else "")
        rows.append((name, *("–" if each is None else each.quantity() for each in (one, other)), apart))
    return rows


def _section(title: str, rows: list[tuple[str, ...]]) -> Iterator[str]:
    yield f"\n{title}" + ("" if rows else ": none")
    yield from _table(rows)


def _table(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    table = [tuple(row) for row in rows]
    widths = [max((len(row[k]) for row in table if k < len(row)), default=0) for k in range(4)]
    for row in table:
        yield ("  " + "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=False))).rstrip()


def one(results: Path, given: str) -> Run:
    """Return the run of a number or a file."""
    if given.isascii() and given.isdigit():
        return load(int(given), results)
    if not Path(given).is_file():
        raise UsageError(f"`{given}` is no run: give its number or its results file, see `atomlink runs`")
    return load(given)
