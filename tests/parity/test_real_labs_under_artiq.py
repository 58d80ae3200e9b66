"""The device databases of tests/data/device_dbs with real ARTIQ's stock drivers: TTL, EEPROM, expander, refusals."""

from pathlib import Path

import pytest
from real_artiq import run

DATA = Path(__file__).parents[1] / "data" / "device_dbs"

EXPERIMENTS = '''
from artiq.experiment import *


class Ttl(EnvExperiment):
    def build(self):
        self.setattr_device("core")
        self.setattr_argument("name", StringValue())
        self.ttl = self.get_device(self.name)

    @kernel
    def run(self):
        self.core.reset()
        self.ttl.pulse(1*us)
        print("pulsed")


class Dds(EnvExperiment):
    def build(self):
        self.setattr_device("core")
        self.cpld, self.dds = self.get_device("urukul1_cpld"), self.get_device("urukul1_ch1")
        self.eeprom = self.get_device("eeprom_urukul1")

    @kernel
    def run(self):
        self.core.reset()
        print(self.eeprom.read_i32(68))
        self.eeprom.write_i32(68, 0x0E030000)
        self.core.break_realtime()
        self.cpld.init()
        self.dds.init()
        print(self.dds.sync_data.sync_delay_seed, self.dds.sync_data.io_update_delay)


class Expander(EnvExperiment):
    def build(self):
        self.setattr_device("core")
        self.setattr_device("tca6424a0")
        self.setattr_device("i2c_switch")

    @kernel
    def run(self):
        self.core.reset()
        self.i2c_switch.set(2)
        self.tca6424a0.set(0x123456)
        self.i2c_switch.unset()
        print("set")


class Refused(EnvExperiment):
    def build(self):
        self.setattr_device("core")
        self.setattr_device("mirny0_cpld")

    @kernel
    def init(self):
        self.mirny0_cpld.init()

    def run(self):
        try:
            self.init()
        except Exception as error:
            print(error)
'''


@pytest.mark.parametrize(
    ("name", "class_name", "words", "says"),
    [
        ("mirny", "Refused", [], "device `mirny0_cpld` (artiq.coredevice.mirny.Mirny) is not modelled by the twin"),
        ("suservo", "Ttl", ['name="ttl4"'], "pulsed\n"),
        ("eeprom", "Dds", [], "-1\n14 3\n"),
        ("kc705", "Expander", [], "set\n"),
        ("template", "Ttl", ['name="ttl4"'], "pulsed\n"),
        ("controllers", "Ttl", ['name="shutter_780"'], "pulsed\n"),
    ],
)
def test_a_lab_runs_with_the_stock_drivers(
    tmp_path: Path, name: str, class_name: str, words: list[str], says: str
) -> None:
    (tmp_path / "device_db.py").write_text((DATA / f"{name}.py").read_text())
    (tmp_path / "some.py").write_text(EXPERIMENTS)
    assert says in run(["-m", "artiq.frontend.artiq_run", "-c", class_name, "some.py", *words], tmp_path)
