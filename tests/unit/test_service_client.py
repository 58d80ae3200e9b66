"""The commands' client: whom it gives the token, and what of an answer reaches the terminal."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from atomlink.errors import DeviceError, UsageError
from atomlink.service import client
from atomlink.service.client import Client, visible

SPOILED = "\x1b]0;title\x07\x9b31m\u202e"
SHOWN = r"\x1b]0;title\x07\x9b31m\u202e"


class Server:
    """Answers as it is told, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.answer: tuple[int, dict[str, str], bytes] = (200, {}, b"{}")
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append((self.path, self.headers.get("authorization")))
                status, headers, body = server.answer
                self.send_response(status)
                for name, value in {"content-length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815 - the name that http.server asks for

            def log_message(self, *_: Any) -> None:
                pass

        self.http = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    made = [Server(), Server()]
    yield made
    for each in made:
        each.http.shutdown()
        each.http.server_close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_token_follows_no_redirection(servers: list[Server], status: int) -> None:
    service, elsewhere = servers
    service.answer = status, {"location": elsewhere.url + "/" + "\x1b[31m"}, b""
    for method in ("GET", "POST"):
        with pytest.raises(UsageError, match="where the token is not sent") as refused:
            Client(service.url, "secret").call(method, "/v1/jobs")
        assert "\x1b" not in str(refused.value)
    assert len(service.asked) == 2 and elsewhere.asked == []


def test_the_token_goes_through_no_proxy(servers: list[Server], monkeypatch: pytest.MonkeyPatch) -> None:
    service, proxy = servers
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
        monkeypatch.setenv(name, proxy.url)
    monkeypatch.delenv("no_proxy", raising=False)
    assert Client(service.url, "secret").call("GET", "/v1/whoami") == {}
    assert service.asked == [("/v1/whoami", "Bearer secret")] and proxy.asked == []


def _commands() -> list[tuple[list[str], Any]]:
    """Return each command that shows something, with an answer that is spoiled wherever it is text."""
    s = SPOILED
    job = {"id": 1, "state": s, "rid": 1, "created_at": 0.0, "user": s, "lab": s, "file": s, "arguments": {s: s}}
    found = {"id": 1, "state": s, "rid": s, "error": s, "estimates": {s: {"text": s}}}
    return [(["submit", "tick"], job), (["jobs"], {"jobs": [job]}), (["cancel", "1"], job), (["retry", "1"], job),
            (["result", "1"], found), (["logs", "1"], s)]  # fmt: skip


@pytest.mark.parametrize(("words", "answer"), _commands(), ids=lambda each: each[0] if isinstance(each, list) else "")
@pytest.mark.parametrize("refused", [False, True])
def test_nothing_that_steers_the_terminal_reaches_it(
    servers: list[Server], capsys: pytest.CaptureFixture[str], words: list[str], answer: Any, refused: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    service = servers[0]
    body = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
    problem = json.dumps({"detail": SPOILED, "remedy": SPOILED}).encode()
    service.answer = (409, {}, problem) if refused else (200, {}, body)
    monkeypatch.setenv("ATOMLINK_URL", service.url)
    monkeypatch.setenv("ATOMLINK_TOKEN", "secret")
    command = getattr(client, words[0])
    if refused:
        with pytest.raises(UsageError) as error:
            command(words[1:])
        said = str(error.value)
    else:
        command(words[1:])
        said = capsys.readouterr().out
    assert SHOWN in said
    assert not set(SPOILED) & set("\x1b\x07\x9b\u202e") & set(said)


def test_a_log_keeps_its_lines_and_overwrites_none() -> None:
    assert visible("a\tµ = 5\u00a0kHz ±\n") == r"a\tµ = 5" + "\u00a0kHz ±" + r"\n"
    assert visible("a\tb\nc", keep="\n\t") == "a\tb\nc"


@pytest.mark.parametrize("answer", [(500, {}, b"<html>"), (404, {}, b"[]"), (502, {}, b"{}"), (403, {}, b"\xff")])
def test_an_answer_that_is_not_ours_is_one_line(servers: list[Server], answer: Any) -> None:
    servers[0].answer = answer
    with pytest.raises(UsageError, match=f"the service answers {answer[0]} .*is it an atomlink service") as refused:
        Client(servers[0].url, "secret").call("GET", "/")
    assert len(str(refused.value).splitlines()) == 1


def test_what_answers_with_no_json_is_one_line(servers: list[Server]) -> None:
    servers[0].answer = (200, {}, b"<html>")
    with pytest.raises(DeviceError, match="is it an atomlink service"):
        Client(servers[0].url, "secret").call("GET", "/")


def test_no_service_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="does not answer"):
        Client("http://127.0.0.1:9", "secret").call("GET", "/")
    with pytest.raises(UsageError, match="must be a URL"):
        Client("file:///etc/passwd", "secret")
