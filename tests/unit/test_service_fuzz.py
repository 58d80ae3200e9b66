"""Thousands of odd requests: whatever comes, it is answered, never with 500, and every refusal has its remedy."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from service_lab import ask, make_lab, run

for module in ("starlette", "uvicorn", "jwt", "prometheus_client"):
    pytest.importorskip(module, reason="the extra `service` is not installed")

from atomlink.service import app as application
from atomlink.service.config import Config, LabConfig, Limits
from atomlink.service.config import Munge as MungeConfig
from atomlink.service.identity import Munge

WORDS = ["tick", "Tick", "lab", "user:ann", "PENDING", "", "0", "-1", "1e999", "9" * 30, "../../etc/passwd", "%00",
         "'; DROP TABLE jobs; --", "\" OR 1=1 --", "<script>alert(1)</script>", "ä" * 40, "\ud800", "\0", "\r\nX: y",
         "{{7*7}}", "$(id)", "a" * 3000, "\u202e", "true", "null"]  # fmt: skip
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "BREW"]
KEYS = ["experiment", "arguments", "class_name", "kind", "lab", "priority", "seed", "session", "sequence", "shots",
        "user_id", "slurm_job_id", "is_accessible", "message", "user", "scope", "days", "x"]  # fmt: skip


def value(rng: random.Random, depth: int = 0) -> Any:
    kinds = 8 if depth < 4 else 6
    kind = rng.randrange(kinds)
    if kind == 6:
        return [value(rng, depth + 1) for _ in range(rng.randrange(4))]
    if kind == 7:
        return {rng.choice(WORDS + KEYS): value(rng, depth + 1) for _ in range(rng.randrange(4))}
    return [None, rng.random() < 0.5, rng.randrange(-5, 5), rng.choice([2**63, -(2**70), 10**300, 0.5, 1e308]),
            rng.choice(WORDS), rng.choice(KEYS)][kind]  # fmt: skip


def body_of(rng: random.Random) -> Any:
    kind = rng.randrange(10)
    if kind == 0:
        return bytes(rng.randrange(256) for _ in range(rng.randrange(60)))
    if kind == 1:
        return json.dumps(value(rng)).encode()[: rng.randrange(1, 40)]
    body = {key: value(rng) for key in rng.sample(KEYS, rng.randrange(6))}
    if rng.random() < 0.5:
        body = {"experiment": "tick", **({key: value(rng) for key in rng.sample(KEYS[1:8], rng.randrange(3))})}
    return body


def path_of(rng: random.Random, path: str) -> str:
    for part in ("{id}", "{name}", "{what}"):
        path = path.replace(part, rng.choice([*WORDS, "1", "2", "lab", "drain", "resume"]))
    if rng.random() < 0.1:
        path += rng.choice(["/", "//", "/..", "/%2e%2e/", *WORDS])
    if rng.random() < 0.3:
        names = rng.sample(["state", "most", "before", "user", "lab"], 2)
        path += "?" + "&".join(f"{name}={rng.choice(WORDS)}" for name in names)
    return path.encode("utf-8", "replace").decode()


def headers_of(rng: random.Random, tokens: list[str]) -> dict[str, str]:
    headers = {"authorization": f"Bearer {rng.choice(tokens)}"}
    if rng.random() < 0.1:
        headers = {"authorization": rng.choice(["Bearer", "Basic eDp5", "Bearer " + rng.choice(WORDS), ""])}
    if rng.random() < 0.1:
        headers["x-munge-cred"] = rng.choice([*WORDS, "MUNGE:" + "A" * 40 + ":"])
    if rng.random() < 0.1:
        name = rng.choice(["x-warden-session", "idempotency-key", "host", "content-length", "range"])
        headers[name] = rng.choice(WORDS)
    return headers


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("count", "seed"), [(2_000, 1), pytest.param(100_000, 2, marks=pytest.mark.slow)])
def test_no_request_makes_the_service_fail(tmp_path: Path, count: int, seed: int) -> None:
    async def scene() -> dict[int, int]:
        limits = Limits(requests_per_s=1e9, burst=10**9, queue_per_user=500)
        config = Config((LabConfig("lab", make_lab(tmp_path)),), limits, munge=MungeConfig())
        app = application.make(config, tmp_path / "state")
        service = app.state.service
        service.munge = Munge(service.store, (), lambda _text: (1, 0))
        tokens = [service.tokens.issue(user, scope, 3600.0) for user, scope in
                  (("ann", "user"), ("oda", "operator"), ("ada", "admin"))]  # fmt: skip
        # No lifespan: nothing is run of what gets into the queue; streams of jobs that wait are not asked for.
        # Parts of the monitor ask a process that reads the lab (test_service_monitor.py).
        asking = ("/events", "/part/{what}", "/monitor/charts", "/{rid}")
        calls = [call for call in app.state.calls if not call.path.endswith(asking)]
        calls += [call for call in calls if call.method == "POST" and call.path.endswith("/jobs")] * 6
        rng = random.Random(seed)
        seen: dict[int, int] = {}
        for _ in range(count):
            call = rng.choice(calls)
            path, method = path_of(rng, call.path), call.method if rng.random() < 0.85 else rng.choice(METHODS)
            answer = await ask(app, method, path, body_of(rng), headers_of(rng, tokens))
            seen[answer.status] = seen.get(answer.status, 0) + 1
            assert answer.status != 500, (path, answer)
            if answer.status >= 400 and answer.body:
                assert answer.headers["content-type"] == "application/problem+json", (path, answer)
                assert answer.json["remedy"] and answer.json["status"] == answer.status
            if "text/html" in answer.headers.get("content-type", ""):
                assert path.startswith("/monitor") and b"<script>" not in answer.body
                assert "script-src 'self'" in answer.headers["content-security-policy"]
        service.store.close()
        return seen

    seen = run(scene())
    assert all(seen[status] > count / 100 for status in (200, 400, 401, 403, 404)) and seen[201] > count / 500, seen
