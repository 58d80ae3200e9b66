"""The calls that QRMI's `pasqal-local` client makes of a Warden, on our queue.

Written from the interface (paths, headers, members), with no code of theirs. A Pulser sequence is refused, with the
reason, until there is a job kind that can play it; jobs that are there are listed, read and cancelled all the same.
"""

from __future__ import annotations

import json
import re
from typing import Any

from starlette.responses import Response

from atomlink.errors import brief
from atomlink.service import api, streams
from atomlink.service.experiments import wanted
from atomlink.service.identity import USER_NAME, user_of
from atomlink.service.problems import Problem, bad_request, not_found
from atomlink.service.requests import Call, Json, own_job
from atomlink.service.states import FINAL, PENDING
from atomlink.service.store import Row

SESSION = "x-warden-session"
UNPLAYED = Problem(
    501, "unknown-kind", "Pulser sequences cannot be played here yet, so this service has no Pulser device either",
    "submit an experiment instead: POST /v1/jobs, or atomlink submit",
)  # fmt: skip
SLURM_JOB = re.compile(r"[A-Za-z0-9_.+-]{1,64}")
LONGEST_MESSAGE = 500


def shown_session(row: Row) -> dict[str, Any]:
    """Return a session as Warden shows it."""
    return {"user_id": row["user"], **{key: row[key] for key in ("id", "slurm_job_id", "created_at", "revoked_at")}}


def shown_job(row: Row) -> dict[str, Any]:
    """Return a job as Warden shows it; `results` is JSON text once it is done: an experiment's `estimates`."""
    spec = json.loads(row["spec"])
    return {"id": row["id"], "user_id": row["user"], "session_id": row["session"], "status": row["state"],
            "created_at": row["created_at"], "started_at": row["started_at"], "ended_at": row["ended_at"],
            "shots": row["shots"], "sequence": spec.get("sequence"), "results": row["results"],
            "error": row["error"]}  # fmt: skip


async def accessible(call: Call) -> Response:
    """Say whether jobs are taken."""
    return Json(api.accessible(call))


async def set_accessible(call: Call) -> Response:
    """Say from now on whether jobs are taken, here and by /v1/jobs, and why."""
    if not isinstance(call.body.get("is_accessible"), bool):
        raise bad_request("`is_accessible` is missing or neither true nor false", "send true or false")
    message = wanted(call.body, "message", str, " ")[:LONGEST_MESSAGE].strip()
    state = {"is_accessible": call.body["is_accessible"], "message": message}
    call.store.remember("accessible", state)
    call.audit("accessible", "service", json.dumps(state))
    return Json(state)


async def open_session(call: Call) -> Response:
    """Open a session for a user: Slurm's prolog does. `user_id` is a uid or a name."""
    given = call.body.get("user_id")
    if isinstance(given, str) and given.isascii() and given.isdigit() and len(given) < 10:
        given = int(given)
    if isinstance(given, int) and not isinstance(given, bool) and 0 <= given < 2**32:
        user: Any = user_of(given)
    else:
        user = given
    if not isinstance(user, str) or not USER_NAME.fullmatch(user):
        raise bad_request(f"user_id is {brief(given)}", "it must be a uid or the name of a user")
    job = call.body.get("slurm_job_id")
    if job is not None and not SLURM_JOB.fullmatch(str(job)):
        raise bad_request(f"slurm_job_id is {brief(job)}", "it must be the number of a Slurm job")
    row = call.store.open_session(user, None if job is None else str(job))
    call.audit("session", f"session/{row['id']}", f"for {user}")
    return Json(shown_session(row), 201)


async def end_session(call: Call) -> Response:
    """End a session: what waits in it is cancelled, what runs goes on."""
    row = call.store.session(call.request.path_params["id"])
    if row is None:
        raise not_found("such session")
    for number in call.store.revoke(row["id"]):
        call.audit("cancel", f"job/{number}", "its session was ended")
    call.audit("session-end", f"session/{row['id']}", f"of {row['user']}")
    return Json(shown_session(call.store.session(row["id"]) or row))


async def sessions(call: Call) -> Response:
    """List the sessions."""
    return Json([shown_session(row) for row in call.store.sessions()])


async def specs(call: Call) -> Response:
    """Return the Pulser device; there is none before its sequences can be played."""
    raise UNPLAYED


async def submit(call: Call) -> Response:
    """Take a Pulser sequence: checked, and refused until it can be played."""
    wanted(call.body, "sequence", str, None)
    shots = wanted(call.body, "shots", int, None)
    if not 1 <= shots <= 1_000_000:
        raise bad_request(f"shots is {shots}", "from 1 to 1,000,000")
    api.check_taken(call)
    _session(call)
    raise UNPLAYED


def _session(call: Call) -> str:
    given = call.request.headers.get(SESSION)
    if given is None:
        raise Problem(401, "no-session", "X-Warden-Session is missing", "submit from within a Slurm job, or have an "
                      "administrator open a session")  # fmt: skip
    return api.own_session(call, given)


async def jobs(call: Call) -> Response:
    """List one's own jobs, the newest first."""
    return Json([shown_job(row) for row in call.store.jobs(user=call.who.user)])


async def job(call: Call) -> Response:
    """Return one job."""
    return Json(shown_job(own_job(call, call.request.path_params["id"])))


async def cancel(call: Call) -> Response:
    """Cancel a job; one that has ended stays as it is."""
    row = own_job(call, call.request.path_params["id"])
    if row["state"] not in FINAL:
        row = call.service.dispatcher.cancel(row)
        call.audit("cancel", f"job/{row['id']}")
    return Json(shown_job(row))


async def logs(call: Call) -> Response:
    """Return what a job printed."""
    return Json({"logs": await streams.log_of(call, own_job(call, call.request.path_params["id"]))})


async def status(call: Call) -> Response:
    """Return what waits and what runs."""
    running = call.store.running()
    pending = sum(count for (_, state), count in call.store.counts().items() if state == PENDING)
    return Json({"pending_jobs_count": pending, "current_job": shown_job(running[0]) if running else None,
                 "open_sessions": [shown_session(row) for row in call.store.sessions(only_open=True)]})  # fmt: skip


async def slots(call: Call) -> Response:
    """Return how many labs there are, and how many are busy."""
    total, used = len(call.service.dispatcher.labs), len(call.store.running())
    return Json({"qpu_slots_total": total, "qpu_slots_used": used, "qpu_slots_available": max(0, total - used)})


async def accounting(call: Call) -> Response:
    """Return jobs, shots, run and waiting time by user and by session."""
    return Json({"users": call.store.accounting("user"), "sessions": call.store.accounting("session")})


async def accounting_sessions(call: Call) -> Response:
    """Return jobs, shots, run and waiting time by session."""
    return Json(call.store.accounting("session"))


async def accounting_jobs(call: Call) -> Response:
    """Return the newest jobs of everybody."""
    return Json([shown_job(row) for row in call.store.jobs(most=api.MOST)])


_ANY = {"type": "object"}
ROUTES: tuple[api.Route, ...] = (
    api.Route("GET", "/accessible", accessible, None, "Are jobs taken?"),
    api.Route("POST", "/accessible", set_accessible, "admin", "Take jobs or not", _ANY),
    api.Route("POST", "/sessions", open_session, "admin", "Open a session", _ANY),
    api.Route("GET", "/sessions", sessions, "admin", "The sessions"),
    api.Route("DELETE", "/sessions/{id}", end_session, "admin", "End a session"),
    api.Route("GET", "/qpu/specs", specs, "user", "The Pulser device"),
    api.Route("POST", "/jobs", submit, "user", "Submit a Pulser sequence", _ANY),
    api.Route("GET", "/jobs", jobs, "user", "One's own jobs"),
    api.Route("GET", "/jobs/{id}", job, "user", "One job"),
    api.Route("POST", "/jobs/{id}/cancel", cancel, "user", "Cancel a job", _ANY),
    api.Route("GET", "/jobs/{id}/logs", logs, "user", "What it printed"),
    api.Route("GET", "/status", status, "admin", "What waits and runs"),
    api.Route("GET", "/qpu-slots", slots, None, "Labs, busy and free"),
    api.Route("GET", "/accounting", accounting, "admin", "Jobs, shots and time"),
    api.Route("GET", "/accounting/sessions", accounting_sessions, "admin", "The same by session"),
    api.Route("GET", "/accounting/jobs", accounting_jobs, "admin", "The newest jobs of all"),
)  # fmt: skip
