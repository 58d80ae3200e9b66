"""The compiled binary on the virtual core does what the host engine does: the same RTIO events, the same datasets.

Each experiment runs under real ARTIQ's `artiq_run` with the same seed and ideal costs: its kernels on the host engine,
and compiled by ARTIQ's compiler for each processor on the virtual core. Needs an interpreter with real ARTIQ and
unicorn: this one, or the one that ATOMLINK_ARTIQ_PYTHON names; and `ld.lld`. Most experiments: `make test-slow`.
"""

import shutil
from pathlib import Path

import pytest
import real_artiq
from real_artiq import ROOT
from test_compiles import experiments
from test_real_artiq import NOT_HERE, SCENARIOS, SEED, SMALL, datasets, events, first_difference

HERE = Path(__file__).parent
PROCESSORS = ("cortexa9", "rv32g")
PROBE = ("tests/parity/virtual_probe.py", "VirtualProbe", ())
QUICK = ("VirtualProbe", "Pulse", "Ramsey", "RemoteEntanglement")
ROWS = [PROBE, *(row for row in experiments() if row[1] not in NOT_HERE)]
slow = pytest.mark.slow


def run(words: list[str], file: str, name: str, folder: Path, **environment: str) -> Path:
    """Run an experiment in a lab of its own and return the lab's folder."""
    folder.mkdir()
    shutil.copy(ROOT / "device_db.py", folder)
    shutil.copy(ROOT / file, folder)
    real_artiq.run(words, folder, ATOMLINK_SEED=SEED, ATOMLINK_SCENARIO=SCENARIOS.get(name, "default"),
                   ATOMLINK_COSTS="ideal", **environment)  # fmt: skip
    return folder


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("file", "name", "arguments"), [
    pytest.param(*row, id="-".join((row[1], *row[2])), marks=[] if row[1] in QUICK else slow) for row in ROWS
])  # fmt: skip
def test_an_experiment_does_the_same_as_a_compiled_binary(
    file: str, name: str, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    real_artiq.require("unicorn")
    given = [Path(file).name, name, *SMALL.get(name, ()), *arguments]
    host = run([str(HERE / "traced_run.py"), "artiq_run", *given], file, name, tmp_path / "host")
    expected = events(host, "real")
    assert len(expected) > 1, "nothing happened: no RTIO event"
    for processor in PROCESSORS:
        binary = run([str(HERE / "virtual_run.py"), processor, *given], file, name, tmp_path / processor)
        assert first_difference(events(binary, "real"), expected) == "", processor
        assert datasets(binary) == datasets(host), processor


@pytest.mark.timeout(900)
def test_looking_at_a_run_through_moninj_changes_nothing(tmp_path: Path) -> None:
    real_artiq.require("unicorn")
    file, name = "experiments/link/remote_entanglement.py", "RemoteEntanglement"
    given = [str(HERE / "virtual_run.py"), "cortexa9", Path(file).name, name, *SMALL[name]]
    alone, watched = (run(given, file, name, tmp_path / str(len(more)), **more) for more in ({}, {"LOOK_AT_IT": "1"}))
    assert first_difference(events(watched, "real"), events(alone, "real")) == ""
    assert datasets(watched) == datasets(alone)
