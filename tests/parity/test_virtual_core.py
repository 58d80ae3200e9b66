"""The compiled binary on the virtual core does what the host engine does: the same RTIO events, the same datasets.

Each experiment runs twice with the same seed and ideal costs, both under real ARTIQ's `artiq_run`: its kernels on the
host engine, and compiled by ARTIQ's compiler on the virtual core. Needs an interpreter with real ARTIQ and unicorn:
this one, or the one that ATOMLINK_ARTIQ_PYTHON names; and `ld.lld`. The rest of the experiments: `make test-slow`.
"""

import shutil
from pathlib import Path

import pytest
import real_artiq
from real_artiq import ROOT
from test_compiles import experiments
from test_real_artiq import NOT_HERE, SCENARIOS, SEED, SMALL, datasets, events, first_difference

HERE = Path(__file__).parent
QUICK = ("Pulse", "Ramsey", "RemoteEntanglement")
ROWS = [row for row in experiments() if row[1] not in NOT_HERE]
slow = pytest.mark.slow


def run(words: list[str], file: str, name: str, folder: Path) -> Path:
    """Run an experiment in a lab of its own and return the lab's folder."""
    folder.mkdir()
    shutil.copy(ROOT / "device_db.py", folder)
    shutil.copy(ROOT / file, folder)
    real_artiq.run(words, folder, ATOMLINK_SEED=SEED, ATOMLINK_SCENARIO=SCENARIOS.get(name, "default"),
                   ATOMLINK_COSTS="ideal")  # fmt: skip
    return folder


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("file", "name", "arguments"), [
    pytest.param(*row, id="-".join((row[1], *row[2])), marks=[] if row[1] in QUICK else slow) for row in ROWS
])  # fmt: skip
def test_an_experiment_does_the_same_as_a_compiled_binary(
    file: str, name: str, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    real_artiq.require("unicorn")
    given = [Path(file).name, name, *SMALL[name], *arguments]
    host = run([str(HERE / "traced_run.py"), "artiq_run", *given], file, name, tmp_path / "host")
    binary = run([str(HERE / "virtual_run.py"), *given], file, name, tmp_path / "binary")
    expected, found = events(host, "real"), events(binary, "real")
    assert len(expected) > 1, "nothing happened: no RTIO event"
    assert first_difference(found, expected) == ""
    assert datasets(binary) == datasets(host)
