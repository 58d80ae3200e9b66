"""What a run shows while it goes on: its broadcast datasets, in a file beside its job, or in memory.

The names are those of `experiments/sequences/live.py`: `live.CLASS.PLOT.PART`; titles come from the applets that the
experiment has asked for. Whoever looks gets plots; nothing that a run does waits for it.
"""

import json
import math
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

FILE = "live.json"
PERIOD_S = 0.5
MOST_NUMBERS = 20_000  # of a dataset: a larger one is told by its shape
MOST_OTHERS = 30
PARTS = {"y", "x", "error", "fit", "img", "value"}
TITLE = re.compile(r'--title "(?:RID \d+ )?([^"]{1,200})"')
KEY = re.compile(r"\S+}\S+ (\S+)")  # an applet's command: ${artiq_applet}plot_xy KEY …


def plots_of(run: Any) -> dict[str, Any]:
    """Return what a `sim.runner.Run` shows now; callable from another thread than its own."""
    session = run.session
    if session is None or run.entry is None:
        return {}
    held = {key: value for key, (persist, value, _metadata) in _items(session.dataset_db.data.raw_view) if not persist}
    return {"rid": run.rid, "class": str(run.expid["class_name"]), "began": run.start_time, "at": time.time(),
            **plots(held, titles(list(session.applets)))}  # fmt: skip


def _items(data: dict[str, Any]) -> list[tuple[str, Any]]:
    for _ in range(10):
        try:
            return list(data.items())
        except RuntimeError:  # the run sets a dataset for the first time: look again
            continue
    return []


def titles(applets: list[tuple[str, str]]) -> dict[str, str]:
    """Return the titles of plots, by `live.CLASS.PLOT`, that applets' commands have."""
    found = {}
    for _name, command in applets:
        key, title = KEY.match(command), TITLE.search(command)
        if key and title:
            found[key[1].rpartition(".")[0]] = title[1]
    return found


def plots(held: dict[str, Any], named: dict[str, str]) -> dict[str, Any]:
    """Return datasets as plots {name, title, kind, parts…} and, as text, those that are none."""
    groups: dict[str, dict[str, Any]] = {}
    others: list[tuple[str, str]] = []
    for key, value in held.items():
        base, _, part = key.rpartition(".")
        if key.startswith("live.") and part in PARTS:
            groups.setdefault(base, {})[part] = _numbers(value)
        elif not key.startswith("live."):
            others.append((key, _brief(value)))
    shown = [{"name": base.removeprefix("live."), "title": named.get(base, ""), "kind": _kind(parts), **parts}
             for base, parts in groups.items()]  # fmt: skip
    return {"plots": shown, "others": others[:MOST_OTHERS]}


def _kind(parts: dict[str, Any]) -> str:
    if "img" in parts:
        return "image"
    if "value" in parts:
        return "number"
    x, y = parts.get("x"), parts.get("y")
    return "hist" if isinstance(x, list) and isinstance(y, list) and len(x) == len(y) + 1 else "xy"


def _numbers(value: Any) -> Any:
    """Return numbers as JSON has them, None for what is not finite; the shape of what is too much."""
    if getattr(value, "size", 0) > MOST_NUMBERS or isinstance(value, list) and len(value) > MOST_NUMBERS:
        return None
    plain = value.tolist() if hasattr(value, "tolist") else value
    return _finite(plain)


def _finite(value: Any) -> Any:
    if isinstance(value, list):
        return [_finite(each) for each in value]
    if isinstance(value, bool | str):
        return value
    return value if isinstance(value, int | float) and math.isfinite(value) else None


def _brief(value: Any) -> str:
    shape = getattr(value, "shape", ()) or (len(value),) if isinstance(value, list) else getattr(value, "shape", ())
    return f"array, shape {tuple(shape)}" if shape else str(value)[:120]


@contextmanager
def published(run: Any, path: Path) -> Iterator[None]:
    """Write what a run shows to a file twice a second where it has changed; a full disk is no reason to stop."""
    over = threading.Event()

    def write() -> None:
        before = ""
        while not over.wait(PERIOD_S):
            now = plots_of(run)
            text = json.dumps({key: value for key, value in now.items() if key != "at"})
            if text != before:
                before = text
                _replace(path, json.dumps(now))

    thread = threading.Thread(target=write, name="live", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(2.0)


def _replace(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.tmp")
    with suppress(OSError):
        aside.write_text(text)
        os.replace(aside, path)  # not forced to the disk: what is live now is of no use after a power cut


def read(path: Path) -> dict[str, Any]:
    """Return what was written last, nothing where nothing was."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
