"""Device databases as laboratories publish them: each runs what it can in simulation, and says of the rest what it is.

The files in tests/data/device_dbs are small ones of our own, each like a kind that is found in public repositories.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from sim import cli

DATA = Path(__file__).parents[1] / "data" / "device_dbs"
LABS = ("mirny", "suservo", "eeprom", "entangler", "kc705", "template", "controllers")

EXPERIMENTS = '''
from artiq.experiment import *
from artiq.coredevice.rtio import rtio_output


class Ttl(EnvExperiment):
    """Pulse a TTL, with another device made and not used."""

    def build(self):
        self.setattr_argument("ttl", StringValue("ttl4"))
        self.setattr_argument("beside", StringValue(""))
        self.setattr_device("core")
        self.line = self.get_device(self.ttl)
        if self.beside:
            self.other = self.get_device(self.beside)

    @kernel
    def run(self):
        self.core.reset()
        self.line.pulse(1*us)
        t_mu = now_mu()
        self.core.break_realtime()
        self.set_dataset("after_mu", t_mu - self.core.get_rtio_counter_mu())


class Use(EnvExperiment):
    """Use a device, which must be refused by its name."""

    def build(self):
        self.setattr_argument("device", StringValue())
        self.setattr_device("core")
        self.used = self.get_device(self.device)

    @kernel
    def run(self):
        self.core.reset()
        self.used.init()


class Raw(EnvExperiment):
    """Write to an RTIO channel, as a driver of the lab's own does."""

    def build(self):
        self.setattr_argument("channel", NumberValue(precision=0, step=1))
        self.setattr_device("core")

    @kernel
    def run(self):
        self.core.reset()
        rtio_output(self.channel << 8, 1)


class Dds(EnvExperiment):
    """Start a DDS whose SYNC delays are in an EEPROM, as delivered and as written."""

    def build(self):
        self.setattr_argument("urukul", StringValue("urukul0"))
        self.setattr_device("core")
        self.cpld, self.dds = self.get_device(self.urukul + "_cpld"), self.get_device(self.urukul + "_ch1")
        self.eeprom = self.get_device("eeprom_" + self.urukul)

    @kernel
    def write(self) -> TInt64:
        before = self.core.get_rtio_counter_mu()
        self.eeprom.write_i32(68, 0x0E030000)
        return self.core.get_rtio_counter_mu() - before

    @rpc
    def note(self, name, value):
        self.set_dataset(name, value)

    @kernel
    def run(self):
        self.core.reset()
        self.note("blank", self.eeprom.read_i32(68))
        self.core.break_realtime()
        self.cpld.init()
        self.dds.init()
        self.note("delivered", [self.dds.sync_data.sync_delay_seed, self.dds.sync_data.io_update_delay])
        self.note("write_mu", self.write())
        self.core.break_realtime()
        self.dds.init()
        self.note("written", [self.dds.sync_data.sync_delay_seed, self.dds.sync_data.io_update_delay])
        self.core.break_realtime()
        self.dds.set(100*MHz, amplitude=0.5)
        self.core.break_realtime()
        frequency, phase, amplitude = self.dds.get()
        self.note("frequency", frequency)


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
'''


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository" / "some.py").write_text(EXPERIMENTS)
    monkeypatch.chdir(tmp_path)
    for name in ("ATOMLINK_TARGET", "ATOMLINK_SCENARIO", "ATOMLINK_SEED", "ATOMLINK_COSTS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def use(lab: Path, name: str, without_apply: bool = False) -> None:
    text = (DATA / f"{name}.py").read_text()
    (lab / "device_db.py").write_text(text.replace("apply(device_db)", "") if without_apply else text)


def run(class_name: str, **arguments: str | int) -> int:
    words = [f'{name}="{value}"' if isinstance(value, str) else f"{name}={value}" for name, value in arguments.items()]
    return cli.main(["run", "repository/some.py", "-c", class_name, *words])


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what the command said at its end; it is one line."""
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("atomlink: error: ")
    return line


def datasets(lab: Path) -> dict[str, object]:
    import h5py

    (path,) = (lab / "results").rglob("*.h5")
    with h5py.File(path) as file:
        return {name: dataset[()] for name, dataset in file["datasets"].items()}


def test_every_file_is_a_lab_of_these_tests() -> None:
    assert {path.stem for path in DATA.glob("*.py")} == set(LABS)
    assert all(ast.unparse(ast.parse(path.read_text()).body[-1]) == "apply(device_db)" for path in DATA.glob("*.py"))


@pytest.mark.parametrize(
    ("name", "ttl", "beside"),
    [
        ("mirny", "ttl4", "mirny0_ch2"), ("suservo", "ttl4", "suservo0_ch1"), ("eeprom", "ttl4", "eeprom_urukul1"),
        ("entangler", "ttl8", "i2c_switch0"), ("kc705", "loop_out", "bd_dds"), ("template", "ttl4", "shuttler0_dds1"),
        ("controllers", "shutter_780", "ttl_spare"), ("controllers", "shutter_mot", "main_crate"),
    ],
)  # fmt: skip
def test_a_ttl_experiment_runs_whatever_else_the_lab_has(lab: Path, name: str, ttl: str, beside: str) -> None:
    use(lab, name)
    assert run("Ttl", ttl=ttl, beside=beside) == 0
    assert datasets(lab)["after_mu"] is not None


@pytest.mark.parametrize(
    ("name", "device", "says"),
    [
        ("mirny", "mirny0_cpld", "device `mirny0_cpld` (artiq.coredevice.mirny.Mirny) is not modelled by the twin; "),
        ("mirny", "mirny0_ch2", "device `mirny0_ch2` (artiq.coredevice.adf5356.ADF5356) is not modelled"),
        ("mirny", "mirny0_almazny", "device `mirny0_almazny` (artiq.coredevice.almazny.AlmaznyLegacy) is not"),
        ("suservo", "suservo0", "device `suservo0` (artiq.coredevice.suservo.SUServo) is not modelled"),
        ("suservo", "suservo0_ch1", "device `suservo0_ch1` (artiq.coredevice.suservo.Channel) is not modelled"),
        ("suservo", "urukul0_dds", "row `urukul0_dds`: argument `chip_select` is 3; it must be an integer from 4 to 7"),
        ("entangler", "i2c_switch0", "no class artiq.coredevice.i2c.PCA9548 since release 7; in its row write artiq.c"),
        ("entangler", "eeprom_urukul0", "device `i2c_switch0`: ARTIQ has no class artiq.coredevice.i2c.PCA9548 since"),
        ("entangler", "entangler", "row `entangler`: its module other_groups_entangler.driver cannot be imported"),
        ("kc705", "bd_dds", "device `ad9914dds0` (artiq.coredevice.ad9914.AD9914) is not modelled"),
        ("template", "phaser0", "device `phaser0` (artiq.coredevice.phaser.Phaser) is not modelled"),
        ("template", "novogorny0", "device `novogorny0` (artiq.coredevice.novogorny.Novogorny) is not modelled"),
        ("template", "shuttler0_relay", "device `shuttler0_relay` (artiq.coredevice.shuttler.Relay) is not modelled"),
        ("controllers", "ttl_spare", "is not modelled by the twin: it hangs at `kasli_spare`, and the twin has one"),
        ("controllers", "kasli_spare", "is not modelled by the twin: the twin has one core device, `kasli`; leave out"),
        ("controllers", "laser_780", "row `cooling_laser`: its module groups_own_drivers.laser cannot be imported"),
    ],
)
def test_what_has_no_model_is_refused_by_name_where_it_is_used(
    lab: Path, capsys: pytest.CaptureFixture[str], name: str, device: str, says: str
) -> None:
    use(lab, name)
    assert run("Use", device=device) == 2
    line = refusal(capsys)
    assert says in line
    assert "is not modelled" not in line or line.endswith("or set ATOMLINK_TARGET=hardware for the real one")


@pytest.mark.parametrize(
    ("name", "channel", "device"),
    [("entangler", 0x20, "entangler"), ("template", 0x0F, "phaser0"), ("kc705", 27, "ad9914dds0")],
)
def test_a_driver_of_the_labs_own_is_refused_at_its_channel_by_its_name(
    lab: Path, capsys: pytest.CaptureFixture[str], name: str, channel: int, device: str
) -> None:
    use(lab, name)
    assert run("Raw", channel=channel) == 2
    assert f"device `{device}` (" in refusal(capsys)


def test_a_device_and_its_alias_fail_with_the_same_line(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    use(lab, "controllers")
    lines = set()
    for device in ("cooling_laser", "laser_780"):
        assert run("Use", device=device) == 2
        lines.add(refusal(capsys))
    assert len(lines) == 1


def test_a_core_device_that_apply_has_not_replaced_gets_the_two_lines_that_do_it(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, ttl in (("kc705", "ttl_out"), ("controllers", "ttl4")):
        use(lab, name, without_apply=True)
        assert run("Ttl", ttl=ttl) == 2
        assert "end device_db.py with the two lines `from sim.target import apply` and `apply(device_db)`" in refusal(
            capsys
        )


@pytest.mark.parametrize("urukul", ["urukul0", "urukul1"])
def test_the_delays_of_a_dds_come_out_of_the_eeprom_of_its_card(lab: Path, urukul: str) -> None:
    use(lab, "eeprom")
    assert run("Dds", urukul=urukul) == 0
    found = datasets(lab)
    assert found["blank"] == -1 and list(found["delivered"]) == [-1, 0]  # type: ignore[call-overload]
    assert list(found["written"]) == [0x0E, 0x03]  # type: ignore[call-overload]
    assert found["frequency"] == pytest.approx(100e6, abs=0.5)
    # Half periods of 5 kHz: start 1, byte 18, stop 3. Four switch settings, six bytes, a poll.
    assert found["write_mu"] == (4 * (1 + 2 * 18 + 3) + (1 + 6 * 18 + 3) + (1 + 18 + 3)) * 100_000


def test_the_expander_of_a_kc705_takes_its_outputs(lab: Path) -> None:
    use(lab, "kc705")
    assert run("Expander") == 0


def test_a_class_without_a_driver_can_be_imported_for_an_annotation_and_not_made(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    use(lab, "mirny")
    file = lab / "repository" / "some.py"
    file.write_text(
        EXPERIMENTS
        + """
from artiq.coredevice.adf5356 import ADF5356
from artiq.coredevice.mirny import Mirny


class Annotated(EnvExperiment):
    def build(self):
        self.setattr_argument("make", BooleanValue(False))
        self.setattr_device("core")
        self.mirny0_ch0: ADF5356 = self.get_device("mirny0_ch0")
        self.setattr_device("ttl4")

    @kernel
    def pulse(self):
        self.core.reset()
        self.ttl4.pulse(1*us)

    def run(self):
        self.pulse()
        if self.make:
            Mirny(None, "spi_mirny0")
"""
    )
    assert run("Annotated") == 0
    if getattr(__import__("artiq"), "__host_runtime__", False):
        assert run("Annotated", make=True) == 2
        assert "artiq.coredevice.mirny.Mirny is not in the pip-only runtime" in refusal(capsys)
