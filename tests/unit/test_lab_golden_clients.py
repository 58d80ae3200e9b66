"""The vendors' own clients, unmodified, on the lab's instruments: what they set acts on atoms and clicks."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from daemon_lab import Kept, kept
from signal_lab import SignalLab, lab
from test_laser_to_clicks import agree, clicks, expected

from atomlink.signals import Tone


@pytest.fixture(scope="module")
def shared() -> Iterator[Kept]:
    """A lab with all instruments, for clients that leave it as they found it."""
    with kept() as found:
        yield found


def dlc_pro(found: Kept, name: str) -> Any:
    dlcpro = pytest.importorskip("toptica.lasersdk.dlcpro.v3_3_3")
    port = found.port(name)
    return dlcpro.DLCpro(dlcpro.NetworkConnection("127.0.0.1", port, port + 1, timeout=20))


def test_turning_the_current_down_with_topticas_client_dims_the_clicks() -> None:
    room = lab("bright", seed=3)

    def look() -> tuple[float, int]:
        return expected(room), clicks(room)

    with kept(room.world) as found, dlc_pro(found, "alice_laser") as dlc:
        dlc.laser1.dl.cc.current_set.set(95.0)
        nominal, bright = found.do(look)
        dlc.laser1.dl.cc.current_set.set(41.0)  # a tenth of the power
        dimmed, dim = found.do(look)
        dlc.laser1.dl.cc.current_set.set(30.0)  # below threshold
        nothing, dark = found.do(look)
        assert dlc.laser1.dl.cc.current_set.get() == 30.0
    assert agree(bright, nominal) and dimmed < 0.6 * nominal and agree(dim, dimmed)
    assert nothing == 0.0 and dark <= 2  # dark counts only: 0.6 expected in all


def test_turning_the_current_down_with_topticas_client_dims_the_power_meter(shared: Kept) -> None:
    """The meter sees what the beam's light behind its AOM is; read with PyVISA's own calls."""
    visa = pytest.importorskip("pyvisa")
    pytest.importorskip("pyvisa_py")

    def light(level: int) -> None:
        world, t_mu = shared.world, shared.world.now_mu
        world.output("bob_dds_excitation", "tone")(t_mu, Tone(80e6, 1.0, 0.0, 0.0, False))
        world.output("bob_sw_excitation", "level")(t_mu, level)
        world.output("bob_shutter", "level")(t_mu, level)
        world.reach(t_mu + 100_000_000)

    shared.do(lambda: light(1))
    resource = shared.addresses()["bob_power_meter"]
    lines = {"read_termination": "\n", "write_termination": "\n", "timeout": 20_000}
    with (closing(visa.ResourceManager("@py")) as manager, dlc_pro(shared, "bob_laser") as dlc,
          manager.open_resource(resource, **lines) as meter):  # fmt: skip
        assert "PM100D" in meter.query("*IDN?")
        bright = float(meter.query("meas:pow?"))
        dlc.laser1.dl.cc.current_set.set(41.0)
        dim = float(meter.query("meas:pow?"))
        dlc.laser1.dl.cc.current_set.set(95.0)
        assert meter.query("syst:err?").startswith("+0")
    shared.do(lambda: light(0))
    assert dim == pytest.approx(0.1 * bright, rel=0.05)


def test_topticas_client_hears_of_changes_on_the_monitoring_line(shared: Kept) -> None:
    dlcpro = pytest.importorskip("toptica.lasersdk.dlcpro.v3_3_3")
    heard, news = [], threading.Event()

    def note(_subscription: Any, _timestamp: Any, value: Any) -> None:
        heard.append(value.get())
        if heard[-1] == 91.5:
            news.set()

    with dlc_pro(shared, "alice_laser") as dlc, dlc.laser1.dl.cc.current_set.subscribe(note):
        listener = threading.Thread(target=dlc.run, daemon=True)
        listener.start()
        dlc_port = shared.port("alice_laser")
        with dlcpro.DLCpro(dlcpro.NetworkConnection("127.0.0.1", dlc_port, 0, timeout=20)) as other:
            other.laser1.dl.cc.current_set.set(91.5)
            assert news.wait(60)
            other.laser1.dl.cc.current_set.set(95.0)
        dlc.stop()
        listener.join(60)
    assert heard[0] == 95.0  # what it was when it was subscribed to


def test_the_scpi_instruments_take_what_pyvisa_sends(shared: Kept) -> None:
    visa = pytest.importorskip("pyvisa")
    pytest.importorskip("pyvisa_py")
    addresses = shared.addresses()
    with closing(visa.ResourceManager("@py")) as manager:
        with manager.open_resource(addresses["bob_microwave"], read_termination="\n", write_termination="\n",
                                   timeout=20_000) as source:  # fmt: skip
            before = source.query("SOUR:FREQ?")
            source.write(":SOURce:FREQuency 6.8e9;:output:state on")
            assert float(source.query("sour:freq?")) == 6.8e9
            source.write("NONSENSE")
            assert int(source.query("SYST:ERR?").split(",")[0]) < 0 and source.query("SYST:ERR?").startswith("0,")
            source.write(f"SOUR:FREQ {before}")
        with manager.open_resource(addresses["fibre_switch"], read_termination="\n", write_termination="\n",
                                   timeout=20_000) as switch:  # fmt: skip
            assert "Polatis" in switch.query("*IDN?") and "(@" in switch.query(":oxc:swit:conn:stat?")


def test_pyzmq_asks_the_tagger_and_takes_its_tags() -> None:
    zmq = pytest.importorskip("zmq")
    room = SignalLab(lab("bright").scenario, seed=5)
    with kept(room.world) as found, zmq.Context() as context:
        port = found.port("tagger")
        command, link, tags = (context.socket(kind) for kind in (zmq.REQ, zmq.REQ, zmq.PAIR))
        for socket, number in ((command, port), (link, port + 505), (tags, stream_port := port + 506)):
            socket.setsockopt(zmq.RCVTIMEO, 30_000)
            socket.setsockopt(zmq.LINGER, 0)
            socket.connect(f"tcp://127.0.0.1:{number}")

        def ask(text: str, socket: Any = command) -> str:
            socket.send_string(text)
            return str(socket.recv_string())

        assert ask("*IDN?").startswith("ID Quantique,ID900")
        assert ask("NOSUCH:THING 3").startswith("SCPI_ERR_")
        for text in ("INPU1:ENAB ON", "TSCO1:FIR:LINK INPU1", "TSCO1:OPIN ONLYFIR;OPOU ONLYFIR",
                     "RAW1:STOP:LINK TSCO1", "REC:ENAB ON", "REC:NUM 1", "REC:DUR INF"):  # fmt: skip
            assert "SCPI_ERR" not in ask(text), text
        begin = f"start-stream --address localhost --channel 1 --stream-port {stream_port}"
        started = json.loads(ask(begin, link))
        assert "error" in json.loads(ask(begin, link))  # the port is in use
        assert "SCPI_ERR" not in ask("RAW1:SEND ON") + ask("REC:PLAY")
        found.do(lambda: room.world.reach(2_000_000_000))  # dark counts only
        assert "SCPI_ERR" not in ask("REC:STOP")
        blocks = []
        while message := tags.recv():
            blocks.append(np.frombuffer(message, "<u8"))
        times_ps = np.concatenate(blocks)
        assert int(ask("INPU1:COUN?")) == len(times_ps) > 10
        assert (np.diff(times_ps.astype(np.int64)) >= 0).all() and times_ps[-1] < 2e12
        assert json.loads(ask(f"stop --id {started['id']}", link))["status"]["timestamps_count"] == len(times_ps)
        for socket in (command, link, tags):
            socket.close()


def test_aiomqtt_holds_and_releases_the_cavity_through_the_broker(shared: Kept) -> None:
    aiomqtt = pytest.importorskip("aiomqtt")
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    broker, _, prefix = shared.addresses()["alice_cavity_lock"].partition("/")

    async def talk() -> tuple[list[bytes], dict[str, Any]]:
        properties = Properties(PacketTypes.PUBLISH)
        properties.ResponseTopic, properties.CorrelationData = f"{prefix}/response", b"mine"
        host, port = broker.split(":")
        answers: list[bytes] = []
        async with aiomqtt.Client(host, int(port), protocol=aiomqtt.ProtocolVersion.V5, timeout=20) as client:
            await client.subscribe(f"{prefix}/response")
            for path, value in (("ch/0/run", "Hold"), ("ch/0/run", "Nonsense"), ("ch/0/run", "Run"),
                                ("telemetry_period", 0.1)):  # fmt: skip
                await client.publish(f"{prefix}/settings/{path}", json.dumps(value), properties=properties)
                answers.append((await anext(client.messages)).payload)
            await client.subscribe(f"{prefix}/telemetry")
            async for message in client.messages:
                if str(message.topic).endswith("telemetry"):
                    return answers, json.loads(message.payload)
        raise AssertionError("no telemetry came")

    answers, telemetry = asyncio.run(asyncio.wait_for(talk(), 60))
    assert answers[0] == b"OK" and answers[2] == b"OK" and answers[1] != b"OK"
    assert len(telemetry["adcs"]) == 2
    assert shared.do(lambda: shared.world.element("alice_cavity_lock").is_locked)
