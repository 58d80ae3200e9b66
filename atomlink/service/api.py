"""The service's own REST: the table of its calls, and what each does."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

from starlette.responses import FileResponse, Response

import atomlink
from atomlink.errors import brief
from atomlink.service import experiments, openapi, streams
from atomlink.service.experiments import Catalogue, check_parts, wanted
from atomlink.service.identity import SCOPES
from atomlink.service.problems import Problem, bad_request, not_found
from atomlink.service.requests import Call, Handler, Json, number_in, own_job, shown
from atomlink.service.states import CANCELED, ERROR, FINAL, TRANSITIONS
from atomlink.service.store import Row

MOST = 1_000  # jobs in one answer


class Route(NamedTuple):
    """One call: how it is reached, who may, what it does, and what OpenAPI says of it."""

    method: str
    path: str
    handler: Handler
    scope: str | None
    summary: str
    body: dict[str, Any] | None = None   # JSON schema
    query: tuple[str, ...] = ()
    answer: str = "application/json"


def catalogues(call: Call) -> dict[str, Catalogue]:
    """Return the catalogue of each lab."""
    found: dict[str, Catalogue] = call.request.app.state.catalogues
    return found


# -- jobs


async def submit(call: Call) -> Response:
    """Put a job into the queue."""
    body, key = call.body, call.request.headers.get("idempotency-key")
    if key is not None and not (key.isprintable() and 0 < len(key) <= 100):
        raise bad_request("Idempotency-Key is not printable or too long", "send 1 to 100 printable characters")
    request = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    # First of all: what was taken is not refused when it is sent again, because a queue is full by now.
    if key is not None and (before := call.store.repeated(call.who.user, key)) is not None:
        if before["request"] not in (None, request):
            raise Problem(409, "conflict", f"Idempotency-Key {brief(key)} was sent with another body, job "
                          f"{before['id']}", "take a new key for a new job")  # fmt: skip
        return Json(shown(before), 200, {"Location": f"/v1/jobs/{before['id']}"})
    experiments.kind_of(body)
    check_parts(body, experiments.PARTS)
    labs = catalogues(call)
    lab = wanted(body, "lab", str, next(iter(labs)))
    if lab not in labs:
        raise bad_request(f"lab is {brief(lab)}", f"the labs are {', '.join(labs)}")
    spec = experiments.spec_of(body, labs[lab])
    priority = experiments.priority_of(body, call.who.scope)
    session = wanted(body, "session", str, "")
    job = put(call, session, lab, "experiment", spec, priority, repeat_key=key, request=key and request)
    return Json(shown(job), 201, {"Location": f"/v1/jobs/{job['id']}"})


def put(call: Call, session: str | None, lab: str, kind: str, spec: dict[str, Any], priority: int = 0,
        **more: Any) -> Row:  # fmt: skip
    """Put a job into the queue, if jobs are taken, its user has not too many and the session, else their own, is open.

    It is written down, and the lab woken.
    """
    check_taken(call)
    most = call.service.config.limits.queue_per_user
    if call.store.waiting_of(call.who.user) >= most:
        raise Problem(429, "queue-full", f"{call.who.user} has {most} jobs waiting", "wait for some of them, or cancel "
                      "some", {"Retry-After": "10"})  # fmt: skip
    job = call.store.submit(own_session(call, session), call.who.user, lab, kind, spec, priority, **more)
    call.audit("submit", f"job/{job['id']}", kind)
    call.service.dispatcher.wake(lab)
    return job


def check_taken(call: Call) -> None:
    """Refuse a job while an administrator has said that none are taken."""
    state = accessible(call)
    if not state["is_accessible"]:
        raise Problem(503, "not-accessible", f"jobs are not taken now: {state['message']}", "try again later",
                      {"Retry-After": "60"})  # fmt: skip


def accessible(call: Call) -> dict[str, Any]:
    """Return whether jobs are taken, and why (not)."""
    state: dict[str, Any] = call.store.recall("accessible", {"is_accessible": True, "message": "jobs are taken"})
    return state


def own_session(call: Call, given: str | None) -> str:
    """Return the session of a job: the given one, which must be its user's and open, else the user's own.

    The user's own is there for what comes without a session: after it was ended the next job opens it again.
    """
    if given is None:
        own = call.store.open_session(call.who.user, name=f"user:{call.who.user}")
        if own["revoked_at"] is not None:
            call.store.reopen(own["id"])
            call.audit("session", f"session/{own['id']}", "opened again")
        return str(own["id"])
    session = call.store.session(given)
    if session is None or session["user"] != call.who.user:
        raise not_found("such session")
    if session["revoked_at"] is not None:
        raise Problem(409, "conflict", "the session was ended", "open another one, or leave it out")
    return given


async def jobs(call: Call) -> Response:
    """List jobs, the newest first: one's own; an operator sees all, or those of `user`."""
    query = call.request.query_params
    state, user = query.get("state"), query.get("user")
    if state is not None and state.upper() not in TRANSITIONS:
        raise bad_request(f"state is {brief(state)}", f"it must be one of {', '.join(TRANSITIONS)}")
    if not call.who.may("operator"):
        user = call.who.user
    before = number_in(query["before"], "job") if "before" in query else None
    most = min(number_in(query.get("most", "100"), "number of jobs"), MOST)
    found = call.store.jobs(user, state and state.upper(), query.get("lab"), query.get("session"), before, most)
    return Json({"jobs": [shown(job) for job in found], "waiting": call.store.waiting_of(call.who.user)})


async def job(call: Call) -> Response:
    """Return one job."""
    return Json(shown(own_job(call, call.request.path_params["id"])))


async def cancel(call: Call) -> Response:
    """Cancel a job: one that waits at once; one that runs is asked to end and keeps its data."""
    found = own_job(call, call.request.path_params["id"])
    if found["state"] in FINAL:
        raise Problem(409, "conflict", f"job {found['id']} is {found['state']} already", "nothing is left to cancel")
    found = call.service.dispatcher.cancel(found)
    call.audit("cancel", f"job/{found['id']}")
    return Json(shown(found), 202)


async def retry(call: Call) -> Response:
    """Put a job that failed or was cancelled into the queue again, as a new one that names it."""
    found = own_job(call, call.request.path_params["id"])
    if found["state"] not in (ERROR, CANCELED):
        raise Problem(409, "conflict", f"job {found['id']} is {found['state']}", "retry what is ERROR or CANCELED")
    if found["lab"] not in catalogues(call):
        raise Problem(409, "no-lab", f"lab {found['lab']} is not served now", "submit it for another lab")
    new = put(call, None, found["lab"], found["kind"], json.loads(found["spec"]), found["priority"],
              retry_of=found["id"])  # fmt: skip
    return Json(shown(new), 201, {"Location": f"/v1/jobs/{new['id']}"})


async def result(call: Call) -> Response:
    """Return what a job that has ended found: estimates with errors, how the run was made."""
    found = own_job(call, call.request.path_params["id"])
    _must_have_ended(found)
    lab = call.service.dispatcher.labs.get(found["lab"])
    known = {} if lab is None else await asyncio.to_thread(lab.result, found)
    if not known and found["results"]:  # its folder is gone, or its lab: the queue has the estimates, too
        known = json.loads(found["results"])
    file = f"/v1/jobs/{found['id']}/file" if found["path"] else None
    return Json({"id": found["id"], "state": found["state"], "rid": found["rid"], "error": found["error"], "file": file,
                 **{key: known.get(key) for key in ("complete", "shots", "run", "unread")},
                 "estimates": known.get("estimates", {})})  # fmt: skip


async def file(call: Call) -> Response:
    """Return the results file of a job, HDF5."""
    found = own_job(call, call.request.path_params["id"])
    _must_have_ended(found)
    path = Path(found["path"] or "")
    if not found["path"] or not path.is_file():
        raise Problem(404, "no-results", f"job {found['id']} has no results file", "see its log")
    return FileResponse(path, media_type="application/x-hdf5", filename=path.name)


def _must_have_ended(found: Row) -> None:
    if found["state"] not in FINAL:
        raise Problem(409, "not-ended", f"job {found['id']} is {found['state']}", "wait for its end, see GET …/events")


# -- labs, sessions, the service


async def labs(call: Call) -> Response:
    """List the labs: what they are, whether they take jobs, what runs."""
    running = {job["lab"]: job["id"] for job in call.store.running()}
    dispatcher = call.service.dispatcher
    return Json({"labs": [
        {"name": name, "scenario": catalogue.config.scenario, "hardware": catalogue.config.hardware,
         "state": "drained" if name in dispatcher.drained else "online", "running": running.get(name)}
        for name, catalogue in catalogues(call).items()
    ]})  # fmt: skip


async def drain(call: Call) -> Response:
    """Let a lab begin no more jobs; what runs goes on. `resume` lets it begin them again."""
    name, what = call.request.path_params["name"], call.request.path_params["what"]
    if name not in catalogues(call):
        raise not_found("such lab")
    if what not in ("drain", "resume"):
        raise not_found("such call")
    call.service.dispatcher.drain(name, what == "drain")
    call.audit(what, f"lab/{name}")
    return Json({"name": name, "state": "drained" if what == "drain" else "online"})


async def list_experiments(call: Call) -> Response:
    """List the experiments of each lab: files and their classes."""
    return Json({"experiments": {name: each.files() for name, each in catalogues(call).items()}})


async def accounting(call: Call) -> Response:
    """Return jobs, shots, run and waiting time by user; a user's own, an operator's all."""
    user = None if call.who.may("operator") else call.who.user
    return Json({"users": call.store.accounting("user", user)})


async def audit(call: Call) -> Response:
    """Return the newest lines of the audit log."""
    most = min(number_in(call.request.query_params.get("most", "200"), "number of lines"), MOST)
    return Json({"audit": call.store.audited(most)})


async def token(call: Call) -> Response:
    """Issue a token for a user, for so many days."""
    check_parts(call.body, ("user", "scope", "days"))
    user, scope = wanted(call.body, "user", str, None), wanted(call.body, "scope", str, "user")
    days = wanted(call.body, "days", int, 30)
    if scope not in SCOPES or not 1 <= days <= 366:
        raise bad_request(f"scope is {brief(scope)}, days is {days}", f"a scope of {', '.join(SCOPES)}; 1 to 366 days")
    from atomlink.service.identity import USER_NAME

    if not USER_NAME.fullmatch(user):
        raise bad_request(f"user is {brief(user)}", "1 to 64 letters, digits, . _ @ -")
    call.audit("token", f"user/{user}", scope)
    return Json({"token": call.service.tokens.issue(user, scope, days * 86400.0)}, 201)


async def who(call: Call) -> Response:
    """Say who asks, and what they may."""
    return Json({"user": call.who.user, "scope": call.who.scope, "via": call.who.via})


async def healthz(call: Call) -> Response:
    """Say that the service lives."""
    return Json({"status": "ok", "version": atomlink.__version__})


async def readyz(call: Call) -> Response:
    """Say whether the service takes jobs: database there, dispatcher running, disk not full."""
    if not call.service.dispatcher.ready or call.service.stopping:
        raise Problem(503, "not-ready", "the service is starting or stopping", "ask again")
    call.store.remember("probe", int(time.time()))
    return Json({"status": "ready"})


async def metrics(call: Call) -> Response:
    """Return the metrics for Prometheus."""
    text, media_type = call.service.metrics.text()
    return Response(text, headers={"Content-Type": media_type})


async def describe(call: Call) -> Response:
    """Return the description of these calls."""
    return Json(openapi.document(call.request.app.state.calls))


_TEXT_ = {"type": "string"}
_JOB = {
    "type": "object", "required": ["experiment"], "additionalProperties": False,
    "properties": {
        "kind": {"enum": list(experiments.KINDS)}, "lab": _TEXT_,
        "experiment": {**_TEXT_, "description": "file in the lab, or the name of the file or class"},
        "class_name": _TEXT_, "seed": {"type": "integer", "minimum": 0}, "session": _TEXT_,
        "arguments": {"type": "object", "description": "texts are read as on the command line (\"50kHz\", "
                      "\"0:100us:21\"), all else is the value itself"},
        "priority": {"type": "integer", "minimum": -10, "maximum": 100},
    },
}  # fmt: skip
_TOKEN = {"type": "object", "required": ["user"], "additionalProperties": False,
          "properties": {"user": _TEXT_, "scope": {"enum": list(SCOPES)}, "days": {"type": "integer", "minimum": 1}}}

ROUTES: tuple[Route, ...] = (
    Route("GET", "/openapi.json", describe, None, "This description"),
    Route("GET", "/healthz", healthz, None, "Alive?"),
    Route("GET", "/readyz", readyz, None, "Ready to take jobs?"),
    Route("GET", "/metrics", metrics, None, "For Prometheus", answer="text/plain"),
    Route("GET", "/v1/whoami", who, "user", "Who asks"),
    Route("POST", "/v1/jobs", submit, "user", "Submit a job", _JOB),
    Route("GET", "/v1/jobs", jobs, "user", "List jobs", query=("state", "lab", "user", "session", "before", "most")),
    Route("GET", "/v1/jobs/{id}", job, "user", "One job"),
    Route("POST", "/v1/jobs/{id}/cancel", cancel, "user", "Cancel a job", {"type": "object"}),
    Route("POST", "/v1/jobs/{id}/retry", retry, "user", "Submit a failed job again", {"type": "object"}),
    Route("GET", "/v1/jobs/{id}/log", streams.log, "user", "What it printed", answer="text/plain"),
    Route("GET", "/v1/jobs/{id}/result", result, "user", "What it found"),
    Route("GET", "/v1/jobs/{id}/file", file, "user", "Its results file", answer="application/x-hdf5"),
    Route("GET", "/v1/jobs/{id}/events", streams.events, "user", "Its states and log",
          answer="text/event-stream"),
    Route("GET", "/v1/experiments", list_experiments, "user", "The experiments of the labs"),
    Route("GET", "/v1/labs", labs, "user", "The labs"),
    Route("POST", "/v1/labs/{name}/{what}", drain, "operator", "Drain or resume a lab", {"type": "object"}),
    Route("GET", "/v1/accounting", accounting, "user", "Jobs, shots and time by user"),
    Route("GET", "/v1/audit", audit, "admin", "Who did what", query=("most",)),
    Route("POST", "/v1/tokens", token, "admin", "Issue a token", _TOKEN),
)  # fmt: skip
