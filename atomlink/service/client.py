"""The commands submit, jobs, cancel, retry, result and logs: they need nothing beyond Python's own library.

Where the service is and who asks: `--url` and ATOMLINK_TOKEN; else what a service of this lab has left in its folder.
The token goes to that address and nowhere else: through no proxy, and to no place that an answer points to.
"""

import argparse
import http.client
import json
import os
import sys
import time
import unicodedata
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

from atomlink.errors import DeviceError, UsageError
from atomlink.service.states import DONE, FINAL, RUNNING, TRANSITIONS
from sim.command.words import OneLineParser, traceback_option

PORT = 8290
ADDRESS = "address"  # file in the service's folder: URL and token, a line each
PATIENCE_S = 30.0
LOOK_S = 0.5
HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # classes of Unicode that steer a terminal, or reorder what it shows


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follow no redirection: the token would go along, to whomever."""

    def redirect_request(self, *_: Any) -> None:
        """Say that there is no request to follow it."""


class Client:
    """A service, as seen by one user."""

    def __init__(self, url: str, token: str) -> None:
        if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            raise UsageError(f"the service is {url!r}, must be a URL: http://127.0.0.1:{PORT}")
        self.url, self._token = url.rstrip("/"), token
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay).open

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Make a call and return its answer; UsageError with problem and remedy where it is refused."""
        text = self.text(method, path, body)
        try:
            return json.loads(text) if text else None
        except ValueError:
            raise DeviceError(f"what is at {self.url} answers no JSON: is it an atomlink service?") from None

    def text(self, method: str, path: str, body: Any = None) -> bytes:
        """Make a call and return its answer as it came."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with self._open(request, timeout=PATIENCE_S) as answer:
                return bytes(answer.read())
        except HTTPError as error:
            raise UsageError(_said(error)) from None
        except (URLError, OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise DeviceError(f"the service at {self.url} does not answer ({reason}): start it with `atomlink serve`, "
                              "or name it with --url") from None  # fmt: skip


def _said(error: HTTPError) -> str:
    if 300 <= error.code < 400:
        place = visible(error.headers.get("Location", "elsewhere"))
        return f"the service points to {place}, where the token is not sent: name the service itself with --url"
    try:
        problem = json.loads(error.read())
        return visible(f"{problem['detail']}: {problem['remedy']}")
    except (ValueError, KeyError, TypeError, OSError, http.client.HTTPException):
        return visible(f"the service answers {error.code} {error.reason}: is it an atomlink service?")


def visible(text: str, keep: str = "") -> str:
    """Return text from elsewhere as a terminal may have it: what would steer it is written out, `keep` is left."""
    return "".join(each if each in keep or unicodedata.category(each) not in HIDDEN else ascii(each)[1:-1]
                   for each in text)  # fmt: skip


def _say(text: str) -> None:
    print(visible(text))


def connect(args: argparse.Namespace) -> Client:
    """Return the service that a command is about."""
    url, token = args.url or os.environ.get("ATOMLINK_URL"), os.environ.get("ATOMLINK_TOKEN")
    if url is None or token is None:
        left_url, left_token = _left(args)
        url, token = url or left_url, token or (left_token if url in (None, left_url) else None)
    if url is None or token is None:
        raise UsageError("no service of this lab runs: start it with `atomlink serve`, or give --url and "
                         "ATOMLINK_TOKEN (atomlink serve token USER)")  # fmt: skip
    return Client(url, token)


def _left(args: argparse.Namespace) -> tuple[str | None, str | None]:
    from sim.command.lab import find_lab

    try:
        folder = args.state or find_lab(Path.cwd()).root / "service"
        url, token = (folder / ADDRESS).read_text("ascii").split()
    except (OSError, ValueError, UsageError):
        return None, None
    return url, token


def _parser(name: str, description: str) -> argparse.ArgumentParser:
    parser = OneLineParser(prog=f"atomlink {name}", description=description)
    parser.add_argument("--url", metavar="URL", help="the service (default: the one that runs in this lab)")
    parser.add_argument("--state", metavar="DIR", type=Path, help="its folder (default: service/ of the lab)")
    traceback_option(parser)
    return parser


def submit(words: list[str]) -> int:
    """Carry out `atomlink submit`."""
    parser = _parser("submit", "Put an experiment into the queue of the service.")
    parser.add_argument("experiment", metavar="FILE | NAME", help="an experiment of the lab")
    parser.add_argument("arguments", metavar="ARG=VALUE", nargs="*", help="arguments, written as for `atomlink run`")
    parser.add_argument("-c", "--class-name", metavar="CLASS")
    parser.add_argument("--lab", metavar="NAME", help="which lab, where the service has several")
    parser.add_argument("--seed", metavar="N", type=int)
    parser.add_argument("-p", "--priority", metavar="N", type=int, default=0, help="-10 … 10; the largest is first")
    parser.add_argument("-w", "--wait", action="store_true", help="wait for its end and show what it found")
    args = parser.parse_intermixed_args(words)
    arguments = {}
    for word in args.arguments:
        name, equals, value = word.partition("=")
        if not equals:
            raise UsageError(f"argument `{word[:60]}` must be written ARG=VALUE")
        arguments[name] = value
    body = {"experiment": args.experiment, "arguments": arguments, "class_name": args.class_name, "lab": args.lab,
            "seed": args.seed, "priority": args.priority}  # fmt: skip
    service = connect(args)
    job = service.call("POST", "/v1/jobs", {key: value for key, value in body.items() if value is not None})
    _say(f"job {job['id']}: {job['state']}")
    return wait(service, job["id"]) if args.wait else 0


def wait(service: Client, number: int) -> int:
    """Wait for a job's end and show what it found; return 0 where it is done."""
    while True:
        job = service.call("GET", f"/v1/jobs/{number}")
        if job["state"] in FINAL:
            return _show(service.call("GET", f"/v1/jobs/{number}/result"))
        time.sleep(LOOK_S)


def _show(found: dict[str, Any]) -> int:
    run = "" if found["rid"] is None else f", run {found['rid']}"
    _say(f"job {found['id']}: {found['state']}{run}" + (f": {found['error']}" if found["error"] else ""))
    for name, each in found["estimates"].items():
        _say(f"  {name} = {each['text']}")
    return 0 if found["state"] == DONE else 1


def jobs(words: list[str]) -> int:
    """Carry out `atomlink jobs`."""
    parser = _parser("jobs", "List jobs, the newest last.")
    parser.add_argument("--filter", metavar="STATE", help=f"only those in one of the states {', '.join(TRANSITIONS)}")
    parser.add_argument("--most", metavar="N", type=int, default=20)
    args = parser.parse_args(words)
    query = {"most": str(args.most), **({} if args.filter is None else {"state": args.filter})}
    listed = connect(args).call("GET", f"/v1/jobs?{urllib.parse.urlencode(query)}")["jobs"]
    for job in reversed(listed):
        given = " ".join(f"{key}={value}" for key, value in (job["arguments"] or {}).items())
        rid = "-" if job["rid"] is None else job["rid"]
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(job["created_at"]))
        line = f"{job['id']:>6}  {job['state']:<8}  run {rid!s:<6} {when}  {job['user']}  {job['lab']}  {job['file']}"
        line = visible(f"{line} {given}".rstrip())
        print(line if len(line) < 160 else f"{line[:159]}…")
    if not listed:
        print("no jobs")
    return 0


def _numbered(words: list[str], name: str, description: str) -> tuple[argparse.Namespace, Client]:
    parser = _parser(name, description)
    parser.add_argument("job", metavar="JOB", type=int, help="its number")
    if name == "result":
        parser.add_argument("-o", "--output", metavar="FILE.h5", type=Path, help="write its results file there")
        parser.add_argument("-w", "--wait", action="store_true", help="wait for its end")
    args = parser.parse_args(words)
    return args, connect(args)


def cancel(words: list[str]) -> int:
    """Carry out `atomlink cancel`."""
    args, service = _numbered(words, "cancel", "Cancel a job; one that runs is asked to end and keeps its data.")
    job = service.call("POST", f"/v1/jobs/{args.job}/cancel", {})
    _say(f"job {job['id']}: " + ("asked to end" if job["state"] == RUNNING else job["state"]))
    return 0


def retry(words: list[str]) -> int:
    """Carry out `atomlink retry`."""
    args, service = _numbered(words, "retry", "Put a job that failed or was cancelled into the queue again.")
    job = service.call("POST", f"/v1/jobs/{args.job}/retry", {})
    _say(f"job {job['id']}: {job['state']} (again what job {args.job} was)")
    return 0


def result(words: list[str]) -> int:
    """Carry out `atomlink result`."""
    args, service = _numbered(words, "result", "Show what a job found, or fetch its results file.")
    if args.wait:
        code = wait(service, args.job)
    else:
        code = _show(service.call("GET", f"/v1/jobs/{args.job}/result"))
    if args.output is not None:
        from atomlink.files import write_whole

        write_whole(args.output, service.text("GET", f"/v1/jobs/{args.job}/file"))
        print(f"results: {args.output}")
    return code


def logs(words: list[str]) -> int:
    """Carry out `atomlink logs`."""
    args, service = _numbered(words, "logs", "Print what a job printed.")
    text = service.text("GET", f"/v1/jobs/{args.job}/log").decode("utf-8", "replace")
    sys.stdout.write(visible(text.replace("\r\n", "\n").replace("\r", "\n"), keep="\n\t"))
    return 0
