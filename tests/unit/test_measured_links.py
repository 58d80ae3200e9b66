"""Beside what a link should give stands what it gave last: the newest run of pairs on it, in this lab."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic_runs import as_run, link_datasets, werner

from analysis import measured_links
from atomlink.errors import DataError

NAME = "alice-bob@midpoint"


def runs(tmp_path: Path) -> dict[str, Any]:
    """Return runs by file name: an old one, a newer one, one of another lab, one without pairs, a damaged one."""
    data = link_datasets(np.random.default_rng(1), {3: werner("psi+", 0.9)}, 400)
    here, there = {"link.name": NAME, "run.scenario": "default"}, {"link.name": NAME, "run.scenario": "bright"}
    return {
        "000000001-RemoteEntanglement": as_run(data | here, 1),
        "000000002-BellTomography": as_run(data | here, 2, "BellTomography"),
        "000000003-RemoteEntanglement": as_run(data | there, 3),
        "000000004-RemoteEntanglement": as_run(here, 4),
        "000000005-RemoteEntanglement": DataError("damaged"),
        "000000006-Ramsey": as_run(here, 6, "Ramsey"),
    }


def test_the_newest_run_of_this_lab_that_can_be_analysed_tells_what_a_link_gave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = runs(tmp_path)

    def load(path: Path) -> Any:
        if isinstance(known[path.stem], DataError):
            raise known[path.stem]
        return known[path.stem]

    monkeypatch.setattr(measured_links, "load", load)
    paths = [tmp_path / f"{stem}.h5" for stem in known]
    names = (NAME, "a-b@elsewhere")
    found = measured_links.newest(paths, names, lambda run: run.datasets.get("run.scenario") == "default")
    assert list(found) == [NAME] and found[NAME].run.startswith("run 2,")
    lines = measured_links.table(found, names, 20)
    assert len(lines) == 3 and "run 2, " in lines[1] and "±" in lines[1]
    assert measured_links.newest(paths, names, lambda _: False) == {} and measured_links.table({}, names, 20) == []
