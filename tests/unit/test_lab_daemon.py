"""The lab that outlives its runs: who may drive it, what survives, what is refused."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from atomlink.errors import DeviceError, UsageError
from atomlink.signals import Tone
from sim.daemon import messages
from sim.daemon.daemon import Daemon
from sim.daemon.remote import Connection, RemoteWorld, split_address
from sim.daemon.service import Service, Session
from sim.daemon.watchdog import LOOKS, Watchdog
from sim.world.scenario import load_scenario
from sim.world.world import World

SCENARIO = load_scenario("default")


def make_service(seed: int = 1) -> Service:
    return Service(World(SCENARIO, seed), "default")


@contextmanager
def running(service: Service, heartbeat_s: float | None = None) -> Iterator[str]:
    """Serve on a free loopback port, in a thread of its own; give the address."""
    daemon = Daemon(service, "127.0.0.1", 0, {}, heartbeat_s=heartbeat_s)
    ready, loop = threading.Event(), asyncio.new_event_loop()

    def work() -> None:
        loop.run_until_complete(daemon.start())
        ready.set()
        loop.run_forever()
        loop.run_until_complete(daemon.stop())

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert ready.wait(30)
    try:
        yield f"127.0.0.1:{daemon.port}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


def load_an_atom(world: World | RemoteWorld, start_mu: int) -> list[int]:
    """Switch on what loads and images alice's atom; return the clicks of the image."""
    for role in ("cooling", "repump"):
        world.output(f"alice_dds_{role}", "tone")(start_mu, Tone(80e6, 1.0, 0.0, 0.0, False))
        world.output(f"alice_sw_{role}", "level")(start_mu, 1)
    world.output("alice_shutter", "level")(start_mu, 1)
    coil = world.output("alice_mot_coil", "level")
    coil(start_mu, 1)
    coil(start_mu + 200_000_000, 0)
    return world.clicks("alice_fluorescence")(start_mu + 210_000_000, start_mu + 230_000_000)


def test_a_run_over_loopback_sees_the_same_lab_as_one_in_process() -> None:
    with running(make_service(seed=4)) as address:
        remote = RemoteWorld(address, "test")
        clicks = load_an_atom(remote, 1000)
        remote.close()
    assert clicks == load_an_atom(World(SCENARIO, 4), 1000)
    assert len(clicks) > 100


def test_the_lab_goes_on_where_the_last_run_left_it() -> None:
    with running(make_service(seed=4)) as address:
        first = RemoteWorld(address, "first")
        load_an_atom(first, 1000)
        first.close()
        second = RemoteWorld(address, "second")
        assert second.now_mu == 1000 + 230_000_000
        clicks = second.clicks("alice_fluorescence")(second.now_mu, second.now_mu + 20_000_000)
        second.close()
    assert len(clicks) > 100  # the light is still on, the atom still there


def test_one_run_at_a_time_drives_the_timeline() -> None:
    with running(make_service()) as address:
        first = RemoteWorld(address, "run 7")
        with pytest.raises(DeviceError, match="in use by run 7"):
            RemoteWorld(address, "run 8")
        first.release()
        RemoteWorld(address, "run 8").close()
        first.close()


def test_a_run_that_vanishes_leaves_closed_shutters() -> None:
    service = make_service()
    with running(service) as address:
        run = RemoteWorld(address, "doomed")
        load_an_atom(run, 1000)
        assert service.world.nodes["alice"].beams["cooling"].power > 0
        run._connection.close()  # as when the process is killed
        Connection(address).close()
        follower = RemoteWorld(address, "next")  # granted only when the lab has noticed
        follower.advance(follower.now_mu + 10_000_000)
        assert service.world.nodes["alice"].beams["cooling"].power == 0
        follower.close()


def test_a_shutter_that_a_vanished_run_would_have_opened_later_stays_closed() -> None:
    service, run = make_service(), Session()
    service.handle(run, {"op": "lease", "who": "doomed"})
    port = service.handle(run, {"op": "output", "port": "alice_shutter", "kind": "level"})["id"]
    service.handle(run, {"op": "advance", "t_mu": 30_000_000})
    assert service.handle(run, {"op": "events", "events": [[port, 90_000_000, 1]]}) == {}
    service.leave(run)
    beams = service.world.nodes["alice"].beams
    service.world.reach(200_000_000)
    assert not any(beam.shutter_open for beam in beams.values())


def broken_lab(tmp_path: Path) -> Service:
    """Return a lab whose drift leaves its range some seconds after the start."""
    path = tmp_path / "s.toml"
    path.write_text('extends = "default"\n[[drift]]\npath = "alice.fibre.insertion"\nsource = "test"\nmode = "add"\n'
                    'process = "linear"\nper_s = -0.2\n')  # fmt: skip
    return Service(World(load_scenario(str(path)), 1), "s")


def shutters(service: Service) -> list[bool]:
    return [beam.shutter_open for node in service.world.nodes.values() for beam in node.beams.values()]


def lit_run(service: Service) -> Session:
    """Return a run that holds the timeline and has opened a shutter."""
    run = Session()
    service.handle(run, {"op": "lease", "who": "run 7"})
    port = service.handle(run, {"op": "output", "port": "alice_shutter", "kind": "level"})["id"]
    service.handle(run, {"op": "advance", "t_mu": 1000, "events": [[port, 8, 1]]})
    service.handle(run, {"op": "advance", "t_mu": 50_000_000})
    assert any(shutters(service))
    return run


def leave(service: Service, run: Session) -> None:
    service.leave(run)


def fall_silent(service: Service, _run: Session) -> None:
    watchdog = Watchdog(service, 1.0)
    for _ in range(LOOKS + 2):
        watchdog.look()


def release(service: Service, run: Session) -> None:
    service.handle(run, {"op": "release"})


@pytest.mark.parametrize("end", [leave, fall_silent, release])
def test_a_drift_out_of_range_keeps_neither_shutters_open_nor_the_timeline(
    tmp_path: Path, end: Callable[[Service, Session], None], caplog: pytest.LogCaptureFixture
) -> None:
    service = broken_lab(tmp_path)
    run = lit_run(service)
    service.handle(run, {"op": "idle", "counter_mu": 30 * 10**9})  # the drift has left its range by then
    end(service, run)
    assert service.holder is None and not any(shutters(service))
    assert "alice.fibre.insertion has become" in caplog.text
    other = Session()
    assert "error" not in service.handle(other, {"op": "lease", "who": "run 8"})
    # The lab stands still and says why; it does not go on with the last truth.
    for _ in range(2):
        assert "alice.fibre.insertion" in service.handle(other, {"op": "advance", "t_mu": 40 * 10**9})["error"]


@pytest.mark.parametrize("step", ["reach", "forget", "output"])
def test_each_step_of_closing_the_shutters_is_taken_whatever_the_others_do(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = make_service()
    run = lit_run(service)
    service.handle(run, {"op": "idle", "counter_mu": 60_000_000})

    def fail(*_arguments: object) -> None:
        raise ZeroDivisionError("a fault of the lab")

    monkeypatch.setattr(service.world, step, fail)
    service.leave(run)
    assert service.holder is None and not any(shutters(service))


@pytest.mark.parametrize("value", [
    [80e6, 1e308, 0.0, 0.0, True], [float("inf"), 1.0, 0.0, 0.0, True], [80e6, float("nan"), 0.0, 0.0, True],
    [80e6, 1.0, 1e300, 0.0, True], [80e6, -0.1, 0.0, 0.0, True], ["80e6", 1.0, 0.0, 0.0, True], [80e6, 1.0, 0.0, 0.0],
])  # fmt: skip
def test_a_tone_that_no_synthesizer_makes_is_refused(value: list[Any]) -> None:
    service, run = make_service(), Session()
    service.handle(run, {"op": "lease", "who": "run 7"})
    port = service.handle(run, {"op": "output", "port": "alice_dds_cooling", "kind": "tone"})["id"]
    assert "malformed" in service.handle(run, {"op": "events", "events": [[port, 8, value]]})["error"]
    assert service.handle(run, {"op": "advance", "t_mu": 50_000_000}) == {}


def test_a_fault_of_the_lab_is_an_answer_and_the_lab_lives_on(monkeypatch: pytest.MonkeyPatch) -> None:
    service = make_service()

    def fail(_t_mu: int) -> None:
        raise AssertionError("never")

    with running(service) as address:
        run = RemoteWorld(address, "test")
        with monkeypatch.context() as patch:
            patch.setattr(service.world, "reach", fail)
            with pytest.raises(DeviceError, match="the lab failed at this request .*never"):
                run.advance(1000)
        run.advance(1000)
        run.close()


def test_a_run_that_says_something_keeps_the_timeline() -> None:
    service = make_service()
    watchdog, run, guest = Watchdog(service, 1.0), Session(), Session()
    assert service.handle(run, {"op": "lease", "who": "run 7"})["now_mu"] == 0
    for _ in range(3):
        for _ in range(LOOKS):
            watchdog.look()
        service.handle(run, {"op": "events"})
    assert service.holder == "run 7"
    for _ in range(LOOKS + 1):
        watchdog.look()
        service.handle(guest, {"op": "hello"})  # what others say is no sign of life of the run
    assert service.holder is None
    assert "taken from run 7" in service.handle(run, {"op": "advance", "t_mu": 8})["error"]
    assert "start it again" in service.handle(run, {"op": "lease", "who": "run 7"})["error"]
    assert "error" not in service.handle(guest, {"op": "lease", "who": "run 8"})


def test_a_lab_with_a_heartbeat_takes_the_timeline_from_a_silent_run_by_itself() -> None:
    with running(make_service(), heartbeat_s=0.05) as address:
        silent = RemoteWorld(address, "silent")
        with Connection(address) as guest:
            while guest.ask(op="hello")["lease"] is not None:
                pass
        with pytest.raises(DeviceError, match="taken from silent"):
            silent.advance(silent.now_mu + 8)
        silent._connection.close()


def test_nonsense_costs_its_sender_a_reply_and_nobody_else_anything() -> None:
    with running(make_service()) as address:
        with socket.create_connection(split_address(address)) as wire:
            lines = wire.makefile("rb")
            for nonsense in (b"\n", b"\x00\xff\n", b"[]\n", b'{"op": 3}\n', b'{"op": "clicks"}\n', b'{"op": "lease"}\n',
                             b'{"op": "lease", "who": "me"}\n{"op": "output", "port": 5, "kind": []}\n'):
                wire.sendall(nonsense)
                for _ in range(nonsense.count(b"\n")):
                    reply = messages.decode(lines.readline())
                assert "error" in reply, nonsense
        with Connection(address) as connection:
            assert connection.ask(op="hello")["scenario"] == "default"


def test_events_without_the_lease_are_refused() -> None:
    service, session = make_service(), Session()
    port = service.handle(session, {"op": "output", "port": "alice_shutter", "kind": "level"})
    assert "ask for the lease" in service.handle(session, {"op": "events", "events": [[port["id"], 8, 1]]})["error"]


def test_a_second_lab_on_the_same_port_is_refused() -> None:
    with running(make_service()) as address:
        second = Daemon(make_service(), *split_address(address), {})
        with pytest.raises(UsageError, match="another lab may be running"):
            asyncio.run(second.start())


@pytest.mark.parametrize("address", ["localhost", "127.0.0.1:", ":3290", "127.0.0.1:99999", "127.0.0.1:x"])
def test_an_address_that_does_not_parse_is_refused(address: str) -> None:
    with pytest.raises(DeviceError, match="HOST:PORT"):
        split_address(address)


def test_a_lab_that_is_not_there_is_named() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(DeviceError, match=f"no lab answers at {address}.*atomlink lab"):
            Connection(address)
