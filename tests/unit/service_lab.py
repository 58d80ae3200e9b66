"""A service for the tests: its lab, an ASGI caller without a network, and a process that can be killed."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from cli_lab import DEVICE_DB

ROOT = Path(__file__).parents[2]
EXPERIMENT = '''
import time
from artiq.experiment import *


class Tick(EnvExperiment):
    """Leave a mark, and a dataset."""

    def build(self):
        self.setattr_argument("mark", NumberValue(0, precision=0, step=1))
        self.setattr_argument("t_sleep", NumberValue(0.0, unit="s", min=0.))
        self.setattr_argument("scan", Scannable(default=RangeScan(0, 1, 5)))
        self.setattr_device("scheduler")

    def run(self):
        with open(self.get_root(), "a") as file:
            file.write(f"{self.mark}\\n")
        until = time.monotonic() + self.t_sleep
        while time.monotonic() < until and not self.scheduler.check_pause():
            time.sleep(0.01)
        self.set_dataset("fit.mark", float(self.mark))
        self.set_dataset("fit.mark.error", 0.5)

    def get_root(self):
        import os
        return os.path.join(os.environ["ATOMLINK_ROOT"], "marks")
'''


def make_lab(folder: Path) -> Path:
    """Write a lab with one quick experiment and return its root."""
    root = folder / "lab"
    (root / "experiments").mkdir(parents=True)
    (root / "device_db.py").write_text(DEVICE_DB)
    (root / "experiments" / "tick.py").write_text(EXPERIMENT)
    return root


class Answer(NamedTuple):
    """What a call was answered with."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def ask(app: Any, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
    """Call an ASGI application as a server would; `body` is JSON, or bytes as they are."""
    raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    target, _, query = path.partition("?")
    given = {"host": "127.0.0.1", **(headers or {})}
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": target, "raw_path": target.encode("utf-8", "surrogateescape"),
        "query_string": query.encode("latin-1", "ignore"),
        "headers": [(k.lower().encode("latin-1", "ignore"), v.encode("latin-1", "ignore")) for k, v in given.items()],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "root_path": "",
    }  # fmt: skip
    sent: list[dict[str, Any]] = []
    parts = iter([{"type": "http.request", "body": raw, "more_body": False}])

    async def receive() -> dict[str, Any]:
        for part in parts:
            return part
        await asyncio.Event().wait()  # the client stays
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(dict(message))

    await app(scope, receive, send)
    start = next(each for each in sent if each["type"] == "http.response.start")
    data = b"".join(each.get("body", b"") for each in sent if each["type"] == "http.response.body")
    return Answer(start["status"], {k.decode(): v.decode() for k, v in start["headers"]}, data)


class Process:
    """`atomlink serve` in a process of its own."""

    def __init__(self, root: Path, *words: str) -> None:
        self.root = root
        environment = {k: v for k, v in os.environ.items() if not k.startswith("ATOMLINK_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sim.cli", "serve", "--port", "0", *words], cwd=root, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env={**environment, "PYTHONPATH": str(ROOT)}, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline()
        assert "service: http://" in self.said, self.said + self.process.stdout.read()
        self.url, self.token = (root / "service" / "address").read_text().split()

    def client(self) -> Any:
        """Return a client of it."""
        from atomlink.service.client import Client

        return Client(self.url, self.token)

    def kill(self) -> None:
        """End it without a word."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def stop(self) -> str:
        """Ask it to end; return what it printed."""
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=30)
        return out


def until(condition: Any, at_most_s: float = 60.0) -> Any:
    """Wait until something is true, and return it."""
    end = time.monotonic() + at_most_s
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError("it did not come true in time")


async def soon(condition: Any, at_most_s: float = 20.0) -> Any:
    """Let a service in this process work until something is true, and return it."""
    end = time.monotonic() + at_most_s
    while not (value := condition()):
        assert time.monotonic() < end, "it did not come true in time"
        await asyncio.sleep(0.005)
    return value


def run(coroutine: Any) -> Any:
    """Run a coroutine."""
    return asyncio.run(coroutine)
