"""The instruments of a lab that is kept: where they are, what drivers find there, and what bad clients cannot do."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from daemon_lab import Kept, hardware_rows, kept, quiet_port

from atomlink.errors import DeviceError
from atomlink.signals import Tone
from drivers.instruments import driver_class
from drivers.instruments.id900 import COMMAND_PORT, LINK_PORT
from drivers.instruments.websq import CONTROL_PORT, COUNTS_PORT
from sim.daemon import messages
from sim.daemon.in_lab import open_at_lab
from sim.daemon.instruments import FIRST, Instruments
from sim.daemon.remote import Connection, RemoteWorld
from sim.instruments.camera import Refusal
from sim.instruments.dds_card import Fault
from sim.instruments.server import table
from sim.instruments.server.lines import LineServer
from sim.instruments.twin import Twin
from sim.world.scenario import load_scenario
from sim.world.world import World

ROWS = hardware_rows()
SECOND = {"dlc_pro": 1, "websq": COUNTS_PORT - CONTROL_PORT, "id900": LINK_PORT - COMMAND_PORT}  # above the first
GARBAGE = (b"", b"\n", b"\x00\xff" * 500 + b"\n", b"SOUR:FREQ", b"(param-set! 'laser1", b'{"request": ', b"\r", b"\x17",
           b"{" * 50, b"\x10\xff\xff\xff\x7f", bytes(range(256)) * 1000)  # fmt: skip


@pytest.fixture(scope="module")
def lab() -> Iterator[Kept]:
    """A lab with every instrument of device_db.py."""
    with kept() as found:
        yield found


def driver(lab: Kept, name: str) -> Any:
    """Return the opened driver of a row."""
    return open_at_lab(lab.address, name, str(ROWS[name]["driver"]))


def tcp_ports(lab: Kept) -> list[int]:
    """Return every TCP port that the lab has open, the second ones of an instrument too; none of anybody else."""
    served = [one for one in lab.daemon.instruments.served.values() if one.port]
    second = (one.port + SECOND[one.kind] for one in served if one.kind in SECOND)
    return [lab.daemon.port, *sorted({*(one.port for one in served), *second})]


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("name", ROWS)
def test_every_row_opens_with_its_driver_at_the_address_that_the_lab_answers(lab: Kept, name: str) -> None:
    with driver(lab, name) as instrument:
        assert instrument.ping() and instrument.simulated


def test_garbage_and_broken_off_requests_on_every_port_cost_nobody_else_anything(lab: Kept) -> None:
    ports = tcp_ports(lab)
    assert len(ports) == 18  # the lab's, 13 instruments' (both locks on one broker), and four second ones
    assert all(is_open(port) for port in ports)
    source = driver(lab, "alice_microwave")
    for port in ports:
        for garbage in GARBAGE:
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.settimeout(20)
                try:
                    client.sendall(garbage)
                except ConnectionError:
                    continue  # it has hung up already
        assert source.frequency_hz() > 6e9
    source.close()
    for name in ROWS:
        driver(lab, name).close()
    with Connection(lab.address) as connection:
        assert connection.ask(op="hello")["lease"] is None


def test_requests_in_a_row_are_answered_in_order_however_late_they_are_read() -> None:
    """In a lab of its own: all clients share the error queue, of which *STB? tells."""
    count = 30_000
    own = kept(rows=hardware_rows("alice_microwave"))
    with own as lab, socket.create_connection(("127.0.0.1", lab.port("alice_microwave"))) as client:
        client.settimeout(60)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sender = threading.Thread(target=client.sendall, args=(b"*OPC?;*STB?\n*TST?\n" * count,), daemon=True)
        sender.start()
        with driver(lab, "alice_microwave") as other:  # has its turn while the first one's replies pile up
            assert other.frequency_hz() > 6e9
        replies = client.makefile("rb")
        for _ in range(count):
            assert (replies.readline(), replies.readline()) == (b"1;0\n", b"0\n")
        sender.join(60)


def test_a_lab_next_door_gets_none_of_the_garbage() -> None:
    """Ports of other processes lie between those of a lab, and what is said to them is theirs."""
    with kept(rows=hardware_rows("alice_microwave"), port=quiet_port()) as ours:
        neighbour = ours.port("alice_microwave") + 1
        with kept(rows=hardware_rows("alice_microwave"), port=neighbour - FIRST) as theirs:
            assert theirs.port("alice_microwave") == neighbour and neighbour not in tcp_ports(ours)


def test_a_request_without_end_loses_its_connection(lab: Kept) -> None:
    with socket.create_connection(("127.0.0.1", lab.port("alice_microwave"))) as client:
        client.settimeout(20)
        with pytest.raises(ConnectionError):
            while True:
                client.sendall(b"x" * 4096)


@pytest.mark.parametrize("bad", [
    {"op": "instrument"}, {"op": "instrument", "name": "nobody", "requests": [["identity", None]]},
    {"op": "instrument", "name": "alice_laser", "requests": ["(param-ref 'ul)"]},
    {"op": "instrument", "name": "alice_camera"}, {"op": "instrument", "name": "alice_camera", "requests": 5},
    {"op": "instrument", "name": "alice_camera", "requests": [["arm", "many"]]},
    {"op": "instrument", "name": "alice_camera", "requests": {"dtype": "O", "shape": [1], "base64": "AAAAAAAAAAA="}},
    {"op": "instrument", "name": "alice_camera", "requests": {"dtype": "<u8", "shape": [9], "base64": "AAAAAAAAAAA="}},
])  # fmt: skip
def test_a_malformed_request_to_an_instrument_without_a_wire_is_refused(lab: Kept, bad: dict[str, Any]) -> None:
    with Connection(lab.address) as connection:
        try:
            refusal = messages.unpacked(connection.ask(**bad)["reply"])
        except DeviceError as error:
            refusal = str(error)
        assert any(words in str(refusal) for words in ("malformed", "must be one without a wire", "tweezer array"))
        assert connection.ask(op="hello")


@pytest.mark.parametrize("value", [None, 1.5, "x", (1, ("a", None)), Fault(3, 2.0, "ERR"), Refusal("no"), (True,)])
def test_what_is_packed_for_the_wire_comes_out_again(value: Any) -> None:
    assert messages.unpacked(messages.decode(messages.encode({"v": messages.packed(value)}))["v"]) == value


def test_images_pass_the_wire_bit_by_bit() -> None:
    image = np.arange(12, dtype=np.uint16).reshape(3, 4)
    found = messages.unpacked(messages.decode(messages.encode({"v": messages.packed((5, image))}))["v"])
    assert found[0] == 5 and found[1].dtype == np.uint16 and (found[1] == image).all()


def test_a_camera_in_the_lab_gives_the_frames_of_its_array() -> None:
    with kept(World(load_scenario("array"), 2), hardware_rows("alice_camera", "alice_awg")) as lab:
        with driver(lab, "alice_camera") as camera:
            camera.exposure_s = 0.02
            assert camera.exposure_s == pytest.approx(0.02)
            camera.arm(1)
            run = RemoteWorld(lab.address, "test")
            trigger, start_mu = run.output("alice_camera_trigger", "level"), run.now_mu + 1000
            trigger(start_mu, 1)
            run.advance(start_mu + 200_000_000)
            t_mu, electrons = camera.read()
            truth = lab.do(lambda: lab.world.nodes["alice"].tweezers.camera.frames[start_mu])
            run.close()
        assert t_mu == start_mu and electrons.shape == truth.shape and (electrons != 0).any()
        with driver(lab, "alice_awg") as awg:
            awg.set_tones("rows", [95e6, 105e6], [0.3, 0.3])
            with pytest.raises(DeviceError):
                awg.set_tones("rows", [1e6], [0.3])  # out of band: refused before it is sent


def test_what_the_card_has_to_say_against_a_register_comes_with_the_next_question() -> None:
    with kept(World(load_scenario("array"), 2), hardware_rows("alice_awg")) as lab:
        with driver(lab, "alice_awg") as awg:
            cards = awg.transport
            cards.rows.freq(0, 100e6)
            cards.rows.freq(1, -5.0)  # refused: what follows is not carried out
            cards.rows.freq(2, 101e6)
            with pytest.raises(cards.errors, match="value -5"):
                cards.rows.write_to_card()
            assert cards.rows.get_freq(0) == pytest.approx(100e6, abs=1.0) and cards.rows.get_freq(2) != 101e6
        assert lab.do(lambda: lab.world.nodes["alice"].tweezers.queued) == 0


def test_frames_of_a_grabber_are_the_same_over_loopback() -> None:
    def frames(world: Any) -> list[Any]:
        world.output("alice_camera_trigger", "level")(1000, 1)
        return list(world.frames("alice_grabber")(0, 300_000_000))

    with kept(World(load_scenario("array"), 2), {}) as lab:
        run = RemoteWorld(lab.address, "test")
        over_loopback = frames(run)
        run.close()
    here = frames(World(load_scenario("array"), 2))
    assert [t_mu for t_mu, _ in over_loopback] == [t_mu for t_mu, _ in here] and len(here) == 1
    assert (over_loopback[0][1] == here[0][1]).all()


def test_a_set_point_acts_at_the_counter_that_the_run_has_told() -> None:
    with kept(rows=hardware_rows("alice_laser")) as lab, driver(lab, "alice_laser") as laser:
        run = RemoteWorld(lab.address, "test")
        run.idle(run.now_mu + 5_000_000)
        assert lab.do(lambda: lab.world.now_mu) == 0  # nobody has looked
        laser.set_current_ma(90.0)
        assert lab.do(lambda: lab.world.now_mu) == 5_000_000
        run.close()


def test_lab_time_follows_the_wall_clock_only_while_no_run_drives_it() -> None:
    with kept(rows=hardware_rows("alice_microwave"), realtime=True) as lab, Connection(lab.address) as connection:
        before = connection.ask(op="hello")["now_mu"]
        while connection.ask(op="hello")["now_mu"] < before + 50_000_000:
            pass
        run = RemoteWorld(lab.address, "test")
        held = connection.ask(op="hello")["now_mu"]
        with driver(lab, "alice_microwave") as source:
            source.frequency_hz()
        assert connection.ask(op="hello")["now_mu"] == held
        run.close()


def test_ports_are_the_same_after_a_restart_and_a_taken_one_is_passed_over() -> None:
    rows = hardware_rows("alice_laser", "alice_microwave", "snspd_electronics", "tagger")
    base = quiet_port()
    with kept(rows=rows, port=base) as first:
        addresses = first.addresses()
    with kept(rows=rows, port=base) as second:
        assert second.addresses() == addresses
        own = second.port("alice_microwave")
    with socket.create_server(("127.0.0.1", own)), kept(rows=rows, port=base) as third:
        moved = third.addresses()
        assert moved["alice_laser"] == addresses["alice_laser"]
        assert moved["alice_microwave"] == addresses["alice_microwave"].replace(str(own), str(own + 1))
        driver(third, "alice_microwave").close()


def test_drivers_find_a_lab_again_that_was_started_anew() -> None:
    rows = hardware_rows("alice_camera", "alice_microwave", "wavemeter", "tagger", "snspd_electronics", "alice_laser")
    base = quiet_port()
    with kept(rows=rows, port=base) as first:
        instruments = [driver(first, name) for name in rows]
    with kept(rows=rows, port=base):
        for instrument in instruments:
            assert instrument.ping(), instrument.name
            instrument.close()


def test_what_needs_a_package_that_is_missing_says_so_and_the_rest_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zmq", None)
    monkeypatch.delitem(sys.modules, "sim.instruments.server.id900", raising=False)
    with kept(rows=hardware_rows("tagger", "alice_microwave")) as lab:
        assert ("tagger", "id900", "needs pyzmq") in list(lab.daemon.instruments.table("127.0.0.1", lab.address))
        assert list(lab.addresses()) == ["alice_microwave"]
        with pytest.raises(DeviceError, match="serves no `tagger`"):
            driver(lab, "tagger")
        driver(lab, "alice_microwave").close()


def test_an_instrument_of_lines_needs_no_server_of_its_own() -> None:
    class Eleventh(Twin):
        REQUEST_ENDING, ENDING = "\r", "\r\n"

        def handle(self, request: Any) -> str:
            return f"you said {request}"

    twin = Eleventh(None, np.random.default_rng(1))
    server = table.make_server("eleventh", "eleventh", twin, twin.handle, {})
    assert isinstance(server, LineServer) and server.address("127.0.0.1", 5025) == "TCPIP::127.0.0.1::5025::SOCKET"


def test_every_kind_with_a_server_of_its_own_is_a_driver() -> None:
    for kind in (*table.OWN, *table.NO_WIRE):
        assert driver_class(kind)


RUN_THAT_HANGS = """
import sys, time
from sim.daemon.remote import RemoteWorld
from atomlink.signals import Tone
run = RemoteWorld(sys.argv[1], "doomed")
t_mu = run.now_mu + 1000
run.output("alice_dds_cooling", "tone")(t_mu, Tone(80e6, 1.0, 0.0, 0.0, False))
for port in ("alice_sw_cooling", "alice_shutter"):
    run.output(port, "level")(t_mu, 1)
run.advance(t_mu + 50_000_000)
print("light is on", flush=True)
time.sleep(600)
"""

CLIENT_THAT_HANGS = """
import socket, sys, time
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as wire:
    wire.sendall(b"SOUR:FREQ 6.8e9\\nSOUR:PO")
    print("said half of it", flush=True)
    time.sleep(600)
"""


def killed(script: str, argument: str) -> None:
    """Start a script, wait for its line, and kill it with SIGKILL."""
    with subprocess.Popen([sys.executable, "-c", script, argument], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline()
        process.send_signal(signal.SIGKILL)


def test_a_run_killed_with_sigkill_leaves_closed_shutters_and_a_free_timeline() -> None:
    with kept(rows=hardware_rows("alice_microwave")) as lab:
        beam = lab.world.nodes["alice"].beams["cooling"]
        killed(RUN_THAT_HANGS, lab.address)
        with Connection(lab.address) as connection:
            while connection.ask(op="hello")["lease"] is not None:
                pass
        follower = RemoteWorld(lab.address, "next")
        follower.advance(follower.now_mu + 10_000_000)
        assert lab.do(lambda: beam.power) == 0
        follower.output("alice_shutter", "level")(follower.now_mu, 1)  # the light itself was left on
        follower.advance(follower.now_mu + 50_000_000)
        assert lab.do(lambda: beam.power) > 0
        follower.close()


def test_a_client_killed_in_the_middle_of_a_request_disturbs_nobody() -> None:
    with kept(rows=hardware_rows("alice_microwave", "alice_laser")) as lab:
        killed(CLIENT_THAT_HANGS, str(lab.port("alice_microwave")))
        with driver(lab, "alice_microwave") as source:
            assert source.frequency_hz() == 6.8e9  # what it said in full holds
        driver(lab, "alice_laser").close()


def test_a_lab_that_stops_has_closed_its_shutters_and_every_port() -> None:
    with kept() as lab:
        ports = tcp_ports(lab)
        for name, level in (("alice_sw_cooling", 1), ("alice_shutter", 1)):
            lab.do(lambda name=name, level=level: lab.world.output(name, "level")(1000, level))
        lab.do(lambda: lab.world.output("alice_dds_cooling", "tone")(1000, Tone(80e6, 1.0, 0.0, 0.0, False)))
        lab.do(lambda: lab.world.reach(100_000_000))
        beam = lab.world.nodes["alice"].beams["cooling"]
        assert beam.power > 0
    lab.world.reach(200_000_000)
    assert beam.power == 0
    assert not any(is_open(port) for port in ports)


def test_instruments_are_made_without_changing_the_lab() -> None:
    def photons(world: World) -> list[int]:
        world.output("alice_shutter", "level")(0, 1)
        return world.clicks("snspd_c_h")(0, 3_000_000_000)

    watched = World(load_scenario("default"), 5)
    Instruments(watched, ROWS, lambda: None)
    assert photons(watched) == photons(World(load_scenario("default"), 5)) != []
