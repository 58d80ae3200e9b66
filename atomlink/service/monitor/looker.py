"""The process that reads a lab's files: begun when somebody looks, ended when nobody has for a while."""

import asyncio
import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from atomlink.service.config import LabConfig

PATIENCE_S = 60.0   # for an answer
IDLE_S = 120.0      # after which the process ends
LONGEST = 64 * 2**20  # bytes of an answer


class Lookers:
    """One process a lab, at most; what they found is good for a moment."""

    def __init__(self, labs: tuple[LabConfig, ...], results: Path | None = None, fresh_s: float = 2.0) -> None:
        self._labs = {lab.name: Looker(lab, results or lab.folder / "results") for lab in labs}
        self._fresh_s = fresh_s
        self._seen: dict[str, tuple[float, dict[str, Any]]] = {}
        self._turns = {lab.name: asyncio.Lock() for lab in labs}

    async def lab(self, name: str) -> dict[str, Any]:
        """Return what `look` says of a lab, however many ask."""
        async with self._turns[name]:
            at, found = self._seen.get(name, (-1e9, {}))
            if time.monotonic() - at > self._fresh_s:
                found = await self._labs[name].ask("lab")
                self._seen[name] = time.monotonic(), found
            return found

    async def ask(self, name: str, what: str, **more: Any) -> dict[str, Any]:
        """Return the answer to another request."""
        return await self._labs[name].ask(what, **more)

    async def keep(self) -> None:
        """End the processes that nobody needs, until cancelled; then all of them."""
        try:
            while True:
                await asyncio.sleep(IDLE_S / 4)
                for looker in self._labs.values():
                    if time.monotonic() - looker.asked_at > IDLE_S:
                        await looker.close()
        finally:
            ended = [looker.kill() for looker in self._labs.values()]
            # Waited for: what is left of a process when its loop is closed is complained of somewhere else.
            await asyncio.gather(*(process.wait() for process in ended if process is not None))


class Looker:
    """The process of one lab."""

    def __init__(self, config: LabConfig, results: Path) -> None:
        self.config, self.results, self.asked_at = config, results, 0.0
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def ask(self, what: str, **more: Any) -> dict[str, Any]:
        """Return the answer to a request; one with `problem` where there is none."""
        async with self._turn:
            self.asked_at = time.monotonic()
            try:
                async with asyncio.timeout(PATIENCE_S):
                    return await self._ask({"what": what, **more})
            except (TimeoutError, OSError, ValueError) as error:
                self.kill()
                return {"problem": f"the lab's files cannot be read ({type(error).__name__}): see the service's log"}
            except BaseException:  # whoever asked has gone: the next one is not to get this answer
                self.kill()
                raise

    async def close(self) -> None:
        """End the process when it has answered."""
        async with self._turn:
            self.kill()

    def kill(self) -> asyncio.subprocess.Process | None:
        """End the process now; return the one that was."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        return process

    async def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "atomlink.service.monitor.look", str(self.config.folder), str(self.results),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=self.config.folder,
                env=environment(self.config), limit=LONGEST, start_new_session=True,  # Ctrl-C is the service's
            )  # fmt: skip
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        await self._process.stdin.drain()
        answer = json.loads(await self._process.stdout.readline())
        if not isinstance(answer, dict):
            raise ValueError("no object")
        return answer


def environment(config: LabConfig) -> dict[str, str]:
    """Return the environment that says which lab it is."""
    given = {"ATOMLINK_TARGET": "hardware" if config.hardware else "simulation", "ATOMLINK_LAB": config.lab or "",
             "ATOMLINK_SCENARIO": config.scenario or "" if config.lab is None and not config.hardware else ""}
    rest = {key: value for key, value in os.environ.items() if not key.startswith("ATOMLINK_")}
    return {**rest, **{key: value for key, value in given.items() if value}}
