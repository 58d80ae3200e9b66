"""The monitor's pages: who sees what, nothing of anybody's becomes markup, and a browser draws them."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from service_lab import ask, run

for module in ("starlette", "uvicorn", "jwt", "prometheus_client"):
    pytest.importorskip(module, reason="the extra `service` is not installed")

from service_site import JOB, site

from atomlink.service.config import Monitor
from atomlink.service.monitor.markup import el, table

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NASTY = "<script>alert(1)</script>"


def test_every_text_and_every_attribute_is_escaped() -> None:
    made = table((NASTY,), [(NASTY, el("a", NASTY, href=f'"{NASTY}'))], "none")
    assert "<script>" not in made and made.count("&lt;script&gt;") == 4 and 'href="&quot;&lt;' in made


def test_who_sees_what(tmp_path: Path) -> None:
    """Without a token no user, argument, result or live data; with one what is one's own; operators see all."""

    async def scene() -> None:
        async with site(tmp_path) as lab:
            await lab.ask("ann", "POST", "/v1/jobs", {**JOB, "arguments": {"mark": 41}})
            page = await ask(lab.app, "GET", "/monitor")
            assert page.status == 200 and page.headers["content-type"].startswith("text/html")
            assert "default-src 'none'; script-src 'self'" in page.headers["content-security-policy"]
            assert "read-only" in page.body.decode() and "ann" not in page.body.decode()
            seen = {}
            for who in (None, "ann", "ben", "oda"):
                asked = (lambda path: ask(lab.app, "GET", path)) if who is None else (
                    lambda path, who=who: lab.ask(who, "GET", path))  # fmt: skip
                queue, live, runs = [await asked(f"/monitor/{path}") for path in ("part/queue", "live", "part/runs")]
                assert {queue.status, live.status, runs.status} == {200}
                seen[who] = ("mark=41" in queue.body.decode(), live.json["hidden"], "token" in runs.body.decode())
            assert seen == {None: (False, True, True), "ann": (True, False, False), "ben": (False, False, False),
                            "oda": (True, False, False)}  # fmt: skip
            for who in ("ben", "oda"):  # no such run; ben could not tell
                assert (await lab.ask(who, "GET", "/monitor/report/lab0/7")).status == 404
            lab.app.state.service.config = type(lab.app.state.service.config)(
                lab.app.state.service.config.labs, monitor=Monitor("nothing"))  # fmt: skip
            assert "a token is needed" in (await ask(lab.app, "GET", "/monitor/part/queue")).body.decode()

    run(scene())


def test_a_cookie_opens_these_pages_alone_and_only_from_themselves(tmp_path: Path) -> None:
    async def scene() -> None:
        async with site(tmp_path) as lab:
            given = {"token": lab.tokens["ann"]}
            kept = await ask(lab.app, "POST", "/monitor/token", given)
            cookie = kept.headers["set-cookie"]
            assert kept.json == {"user": "ann"} and "HttpOnly" in cookie and "SameSite=strict" in cookie
            assert "Path=/monitor" in cookie
            sent = {"cookie": cookie.partition(";")[0]}
            assert "ann, read-only" in (await ask(lab.app, "GET", "/monitor", None, sent)).body.decode()
            assert (await ask(lab.app, "GET", "/v1/whoami", None, sent)).status == 401
            elsewhere = await ask(lab.app, "POST", "/monitor/token", given, {"sec-fetch-site": "cross-site"})
            assert elsewhere.status == 403 and "set-cookie" not in elsewhere.headers
            assert (await ask(lab.app, "POST", "/monitor/token", {"token": "x"})).status == 401

    run(scene())


@pytest.mark.parametrize("file", ["..%2f..%2fapp.py", "%2e%2e/app.py", "monitor.py", "vendor"])
def test_no_other_file_is_given(tmp_path: Path, file: str) -> None:
    async def scene() -> None:
        async with site(tmp_path) as lab:
            assert (await ask(lab.app, "GET", f"/monitor/static/{file}")).status == 404
            assert (await ask(lab.app, "GET", "/monitor/static/monitor.css")).status == 200
            assert (await ask(lab.app, "GET", "/monitor/part/nothing")).status == 404
            assert (await ask(lab.app, "GET", "/monitor?lab=nowhere")).status == 404

    run(scene())


def started(folder: Path) -> tuple["subprocess.Popen[str]", str]:
    """Start a run of a minute with `--monitor`; return it, and the address that it prints."""
    words = [sys.executable, "-c", "import sys; from sim.cli import main; sys.exit(main())", "run", "microwave_rabi",
             "shots=2000", "--monitor", "--scenario", "default"]  # fmt: skip
    shutil.copy(ROOT / "device_db.py", folder)
    (folder / "experiments").symlink_to(ROOT / "experiments")
    process = subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("monitor: "):
            threading.Thread(target=process.stdout.read, daemon=True).start()
            return process, line.split()[1]
    raise AssertionError("no address")


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return str(answer.read().decode())


def test_a_plain_run_shows_itself_while_it_lasts(tmp_path: Path) -> None:
    process, url = started(tmp_path)
    try:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/monitor", url)
        until = time.monotonic() + 60
        plots: list[dict[str, object]] = []
        while not plots and time.monotonic() < until:
            plots = json.loads(get(f"{url}/live")).get("plots", [])
            time.sleep(0.2)
        assert [plot["name"] for plot in plots] == ["MicrowaveRabi.alice", "MicrowaveRabi.bob"]
        assert "MicrowaveRabi" in get(f"{url}/part/queue") and "alice" in get(f"{url}/part/network")
    finally:
        process.terminate()
        process.wait(60)
    with pytest.raises(OSError, match="refused"):
        get(url)


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine (Debian: apt install chromium)")
def test_a_browser_draws_the_page_without_a_complaint(tmp_path: Path) -> None:
    api = pytest.importorskip("playwright.sync_api", reason="the extra `browser` is not installed")
    process, url = started(tmp_path)
    complaints: list[str] = []
    try:
        with api.sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            for width in (1280, 390):
                page = browser.new_page(viewport={"width": width, "height": 800})
                page.on("console", lambda message: complaints.append(message.text)
                        if message.type in ("error", "warning") else None)  # fmt: skip
                page.on("pageerror", lambda error: complaints.append(str(error)))
                page.goto(url)
                page.wait_for_selector("svg.network", timeout=60_000)
                page.wait_for_selector("#live .uplot", timeout=60_000)
                page.wait_for_selector("#calibration svg", timeout=60_000)
                assert page.evaluate("document.documentElement.scrollWidth") <= width
            browser.close()
    finally:
        process.terminate()
        process.wait(60)
    assert complaints == []
