"""How often somebody may ask: whoever is known by their name, whoever is not by the address they come from."""

from pathlib import Path
from typing import Any

import pytest
from service_lab import ask, make_lab, run

for module in ("starlette", "uvicorn", "jwt", "prometheus_client"):
    pytest.importorskip(module, reason="the extra `service` is not installed")

from service_site import JOB, site

from atomlink.service import requests
from atomlink.service.app import make, server
from atomlink.service.config import Config, LabConfig, Limits
from atomlink.service.problems import Problem
from atomlink.service.requests import Rates

FEW = Limits(requests_per_s=1e-3, burst=5)


def test_limits_of_rate_queue_and_body_hold(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path, Limits(queue_per_user=3, requests_per_s=1e-3, burst=20)) as lab:
            await lab.ask("oda", "POST", "/v1/labs/lab0/drain", {})
            answers = [await lab.ask("ann", "POST", "/v1/jobs", JOB) for _ in range(25)]
            assert [a.status for a in answers] == [201] * 3 + [429] * 22
            assert "3 jobs waiting" in answers[5].json["detail"] and "requests a second" in answers[24].json["detail"]
            assert (await lab.ask("ben", "POST", "/v1/jobs", JOB)).status == 201, "one user's haste is not another's"

    run(scene())


def test_a_bucket_fills_with_time_and_says_how_long_that_takes() -> None:
    now = [0.0]
    rates = Rates(0.4, 3, lambda: now[0])
    for _ in range(3):
        rates.take("ann")
    with pytest.raises(Problem, match=r"0.4 requests a second: wait 2.5 s") as refused:
        rates.take("ann")
    assert refused.value.headers["Retry-After"] == "3", "sooner would be refused again"
    now[0] = 2.4
    with pytest.raises(Problem):
        rates.take("ann")
    now[0] = 2.6
    rates.take("ann")


def test_strangers_hold_up_neither_users_nor_the_watchdog_at_their_own_address(tmp_path: Path) -> None:
    """They come from one address, as behind a proxy."""

    async def scene() -> None:
        async with site(tmp_path, FEW) as lab:
            wrong = [await ask(lab.app, "GET", "/v1/jobs", None, {"authorization": "Bearer x"}) for _ in range(9)]
            assert [answer.status for answer in wrong] == [401] * 5 + [429] * 4
            assert (await ask(lab.app, "GET", "/healthz")).status == 200
            assert (await lab.ask("ann", "GET", "/v1/jobs")).status == 200
            assert [(await ask(lab.app, "GET", "/healthz")).status for _ in range(6)] == [200] * 4 + [429] * 2
            assert (await lab.ask("ann", "GET", "/v1/jobs")).status == 200

    run(scene())


def test_many_addresses_make_nobodys_bucket_full_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MOST_KNOWN", 10)

    async def scene() -> None:
        async with site(tmp_path, FEW) as lab:
            assert [(await lab.ask("ann", "GET", "/v1/jobs")).status for _ in range(6)][-1] == 429
            strangers = lab.app.state.service.strangers
            for number in range(50):
                strangers.take(f"unknown 10.0.0.{number}")
            assert len(strangers._buckets) == 10
            assert (await lab.ask("ann", "GET", "/v1/jobs")).status == 429

    run(scene())


def test_an_address_cannot_be_claimed_in_a_header(tmp_path: Path) -> None:
    async def scene() -> None:
        app = make(Config((LabConfig("lab", make_lab(tmp_path)),), FEW), tmp_path / "state")
        config = server(app).config
        config.load()

        async def asked(number: int) -> Any:
            claimed = {"x-forwarded-for": f"10.0.0.{number}", "forwarded": f"for=10.0.0.{number}"}
            return await ask(config.loaded_app, "GET", "/v1/jobs", None, {"authorization": "Bearer x", **claimed})

        assert [(await asked(number)).status for number in range(7)] == [401] * 5 + [429] * 2
        app.state.service.store.close()

    run(scene())
