"""Soak test of `atomlink lab`: three clients at once, for as long as is asked, on a daemon that must not grow.

    python benchmarks/soak_lab.py [SECONDS]        (default 600)

One client queries the microwave source over VISA's socket, one turns the laser's current up and down through its SDK
and reads the wavemeter, one is run after run on the RTIO timeline; each run is dropped without a word at its end, and
every tenth time somebody sends garbage to an instrument. Prints memory (resident set) and requests served; exits with 1
if memory grew by more than 5 MB after the first minute (a tenth of the time, if that is less), or if a client failed.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sim.artiq_runtime

sim.artiq_runtime.install()

from atomlink.signals import Tone  # noqa: E402
from sim.daemon.in_lab import lab_addresses, open_at_lab  # noqa: E402  (needs what the line before installs)
from sim.daemon.remote import RemoteWorld  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
MOST_GROWTH_KB = 5 * 1024
REPORTS = 10


class Clients:
    """Three clients and what they got done."""

    def __init__(self, lab: str) -> None:
        self.lab, self.served, self.failures = lab, [0, 0, 0], list[str]()
        self.stop = threading.Event()
        works = (self.ask_the_source, self.turn_the_laser, self.run_experiments)
        self.threads = [threading.Thread(target=self._work, args=(k, work)) for k, work in enumerate(works)]

    def ask_the_source(self, k: int) -> None:
        """Query the microwave source for a second."""
        with self.opened("alice_microwave", "microwave") as source:
            until = time.monotonic() + 1.0
            while time.monotonic() < until:
                source.frequency_hz()
                self.served[k] += 1

    def turn_the_laser(self, k: int) -> None:
        """Turn the current up and down and look at the wavemeter."""
        with self.opened("bob_laser", "dlc_pro") as laser, self.opened("wavemeter", "wavemeter") as meter:
            for current_ma in (90.0, 95.0) * 25:
                laser.set_current_ma(current_ma)
                meter.reading(2)
                self.served[k] += 4  # three of them to the laser

    def run_experiments(self, k: int) -> None:
        """Load and image an atom, ask three instruments, then vanish."""
        world = RemoteWorld(self.lab, "soak")
        clicks = world.clicks("alice_fluorescence")
        world.output("alice_shutter", "level")(world.now_mu, 1)
        for role in ("cooling", "repump"):
            world.output(f"alice_dds_{role}", "tone")(world.now_mu, Tone(80e6, 1.0, 0.0, 0.0, False))
            world.output(f"alice_sw_{role}", "level")(world.now_mu, 1)
        coil = world.output("alice_mot_coil", "level")
        coil(world.now_mu, 1)
        coil(world.now_mu + 200_000_000, 0)
        world.advance(world.now_mu + 210_000_000)
        for _ in range(50):
            clicks(world.now_mu, world.now_mu + 1_000_000)
            self.served[k] += 1
        world.idle(world.now_mu)
        for name, kind in (("snspd_electronics", "websq"), ("tagger", "id900"), ("alice_cavity_lock", "stabilizer")):
            self.opened(name, kind).close()
            self.served[k] += 1
        world._connection.close()  # without release, as a killed run does
        if self.served[k] % 10 < 3:
            _garbage(lab_addresses(self.lab)["wavemeter"])

    def opened(self, name: str, kind: str) -> Any:
        """Return the driver of an instrument of the lab."""
        return open_at_lab(self.lab, name, kind)

    def _work(self, k: int, work: Callable[[int], None]) -> None:
        while not self.stop.is_set():
            try:
                work(k)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the result of the soak
                self.failures.append(f"{work.__name__}: {error!r}")
                return


def _garbage(address: str) -> None:
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port))) as wire:
        wire.sendall(b"\x00\xff" * 100_000)


def resident_kb(pid: int) -> int:
    """Return the resident set of a process in kB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def main() -> int:
    """Soak and judge."""
    duration_s = float(sys.argv[1]) if len(sys.argv) > 1 else 600.0
    command = [sys.executable, "-m", "sim.cli", "lab", "--port", "0"]
    # Not a pipe: a daemon whose log nobody reads stands still. Open as long as the daemon is.
    log = tempfile.TemporaryFile("w+")  # noqa: SIM115
    daemon = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True)
    assert daemon.stdout is not None
    line = next(text for text in daemon.stdout if text.startswith("runs:"))
    lab = line.split("--lab ")[1].split()[0]
    clients = Clients(lab)
    for thread in clients.threads:
        thread.start()
    settled_s, start_s, base_kb, grown_kb = min(60.0, duration_s / 10), time.monotonic(), 0, 0
    while (elapsed_s := time.monotonic() - start_s) < duration_s and not clients.failures:
        time.sleep(min(settled_s, 1.0) if not base_kb else duration_s / REPORTS / 2)
        if elapsed_s < settled_s and not base_kb:
            continue
        now_kb = resident_kb(daemon.pid)
        base_kb = base_kb or now_kb
        grown_kb = now_kb - base_kb
        print(f"{elapsed_s:6.0f} s  {now_kb / 1024:7.2f} MB  {grown_kb:+6d} kB  requests {clients.served}", flush=True)
    clients.stop.set()
    for thread in clients.threads:
        thread.join()
    daemon.terminate()
    daemon.communicate()
    log.seek(0)
    complaints = log.readlines()
    print(f"requests served: {sum(clients.served)}; grown by {grown_kb} kB after {settled_s:.0f} s; "
          f"daemon exit code {daemon.returncode}; {len(complaints)} lines in its log")  # fmt: skip
    for line in complaints[:REPORTS]:
        print("log:", line.rstrip())
    for failure in clients.failures:
        print("failed:", failure)
    return int(bool(clients.failures) or grown_kb > MOST_GROWTH_KB or daemon.returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
