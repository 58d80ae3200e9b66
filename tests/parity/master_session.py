"""A session with ARTIQ's own master and client in the working directory's lab: `python master_session.py REPOSITORY`.

Submits a long run, a short one of higher priority, asks the long one to end, ends the master. Prints what clients see
as JSON: the experiments, the schedule's states, the broadcasts.
"""

import asyncio
import json
import socket
import sys
from collections.abc import Callable
from typing import Any

HOST = "127.0.0.1"
TIMEOUT_S = 60


def free_ports(n: int) -> list[int]:
    """Return ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(n)]
    for each in sockets:
        each.bind((HOST, 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Master:
    """A running master, what it publishes, and the client's commands."""

    def __init__(self) -> None:
        self.notify, self.control, self.logging, self.broadcast = free_ports(4)
        self.published: dict[str, Any] = {}
        self.ccb: list[dict[str, Any]] = []
        self.states: dict[int, list[str]] = {}  # of each run in the schedule, in the order seen
        self.changed = asyncio.Event()

    async def start(self, repository: str) -> None:
        """Start the master and subscribe to all that a dashboard does."""
        ports = {"notify": self.notify, "control": self.control, "logging": self.logging, "broadcast": self.broadcast}
        words = [word for name, port in ports.items() for word in (f"--port-{name}", str(port))]
        command = [sys.executable, "-u", "-m", "artiq.frontend.artiq_master", "-r", repository, *words]
        self.process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert self.process.stdout is not None
        async with asyncio.timeout(TIMEOUT_S):
            while b"ready" not in await self.process.stdout.readline():
                assert self.process.returncode is None, "the master ended"
        await self._subscribe()

    async def _subscribe(self) -> None:
        from sipyco.broadcast import Receiver  # type: ignore[import-not-found,import-untyped,unused-ignore]
        from sipyco.sync_struct import Subscriber  # type: ignore[import-not-found,import-untyped,unused-ignore]

        self.subscribers = [
            Subscriber(name, lambda value, name=name: self.published.setdefault(name, value), self._on_change)
            for name in ("explist", "schedule", "datasets")
        ]
        for subscriber in self.subscribers:
            await subscriber.connect(HOST, self.notify)
        self.receiver = Receiver("ccb", self.ccb.append)
        await self.receiver.connect(HOST, self.broadcast)

    def _on_change(self, _mod: Any) -> None:
        for rid, run in self.published.get("schedule", {}).items():
            states = self.states.setdefault(rid, [])
            if not states or states[-1] != run["status"]:
                states.append(run["status"])
        self.changed.set()

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until what the master publishes fulfils a condition."""
        async with asyncio.timeout(TIMEOUT_S):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def client(self, *words: str) -> str:
        """Carry out one command of `artiq_client`."""
        command = [sys.executable, "-m", "artiq.frontend.artiq_client", "-s", HOST, "--port", str(self.control), *words]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        output, _ = await process.communicate()
        assert process.returncode == 0, words
        return output.decode()

    async def stop(self) -> None:
        """End the master."""
        await self.receiver.close()
        for subscriber in self.subscribers:
            await subscriber.close()
        await self.client("terminate")
        async with asyncio.timeout(TIMEOUT_S):
            await self.process.wait()


async def session(repository: str) -> dict[str, Any]:
    """Go through the session and return what was seen."""
    master = Master()
    await master.start(repository)
    try:
        await master.until(lambda: len(master.published.get("explist", ())) >= 4)
        await master.client("submit", "-R", "link/remote_entanglement.py", "n_pairs=1000000")
        await master.until(lambda: master.published["datasets"].get("live.link.pairs", (False, 0, {}))[1] >= 1)
        await master.client("submit", "-R", "-P", "5", "atoms/load_and_image.py", "n_shots=2")
        await master.until(lambda: "paused" in master.states[0] and 1 not in master.published["schedule"])
        await master.until(lambda: master.published["schedule"][0]["status"] == "running")
        await master.client("delete", "-g", "0")
        await master.until(lambda: not master.published["schedule"])
    finally:
        await master.stop()
    return {
        "experiments": {
            name: {"file": row["file"], "arguments": {key: list(arg[1:]) for key, arg in row["arginfo"].items()}}
            for name, row in master.published["explist"].items()
        },
        "states": master.states,
        "ccb": [[message["service"], *message["args"]] for message in master.ccb],
        "live": sorted(key for key in master.published["datasets"] if key.startswith("live.")),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(session(sys.argv[1]))))
