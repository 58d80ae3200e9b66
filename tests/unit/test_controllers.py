"""The generic controller: what it offers over the network, and that nothing blocks `ping`."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from atomlink.errors import DeviceError
from drivers import controllers
from drivers.instruments.transport import DirectTransport, LineTransport
from sim.command.controller import open_driver
from sim.daemon.in_lab import lab_addresses

ROOT = Path(__file__).resolve().parents[2]
SOURCE = "TCPIP::192.168.1.81::5025::SOCKET"


@pytest.fixture
def controller(monkeypatch: pytest.MonkeyPatch) -> controllers.Controller:
    for name in ("ATOMLINK_LAB", "ATOMLINK_SCENARIO", "ATOMLINK_SEED"):
        monkeypatch.delenv(name, raising=False)
    return controllers.Controller(open_driver("alice_microwave", "microwave", SOURCE, simulation=True))


def test_the_drivers_public_methods_are_offered_with_their_docstrings(controller: controllers.Controller) -> None:
    offered = {name for name, _ in inspect.getmembers(controller, callable) if not name.startswith("_")}
    assert offered == {"ping", "frequency_hz", "set_frequency", "power_dbm", "set_power", "output", "set_output",
                       "settled"}  # fmt: skip
    assert "Hz" in (inspect.getdoc(controller.set_frequency) or "")  # type: ignore[attr-defined]


def test_no_annotation_is_left_that_sipyco_cannot_list(controller: controllers.Controller) -> None:
    for name, method in inspect.getmembers(controller, callable):
        if not name.startswith("_"):
            assert inspect.getfullargspec(method).annotations == {}, name
    assert inspect.getfullargspec(controller.set_frequency).args == ["frequency_hz"]  # type: ignore[attr-defined]


def test_calls_reach_the_instrument_and_errors_the_caller(controller: controllers.Controller) -> None:
    async def session() -> None:
        assert await controller.set_frequency(6.9e9) == 6.9e9  # type: ignore[attr-defined]
        assert await controller.ping() is True
        with pytest.raises(DeviceError, match="alice_microwave frequency is 1 Hz but must be"):
            await controller.set_frequency(1.0)  # type: ignore[attr-defined]

    asyncio.run(session())
    controller._close()


def test_ping_is_answered_while_a_request_blocks_and_requests_wait_for_each_other(
    controller: controllers.Controller,
) -> None:
    released, running = threading.Event(), []

    def slow() -> float:
        running.append("slow")
        assert released.wait(30)
        running.append("slow ends")
        return 1.0

    async def session() -> None:
        controller.frequency_hz = controller._remote(slow)  # type: ignore[attr-defined]
        first = asyncio.create_task(controller.frequency_hz())  # type: ignore[attr-defined]
        while not running:
            await asyncio.sleep(0.001)
        second = asyncio.create_task(controller.power_dbm())  # type: ignore[attr-defined]
        assert await asyncio.wait_for(controller.ping(), 10) is True
        assert not first.done() and not second.done()
        released.set()
        assert (await first, await second) == (1.0, 0.0)

    asyncio.run(session())
    controller._close()


def test_a_lab_of_its_own_lives_by_the_wall_clock(controller: controllers.Controller) -> None:
    driver = controller._driver
    before = driver.keeps.world.now_mu
    driver.ping()
    assert driver.keeps.world.now_mu > before


def test_without_sipyco_the_command_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['sipyco'] = None\n"
        "from sim.command.controller import main; sys.exit(main(['--driver', 'microwave', '-d', 'x', 'y']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 2
    assert done.stderr == "aqctl_atomlink: error: controllers need sipyco: pip install 'atomlink[artiq]'\n"


@pytest.mark.parametrize(
    ("kind", "device", "message"),
    [("toaster", SOURCE, "There is no driver `toaster`: it must be one of .*microwave"),
     ("microwave", "somewhere", "must be a VISA resource")],
)  # fmt: skip
def test_a_row_that_names_nothing_is_refused(kind: str, device: str, message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        open_driver("x", kind, device)


def test_in_a_lab_that_is_kept_elsewhere_the_driver_goes_to_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def query(_transport: LineTransport, text: str) -> str:
        asked.append(text)
        return '{"addresses": {"alice_microwave": "TCPIP::127.0.0.1::9::SOCKET"}}'

    monkeypatch.setattr(LineTransport, "query", query)
    monkeypatch.setenv("ATOMLINK_LAB", "127.0.0.1:3290")
    assert lab_addresses("127.0.0.1:3290") == {"alice_microwave": "TCPIP::127.0.0.1::9::SOCKET"}
    assert asked == ['{"op": "addresses"}']
    with pytest.raises(DeviceError, match="serves no `bob_microwave`, its instruments are: alice_microwave"):
        open_driver("bob_microwave", "microwave", SOURCE, simulation=True)
    with pytest.raises(DeviceError, match=r"TCPIP::127.0.0.1::9::SOCKET|atomlink\[instr"):  # nobody listens at 9
        open_driver("alice_microwave", "microwave", SOURCE, simulation=True)


@pytest.mark.parametrize("reply", ["", "200", "[]", '{"addresses": 3}', '{"error": "no"}'])
def test_an_address_that_is_no_lab_is_refused(monkeypatch: pytest.MonkeyPatch, reply: str) -> None:
    monkeypatch.setattr(LineTransport, "query", DirectTransport(lambda _text: reply).query)
    with pytest.raises(DeviceError, match="must be the address of `atomlink lab`"):
        lab_addresses("127.0.0.1:3290")
