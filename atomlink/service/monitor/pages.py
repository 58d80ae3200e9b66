"""The calls of the monitor, all of them reading, and who sees what: docs/service.md."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response

import atomlink
from atomlink.service.config import LabConfig
from atomlink.service.monitor import panels
from atomlink.service.monitor.looker import Lookers
from atomlink.service.monitor.markup import Markup, document, el, join
from atomlink.service.monitor.source import Source, Viewer
from atomlink.service.problems import Problem, not_found
from atomlink.service.requests import Json, number_in

STATIC = Path(__file__).parent / "static"
FILES = {path.rpartition("/")[2]: path for path in (
    "vendor/uplot/uPlot.min.css", "vendor/uplot/uPlot.iife.min.js", "vendor/htmx/htmx.min.js", "monitor.css",
    "charts.js", "monitor.js", "icon.svg")}  # fmt: skip
TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
COOKIE = "atomlink-monitor"
COMMON = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
          "Cross-Origin-Opener-Policy": "same-origin"}  # fmt: skip
CSP = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
       "form-action 'none'; frame-ancestors 'none'")  # fmt: skip
# A report has its style and figures in itself, and runs nothing.
CSP_REPORT = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; sandbox"
HTMX = '{"includeIndicatorStyles": false, "allowEval": false, "selfRequestsOnly": true, "historyCacheSize": 0}'
MOST_RUNS = 30
LONGEST_SEARCH = 200

Page = Callable[["Monitor", Request, Viewer], Awaitable[Response]]


class Monitor:
    """What the calls need: whom to ask, and who asks."""

    def __init__(self, source: Source, lookers: Lookers, viewer: Callable[[Request], Viewer]) -> None:
        self.source, self.lookers, self.viewer = source, lookers, viewer

    def lab(self, request: Request) -> LabConfig:
        """Return the lab that a request is about; the first where it names none."""
        wanted = request.query_params.get("lab")
        for lab in self.source.labs:
            if wanted in (None, lab.name):
                return lab
        raise not_found("such lab")


def html(text: str, csp: str = CSP) -> Response:
    """Return an answer that is a page, or part of one."""
    return Response(text.encode("utf-8", "replace"), media_type="text/html; charset=utf-8",
                    headers={**COMMON, "Content-Security-Policy": csp})  # fmt: skip


async def page(monitor: Monitor, request: Request, viewer: Viewer) -> Response:
    """Return the page; its parts come by themselves."""
    lab = monitor.lab(request)
    version = f"?v={atomlink.__version__}"
    scripts = (el("script", src=f"/monitor/static/{name}{version}", defer="")
               for name in FILES if name.endswith(".js"))  # fmt: skip
    styles = (el("link", rel="stylesheet", href=f"/monitor/static/{name}{version}")
              for name in FILES if name.endswith(".css"))  # fmt: skip
    head = join(el("meta", charset="utf-8"), el("meta", name="viewport", content="width=device-width, initial-scale=1"),
                el("meta", name="htmx-config", content=HTMX), el("meta", name="color-scheme", content="light dark"),
                el("link", rel="icon", href="/monitor/static/icon.svg"), *styles, *scripts)  # fmt: skip
    names = (el("a", each.name, href=f"/monitor?lab={each.name}", class_="here" if each is lab else None)
             for each in monitor.source.labs)  # fmt: skip
    top = el("header", el("h1", "atomlink"), el("nav", *names), _part("state", lab, 3), _who(viewer))
    body = el("body", top, _panels(lab) if viewer.sees != "nothing" else None, data_lab=lab.name)
    return html(document(f"{lab.name} – atomlink", head, body))


def _panels(lab: LabConfig) -> Markup:
    search = el("input", type="search", name="q", maxlength=LONGEST_SEARCH, aria_label="search runs",
                placeholder="ramsey   2026-12   F>0.95   scenario=drifting",
                hx_get=f"/monitor/part/runs?lab={lab.name}",
                hx_trigger="input changed delay:400ms, search", hx_target="#runs")  # fmt: skip
    return el(
        "main",
        _panel("Now", el("div", el("p", "nothing runs", class_="empty"), id="live", class_="charts"), "wide-panel"),
        _panel("Network", _part("network", lab, 3)),
        _panel("Arrays", _part("arrays", lab, 10)),
        _panel("Queue", _part("queue", lab, 2), "wide-panel"),
        _panel("Calibration", _part("calibration", lab, 10), "wide-panel"),
        _panel("Beliefs", el("div", el("p", "no belief has been changed yet", class_="empty"), id="beliefs",
                             class_="charts"), "wide-panel"),
        _panel("Runs", join(search, _part("runs", lab, 30)), "wide-panel"),
    )  # fmt: skip


def _panel(title: str, content: Markup, class_: str | None = None) -> Markup:
    return el("section", el("h2", title), content, class_=class_)


def _part(what: str, lab: LabConfig, every_s: int) -> Markup:
    # A search is not to be overwritten by what comes by itself: it includes the words.
    include = "[name=q]" if what == "runs" else None
    return el("div", id=what, hx_get=f"/monitor/part/{what}?lab={lab.name}", hx_trigger=f"load, every {every_s}s",
              hx_include=include, class_="part")  # fmt: skip


def _who(viewer: Viewer) -> Markup:
    if viewer.user:
        return el("div", el("span", f"{viewer.user}, read-only"), el("button", "forget token", type="button", id="out"),
                  class_="who")  # fmt: skip
    said = "read-only" if viewer.sees == "all" else "read-only; users, results and live data need a token"
    token = el("input", type="password", id="token", placeholder="token", autocomplete="off", aria_label="token")
    return el("form", el("span", said), token, el("button", "use", type="submit"), id="in", class_="who")


async def part(monitor: Monitor, request: Request, viewer: Viewer) -> Response:
    """Return a part of the page: state, network, queue, calibration, arrays or runs."""
    what, lab = request.path_params["what"], monitor.lab(request)
    if viewer.sees == "nothing":
        return html(el("p", "a token is needed here", class_="empty"))
    if what == "queue":
        return html(panels.queue(monitor.source.jobs(lab.name, viewer)))
    if what == "runs":
        return html(await _runs(monitor, request, viewer, lab))
    if what not in ("state", "network", "calibration", "arrays"):
        raise not_found("such part")
    found = await monitor.lookers.lab(lab.name)
    if what == "state":
        jobs = monitor.source.jobs(lab.name, viewer)
        return html(panels.state(lab, monitor.source.state(lab.name), found.get("name", lab.name), jobs,
                                 found.get("revision", "–")))  # fmt: skip
    if what == "network":
        return html(panels.network(found, _now(monitor.source.live(lab.name, viewer), found)))
    if what == "arrays" and viewer.sees != "all":
        return html(el("p", panels.HIDDEN, class_="empty"))
    return html(panels.calibration(found) if what == "calibration" else panels.arrays(found))


def _now(live: dict[str, Any], lab: dict[str, Any]) -> dict[str, str]:
    """Return what a running experiment sees of its link, where it is plain which link that is."""
    names = [row["name"] for row in lab.get("links", ())]
    link = live.get("link") or (names[0] if len(names) == 1 else None)
    last = {shown["name"].rpartition(".")[2]: shown["y"][-1] for shown in live.get("plots", ())
            if isinstance(shown.get("y"), list) and shown["y"]}  # fmt: skip
    said = [f"{last['rate']:.3g} /s"] if isinstance(last.get("rate"), float | int) else []
    said += [f"F {last['fidelity']:.3f}"] if isinstance(last.get("fidelity"), float) else []
    return {str(link): "now: " + ", ".join(said)} if link in names and said else {}


async def _runs(monitor: Monitor, request: Request, viewer: Viewer, lab: LabConfig) -> Markup:
    if viewer.sees not in ("own", "all"):
        return el("p", panels.HIDDEN, class_="empty")
    words = request.query_params.get("q", "")[:LONGEST_SEARCH].split()
    return panels.runs(await monitor.lookers.ask(lab.name, "runs", words=words, most=MOST_RUNS,
                                                 rids=monitor.source.rids(viewer)), lab.name)  # fmt: skip


async def live(monitor: Monitor, request: Request, viewer: Viewer) -> Response:
    """Return what the running experiment of a lab shows, as plots."""
    lab = monitor.lab(request)
    hidden = viewer.sees not in ("own", "all")
    return Json({"hidden": hidden, **({} if hidden else monitor.source.live(lab.name, viewer))})


async def charts(monitor: Monitor, request: Request, viewer: Viewer) -> Response:
    """Return the control charts of a lab's beliefs: when, value, error, and by how much each may depart."""
    lab = monitor.lab(request)
    found = {} if viewer.sees == "nothing" else await monitor.lookers.lab(lab.name)
    return Json({"charts": found.get("charts", [])})


async def report(monitor: Monitor, request: Request, viewer: Viewer) -> Response:
    """Return the report of a run, made anew from its results file; nothing is written."""
    rid, allowed = number_in(request.path_params["rid"], "run"), monitor.source.rids(viewer)
    lab = next((lab for lab in monitor.source.labs if lab.name == request.path_params["name"]), None)
    if lab is None or allowed is not None and rid not in allowed:
        raise not_found(f"run {rid}")
    found = await monitor.lookers.ask(lab.name, "report", rid=rid)
    if "html" not in found:
        raise Problem(404, "no-report", f"run {rid} has no report: {found.get('problem')}", "see `atomlink runs`")
    return html(found["html"], CSP_REPORT)


async def static(monitor: Monitor, request: Request, viewer: Viewer) -> Response:
    """Return a file of the page."""
    name = request.path_params["file"]
    if name not in FILES:
        raise not_found("such file")
    return FileResponse(STATIC / FILES[name], media_type=TYPES[name.rpartition(".")[2]],
                        headers={"X-Content-Type-Options": "nosniff", "Cache-Control": "max-age=3600"})  # fmt: skip


PAGES: tuple[tuple[str, Page, str, tuple[str, ...], str], ...] = (
    ("/monitor", page, "The monitor", ("lab",), "text/html"),
    ("/monitor/part/{what}", part, "A part of it", ("lab", "q"), "text/html"),
    ("/monitor/live", live, "What the running experiment shows", ("lab",), "application/json"),
    ("/monitor/charts", charts, "Control charts of beliefs", ("lab",), "application/json"),
    ("/monitor/report/{name}/{rid}", report, "The report of a run", (), "text/html"),
    ("/monitor/static/{file}", static, "A file of the page", (), "text/javascript"),
)
