"""The dispatcher: what goes wrong beside the jobs does not end them, and what cannot begin is not tried without end."""

import errno
from pathlib import Path
from typing import Any

import pytest
from service_lab import ask, run, soon

for module in ("starlette", "uvicorn", "jwt", "prometheus_client"):
    pytest.importorskip(module, reason="the extra `service` is not installed")

from service_site import JOB, site

from atomlink.service import dispatch
from atomlink.service.dispatch import TRIES


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SYNC_S", "IDLE_S", "EXPIRE_S", "RETRY_S"):
        monkeypatch.setattr(dispatch, name, 0.01, raising=False)


@pytest.mark.parametrize("what", ["sync", "expire"])
def test_a_disk_that_fails_for_a_while_ends_no_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    async def scene() -> None:
        async with site(tmp_path) as lab:
            failed: list[int] = []

            def full(*_: Any) -> Any:
                failed.append(1)
                raise OSError(errno.ENOSPC, "No space left on device")

            with monkeypatch.context() as patched:
                patched.setattr(lab.store, what, full)
                await soon(lambda: len(failed) >= 3)
            assert (await ask(lab.app, "GET", "/readyz")).status == 200
            await lab.ask("ann", "POST", "/v1/jobs", JOB)
            await soon(lambda: lab.labs["lab0"].started == [1])

    run(scene())


def test_a_service_whose_dispatcher_has_ended_is_not_ready(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path) as lab:
            await soon(lambda: lab.app.state.service.dispatcher.ready)
        assert not lab.app.state.service.dispatcher.ready

    run(scene())


def test_a_worker_that_never_begins_is_tried_a_few_times_then_the_job_is_an_error(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path) as lab:
            lab.labs["lab0"].ends = {number: {"begun": False} for number in (1, 2)}
            await lab.ask("ann", "POST", "/v1/jobs", JOB)
            job = await soon(lambda: (found := lab.store.job(1))["state"] == "ERROR" and found)
            assert lab.labs["lab0"].started == [1] * TRIES and job["attempt"] == TRIES == 5
            assert job["error"] == "its worker ended 5 times before it touched the lab: see its log"
            said = [line for line in lab.store.audited() if line["action"] == "not-begun"]
            assert len(said) == TRIES - 1

    run(scene())


def test_a_lab_that_is_away_is_no_try_of_the_job(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path) as lab:
            still, tries = lab.labs["lab0"], []

            def away(job: Any) -> None:
                tries.append(job["id"])
                if len(tries) < 10:
                    raise OSError(errno.ENOSPC, "No space left on device")

            still.start = away  # type: ignore[method-assign]
            await lab.ask("ann", "POST", "/v1/jobs", JOB)
            await soon(lambda: len(tries) == 10 and lab.store.job(1)["state"] == "RUNNING")
            assert lab.store.job(1)["attempt"] == 1  # type: ignore[index]

    run(scene())


def test_a_job_that_did_not_begin_does_not_wait_in_a_session_that_was_ended(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path) as lab:
            await lab.ask("ann", "POST", "/v1/jobs", JOB)
            await soon(lambda: lab.store.job(1)["state"] == "RUNNING")
            lab.store.revoke("user:ann")
            lab.labs["lab0"].ends[1] = {"begun": False}
            job = await soon(lambda: (found := lab.store.job(1))["state"] != "RUNNING" and found)
            assert job["state"] == "CANCELED"

    run(scene())
