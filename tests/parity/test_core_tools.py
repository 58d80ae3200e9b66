"""ARTIQ's own tools at the virtual core's ports: management, log, analyzer, MonInj and its proxy.

Each is the stock program in a process of its own, and so is the virtual core. Needs an interpreter with real ARTIQ and
unicorn: this one, or the one that ATOMLINK_ARTIQ_PYTHON names; and `ld.lld`.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import pytest
import real_artiq
from real_artiq import PYTHON, ROOT

HERE = Path(__file__).parent
SHUTTER, DETECTOR = 0x010000 + 23, 0  # channels of alice's shutter and of the first detector
LOG_CONTROLLER = ["-m", "artiq.frontend.aqctl_corelog"]
MONINJ_PROXY = ["-m", "artiq.frontend.aqctl_moninj_proxy"]
pytestmark = pytest.mark.timeout(300)


class Lab:
    """A folder with device_db.py, and the address of the virtual core that serves it."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder, self.address = folder, address

    def tool(self, name: str, *words: str) -> str:
        """Run one of ARTIQ's programs and return what it printed."""
        return real_artiq.run(["-m", f"artiq.frontend.{name}", *words], self.folder,
                              ATOMLINK_TARGET="virtual", ATOMLINK_CORE=self.address)  # fmt: skip

    def run(self, file: str, name: str, *arguments: str) -> Path:
        """Run an experiment as a compiled binary; return its results."""
        results = self.folder / "results.h5"
        results.unlink(missing_ok=True)
        shutil.copy(ROOT / file, self.folder)
        self.tool("artiq_run", "-o", str(results), "-c", name, Path(file).name, *arguments)
        return results

    @contextmanager
    def beside(self, words: list[str]) -> Iterator[Path]:
        """Run a program beside the test; give the file of what it says."""
        said = self.folder / "said.txt"
        with said.open("w") as file:
            process = start(words, self.folder, file, ATOMLINK_TARGET="virtual", ATOMLINK_CORE=self.address)
            try:
                yield said
                assert process.poll() is None, said.read_text()
            finally:
                end(process)


def start(words: list[str], folder: Path, output: object, **environment: str) -> "subprocess.Popen[bytes]":
    clean = {key: value for key, value in os.environ.items() if not key.startswith("ATOMLINK_")}
    return subprocess.Popen([PYTHON, *words], cwd=folder, env={**clean, "PYTHONPATH": str(ROOT), **environment},
                            stdout=output, stderr=subprocess.STDOUT)  # type: ignore[call-overload,no-any-return]


def end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def says(file: Path, text: str, within_s: float = 30.0) -> bool:
    """Wait until a file has a text."""
    deadline = time.monotonic() + within_s
    while text not in file.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    return text in file.read_text()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def listens(port: int) -> bool:
    """Wait until somebody listens at a port."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            time.sleep(0.05)
    return False


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    real_artiq.require("unicorn")
    folder = tmp_path_factory.mktemp("lab")
    shutil.copy(ROOT / "device_db.py", folder)
    pid = os.getpid()
    address = f"127.{80 + (pid >> 16 & 15)}.{pid >> 8 & 255}.{pid & 255 or 1}"  # the ports of a core device are fixed
    output = folder / "virtual-core.txt"
    with output.open("w") as file:
        words = ["--bind", address, "--configuration", "core.json", "--seed", "7", "--costs", "ideal"]
        process = start(["-m", "sim.cli", "virtual-core", *words], folder, file)
        try:
            assert says(output, "beside it: management 1380, analyzer 1382, moninj 1383"), output.read_text()
            yield Lab(folder, address)
        finally:
            end(process)
    assert "shutters closed" in output.read_text()


def test_coremgmt_reads_writes_and_clears(lab: Lab, tmp_path: Path) -> None:
    tool = "artiq_coremgmt"
    lab.tool(tool, "config", "write", "-s", "ip", "192.168.1.75")
    assert lab.tool(tool, "config", "read", "ip") == "192.168.1.75\n"
    (tmp_path / "value").write_bytes(bytes(range(32, 127)) * 1000)
    lab.tool(tool, "config", "write", "-f", "long", str(tmp_path / "value"))
    assert lab.tool(tool, "config", "read", "long").encode() == (tmp_path / "value").read_bytes() + b"\n"
    lab.tool(tool, "config", "remove", "ip", "long")
    for key in ("ip", "long"):
        with pytest.raises(AssertionError, match="The key may not exist"):
            lab.tool(tool, "config", "read", key)
    lab.tool(tool, "config", "erase")
    assert "new connection" in lab.tool(tool, "log")
    lab.tool(tool, "log", "set_level", "WARN")
    lab.tool(tool, "log", "clear")
    assert lab.tool(tool, "log").strip() == ""
    lab.tool(tool, "log", "set_level", "INFO")
    lab.tool(tool, "log", "set_uart_level", "ERROR")
    lab.tool(tool, "debug", "allocator")
    assert says(lab.folder / "virtual-core.txt", " === busy: ")


def test_the_log_controller_gives_what_a_kernel_says(lab: Lab) -> None:
    port = free_port()
    with lab.beside([*LOG_CONTROLLER, "-v", "-p", str(port), "--bind", "127.0.0.1", "--no-localhost-bind",
                     lab.address]) as said:  # fmt: skip
        assert listens(port)
        lab.run("tests/parity/ports_probe.py", "PortsProbe")
        assert says(said, "INFO:firmware.kernel:the probe begins 42")
        assert says(said, "INFO:firmware.kernel:too late")
        assert "terminating with exception" not in said.read_text()


def test_the_analyzer_has_the_events_of_the_run_before(lab: Lab, tmp_path: Path) -> None:
    lab.tool("artiq_coreanalyzer", "-d", str(tmp_path / "before"))  # of other tests
    results = lab.run("tests/parity/ports_probe.py", "PortsProbe")
    vcd, dump = tmp_path / "run.vcd", tmp_path / "run.dump"
    lab.tool("artiq_coreanalyzer", "-w", str(vcd), "-d", str(dump))
    printed = lab.tool("artiq_coreanalyzer", "-r", str(dump), "-p")
    with h5py.File(results) as file:
        begin_mu, clicks_mu = int(file["datasets/begin_mu"][()]), list(file["datasets/clicks_mu"][()])
    switched = [begin_mu + at for at in (0, 1000, 2000, 4000, 5000, 8000)]
    assert times(printed, f"OutputMessage(channel={SHUTTER},")[:-1] == switched
    assert times(printed, f"InputMessage(channel={DETECTOR},") == clicks_mu
    assert len(clicks_mu) > 0, "nothing was read: no input message can be compared"
    (underflow,) = (line for line in printed.splitlines() if line.startswith("ExceptionMessage"))
    assert f"channel={SHUTTER}," in underflow
    assert "o_underflow" in underflow
    assert printed.splitlines()[-1].startswith("StoppedMessage")
    levels = waveform(vcd.read_text(), "ttl/alice_shutter")
    assert [(at + begin_mu, level) for at, level in levels[:6]] == list(zip(switched, "101010", strict=True))
    ((_, text),) = waveform(vcd.read_text(), "logs/probe")
    assert int(text, 2).to_bytes(8, "big") == b"marker 7"


def times(printed: str, kind: str) -> list[int]:
    lines = (line for line in printed.splitlines() if line.startswith(kind))
    return [int(line.partition("timestamp=")[2].partition(",")[0]) for line in lines]


def waveform(vcd: str, signal_name: str) -> list[tuple[int, str]]:
    """Return times and values of a signal. Its unit of time is the reference period."""
    (code,) = (line.split()[3] for line in vcd.splitlines() if line.endswith(f" {signal_name} $end"))
    found, at = [], 0
    for line in vcd.splitlines():
        if line.startswith("#"):
            at = int(line[1:])
        elif line.endswith(code) and line[: -len(code)].strip(" b").isdigit():
            found.append((at, line[: -len(code)].strip(" b")))
    return found


def test_an_override_through_the_proxy_holds_a_shutter_against_kernels_until_it_is_released(lab: Lab) -> None:
    proxy, control = free_port(), free_port()
    with lab.beside([*MONINJ_PROXY, "--port-proxy", str(proxy), "--port-control", str(control), "--bind", "127.0.0.1",
                     "--no-localhost-bind", lab.address]):  # fmt: skip
        assert listens(proxy)

        def tell(*words: str) -> list[list[object]]:
            said = real_artiq.run([str(HERE / "moninj_client.py"), "127.0.0.1", str(proxy), *words], lab.folder)
            return [json.loads(line) for line in said.splitlines()]

        tell(f"inject:{SHUTTER}:1:0", f"inject:{SHUTTER}:0:1")
        dark = images(lab)
        assert tell(f"override:{SHUTTER}:0", f"probe:{SHUTTER}:0") == [["override", SHUTTER, 0, 1],
                                                                      ["probe", SHUTTER, 0, 0]]  # fmt: skip
        tell(f"inject:{SHUTTER}:0:0")
        bright = images(lab)
    # Ten shots at a loading probability of about a half, seeds fixed: no atom at all would be a chance of 1e-3.
    assert not dark[:, :, 0].any(), "alice has seen an atom behind a shutter that is held closed"
    assert dark[:, 1, 1].any()
    assert bright[:, 1, 0].any()
    assert bright[:, 1, 1].any()


def images(lab: Lab) -> "h5py.Dataset":
    with h5py.File(lab.run("experiments/atoms/load_and_image.py", "LoadAndImage", "n_shots=10")) as file:
        return file["datasets/images.present"][()]


def test_startup_and_idle_kernels_run_from_the_configuration(lab: Lab) -> None:
    def log_has(text: str, times: int = 1) -> bool:
        deadline = time.monotonic() + 30
        while (n := lab.tool("artiq_coremgmt", "log").count(text)) < times and time.monotonic() < deadline:
            time.sleep(0.2)
        return n >= times

    shutil.copy(HERE / "flash_probe.py", lab.folder)
    for name in ("StartUp", "Idle"):
        lab.tool("artiq_compile", "-c", name, "-o", f"{name}.elf", "flash_probe.py")
    kernels = ("-f", "startup_kernel", "StartUp.elf", "-f", "idle_kernel", "Idle.elf")
    lab.tool("artiq_coremgmt", "config", "write", *kernels)
    lab.tool("artiq_coremgmt", "reboot")
    assert log_has("INFO(kernel): idling")
    log = lab.tool("artiq_coremgmt", "log")
    said = ["running startup kernel", "INFO(kernel): starting up", "startup kernel finished", "running idle kernel"]
    assert [log.index(each) for each in said] == sorted(log.index(each) for each in said)
    printed = lab.tool("artiq_coreanalyzer", "-p")
    on_mu, off_mu = times(printed, f"OutputMessage(channel={SHUTTER},")
    assert off_mu - on_mu == 1_000_000
    pulses_mu = times(printed, f"OutputMessage(channel={SHUTTER + 0x010000},")
    assert len(pulses_mu) > 4
    assert {off - on for on, off in zip(pulses_mu[::2], pulses_mu[1::2], strict=False)} == {10_000_000}
    lab.run("tests/parity/ports_probe.py", "PortsProbe")
    assert log_has("idle kernel interrupted")
    assert log_has("INFO(kernel): idling", 2)
    lab.tool("artiq_coremgmt", "config", "erase")
    lab.tool("artiq_coremgmt", "reboot")
    assert log_has("no startup kernel found")
    assert "Traceback" not in (lab.folder / "virtual-core.txt").read_text()
