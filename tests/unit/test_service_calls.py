"""The service's calls, without a network: who may what, what is refused and how, order of the queue."""

import sqlite3
from pathlib import Path

import pytest
from service_lab import ask, run, soon

for module in ("starlette", "uvicorn", "jwt", "prometheus_client"):
    pytest.importorskip(module, reason="the extra `service` is not installed")

from service_site import JOB, site

from atomlink.errors import DataError, UsageError
from atomlink.service import app as application
from atomlink.service.config import Limits
from atomlink.service.identity import Tokens
from atomlink.service.problems import Problem
from atomlink.service.states import FINAL, TRANSITIONS
from atomlink.service.steps import STEPS
from atomlink.service.store import FILE, Store


def test_a_job_goes_from_submit_to_result(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path) as lab:
            made = await lab.ask("ann", "POST", "/v1/jobs", JOB)
            assert made.status == 201 and made.headers["location"] == "/v1/jobs/1"
            assert made.json["state"] == "PENDING" and made.json["file"] == "experiments/tick.py"
            await soon(lambda: lab.store.job(1)["rid"] == 7)
            assert (await lab.ask("ann", "GET", "/v1/jobs/1")).json["rid"] == 7
            assert (await lab.ask("ann", "GET", "/v1/jobs/1/result")).json["remedy"].startswith("wait for its end")
            end = {"begun": True, "exit_code": 0, "rid": 7, "path": None, "error": None, "shots": 40}
            lab.labs["lab0"].ends[1] = end
            await soon(lambda: lab.store.job(1)["state"] != "RUNNING")
            assert (await lab.ask("ann", "GET", "/v1/jobs/1/result")).json["state"] == "DONE"
            streamed = (await lab.ask("ann", "GET", "/v1/jobs/1/events")).body.decode()
            assert "event: log\n" in streamed and "event: state\n" in streamed
            assert (await lab.ask("ann", "GET", "/v1/accounting")).json["users"][0]["shots"] == 40
            again = await lab.ask("ann", "POST", "/v1/jobs/1/retry", {})
            assert again.status == 409 and "retry what is ERROR or CANCELED" in again.json["remedy"]

    run(scene())


def test_nobody_reads_or_touches_the_job_of_another(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path) as lab:
            await lab.ask("ann", "POST", "/v1/jobs", JOB)
            for method, path in (("GET", ""), ("GET", "/log"), ("GET", "/result"), ("GET", "/file"), ("GET", "/events"),
                                 ("POST", "/cancel"), ("POST", "/retry")):  # fmt: skip
                theirs = await lab.ask("ben", method, f"/v1/jobs/1{path}", {} if method == "POST" else None)
                none = await lab.ask("ben", method, f"/v1/jobs/2{path}", {} if method == "POST" else None)
                assert theirs.status == none.status == 404
                assert theirs.body.replace(b"'1'", b"") == none.body.replace(b"'2'", b""), "it tells that there is one"
            assert (await lab.ask("ben", "GET", "/v1/jobs?user=ann")).json["jobs"] == []
            assert (await lab.ask("ben", "GET", "/v1/accounting")).json["users"] == []
            assert (await lab.ask("oda", "GET", "/v1/jobs/1")).status == 200
            assert len((await lab.ask("oda", "GET", "/v1/jobs?user=ann")).json["jobs"]) == 1

    run(scene())


def test_only_a_sound_token_is_taken(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path) as lab:
            service = lab.app.state.service
            foreign = Tokens(tmp_path).issue("ann", "admin", 60.0)  # another key
            unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4iLCJzY29wZSI6ImFkbWluIn0."
            for token in (foreign, unsigned, "", "x" * 5000, service.tokens.issue("ann", "user", -5.0),
                          service.tokens.issue("ann", "root", 60.0), service.tokens.issue("a/../b", "user", 60.0)):
                answer = await ask(lab.app, "GET", "/v1/jobs", None, {"authorization": f"Bearer {token}"})
                assert answer.status == 401 and answer.headers["www-authenticate"] == "Bearer", token
                assert answer.headers["content-type"] == "application/problem+json" and answer.json["remedy"]
            assert (await ask(lab.app, "GET", "/v1/jobs")).status == 401
            assert (await lab.ask("ann", "GET", "/v1/jobs", host="evil.example:8290")).status == 421
            assert (await lab.ask("ann", "GET", "/v1/jobs", host="localhost:8290")).status == 200

    run(scene())


BAD = [
    ({"experiment": "tick", "kind": "pulser"}, 422, "known are experiment"),
    ({}, 400, "`experiment` is missing"),
    ({"experiment": "tack"}, 400, "did you mean `tick`"),
    ({"experiment": "../../etc/passwd"}, 400, "no experiment"),
    ({"experiment": "device_db.py"}, 400, "no experiment"),
    ({"experiment": "device_db"}, 400, "no experiment"),
    ({"experiment": "experiments/../device_db.py"}, 400, "no experiment"),
    ({"experiment": "tick", "class_name": "Tack"}, 400, "did you mean `Tick`"),
    ({"experiment": "tick", "class_name": "--results"}, 400, "no class"),
    ({"experiment": "tick", "arguments": {"--results": "/tmp"}}, 400, "is no name"),
    ({"experiment": "tick", "arguments": {"a=b": 1}}, 400, "is no name"),
    ({"experiment": "tick", "arguments": []}, 400, "must be an object"),
    ({"experiment": "tick", "arguments": {"mark": "x" * 30_000}}, 400, "30000 characters"),
    ({"experiment": "tick", "priority": 11}, 400, "from -10 to 10"),
    ({"experiment": "tick", "priority": True}, 400, "whole number"),
    ({"experiment": "tick", "seed": -1}, 400, "seed"),
    ({"experiment": "tick", "lab": "lab9"}, 400, "the labs are lab0"),
    ({"experiment": "tick", "prioritty": 1}, 400, "did you mean `priority`"),
    ({"experiment": "tick", "session": "user:ben"}, 404, "session"),
    (b"{", 400, "not JSON"), (b"[]", 400, "one JSON object"), (b'{"seed": NaN}', 400, "NaN"),
    (b"\xff\xfe", 400, "not JSON"), (b'{"experiment": "a\\u0000"}', 400, "zero byte"),
    (b'{"experiment": "\\ud800"}', 400, "surrogate"), (b"[" * 100_000, 400, "not JSON"),
    (b'{"a":' * 50 + b"1" + b"}" * 50, 400, "nested"), (b"x" * 300_000, 413, "more than 262144"),
]  # fmt: skip


def test_bad_input_is_a_problem_with_its_remedy_and_leaves_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path) as lab:
            for body, status, words in BAD:
                answer = await lab.ask("ann", "POST", "/v1/jobs", body)
                assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json"), body
                problem = answer.json
                assert problem["remedy"] and words in f"{problem['detail']}: {problem['remedy']}", (body, problem)
            for path, status in (("/v1/jobs/x", 404), ("/v1/jobs/9" + "9" * 40, 404), ("/v1/jobs?state=X", 400),
                                 ("/v1/jobs?before=x", 404), ("/nowhere", 404), ("/v1/jobs/1/../2", 404)):  # fmt: skip
                answer = await lab.ask("ann", "GET", path)
                assert answer.status == status and answer.json["remedy"], path
            assert (await lab.ask("ann", "PATCH", "/v1/jobs")).status == 405
            assert lab.store.jobs() == []

    run(scene())


def test_a_request_sent_twice_with_its_key_is_one_job_whatever_has_come_between(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path, Limits(requests_per_s=1e6, burst=10**6, queue_per_user=2)) as lab:
            await lab.ask("oda", "POST", "/v1/labs/lab0/drain", {})
            first = await lab.ask("ann", "POST", "/v1/jobs", JOB, idempotency_key="k")
            await lab.ask("ann", "POST", "/v1/jobs", JOB)
            assert (await lab.ask("ann", "POST", "/v1/jobs", JOB)).status == 429
            await lab.ask("ada", "POST", "/accessible", {"is_accessible": False})
            (tmp_path / "lab" / "experiments" / "tick.py").unlink()
            again = await lab.ask("ann", "POST", "/v1/jobs", dict(reversed(JOB.items())), idempotency_key="k")
            assert (first.status, again.status) == (201, 200) and again.json == first.json
            assert again.headers["location"] == first.headers["location"] == "/v1/jobs/1"
            other = await lab.ask("ann", "POST", "/v1/jobs", {**JOB, "seed": 1}, idempotency_key="k")
            assert other.status == 409 and "another body, job 1" in other.json["detail"]
            assert (await lab.ask("ann", "POST", "/v1/jobs", JOB, idempotency_key="k" * 101)).status == 400
            lines = [line for line in lab.store.audited() if line["action"] == "submit"]
            assert len(lines) == len(lab.store.jobs()) == 2

    run(scene())


def test_a_file_of_the_services_own_folder_is_in_nobodys_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "tick").touch()
    (tmp_path / "here" / "tack").touch()
    monkeypatch.chdir(tmp_path / "here")

    async def scene() -> None:
        async with site(tmp_path) as lab:
            assert (await lab.ask("ann", "POST", "/v1/jobs", JOB)).json["file"] == "experiments/tick.py"
            assert (await lab.ask("ann", "POST", "/v1/jobs", {"experiment": "tack"})).status == 400

    run(scene())


def test_a_key_is_its_users_own(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path) as lab:
            made = [await lab.ask(who, "POST", "/v1/jobs", JOB, idempotency_key="k") for who in ("ann", "ben")]
            assert [each.status for each in made] == [201, 201] and made[0].json["id"] != made[1].json["id"]

    run(scene())


def test_while_no_jobs_are_taken_none_come_in_by_any_call(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path) as lab:
            await lab.ask("ann", "POST", "/v1/jobs", JOB)
            await lab.ask("ann", "POST", "/v1/jobs/1/cancel", {})
            await soon(lambda: lab.store.job(1)["state"] == "CANCELED")
            await lab.ask("ada", "POST", "/accessible", {"is_accessible": False, "message": "calibrating"})
            for path, body in (("/v1/jobs", JOB), ("/v1/jobs/1/retry", {}), ("/jobs", {"sequence": "{}", "shots": 1})):
                for who in ("ann", "ada"):
                    answer = await lab.ask(who, "POST", path, body)
                    assert answer.status in (503, 404) and (who == "ada" or answer.status == 503), (path, who)
                assert "calibrating" in (await lab.ask("ann", "POST", path, body)).json["detail"]
            assert len(lab.store.jobs()) == 1
            await lab.ask("ada", "POST", "/accessible", {"is_accessible": True})
            assert (await lab.ask("ann", "POST", "/v1/jobs", JOB)).status == 201

    run(scene())


def test_a_users_own_session_that_was_ended_is_opened_by_the_next_job(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path) as lab:
            await lab.ask("oda", "POST", "/v1/labs/lab0/drain", {})
            await lab.ask("ann", "POST", "/v1/jobs", JOB)
            assert (await lab.ask("ada", "DELETE", "/sessions/user:ann")).json["revoked_at"] is not None
            assert lab.store.job(1)["state"] == "CANCELED"  # type: ignore[index]
            named = await lab.ask("ann", "POST", "/v1/jobs", {**JOB, "session": "user:ann"})
            assert named.status == 409 and "was ended" in named.json["detail"]
            assert (await lab.ask("ann", "POST", "/v1/jobs", JOB)).status == 201
            assert lab.store.session("user:ann")["revoked_at"] is None  # type: ignore[index]
            said = [(line["who"], line["action"], line["object"]) for line in reversed(lab.store.audited())][2:]
            assert said == [
                ("ada (token)", "cancel", "job/1"), ("ada (token)", "session-end", "session/user:ann"),
                ("ann (token)", "session", "session/user:ann"), ("ann (token)", "submit", "job/2"),
            ]  # fmt: skip

    run(scene())


def test_labs_run_side_by_side_and_each_does_one_job_at_a_time(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path, labs=2) as lab:
            for n in (0, 0, 1, 1):
                await lab.ask("ann", "POST", "/v1/jobs", {**JOB, "lab": f"lab{n}"})
            await soon(lambda: (lab.labs["lab0"].started, lab.labs["lab1"].started) == ([1], [3]))
            looks = [each.asked for each in lab.labs.values()]
            await soon(lambda: min(each.asked for each in lab.labs.values()) > max(looks) + 1)
            assert (lab.labs["lab0"].started, lab.labs["lab1"].started) == ([1], [3]), "one at a time"
            assert (await lab.ask("ann", "POST", "/v1/jobs/1/cancel", {})).status == 202
            assert (await lab.ask("ann", "POST", "/v1/jobs/4/cancel", {})).json["state"] == "CANCELED"
            await soon(lambda: lab.labs["lab0"].started == [1, 2])
            assert lab.store.job(1)["state"] == "CANCELED"  # type: ignore[index]
            again = (await lab.ask("ann", "POST", "/v1/jobs/1/retry", {})).json
            assert again["retry_of"] == 1 and again["id"] == 5

    run(scene())


def test_priority_is_first_then_the_session_that_had_least_time_then_the_oldest(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for user in ("ann", "ben"):
        store.open_session(user, name=user)
    for user in ("ann", "ann", "ann", "ben"):
        store.submit(user, user, "lab", "experiment", {})
    store.submit("ann", "ann", "lab", "experiment", {}, priority=5)
    order = []
    while (job := store.next_of("lab")) is not None:
        order.append(job["id"])
        store.move(job["id"], "RUNNING", started_at=100.0)
        store.move(job["id"], "DONE", ended_at=110.0)
    assert order == [5, 4, 1, 2, 3]
    assert store.session("ann")["virtual_s"] == 40.0  # type: ignore[index]
    late = store.open_session("eve", name="eve")
    store.submit("ann", "ann", "lab", "experiment", {})
    store.submit(late["id"], "eve", "lab", "experiment", {})
    assert store.session("eve")["virtual_s"] == 40.0, "a newcomer has saved up no time"  # type: ignore[index]
    store.close()


def test_the_table_of_states_is_closed_and_holds_in_the_database(tmp_path: Path) -> None:
    assert all(following <= set(TRANSITIONS) for following in TRANSITIONS.values())
    store = Store(tmp_path)
    store.open_session("ann", name="ann")
    for before in TRANSITIONS:
        for after in TRANSITIONS:
            number = store.submit("ann", "ann", "lab", "experiment", {})["id"]
            ways = {"PENDING": (), "RUNNING": ("RUNNING",), "CANCELED": ("CANCELED",)}
            for step in ways.get(before, ("RUNNING", before)):
                store.move(number, step)
            if after in TRANSITIONS[before]:
                assert store.move(number, after)["state"] == after
            else:
                with pytest.raises(Problem, match="cannot become"):
                    store.move(number, after)
                assert store.job(number)["state"] == before  # type: ignore[index]
    waiting = store.session("ann")["waiting"]  # type: ignore[index]
    assert waiting == len(store.jobs(state="PENDING"))
    assert {"DONE", "ERROR", "CANCELED"} == FINAL
    store.close()


def test_a_database_of_each_earlier_step_is_upgraded_and_a_later_one_refused(tmp_path: Path) -> None:
    for taken in range(len(STEPS) + 1):
        folder = tmp_path / str(taken)
        folder.mkdir()
        old = sqlite3.connect(folder / FILE)
        for step in STEPS[:taken]:
            old.executescript(step)
        old.execute(f"PRAGMA user_version = {taken}")
        if taken:
            old.execute("INSERT INTO sessions (id, user, created_at, used_at) VALUES ('a', 'ann', 0, 0)")
        old.commit()
        old.close()
        store = Store(folder)
        assert len(store.sessions()) == bool(taken)
        store.remember("k", [1])
        assert store.recall("k") == [1]
        store.close()
    newer = sqlite3.connect(tmp_path / "0" / FILE)
    newer.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    newer.close()
    with pytest.raises(DataError, match="a newer atomlink"):
        Store(tmp_path / "0")


def test_a_full_disk_refuses_new_jobs_and_keeps_the_old_ones(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path) as lab:
            assert (await lab.ask("ann", "POST", "/v1/jobs", JOB)).status == 201
            pages = lab.store._db.execute("PRAGMA page_count").fetchone()[0]
            lab.store._db.execute(f"PRAGMA max_page_count = {pages}")
            big = {**JOB, "arguments": {"mark": "x" * 19_000}}
            answers = [await lab.ask("ann", "POST", "/v1/jobs", big) for _ in range(5)]
            assert answers[-1].status == 507 and answers[-1].json["remedy"] == "free the disk"
            assert (await lab.ask("ann", "GET", "/v1/jobs/1")).status == 200
            lab.store._db.execute("PRAGMA max_page_count = 100000")
            assert (await lab.ask("ann", "POST", "/v1/jobs", big)).status == 201

    run(scene())


def test_health_metrics_and_description_need_no_token(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path) as lab:
            await lab.ask("ann", "POST", "/v1/jobs", JOB)
            await soon(lambda: lab.app.state.service.dispatcher.ready)
            assert (await ask(lab.app, "GET", "/healthz")).json["status"] == "ok"
            assert (await ask(lab.app, "GET", "/readyz")).json["status"] == "ready"
            text = (await ask(lab.app, "GET", "/metrics")).body.decode()
            assert 'atomlink_http_requests_total{method="POST",status="201"} 1.0' in text
            assert 'atomlink_jobs{lab="lab0",state="pending"}' in text and "ann" not in text
            described = (await ask(lab.app, "GET", "/openapi.json")).json
            assert described["openapi"] == "3.1.0"
            operations = [each for path in described["paths"].values() for each in path.values()]
            assert len(operations) == len(lab.app.state.calls)
            assert all(operation["description"] and operation["summary"] for operation in operations)

    run(scene())


def test_a_job_of_a_lab_that_is_no_longer_served_is_told_so(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path) as lab:
            session = lab.store.open_session("ann")["id"]
            for state in ("RUNNING", "ERROR"):
                number = lab.store.submit(session, "ann", "gone", "experiment", {"file": "x"})["id"]
                lab.store.move(number, "RUNNING")
                if state != "RUNNING":
                    lab.store.move(number, state)
            for path in ("/v1/jobs/1/cancel", "/v1/jobs/2/retry"):
                answer = await lab.ask("ann", "POST", path, {})
                assert answer.status == 409 and "not served now" in answer.json["detail"]

    run(scene())


def test_a_log_is_never_taken_for_a_page(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path) as lab:
            await lab.ask("ann", "POST", "/v1/jobs", JOB)
            log = await lab.ask("ann", "GET", "/v1/jobs/1/log")
            assert log.headers["content-type"].startswith("text/plain")
            assert log.headers["x-content-type-options"] == "nosniff"

    run(scene())


def test_two_services_cannot_have_one_folder(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path) as lab:
            with pytest.raises(UsageError, match="another service runs"):
                application.make(lab.app.state.service.config, tmp_path / "state")

    run(scene())


def test_each_line_of_the_threat_model_has_its_test() -> None:
    root = Path(__file__).parents[2]
    lines = [line for line in (root / "docs" / "threat-model.md").read_text().splitlines() if line.startswith("| ")][1:]
    tests = "".join(path.read_text() for path in (root / "tests" / "unit").glob("test_service_*.py"))
    assert len(lines) > 10
    for line in lines:
        name = line.rstrip(" |").rpartition("| ")[2].strip("`")
        assert f"def {name}(" in tests, line
