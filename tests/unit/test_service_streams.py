"""Streams of a job: every byte that it prints, however much that is, and no more streams than a user may have."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from service_lab import run, soon

for module in ("starlette", "uvicorn", "jwt", "prometheus_client"):
    pytest.importorskip(module, reason="the extra `service` is not installed")

from service_site import JOB, Site, site

from atomlink.service import streams
from atomlink.service.config import LabConfig, Limits
from atomlink.service.local import LocalLab

END = {"begun": True, "exit_code": 0, "rid": 7, "path": None, "error": None}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "STREAM_S", 0.001)


async def _running(lab: Site) -> None:
    await lab.ask("ann", "POST", "/v1/jobs", JOB)
    await soon(lambda: lab.store.job(1)["state"] == "RUNNING")


def _events(body: bytes, name: str) -> list[Any]:
    blocks = [block.split("\ndata: ") for block in body.decode().split("\n\n") if block]
    assert {block[0] for block in blocks} <= {"event: log", "event: state"}
    return [json.loads(block[1]) for block in blocks if block[0] == f"event: {name}"]


def test_a_stream_goes_on_beyond_the_bytes_that_one_answer_has(tmp_path: Path) -> None:
    """10 bytes an answer, 400 letters of two bytes printed in odd pieces: each arrives once, whole and in order."""
    limits = Limits(requests_per_s=1e6, burst=10**6, log_bytes=10)
    text = "".join(chr(0xC0 + n % 64) for n in range(400))

    async def scene() -> None:
        async with site(tmp_path, limits) as lab:
            still = lab.labs["lab0"]
            still.printed = b"what was said before: 0123456789"
            await _running(lab)
            asked = asyncio.create_task(lab.ask("ann", "GET", "/v1/jobs/1/events"))
            await soon(lambda: still.looks)
            seen = 0
            while seen < len(text.encode()):
                seen += 7
                still.printed = b"what was said before: 0123456789" + text.encode()[:seen]
                await asyncio.sleep(0.002)
            still.ends[1] = END
            body = (await asked).body
            assert "".join(_events(body, "log")) == "0123456789" + text
            assert [state["state"] for state in _events(body, "state")][-1] == "DONE"
            assert (await lab.ask("ann", "GET", "/v1/jobs/1/log")).body == text.encode()[-10:]

    run(scene())


def test_the_log_of_a_lab_is_read_from_its_end_and_then_on_from_where_it_was(tmp_path: Path) -> None:
    lab, job = LocalLab(LabConfig("lab", tmp_path), tmp_path / "jobs"), {"id": 3}
    assert lab.log(job, 10) == (0, b"") and lab.log(job, 10, 5) == (5, b"")
    lab.place(job).mkdir(parents=True)
    (lab.place(job) / "log").write_bytes(b"0123456789abcdef")
    assert lab.log(job, 4) == (12, b"cdef")
    assert lab.log(job, 4, 3) == (3, b"3456") and lab.log(job, 40, 14) == (14, b"ef") and lab.log(job, 4, 16)[1] == b""


def test_a_user_has_no_more_streams_than_allowed_also_when_they_are_asked_for_at_once(tmp_path: Path) -> None:
    limits = Limits(requests_per_s=1e6, burst=10**6, streams=3, streams_per_user=2)

    async def scene() -> None:
        async with site(tmp_path, limits) as lab:
            await _running(lab)
            open_ = lab.app.state.service.streams
            tasks = [asyncio.create_task(lab.ask("ann", "GET", "/v1/jobs/1/events")) for _ in range(6)]
            await soon(lambda: open_["ann"] == 2 and sum(task.done() for task in tasks) == 4)
            other = asyncio.create_task(lab.ask("oda", "GET", "/v1/jobs/1/events"))
            await soon(lambda: open_["oda"] == 1)
            full = await lab.ask("ada", "GET", "/v1/jobs/1/events")
            assert full.status == 429 and "ada has 0 streams open, all 3" in full.json["detail"]
            next(task for task in tasks if not task.done()).cancel()  # its user goes away
            await soon(lambda: open_["ann"] == 1)
            lab.labs["lab0"].ends[1] = END
            answers = [await task for task in tasks if not task.cancelled()]
            assert sorted(answer.status for answer in answers) == [200, 429, 429, 429, 429]
            refused = next(answer for answer in answers if answer.status == 429)
            assert "ann has 2 streams open" in refused.json["detail"] and refused.headers["retry-after"]
            assert (await other).status == 200
            assert not lab.app.state.service.streams

    run(scene())
