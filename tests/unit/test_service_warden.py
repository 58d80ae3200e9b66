"""The calls of QRMI's `pasqal-local` client: with a decoder of our own, and unmodified where qrmi and munged are."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from service_lab import Process, ask, make_lab, run, until

for module in ("starlette", "uvicorn", "jwt", "prometheus_client"):
    pytest.importorskip(module, reason="the extra `service` is not installed")

from service_site import JOB, site

from atomlink.service.app import make
from atomlink.service.config import Config, LabConfig
from atomlink.service.config import Munge as MungeConfig
from atomlink.service.identity import Munge, libmunge, user_of
from atomlink.service.states import FINAL
from atomlink.service.store import Store

SCRIPT = Path(__file__).with_name("qrmi_session.py")


def credential(uid: int, number: int) -> str:
    """Return what looks like a credential and says whose it is."""
    return f"MUNGE:{uid:06}AAAA{number:08}AAAA:"


def decode(text: str) -> tuple[int, int]:
    return (0, int(text[6:12])) if text[6:12].isdigit() else (1, 2**32 - 1)


def test_sessions_jobs_and_states_as_a_slurm_site_uses_them(tmp_path: Path) -> None:
    async def scene() -> None:
        app = make(Config((LabConfig("lab", make_lab(tmp_path)),), munge=MungeConfig()), tmp_path / "state")
        app.state.service.munge = Munge(app.state.service.store, (0,), decode)
        numbers = iter(range(10_000))

        async def call(uid: int, method: str, path: str, body: Any = None, **headers: str) -> Any:
            named = {key.replace("_", "-"): value for key, value in headers.items()}
            return await ask(app, method, path, body, {"x-munge-cred": credential(uid, next(numbers)), **named})

        async with app.router.lifespan_context(app):
            assert (await ask(app, "GET", "/accessible")).json["is_accessible"] is True
            assert (await call(54321, "POST", "/sessions", {"user_id": 54321})).status == 403
            opened = await call(0, "POST", "/sessions", {"user_id": "54321", "slurm_job_id": 7})
            assert opened.status == 201 and opened.json["revoked_at"] is None
            assert opened.json["user_id"] == user_of(54321)
            session = opened.json["id"]
            body = {"sequence": "{}", "shots": 10}
            refused = await call(54321, "POST", "/jobs", body, x_warden_session=session)
            assert refused.status == 501 and "Pulser sequences cannot be played here yet" in refused.json["detail"]
            assert (await call(54321, "POST", "/jobs", body)).status == 401
            assert (await call(54322, "POST", "/jobs", body, x_warden_session=session)).status == 404
            store: Store = app.state.service.store
            store.remember("drained", ["lab"])
            app.state.service.dispatcher.drained.add("lab")
            job = store.submit(session, user_of(54321), "lab", "experiment", {"file": "experiments/tick.py"})
            assert (await call(54321, "GET", f"/jobs/{job['id']}")).json["status"] == "PENDING"
            assert (await call(54322, "GET", f"/jobs/{job['id']}")).status == 404
            assert (await call(0, "GET", "/status")).json["pending_jobs_count"] == 1
            assert (await call(54321, "GET", "/status")).status == 403
            assert (await call(54321, "POST", f"/jobs/{job['id']}/cancel", {})).json["status"] == "CANCELED"
            assert (await call(54321, "GET", f"/jobs/{job['id']}/logs")).json == {"logs": ""}
            accounts = (await call(0, "GET", "/accounting")).json
            assert accounts["sessions"][0]["per_status"] == {"CANCELED": 1}
            assert (await ask(app, "GET", "/qpu-slots")).json["qpu_slots_total"] == 1
            ended = await call(0, "DELETE", f"/sessions/{session}")
            assert ended.json["revoked_at"] is not None
            assert (await call(54321, "POST", "/jobs", body, x_warden_session=session)).status == 409
            for wrong in ("a b", "a+b", "", "x" * 65, "../x", "a\n", -1, 2**32, 1.5, True, None, [], {}):
                refused = await call(0, "POST", "/sessions", {"user_id": wrong})
                assert refused.status == 400 and "uid or the name" in refused.json["remedy"], wrong
            named = await call(0, "POST", "/sessions", {"user_id": "ann@idp.example"})  # whom a token may name, too
            assert named.json["user_id"] == "ann@idp.example"
            await call(0, "POST", "/accessible", {"is_accessible": False, "message": "calibrating"})
            assert "calibrating" in (await call(54321, "POST", "/jobs", body)).json["detail"]

    run(scene())


def test_a_job_that_is_done_has_results_and_no_other_has(tmp_path: Path) -> None:
    found = {"mark": {"value": 3.0, "error": 0.5, "n": 1, "unit": "", "text": "3.00 ± 0.50"}}
    end = {"begun": True, "rid": 7, "path": None, "error": None, "estimates": found}

    async def scene() -> None:
        async with site(tmp_path) as lab:
            for exit_code, state in ((0, "DONE"), (1, "ERROR")):
                number = (await lab.ask("ann", "POST", "/v1/jobs", JOB)).json["id"]
                assert (await lab.ask("ann", "GET", f"/jobs/{number}")).json["results"] is None
                lab.labs["lab0"].ends[number] = {**end, "exit_code": exit_code}
                await lab.reaches(number, state)
                shown = (await lab.ask("ann", "GET", f"/jobs/{number}")).json
                assert (shown["results"] is None) == (state == "ERROR")
                assert state == "ERROR" or json.loads(shown["results"]) == {"estimates": found}
            lab.labs["lab0"].result = lambda job: {}  # type: ignore[method-assign]  # its folder is gone
            assert (await lab.ask("ann", "GET", "/v1/jobs/1/result")).json["estimates"] == found
            assert (await lab.ask("ann", "GET", "/v1/jobs/2/result")).json["estimates"] == {}

    run(scene())


def test_a_credential_is_taken_once_also_after_a_restart(tmp_path: Path) -> None:
    async def scene(first: bool) -> None:
        app = make(Config((LabConfig("lab", tmp_path / "lab"),), munge=MungeConfig()), tmp_path / "state")
        app.state.service.munge = Munge(app.state.service.store, (0,), decode)
        async with app.router.lifespan_context(app):
            answers = [await ask(app, "GET", "/jobs", None, {"x-munge-cred": credential(5, 1)}) for _ in range(2)]
            assert [a.status for a in answers] == [200 if first else 401, 401]
            assert "used before" in answers[1].json["detail"]
            for text in ("", "MUNGE:x:", "MUNGE:" + "A" * 5000 + ":", credential(5, 2)[:-1], "MUNGE:" + "A" * 40 + ":"):
                assert (await ask(app, "GET", "/jobs", None, {"x-munge-cred": text})).status == 401

    make_lab(tmp_path)
    run(scene(True))
    run(scene(False))


def _munge() -> str:
    munge = shutil.which("munge") or "false"
    made = subprocess.run([munge, "-n"], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip("no munged runs here: apt install munge, and start it")
    return made.stdout.strip()


@pytest.mark.parametrize(("name", "user"), [
    ("ann", "ann"), ("ann.b@idp", "ann.b@idp"), ("SITE\\ann", "uid-1000"), ("a b", "uid-1000"), ("", "uid-1000"),
])  # fmt: skip
def test_a_user_has_the_machines_name_for_them_or_their_number(
    monkeypatch: pytest.MonkeyPatch, name: str, user: str
) -> None:
    monkeypatch.setattr("pwd.getpwuid", lambda uid: SimpleNamespace(pw_name=name))
    assert user_of(1000) == user


def test_munged_itself_refuses_a_credential_the_second_time() -> None:
    made, decoder = _munge(), libmunge()
    assert decoder(made) == (0, os.getuid())
    assert decoder(made)[0] == 17  # EMUNGE_CRED_REPLAYED
    assert decoder(made.replace("A", "B", 3))[0] not in (0, 17)


def _qrmi() -> str:
    python = os.environ.get("ATOMLINK_QRMI_PYTHON", sys.executable)
    if subprocess.run([python, "-c", "import qrmi"], capture_output=True, check=False).returncode:
        pytest.skip(f"{python} has no qrmi; pip install qrmi somewhere, and name that Python in ATOMLINK_QRMI_PYTHON")
    return python


def test_unmodified_qrmi_acquires_asks_stops_reads_and_releases(tmp_path: Path) -> None:
    """A job is put beside it: a Pulser sequence cannot be played yet, and its refusal reaches the user whole."""
    python = _qrmi()
    _munge()
    root = make_lab(tmp_path)
    (root / "service.toml").write_text("[labs.lab]\n[munge]\n")
    service = Process(root, "--config", "service.toml")
    try:
        client = service.client()
        user = user_of(os.getuid())
        session = client.call("POST", "/sessions", {"user_id": user, "slurm_job_id": "1"})["id"]
        body = {"experiment": "tick", "session": session, "arguments": {"mark": 4}}
        done = client.call("POST", "/v1/jobs", body)["id"]
        until(lambda: client.call("GET", f"/v1/jobs/{done}")["state"] in FINAL)
        long = client.call("POST", "/v1/jobs", {**body, "arguments": {"t_sleep": 60}})["id"]
        environment = {**os.environ, "lab_QRMI_WARDEN_URL": service.url, "lab_QRMI_JOB_ACQUISITION_TOKEN": session,
                       "QRMI_JOB_QPU_RESOURCES": "lab", "QRMI_JOB_QPU_TYPES": "pasqal-local",
                       "QRMI_JOB_UID": str(os.getuid()), "QRMI_JOB_ID": "1"}  # fmt: skip
        said = subprocess.run([python, str(SCRIPT), "lab", str(done), str(long)], env=environment, capture_output=True,
                              text=True, timeout=60, check=False)  # fmt: skip
        assert said.returncode == 0, said.stdout + said.stderr
        seen = json.loads(said.stdout)
        assert seen["accessible"] is True and seen["acquired"]
        assert seen["status"] == "Completed" and seen["long_before"] in ("Queued", "Running")
        assert json.loads(seen["result"])["estimates"]["mark"]["value"] == 4.0
        assert "results:" in seen["logs"]
        for refused in ("target", "start"):
            assert "501" in seen[refused] or "Pulser sequences cannot be played here yet" in seen[refused], seen
        assert client.call("GET", f"/v1/jobs/{long}")["cancel_requested"]
    finally:
        service.stop()


