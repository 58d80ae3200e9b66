"""Random schedules, carried out by the scheduler of real ARTIQ: what each run sees, as JSON on stdout.

A run is a list of actions; workers are replaced by ones that carry these out in the master's process, so that only
the scheduler is ARTIQ's. Called as a script with the range of seeds; `script` makes the schedule of a seed.
"""

from __future__ import annotations

import json
import random
import sys
from typing import Any

Action = list[Any]


def script(seed: int) -> list[Action]:
    """Return the actions of the first run of a seed; a submitted run has its actions within the one that submits it."""
    return _actions(random.Random(seed), 3)


def _actions(rng: random.Random, depth: int) -> list[Action]:
    kinds = ["check", "pause", "term", "delete", "status"] + ["submit"] * (4 if depth else 0)
    actions: list[Action] = []
    for _ in range(rng.randint(1, 7)):
        kind = rng.choice(kinds)
        if kind == "submit":
            actions.append([kind, rng.randint(-1, 2), rng.random() < 0.15, _actions(rng, depth - 1)])
        else:
            actions.append([kind, rng.randint(0, 8)])
        # A prepared run is what the others look at: give the scheduler the moment to prepare.
        actions.append(["check", 0])
    return actions


def expid(actions: list[Action]) -> dict[str, Any]:
    """Return a run's description."""
    return {"file": "/nowhere.py", "class_name": "Scripted", "arguments": {}, "script": actions}


def real(seed: int) -> list[Any]:
    """Carry out the schedule of a seed with ARTIQ's scheduler; return what was logged."""
    import asyncio

    import artiq.master.scheduler as master

    log: list[Any] = []

    class Worker:
        def __init__(self, _handlers: Any) -> None:
            self.closed = asyncio.Event()

        async def build(self, rid: int, _pipeline: str, _wd: Any, described: Any, _priority: int) -> None:
            self.rid, self.left = rid, list(described["script"])

        async def prepare(self) -> None:
            log.append(["prepare", self.rid])

        async def run(self) -> bool:
            log.append(["run", self.rid])
            return await self.go_on()

        async def resume(self, terminate: bool) -> bool:
            log.append(["resumed", self.rid, terminate])
            return await self.go_on()

        async def go_on(self) -> bool:
            await settle()
            while self.left:
                action = self.left.pop(0)
                if action[0] == "pause":
                    return False
                log.append([action[0], self.rid, act(scheduler, self.rid, action)])
                await settle()
            log.append(["ended", self.rid])
            return True

        async def analyze(self) -> None:
            pass

        async def close(self) -> None:
            self.closed.set()

    class Numbers:
        last = -1

        def get(self) -> int:
            self.last += 1
            return self.last

    async def settle() -> None:
        for _ in range(60):
            await asyncio.sleep(0)

    async def main() -> None:
        scheduler.start()
        scheduler.submit("main", expid(script(seed)), 0, None, False)
        for _ in range(400):
            await settle()
            if not scheduler.get_status():
                break
        else:
            raise RuntimeError(f"the schedule of seed {seed} does not end: {scheduler.get_status()}")
        await scheduler.stop()

    master.Worker = Worker
    scheduler = master.Scheduler(Numbers(), {}, None, None)
    asyncio.run(main())
    return log


def act(scheduler: Any, rid: int, action: Action) -> Any:
    """Carry out an action that is not a pause, on either scheduler; return what is seen."""
    kind, number = action[0], action[1]
    if kind == "check":
        return scheduler.check_pause(rid)
    if kind == "submit":
        return scheduler.submit("main", expid(action[3]), number, None, action[2])
    if kind == "status":
        return {str(n): row["status"] for n, row in sorted(scheduler.get_status().items())}
    if kind == "term":
        return scheduler.request_termination(number)
    # Killing what runs ends a process, which there is none of here.
    under_way = scheduler.get_status().get(number, {}).get("status") in ("running", "paused")
    return None if under_way else scheduler.delete(number)


if __name__ == "__main__":
    print(json.dumps([real(seed) for seed in range(*map(int, sys.argv[1:]))]))
