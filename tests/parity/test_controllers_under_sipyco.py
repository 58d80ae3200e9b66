"""The generic controller under sipyco and ARTIQ's own commands: it is listed, called, pinged, restarted and ended."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest
import real_artiq
from real_artiq import ROOT

SOURCE = "TCPIP::192.168.1.81::5025::SOCKET"
SESSION = """
import subprocess, sys, time
from sipyco.pc_rpc import AutoTarget, Client

port = int(sys.argv[1])
process = subprocess.Popen([sys.executable, "-m", "sim.command.controller", "-p", sys.argv[1], "--driver", "microwave",
                            "-d", sys.argv[2], "--simulation", "alice_microwave"])
while True:
    assert process.poll() is None, "the controller ended"
    try:
        client = Client("127.0.0.1", port, AutoTarget)
        break
    except ConnectionRefusedError:
        time.sleep(0.05)
print(client.get_rpc_id()[0])
methods = client.get_rpc_method_list()["methods"]
print(sorted(methods), methods["set_frequency"][0]["args"], methods["set_frequency"][0]["annotations"])
print(client.ping(), client.set_frequency(6.9e9))
try:
    client.set_frequency(1.0)
except Exception as error:
    print(error)
client.terminate()
client.close_rpc()
print("ended with", process.wait(30))
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_sipyco_client_lists_calls_pings_and_ends_the_controller(tmp_path: Path) -> None:
    real_artiq.require("pyvisa")
    lines = real_artiq.run(["-c", SESSION, str(free_port()), SOURCE], tmp_path).splitlines()
    assert lines[0] == "['alice_microwave']"
    assert "'ping', 'power_dbm', 'set_frequency'" in lines[1] and lines[1].endswith("['frequency_hz'] {}")
    assert lines[2] == "True 6900000000.0"
    assert "alice_microwave frequency is 1 Hz but must be 1e+08 to 1.275e+10 Hz: nothing was sent." in lines[3]
    assert lines[-1] == "ended with 0"


def controller(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    real_artiq.require("pyvisa")
    return subprocess.run(
        [real_artiq.PYTHON, "-m", "sim.command.controller", *words],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_an_instrument_that_does_not_answer_ends_the_controller_with_one_line(tmp_path: Path) -> None:
    done = controller(tmp_path, "--driver", "wavemeter", "-d", f"127.0.0.1:{free_port()}", "meter")
    assert done.returncode == 2
    assert done.stderr.startswith("aqctl_atomlink: error: The connection to 127.0.0.1:")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("words", ["--driver microwave name", "-d x name", "--driver microwave -d x"])
def test_a_command_line_that_lacks_something_is_refused(tmp_path: Path, words: str) -> None:
    done = controller(tmp_path, *words.split())
    assert done.returncode == 2 and "the following arguments are required" in done.stderr
