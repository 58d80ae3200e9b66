"""Every call, asked for by everybody: who may is in one table, here written out again, and no call fails."""

from pathlib import Path
from typing import Any

import pytest
from service_lab import ask, run, soon

for module in ("starlette", "uvicorn", "jwt", "prometheus_client"):
    pytest.importorskip(module, reason="the extra `service` is not installed")

from service_site import JOB, Site, site

USERS = {"user": "ann", "operator": "oda", "admin": "ada"}
# Written a second time on purpose: a call that is opened to more people by a slip is to be seen.
LEAST = {
    None: ["GET /openapi.json", "GET /healthz", "GET /readyz", "GET /metrics", "GET /accessible", "GET /qpu-slots",
           "GET /monitor", "GET /monitor/part/{what}", "GET /monitor/live", "GET /monitor/charts",
           "GET /monitor/report/{name}/{rid}", "GET /monitor/static/{file}", "POST /monitor/token"],
    "user": ["GET /v1/whoami", "POST /v1/jobs", "GET /v1/jobs", "GET /v1/jobs/{id}", "POST /v1/jobs/{id}/cancel",
             "POST /v1/jobs/{id}/retry", "GET /v1/jobs/{id}/log", "GET /v1/jobs/{id}/result", "GET /v1/jobs/{id}/file",
             "GET /v1/jobs/{id}/events", "GET /v1/experiments", "GET /v1/labs", "GET /v1/accounting", "GET /qpu/specs",
             "POST /jobs", "GET /jobs", "GET /jobs/{id}", "POST /jobs/{id}/cancel", "GET /jobs/{id}/logs"],
    "operator": ["POST /v1/labs/{name}/{what}"],
    "admin": ["GET /v1/audit", "POST /v1/tokens", "POST /accessible", "POST /sessions", "GET /sessions",
              "DELETE /sessions/{id}", "GET /status", "GET /accounting", "GET /accounting/sessions",
              "GET /accounting/jobs"],
}  # fmt: skip
CALLS = [(call, scope) for scope, calls in LEAST.items() for call in calls]
BODIES = {"POST /v1/jobs": JOB, "POST /v1/tokens": {"user": "eve"}, "POST /accessible": {"is_accessible": True},
          "POST /monitor/token": {"token": ""},
          "POST /sessions": {"user_id": "ann"}, "POST /jobs": {"sequence": "{}", "shots": 1}}  # fmt: skip
ANSWERS = {"POST /v1/jobs": 201, "POST /v1/tokens": 201, "POST /sessions": 201, "POST /v1/jobs/{id}/retry": 201,
           "GET /v1/jobs/{id}/file": 404, "POST /v1/jobs/{id}/cancel": 409,  # of a job that has ended, without a file
           "GET /monitor/report/{name}/{rid}": 404,  # a run that is not there, or not theirs
           "GET /qpu/specs": 501, "POST /jobs": 501}  # fmt: skip  # Pulser sequences cannot be played yet


async def _asked(lab: Site, call: str, session: str, who: str | None) -> Any:
    """Make a call about ann's job 1, which was cancelled, and her session, as somebody, or nobody."""
    method, path = call.split()
    number = session if path.startswith("/sessions") else "1"
    path = path.replace("part/{what}", "part/queue").replace("{file}", "monitor.css").replace("{rid}", "7")
    path = path.replace("{id}", number).replace("{name}", "lab0").replace("{what}", "resume")
    body = BODIES.get(call, {} if method == "POST" else None)
    if who is None:
        return await ask(lab.app, method, path, body)
    return await lab.ask(who, method, path, body, x_warden_session=session)


async def _prepared(lab: Site) -> None:
    await lab.ask("ann", "POST", "/v1/jobs", JOB)
    await lab.ask("ann", "POST", "/v1/jobs/1/cancel", {})
    await soon(lambda: lab.store.job(1)["state"] == "CANCELED" and lab.app.state.service.dispatcher.ready)


def test_the_table_of_scopes_has_every_call(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path) as lab:
            made = {(f"{call.method} {call.path}", call.scope) for call in lab.app.state.calls}
            assert made == set(CALLS)

    run(scene())


def test_scopes_hold_for_every_call_and_none_fails(tmp_path: Path) -> None:
    """A user, an operator and an admin, and nobody: 37 calls each, answered as the table says."""

    async def scene() -> None:
        async with site(tmp_path) as lab:
            await _prepared(lab)
            for call, least in CALLS:
                for scope, who in {None: None, **USERS}.items():
                    owner = "ann" if who in (None, "ann") or call != "POST /jobs" else who
                    session = lab.store.open_session(owner)["id"]
                    answer = await _asked(lab, call, session, who)
                    if least is not None and scope is None:
                        assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer"), call
                    elif least is not None and list(USERS).index(scope) < list(USERS).index(least):  # type: ignore[arg-type]
                        assert answer.status == 403 and least in answer.json["detail"], (call, who)
                    else:
                        usual = 202 if call.endswith("/cancel") and call.startswith("POST /v1") else 200
                        assert answer.status == ANSWERS.get(call, usual), (call, who, answer)
                    if answer.status >= 400:
                        assert answer.json["remedy"]

    run(scene())


def test_what_was_done_is_in_the_audit_log_and_no_token_is(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path) as lab:
            await _prepared(lab)
            session = lab.store.open_session("ann")["id"]
            token = (await _asked(lab, "POST /v1/tokens", session, "ada")).json["token"]
            for call in ("POST /v1/labs/{name}/{what}", "POST /accessible", "POST /sessions", "DELETE /sessions/{id}",
                         "POST /v1/jobs/{id}/retry"):  # fmt: skip
                await _asked(lab, call, session, "ada")
            lines = (await lab.ask("ada", "GET", "/v1/audit")).json["audit"]
            said = [(line["who"], line["action"], line["object"]) for line in reversed(lines)]
            opened = lab.store.sessions()[-2]["id"]
            assert said == [
                ("ann (token)", "submit", "job/1"), ("ann (token)", "cancel", "job/1"),
                ("ada (token)", "token", "user/eve"), ("ada (token)", "resume", "lab/lab0"),
                ("ada (token)", "accessible", "service"), ("ada (token)", "session", f"session/{opened}"),
                ("ada (token)", "session-end", f"session/{session}"), ("ada (token)", "submit", "job/2"),
            ]  # fmt: skip
            assert token not in str(lines)
            lab.tokens["eve"] = token
            assert (await lab.ask("eve", "GET", "/v1/whoami")).json == {"user": "eve", "scope": "user", "via": "token"}

    run(scene())
