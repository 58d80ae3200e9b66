"""The service's intake with many jobs queued, its start and its memory: `python benchmarks/bench_service.py [--fast]`.

Clients and service share the machine; the lab is drained, so that nothing is run beside. Targets: 100 jobs/s, p50 5 ms,
p99 50 ms with 10⁴ queued; start 1 s, 80 MB without a lab.
"""

import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path

ROOT = Path(__file__).parents[1]
CLIENTS = 2
CONFIG = "[labs.default]\n[limits]\nqueue_per_user = 1000000\nrequests_per_s = 1000000.0\nburst = 1000000\n"


def start(root: Path) -> tuple[subprocess.Popen[str], float]:
    """Start a service; return it, and the seconds until it listens."""
    began = time.perf_counter()
    words = [sys.executable, "-m", "sim.cli", "serve", "--port", "0", "--config", "service.toml", "--state", "state"]
    process = subprocess.Popen(words, cwd=root, stdout=subprocess.PIPE, text=True,
                               env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("service:"), line
    return process, time.perf_counter() - began


def memory_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def send(url: str, token: str, count: int, took: list[float], period_s: float) -> None:
    """Submit jobs one after the other over one connection, not faster than one in `period_s`."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = json.dumps({"experiment": "tick"})
    first = time.perf_counter()
    for number in range(count):
        time.sleep(max(0.0, first + number * period_s - time.perf_counter()))
        began = time.perf_counter()
        connection.request("POST", "/v1/jobs", body, headers)
        answer = connection.getresponse()
        answer.read()
        took.append(time.perf_counter() - began)
        assert answer.status == 201, answer.status
    connection.close()


def intake(url: str, token: str, count: int, rate_hz: float = 1e9) -> tuple[float, list[float]]:
    """Submit so many jobs from several clients, at a rate or as fast as it goes; return the rate and the times."""
    took: list[float] = []
    work = (url, token, count // CLIENTS, took, CLIENTS / rate_hz)
    threads = [threading.Thread(target=send, args=work) for _ in range(CLIENTS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(took) / (time.perf_counter() - began), sorted(took)


def main() -> int:
    """Print the table."""
    queued, measured = (500, 200) if "--fast" in sys.argv else (10_000, 2_000)
    sys.path.insert(0, str(ROOT / "tests" / "unit"))
    from service_lab import make_lab

    with tempfile.TemporaryDirectory() as folder:
        root = make_lab(Path(folder))
        (root / "service.toml").write_text(CONFIG)
        process, started_s = start(root)
        try:
            url, token = (root / "state" / "address").read_text().split()
            print(f"start                {started_s:8.2f} s     (target 1)")
            print(f"memory at start      {memory_mb(process.pid):8.1f} MB    (target 80)")
            drain = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc)
            drain.request("POST", "/v1/labs/default/drain", "{}", {"Authorization": f"Bearer {token}"})
            assert drain.getresponse().status == 200
            intake(url, token, queued)
            rate, took = intake(url, token, measured)
            print(f"intake, {queued} queued {rate:9.0f} jobs/s  (target 100), {CLIENTS} clients")
            _, took = intake(url, token, measured // 2, 100.0)
            ms = [1e3 * took[len(took) * percent // 100] for percent in (50, 99)]
            print(f"  at 100/s: p50, p99 {ms[0]:8.2f} {ms[1]:8.2f} ms"
                  "  (target 5, 50)")
            print(f"memory, {queued + measured} queued {memory_mb(process.pid):8.1f} MB")
        finally:
            process.terminate()
            process.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
