"""Bad peers: whatever a wire does, the driver says so in a DeviceError and never takes one reply for another."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable

import pytest
import pyvisa
from instrument_lab import Lab, Peer, dead_port

from atomlink.errors import DeviceError
from drivers.instruments.instrument import ERROR_QUEUE_CAP
from drivers.instruments.microwave import Driver
from drivers.instruments.transport import LineTransport, LinkLostError, NoReplyError, Transport
from drivers.instruments.visa import VisaTransport
from sim.command.controller import open_driver
from sim.instruments.catalog import make_twin

Connect = Callable[[int], Transport]
IDENTITY = "Rohde&Schwarz,SMB100A,1,2"


class Twinned:
    """A twin behind a wire, which goes wrong where a test says so: `faults` maps a request to what happens instead."""

    def __init__(self) -> None:
        self.twin = make_twin(Lab().world, "alice_microwave", "microwave")
        self.faults: dict[str, Callable[[socket.socket], None]] = {}

    def __call__(self, line: str, connection: socket.socket) -> None:
        fault = self.faults.pop(line, None)
        if fault is not None:
            fault(connection)
            return
        reply = self.twin.handle(line)
        if reply is not None:
            connection.sendall(reply.encode() + b"\n")


def hang_up(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def say(data: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(data)


def nothing(_connection: socket.socket) -> None:
    pass


@pytest.fixture(params=["lines", "visa"])
def connect(request: pytest.FixtureRequest) -> Connect:
    if request.param == "lines":
        return lambda port: LineTransport(f"127.0.0.1:{port}", timeout_s=1.0)
    return lambda port: VisaTransport(f"TCPIP::127.0.0.1::{port}::SOCKET", "@py", timeout_s=1.0)


def test_a_driver_works_over_a_real_socket(connect: Connect) -> None:
    with Peer(Twinned()) as peer, Driver("source", connect(peer.port)) as source:
        assert source.set_frequency(6.9e9) == 6.9e9
        assert peer.heard[:3] == ["*IDN?", "SYST:ERR?", "SOUR:POW:LIM 10.00"]


def test_pyvisa_itself_reads_the_twin_over_a_socket() -> None:
    with (
        Peer(Twinned()) as peer,
        pyvisa.ResourceManager("@py").open_resource(
            f"TCPIP::127.0.0.1::{peer.port}::SOCKET", read_termination="\n", write_termination="\n"
        ) as resource,
    ):
        assert resource.query("*idn?").startswith("Rohde&Schwarz,SMB100A")
        assert resource.query_ascii_values(":source:frequency:cw?;:sour:pow?", separator=";") == [6836782610.904, 0.0]


def test_in_a_lab_that_is_kept_elsewhere_the_driver_works_over_the_labs_wire(monkeypatch: pytest.MonkeyPatch) -> None:
    def lab(_line: str, connection: socket.socket) -> None:
        addresses = {"alice_microwave": f"TCPIP::127.0.0.1::{peer.port}::SOCKET"}
        connection.sendall(json.dumps({"addresses": addresses}).encode() + b"\n")

    with Peer(Twinned()) as peer, Peer(lab) as kept:
        monkeypatch.setenv("ATOMLINK_LAB", f"127.0.0.1:{kept.port}")
        with open_driver("alice_microwave", "microwave", "TCPIP::10.0.0.1::1::SOCKET", simulation=True) as source:
            assert isinstance(source, Driver) and source.simulated
            assert source.set_frequency(6.9e9) == 6.9e9
        assert kept.heard == ['{"op": "addresses"}']


@pytest.mark.parametrize(
    "garbage",
    [b"\xff\xfe\x00\x17\n", b"\x80\n", b"6.9e\x009\n", b"frequency\n", b"\n", b"\xff\n1\n2\n3\n", b"what\n1\n2\n"],
)
def test_garbage_is_an_error_and_the_next_query_is_right(connect: Connect, garbage: bytes) -> None:
    script = Twinned()
    with Peer(script) as peer, Driver("source", connect(peer.port)) as source:
        script.faults["SOUR:FREQ?"] = say(garbage)
        with pytest.raises(DeviceError, match=r"which is not (text|a number)"):
            source.frequency_hz()
        assert source.power_dbm() == 0.0


def test_a_reply_cut_short_is_a_time_out_and_the_next_query_is_right(connect: Connect) -> None:
    script = Twinned()
    with Peer(script) as peer, Driver("source", connect(peer.port)) as source:
        script.faults["SOUR:FREQ?"] = say(b"6.83")
        with pytest.raises(NoReplyError, match="did not answer in full"):
            source.frequency_hz()
        assert source.power_dbm() == 0.0


def test_a_reply_after_the_time_out_is_not_taken_for_the_next_answer(connect: Connect) -> None:
    script, late, sent = Twinned(), threading.Event(), threading.Event()

    def answer_late(connection: socket.socket) -> None:
        def send() -> None:
            late.wait(10)
            with contextlib.suppress(OSError):  # the driver may have hung up meanwhile: as good
                connection.sendall(b"1.0\n")
            sent.set()

        threading.Thread(target=send, daemon=True).start()

    with Peer(script) as peer, Driver("source", connect(peer.port)) as source:
        script.faults["SOUR:FREQ?"] = answer_late
        with pytest.raises(NoReplyError):
            source.frequency_hz()
        late.set()
        assert sent.wait(10)
        assert source.power_dbm() == 0.0
        assert source.frequency_hz() == pytest.approx(6836782610.904)


def test_a_query_whose_peer_hangs_up_is_asked_once_more_over_a_new_connection(connect: Connect) -> None:
    script = Twinned()
    with Peer(script) as peer, Driver("source", connect(peer.port)) as source:
        script.faults["SOUR:FREQ?"] = hang_up
        assert source.frequency_hz() == pytest.approx(6836782610.904)
        assert peer.heard.count("SOUR:FREQ?") == 2 and peer.heard.count("*IDN?") == 2


def test_a_command_whose_peer_hangs_up_is_not_sent_again_and_the_error_says_so(connect: Connect) -> None:
    script = Twinned()
    with Peer(script) as peer, Driver("source", connect(peer.port)) as source:
        script.faults["SOUR:FREQ 6900000000.000"] = hang_up
        with pytest.raises(DeviceError, match="whether it took effect is unknown; it was not sent again. Read it back"):
            source.set_frequency(6.9e9)
        assert peer.heard.count("SOUR:FREQ 6900000000.000") == 1
        assert source.frequency_hz() == pytest.approx(6836782610.904)  # read back over a new connection


def test_an_instrument_that_was_switched_off_and_on_gets_its_own_limits_back(connect: Connect) -> None:
    script = Twinned()
    with Peer(script) as peer, Driver("source", connect(peer.port)) as source:
        script.twin.handle("SOUR:POW:LIM 30")
        script.faults["SOUR:FREQ?"] = hang_up
        source.frequency_hz()
        assert script.twin.handle("SOUR:POW:LIM?") == "10"


def test_another_instrument_after_a_broken_link_is_refused(connect: Connect) -> None:
    script = Twinned()
    with Peer(script) as peer, Driver("source", connect(peer.port)) as source:
        script.faults["SOUR:FREQ?"] = hang_up
        script.twin.identity = "ACME,TOASTER,1,1"  # type: ignore[attr-defined]
        with pytest.raises(DeviceError, match="identifies as 'ACME,TOASTER"):
            source.frequency_hz()


def test_a_dead_port_is_refused_at_open_in_one_line(connect: Connect) -> None:
    with pytest.raises(LinkLostError, match=r"(is lost|cannot be opened).*check") as refusal:
        Driver("source", connect(dead_port())).open()
    assert "\n" not in str(refusal.value)


def test_a_peer_that_is_silent_is_a_time_out_at_open(connect: Connect) -> None:
    script = Twinned()
    script.faults["*IDN?"] = nothing
    with Peer(script) as peer, pytest.raises(NoReplyError):
        Driver("source", connect(peer.port)).open()


@pytest.mark.filterwarnings("ignore:VI_SUCCESS_MAX_CNT")  # PyVISA's remark on the length of the first part
def test_a_reply_without_end_is_cut_off(connect: Connect) -> None:
    script = Twinned()
    with Peer(script) as peer, Driver("source", connect(peer.port)) as source:
        script.faults["SOUR:FREQ?"] = script.faults["*IDN?"] = say(b"9" * (1 << 20) + b"9" * (1 << 17))
        with pytest.raises(DeviceError, match="without an end of line|did not answer in full"):
            source.frequency_hz()


def test_an_error_queue_that_never_empties_is_an_error(connect: Connect) -> None:
    script = Twinned()
    script.twin._next_error = lambda: '-350,"Queue overflow"'  # type: ignore[attr-defined]
    script.twin._handlers["SYST:ERR?"] = (script.twin._next_error, 0, 0)  # type: ignore[attr-defined]
    with (
        Peer(script) as peer,
        pytest.raises(DeviceError, match=f"still reports .*Queue overflow.* after {ERROR_QUEUE_CAP} reads"),
    ):
        Driver("source", connect(peer.port)).open()


@pytest.mark.parametrize("entry", ["", "no error", "zero,none"])
def test_an_error_queue_that_speaks_another_language_is_an_error(connect: Connect, entry: str) -> None:
    script = Twinned()
    script.faults["SYST:ERR?"] = say(entry.encode() + b"\n")
    with Peer(script) as peer, pytest.raises(DeviceError, match="no entry of an error queue"):
        Driver("source", connect(peer.port)).open()


def test_a_request_that_is_no_single_line_is_refused_before_it_is_sent(connect: Connect) -> None:
    with Peer(Twinned()) as peer:
        transport = connect(peer.port)
        for text in ("*IDN?\nOUTP 1", "FREQ 1\r", "pöwer", "\0"):
            with pytest.raises(DeviceError, match="one line of ASCII text: nothing was sent"):
                transport.query(text)
        transport.close()
        assert peer.heard == []


@pytest.mark.parametrize("device", ["", "192.168.1.81", "TCPIP::", "COM 3", "nonsense::1"])
def test_a_visa_resource_that_does_not_parse_is_refused(device: str) -> None:
    with pytest.raises(DeviceError, match="must be a VISA resource"):
        Driver.connect(device)


@pytest.mark.parametrize("device", ["", "host", ":1", "host:", "host:0", "host:65536", "host:1x", "a b:1", "http://h:1"])
def test_a_tcp_address_that_does_not_parse_is_refused(device: str) -> None:
    with pytest.raises(DeviceError, match="must be HOST:PORT"):
        LineTransport(device)


def test_small_writes_leave_at_once() -> None:
    with Peer(Twinned()) as peer:
        transport = VisaTransport(f"TCPIP::127.0.0.1::{peer.port}::SOCKET")
        transport.query("*IDN?")
        connection = transport._resource.visalib.sessions[transport._resource.session].interface
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        transport.close()


def test_a_greeting_is_read_when_the_connection_opens() -> None:
    with Peer(Twinned(), greeting=b"200 welcome\n") as peer:
        transport = LineTransport(f"127.0.0.1:{peer.port}", greeting=1)
        assert transport.query("*IDN?").startswith("Rohde&Schwarz")
        assert transport.greeted == ["200 welcome"]
        transport.close()


def test_a_greeting_that_does_not_come_is_a_time_out() -> None:
    with Peer(Twinned()) as peer, pytest.raises(NoReplyError):
        LineTransport(f"127.0.0.1:{peer.port}", timeout_s=1.0, greeting=1).query("*IDN?")
