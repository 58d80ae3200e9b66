"""Beliefs under ARTIQ's own master: concurrent runs take nothing back, and each lab has its own."""

import json
import shutil
from pathlib import Path

import pytest
import real_artiq
from real_artiq import ROOT

from drivers.parameter_log import read

pytestmark = pytest.mark.timeout(300)
SCRIPT = Path(__file__).with_name("beliefs_session.py")
BELIEVER = '''
import time
from pathlib import Path

from artiq.experiment import EnvExperiment, NumberValue, StringValue

from drivers import parameters
from drivers.parameter_store import ParameterStore

LAB = Path({lab!r})


class Believer(EnvExperiment):
    """Reads a belief, waits for a file where one is named, sets a belief"""

    def build(self):
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.setattr_argument("wait_for", StringValue(""))
        self.setattr_argument("name", StringValue("t_mw_pi_s"))
        self.setattr_argument("value", NumberValue(9e-6, precision=9))

    def run(self):
        parameters.get(self, "param.alice.f_larmor_hz")
        (LAB / "reading").touch()
        while self.wait_for and not (LAB / self.wait_for).exists():
            time.sleep(0.05)
        ParameterStore.of(self).set("param.alice." + self.name, self.value)
'''


@pytest.mark.parametrize(("scenario", "prefix"), [("default", ""), ("drifting", "lab.drifting.")])
def test_concurrent_runs_take_nothing_back_in_any_lab(tmp_path: Path, scenario: str, prefix: str) -> None:
    shutil.copy(ROOT / "device_db.py", tmp_path)
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository" / "believer.py").write_text(BELIEVER.format(lab=str(tmp_path)))
    text = real_artiq.run([str(SCRIPT), "repository"], tmp_path, ATOMLINK_SCENARIO=scenario)
    assert json.loads(text.splitlines()[-1]) == {
        f"{prefix}param.alice.f_larmor_hz": 1.41e6, f"{prefix}param.alice.t_mw_pi_s": 9e-6,
        f"{prefix}params.revision": 2}  # fmt: skip
    name = "params.log" if not prefix else f"params.{scenario}.log"
    assert [list(row.changes) for row in read(tmp_path / name)] == [
        ["param.alice.f_larmor_hz"], ["param.alice.t_mw_pi_s"]], "and nobody has edited anything"  # fmt: skip
