"""Devices, files and commands' helpers of the pip-only `artiq`."""

import asyncio
import textwrap

import artiq
import numpy as np
import pytest
from artiq import tools
from artiq.appdirs import user_config_dir
from artiq.applets.simple import SimpleApplet, TitleApplet
from artiq.master.databases import DeviceDB
from artiq.master.worker_db import DeviceError, DeviceManager, DummyDevice

from atomlink.errors import UsageError

pytestmark = pytest.mark.skipif(
    not getattr(artiq, "__host_runtime__", False), reason="a real ARTIQ is installed; these tests are of its stand-in"
)

closed = []


class Driver:
    """A driver as a device_db row names it."""

    def __init__(self, dmgr, channel, core="core"):
        self.channel = channel
        self.ended = False
        if channel < 0:
            raise ValueError("no such channel")

    def notify_run_end(self):
        self.ended = True

    def close(self):
        closed.append(self.channel)
        if self.channel == 13:
            raise OSError("stuck")


def row(channel, **more):
    return {"type": "local", "module": __name__, "class": "Driver", "arguments": {"channel": channel}} | more


def manager(tmp_path, **rows):
    path = tmp_path / "device_db.py"
    path.write_text(f"device_db = {rows!r}")
    return DeviceManager(DeviceDB(path), virtual_devices={"scheduler": "the scheduler"})


def reason(mgr, name) -> str:
    with pytest.raises(DeviceError, match=f"'{name}'") as caught:
        mgr.get(name)
    return f"{type(caught.value.__cause__).__name__}: {caught.value.__cause__}"


def test_a_device_is_made_once_however_it_is_called(tmp_path):
    mgr = manager(tmp_path, ttl=row(1), alias="ttl", alias2="alias", twin=row(1), other=row(2))
    assert mgr.get("ttl") is mgr.get("alias") is mgr.get("alias2") is mgr.get("twin")
    assert mgr.get("other").channel == 2
    assert mgr.get("scheduler") == "the scheduler"
    assert mgr.get_device_db()["alias"] == "ttl"


def test_arguments_of_a_device_can_be_overridden(tmp_path):
    mgr = manager(tmp_path, ttl=row(1))
    mgr.devarg_override = {"ttl": {"channel": 5}}
    assert mgr.get("ttl").channel == 5


def test_devices_hear_of_the_end_of_the_run_and_close_in_reverse_even_if_one_fails(tmp_path, caplog):
    mgr = manager(tmp_path, a=row(12), b=row(13), c=row(14), d={"type": "dummy"})
    devices = [mgr.get(name) for name in "abcd"]
    assert type(devices[3]) is DummyDevice
    mgr.notify_run_end()
    assert all(device.ended for device in devices[:3])
    closed.clear()
    mgr.close_devices()
    assert closed == [14, 13, 12]
    assert "Exception raised when closing device" in caplog.text
    assert mgr.active_devices == []


def test_what_is_wrong_with_a_device_is_the_cause_of_the_error(tmp_path):
    mgr = manager(
        tmp_path,
        negative=row(-1), unfitting=row(1, arguments={"chanel": 1}), classless={"type": "local", "module": __name__},
        unmoduled=row(1, module="no_such_module"), unclassed=row(1, **{"class": "NoSuch"}), typeless={}, number=3,
        odd={"type": "magic"}, dangling="nothing", circle="circle2", circle2="circle",
        remote={"type": "controller", "port": 1},
    )  # fmt: skip
    assert reason(mgr, "negative") == "ValueError: no such channel"
    assert "unexpected keyword argument 'chanel'" in reason(mgr, "unfitting")
    assert "must have the key 'class', but has module, type" in reason(mgr, "classless")
    assert "no_such_module" in reason(mgr, "unmoduled")
    assert "NoSuch" in reason(mgr, "unclassed")
    assert "must have the key 'type', but has no keys" in reason(mgr, "typeless")
    assert "must be a dict or the name of another device, but is 3" in reason(mgr, "number")
    assert reason(mgr, "odd") == "ValueError: Unsupported type in device DB: magic"
    assert reason(mgr, "dangling") == "KeyError: 'nothing'"
    assert reason(mgr, "unknown") == "KeyError: 'unknown'"
    assert "alias of itself" in reason(mgr, "circle")


def test_a_controller_without_sipyco_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sipyco.pc_rpc", None)
    mgr = manager(tmp_path, remote={"type": "controller", "host": "::1", "port": 1})
    assert "needs sipyco" in reason(mgr, "remote")


def test_a_device_db_without_device_db_is_a_key_error_and_a_changed_file_is_read_again(tmp_path):
    path = tmp_path / "device_db.py"
    path.write_text("")
    with pytest.raises(KeyError, match="device_db"):
        DeviceDB(path)
    path.write_text("device_db = {'a': 'b'}")
    db = DeviceDB(path)
    path.write_text("device_db = {'a': 'c', 'd': 'e'} # longer, so that no cache mistakes it")
    db.scan()
    assert db.get_device_db() == {"a": "c", "d": "e"}


# Files of experiments.


def test_a_file_is_loaded_with_its_own_folder_first_and_the_path_restored(tmp_path):
    (tmp_path / "helper.py").write_text("value = 5")
    (tmp_path / "exp").write_text("from helper import value")
    before = list(__import__("sys").path)
    module = tools.file_import(tmp_path / "exp", prefix="p_")
    assert (module.__name__, module.value) == ("p_exp", 5)
    assert __import__("sys").path == before
    __import__("sys").modules.pop("helper")


def test_an_experiment_is_found_by_name_or_as_the_only_public_one(tmp_path):
    (tmp_path / "exp.py").write_text(textwrap.dedent("""
        from artiq.experiment import *
        class One(EnvExperiment): pass
        class _Hidden(EnvExperiment): pass
        class Box:
            class Inner(EnvExperiment): pass
    """))
    module = tools.file_import(tmp_path / "exp.py")
    assert tools.get_experiment(module) is tools.get_experiment(module, "One") is module.One
    assert tools.get_experiment(module, "Box.Inner") is module.Box.Inner
    module.Two = type("Two", (module.One,), {})
    with pytest.raises(ValueError, match="More than one experiment"):
        tools.get_experiment(module)
    del module.One, module.Two
    with pytest.raises(ValueError, match="No experiments in module"):
        tools.get_experiment(module)


# Helpers of commands.


def test_arguments_are_pyon_and_a_bad_one_is_named():
    assert tools.parse_arguments(["a=1", 'b="x=y"', "c=[1, 2.5]"]) == {"a": 1, "b": "x=y", "c": [1, 2.5]}
    with pytest.raises(ValueError, match="`scenario=default` must be NAME=VALUE"):
        tools.parse_arguments(["scenario=default"])


def test_device_overrides_survive_their_text():
    overrides = {"ttl": {"channel": 3, "name": "x"}, "dds": {"pll": True}}
    assert tools.parse_devarg_override(tools.unparse_devarg_override(overrides)) == overrides
    with pytest.raises(ValueError, match="device:argument=value"):
        tools.parse_devarg_override("ttl:channel")


@pytest.mark.parametrize(
    ("value", "metadata", "text"),
    [
        (None, {}, "None"), (1.5e-6, {"unit": "us"}, "1.5 us"), (1.26e-6, {"unit": "us", "precision": 1}, "1.3 us"),
        (np.int32(20), {"scale": 10}, "2"), (True, {}, "True"), ("x" * 60, {}, '"' + "x" * 47 + '..."'),
        (np.arange(3) * 1e-6, {"unit": "us"}, "[0., 1., 2.] us"), ([1, 2], {}, "list (2)"), ({}, {}, "dict (0)"),
    ],
)  # fmt: skip
def test_values_are_shown_short_in_their_unit(value, metadata, text):
    assert tools.short_format(value, metadata) == text


@pytest.mark.parametrize(
    ("text", "length", "elided"),
    [("abc", 3, "abc"), ("abcdef", 5, "ab..."), ("ab\ncd", 20, "ab..."), ("abcd\ne", 4, "a...")],
)
def test_long_texts_are_cut_to_one_line(text, length, elided):
    assert tools.elide(text, length) == elided


def test_waiting_cancels_what_is_left():
    async def scene():
        quick, slow = asyncio.sleep(0), asyncio.sleep(60)
        return await tools.asyncio_wait_or_cancel([quick, slow], return_when=asyncio.FIRST_COMPLETED)

    done, cancelled = asyncio.run(scene())
    assert done.done() and not done.cancelled()
    assert cancelled.cancelled()


def test_an_exception_in_the_background_becomes_a_warning(caplog):
    async def fail():
        raise ValueError("lost")

    asyncio.run(tools.exc_to_warning(fail()))
    assert "terminated with exception" in caplog.text


def test_settings_are_kept_per_major_version(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert user_config_dir("artiq", "m-labs", "8") == str(tmp_path / "artiq" / "8")
    assert tools.get_user_config_dir() == str(tmp_path / "artiq" / "8")
    assert (tmp_path / "artiq" / "8").is_dir()


class Widget:
    pass


def test_an_applet_can_be_made_and_says_what_it_needs_when_run(monkeypatch):
    applet = SimpleApplet(Widget, "a plot")
    applet.add_dataset("y", "values")
    applet.add_dataset("x-axis", required=False)
    monkeypatch.setattr("sys.argv", ["plot.py", "live.rate", "--x-axis", "live.time"])
    with pytest.raises(UsageError, match="Widget must run beside a real ARTIQ with PyQt5"):
        applet.run()
    assert applet.datasets == {"live.rate", "live.time"}


def test_a_title_names_more_datasets(monkeypatch):
    applet = TitleApplet(Widget)
    monkeypatch.setattr("sys.argv", ["plot.py", "--title", "run {run/rid} at {live}"])
    applet.args_init()
    assert applet.datasets == {"run.rid", "live"}
