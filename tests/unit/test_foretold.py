"""A run that takes long in the simulated lab says so before it starts."""

from types import SimpleNamespace
from typing import Any

import pytest

from drivers.rtio.herald_software import SoftwareHeralder
from experiments.sequences.foretold import foretell

SIMULATED = {"core": {"module": "sim.rtio.core", "arguments": {"scenario": "default"}}}
HARDWARE = {"core": {"module": "artiq.coredevice.core", "arguments": {}}}


class Experiment:
    def __init__(self, device_db: dict[str, Any]) -> None:
        self.device_db, self.scheduler = device_db, None

    def get_device(self, name: str) -> Any:
        return SimpleNamespace(expid={})

    def get_device_db(self) -> dict[str, Any]:
        return self.device_db


@pytest.mark.parametrize(
    ("heralder", "device_db", "attempts", "said"),
    [
        (SoftwareHeralder, SIMULATED, 2_852_000, "2,852,000 attempts, each played pulse by pulse: about 25 min of"),
        (SoftwareHeralder, SIMULATED, 50_000, ""),
        (SoftwareHeralder, HARDWARE, 2_852_000, ""),
        (object, SIMULATED, 2_852_000, ""),
    ],
)
def test_many_attempts_in_software_are_foretold(
    heralder: type, device_db: dict[str, Any], attempts: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    foretell(Experiment(device_db), heralder.__new__(heralder), attempts)
    out = capsys.readouterr().out
    assert out.startswith(said) and bool(out) is bool(said)
