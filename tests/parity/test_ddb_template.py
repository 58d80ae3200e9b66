"""Rows out of a Sinara description are those of ARTIQ's own `artiq_ddb_template`, row by row and argument by argument.

Needs an interpreter with real ARTIQ and jsonschema, which its template wants: this one, or the one that
ATOMLINK_ARTIQ_PYTHON names.
"""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import real_artiq

from sim.command import sinara

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

import sinara_labs as labs

LABS: dict[str, tuple[dict[str, Any], dict[int, dict[str, Any]]]] = {
    "pair": (labs.PAIR["master"], {1: labs.PAIR["north"], 2: labs.PAIR["south"]}),
    "solo": (labs.SOLO["master"], {}),
    "kinds": (labs.KINDS, {}),
}


@pytest.mark.parametrize("name", LABS)
def test_rows_are_those_of_artiqs_template(name: str, tmp_path: Path) -> None:
    real_artiq.require("jsonschema")
    master, satellites = LABS[name]
    labs.write(tmp_path, master=master, **{f"satellite{k}": found for k, found in satellites.items()})
    words = [word for k in satellites for word in ("-s", str(k), str(tmp_path / f"satellite{k}.json"))]
    script = tmp_path / "template.py"
    script.write_text("from artiq.frontend.artiq_ddb_template import main\nmain()\n")
    real_artiq.run([str(script), str(tmp_path / "master.json"), "-o", str(tmp_path / "theirs.py"), *words], tmp_path,
                   PYTHONPATH=os.pathsep.join([str(real_artiq.ROOT), os.environ.get("PYTHONPATH", "")]))  # fmt: skip
    theirs: dict[str, Any] = {}
    exec((tmp_path / "theirs.py").read_text(), theirs)  # noqa: S102  (what ARTIQ's template has just written)
    ours = sinara.rows(sinara.read(tmp_path / "master.json"), satellites)
    own = {key: row for key, row in theirs["device_db"].items() if not key.startswith("core")}
    assert ours == own
    cpus = theirs["device_db"]["core"]["arguments"]
    assert cpus["target"] == sinara.cpu(master)
    assert cpus["satellite_cpu_targets"] == {k: sinara.cpu(found) for k, found in satellites.items()}
