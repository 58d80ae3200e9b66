"""Who asks: the service's own key, which nobody may guess, and the tokens of an identity provider."""

import base64
import hmac
import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from service_lab import ask, make_lab, run

for module in ("starlette", "uvicorn", "jwt", "cryptography", "prometheus_client"):
    pytest.importorskip(module, reason="the extra `service` is not installed")

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from atomlink.errors import DataError
from atomlink.service import serve
from atomlink.service.app import make
from atomlink.service.config import load
from atomlink.service.identity import Tokens, user_of
from atomlink.service.problems import Problem
from atomlink.service.store import Store


@pytest.mark.parametrize("text", ["", "\n", "ab" * 31, "ab" * 33, "zz" * 32, " " + "ab" * 32, "\xff" * 64])
def test_a_key_that_can_be_guessed_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "token.key").write_text(text, "latin-1")
    with pytest.raises(DataError, match="must be 64 hexadecimal digits") as refused:
        Tokens(tmp_path)
    assert "\n" not in str(refused.value)
    assert (tmp_path / "token.key").read_text("latin-1") == text, "it is the administrator's to delete"


def test_a_key_is_made_once_whole_and_for_its_owner_alone(tmp_path: Path) -> None:
    first, second = Tokens(tmp_path), Tokens(tmp_path)
    assert second.identity(first.issue("ann", "user", 60.0)).user == "ann"
    assert [each.name for each in tmp_path.iterdir()] == ["token.key"]
    assert stat.S_IMODE((tmp_path / "token.key").stat().st_mode) == 0o600


def test_a_folder_that_takes_no_key_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read or made"):
        Tokens(tmp_path / "none")


def _pem(key: Any) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(key.public_key().public_bytes(serialization.Encoding.PEM, form))


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_token_of_the_identity_provider_is_taken_and_a_forged_one_is_not(tmp_path: Path, algorithm: str) -> None:
    keys = [rsa.generate_private_key(65537, 2048) if algorithm == "RS256" else ec.generate_private_key(ec.SECP256R1())
            for _ in range(2)]  # fmt: skip
    (tmp_path / "idp.pem").write_bytes(_pem(keys[0]))
    make_lab(tmp_path)
    (tmp_path / "service.toml").write_text("[labs.one]\nfolder = 'lab'\n[bearer]\npublic_key = 'idp.pem'\nissuer = "
                                           "'https://idp'\naudience = 'atomlink'\nuser_claim = 'name'\n")  # fmt: skip
    good = {"iss": "https://idp", "aud": "atomlink", "name": "ann", "scope": "mail operator", "exp": time.time() + 60}

    def signed(key: Any = keys[0], method: str = algorithm, **changes: Any) -> str:
        claims = {name: value for name, value in {**good, **changes}.items() if value is not None}
        return jwt.encode(claims, key, method)

    async def scene() -> None:
        app = make(load(tmp_path / "service.toml", tmp_path), tmp_path / "state")

        async def who(token: str) -> Any:
            return await ask(app, "GET", "/v1/whoami", None, {"authorization": f"Bearer {token}"})

        async with app.router.lifespan_context(app):
            assert (await who(signed())).json == {"user": "ann", "scope": "operator", "via": "oidc"}
            public = (tmp_path / "idp.pem").read_bytes()
            # PyJWT itself signs nothing with a public key: the attack is written out.
            head, body = base64.urlsafe_b64encode(b'{"alg":"HS256"}').rstrip(b"="), signed().split(".")[1].encode()
            mac = hmac.digest(public, head + b"." + body, "sha256")
            confused = b".".join([head, body, base64.urlsafe_b64encode(mac).rstrip(b"=")])
            for token, words in (
                (signed(keys[1]), "neither"), (confused.decode(), "neither"), (signed(aud="other"), "neither"),
                (signed(iss="https://other"), "neither"), (signed(exp=None), "neither"),
                (signed(exp=time.time() - 60), "expired"), (signed(scope="mail"), "no scope"),
                (signed(name="a b"), "names no user"), (signed(name=None), "names no user"),
            ):  # fmt: skip
                answer = await who(token)
                assert answer.status == 401 and words in answer.json["detail"], (words, answer)
            own = app.state.service.tokens.issue("ben", "user", 60.0)
            assert (await who(own)).json["via"] == "token", "its own tokens are taken beside them"

    run(scene())


def test_the_token_that_a_service_leaves_ends_with_it(tmp_path: Path) -> None:
    first = Tokens(tmp_path)
    token = first.issue("ada", "admin", 1e9, this_run=True)
    assert first.identity(token).scope == "admin"
    with pytest.raises(Problem, match="of a service that has ended"):
        Tokens(tmp_path).identity(token)
    Tokens(tmp_path).identity(first.issue("ada", "admin", 60.0))


@pytest.mark.parametrize("runs", [False, True])
def test_a_token_made_beside_the_service_is_in_its_audit_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], runs: bool
) -> None:
    state = tmp_path / "state"

    def made() -> str:
        assert serve.serve(["token", "ann", "--scope", "operator", "--days", "3", "--state", str(state)]) == 0
        return capsys.readouterr().out.strip()

    if runs:
        app = make(load(None, make_lab(tmp_path)), state)
        token, store = made(), app.state.service.store
    else:
        token, store = made(), Store(state)
    (line,) = store.audited()
    who = f"{user_of(os.getuid())} (command)"
    assert (line["who"], line["action"], line["object"], line["detail"]) == (who, "token", "user/ann",
                                                                             "operator, 3 days")  # fmt: skip
    store.close()
    assert Tokens(state).identity(token).scope == "operator"


def test_a_token_that_cannot_be_written_down_is_not_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app = make(load(None, make_lab(tmp_path)), tmp_path / "state")
    store = app.state.service.store
    store._db.execute("DROP TABLE audit")
    with pytest.raises(DataError, match="takes no line"):
        serve.serve(["token", "ann", "--state", str(tmp_path / "state")])
    assert capsys.readouterr().out == ""
    store.close()
