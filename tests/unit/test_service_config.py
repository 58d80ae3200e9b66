"""What a service is told: read whole, and refused in one line where it is nonsense, before anything begins."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from service_lab import ask, make_lab, run

for module in ("starlette", "uvicorn", "jwt", "cryptography", "prometheus_client"):
    pytest.importorskip(module, reason="the extra `service` is not installed")

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, x25519

from atomlink.errors import DataError, LabError, UsageError
from atomlink.service import serve
from atomlink.service.app import make
from atomlink.service.config import OWN, Bearer, Config, LabConfig, Limits, Munge, load
from atomlink.service.identity import Tokens

NONSENSE = [
    ("x = ", "is no valid TOML"), ("x = 1", "x does not exist"), ("[labs.a]\nfoldr = '.'", "did you mean 'folder'"),
    ("labs = 3", "labs is 3, but must be a table"), ("[labs.'a b']", "a lab is called 'a b'"),
    ("labs.a = 1", "labs.a is 1, must be a table"), ("[labs.a]\nname = 'b'", "whose name is the lab's"),
    ("[labs.a]\nfolder = 'no'", "must have a device_db.py"), ("[labs.a]\nfolder = 3", "labs.a.folder is 3"),
    ("[labs.a]\nseed = true", "labs.a.seed is True, but must be a whole number"), ("[labs.a]\nseed = -1", "seed is -1"),
    ("[labs.a]\nseed = 1.5", "labs.a.seed is 1.5"), (f"[labs.a]\nseed = {2**63}", "seed is 9223372036854775808"),
    ("[labs.a]\nscenario = 'defualt'", "did you mean `default`"), ("[labs.a]\nscenario = 1", "scenario is 1"),
    ("[labs.a]\ncosts = 'kasly'", "must be one of ideal, kasli"), ("[labs.a]\nhardware = 1", "true or false"),
    ("[labs.a]\nlab = 'here'", "must be HOST:PORT"), ("[labs.a]\nlab = 'here:99999'", "must be HOST:PORT"),
    ("[labs.a]\nlab = ''", "must be HOST:PORT"), ("[labs.a]\nlab = 'a:1/../b'", "must be HOST:PORT"),
    ("[labs.a]\nhardware = true\nseed = 1", "seed is for a lab that is simulated"),
    ("[labs.a]\nhardware = true\nlab = 'a:1'", "lab is for a lab that is simulated"),
    ("[labs.a]\nlab = 'a:1'\nscenario = 'default'", "scenario is for a lab that is simulated"),
    ("[labs.a]\nhardware = true\n[labs.b]\nhardware = true", "labs.a and labs.b are the same core device"),
    ("[labs.a]\nhardware = true\n[labs.b]\nhardware = true\nfolder = '../lab'", "the same core device"),
    ("[labs.a]\nlab = 'localhost:1'\n[labs.b]\nlab = '127.0.0.1:1'", "the same core device"),
    ("limits = 1", "limits is 1, but must be a table"), ("[limits]\nburst = 'x'", "limits.burst is 'x'"),
    ("[limits]\nburst = 1.5", "limits.burst is 1.5"), ("[limits]\nbrust = 1", "did you mean 'burst'"),
    *((f"[limits]\n{name} = {n}", f"{name} is {n}") for name in Limits.__dataclass_fields__ for n in (0, -1)),
    ("[limits]\nrequests_per_s = nan", "requests_per_s is nan"), ("[limits]\nsession_idle_s = inf", "must be above 0"),
    ("hosts = 'qpu.site'", "hosts is 'qpu.site', but must be a list"), ("hosts = [1]", "hosts.0 is 1"),
    ("hosts = ['']", "hosts has ''"), ("hosts = ['http://qpu.site']", "addresses alone"),
    ("hosts = ['qpu.site:80']", "addresses alone"), ("hosts = ['*']", "addresses alone"),
    ("munge = true", "munge is True, but must be a table"), ("[munge]\nadmin = [0]", "did you mean 'admins'"),
    ("[munge]\nadmins = 0", "munge.admins is 0, but must be a list"), ("[munge]\nadmins = ['root']", "munge.admins.0"),
    ("[munge]\nadmins = [-1]", "must be uids"), ("[munge]\nadmins = [true]", "munge.admins.0 is True"),
    ("[bearer]\nissuer = 'x'", "bearer.public_key is missing"), ("bearer = 'x'", "bearer is 'x', but must be a table"),
    ("[bearer]\npublic_key = 'k'\naudience = ''\nissuer = 'x'", "audience is empty"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "words"), NONSENSE, ids=[text[:60] for text, _ in NONSENSE])
def test_nonsense_is_refused_in_one_line_that_names_it(tmp_path: Path, text: str, words: str) -> None:
    root = make_lab(tmp_path)
    (root / "service.toml").write_text(text)
    with pytest.raises(UsageError) as refused:
        load(root / "service.toml", root)
    said = str(refused.value)
    assert words in said and said.startswith(str(root / "service.toml")) and "\n" not in said


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        load(tmp_path / "none.toml", tmp_path)


WHOLE = """
hosts = ['qpu.site', '10.0.0.5', 'fd00::5']
[labs.one]
scenario = 'drifting'
costs = 'ideal'
[labs.two]
seed = 3
scenario = 'own.toml'
[labs.three]
lab = '127.0.0.1:3290'
[labs.four]
hardware = true
[limits]
requests_per_s = 5
[munge]
admins = [0, 1000]
[bearer]
public_key = 'k.pem'
issuer = 'i'
audience = 'a'
"""


def test_a_configuration_is_read_whole(tmp_path: Path) -> None:
    root = make_lab(tmp_path)
    (root / "own.toml").write_text("extends = 'default'\n")
    (root / "service.toml").write_text(WHOLE)
    config = load(root / "service.toml", tmp_path)
    assert config == Config(
        (LabConfig("one", root, "drifting", costs="ideal"), LabConfig("two", root, str(root / "own.toml"), 3),
         LabConfig("three", root, lab="127.0.0.1:3290"), LabConfig("four", root, hardware=True)),
        replace(Limits(), requests_per_s=5.0), Bearer(root / "k.pem", "a", "i"), Munge((0, 1000)),
        ("qpu.site", "10.0.0.5", "fd00::5"),
    )  # fmt: skip
    (root / "service.toml").write_text("")
    assert load(root / "service.toml", tmp_path) == Config((LabConfig("default", root),))
    assert load(None, root) == Config((LabConfig("default", root),), monitor=OWN)  # one's own machine: all is shown


def test_the_file_in_the_documentation_is_one(tmp_path: Path) -> None:
    root = make_lab(tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "service.md").read_text()
    (root / "service.toml").write_text(page.partition("```toml\n")[2].partition("```")[0])
    config = load(root / "service.toml", root)
    assert [lab.name for lab in config.labs] == ["default", "drifting"] and config.bearer and config.munge
    assert all(name in page for name in Limits.__dataclass_fields__)


def _pem(key: Any, private: bool = False) -> bytes:
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    if private:
        return bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(key.public_key().public_bytes(serialization.Encoding.PEM, public))


SIGNING = ed25519.Ed25519PrivateKey.generate()


@pytest.mark.parametrize(("pem", "words"), [
    (None, "cannot be read"), (b"", "must be one in PEM"), (b"secret", "must be one in PEM"),
    (_pem(SIGNING, private=True), "must be one in PEM"), (_pem(SIGNING)[:60], "must be one in PEM"),
    (_pem(x25519.X25519PrivateKey.generate()), "must be for RS256, ES256 or EdDSA"),
], ids=["none", "empty", "text", "private", "cut", "no signing"])  # fmt: skip
def test_a_key_that_signs_no_token_is_refused_before_the_service_begins(
    tmp_path: Path, pem: bytes | None, words: str
) -> None:
    if pem is not None:
        (tmp_path / "k.pem").write_bytes(pem)
    bearer = Bearer(tmp_path / "k.pem", "a", "i")
    config = Config((LabConfig("one", make_lab(tmp_path)),), bearer=bearer)
    with pytest.raises(DataError, match=words) as refused:
        make(config, tmp_path / "state")
    assert "\n" not in str(refused.value)
    (tmp_path / "k.pem").write_bytes(_pem(SIGNING))
    Tokens(tmp_path, bearer)
    app = make(config, tmp_path / "state")  # the refused one has left no lock
    app.state.service.store.close()


@pytest.mark.parametrize(("bind", "reached"), [
    ("127.0.0.1", "127.0.0.1"), ("127.0.0.2", "127.0.0.2"), ("::1", "[::1]"), ("0.0.0.0", "127.0.0.1"), ("::", "[::1]"),
    ("10.0.0.5", "10.0.0.5"), ("fd00::5", "[fd00::5]"),
])  # fmt: skip
def test_a_service_answers_at_the_address_that_it_is_told_to_listen_at(
    tmp_path: Path, bind: str, reached: str
) -> None:
    assert serve._url(bind, 80) == f"http://{reached}:80"
    config = Config((LabConfig("one", make_lab(tmp_path)),), hosts=("qpu.site",))

    async def scene() -> None:
        app = make(serve._listening(config, bind, 80), tmp_path / "state")
        for host in (f"{reached}:80", reached, "qpu.site", "QPU.site:80"):
            assert (await ask(app, "GET", "/healthz", None, {"host": host})).status == 200, host
        for host in ("127.0.0.3", "evil.example", "", "qpu.site.evil.example", "10.0.0.6:80"):
            assert (await ask(app, "GET", "/healthz", None, {"host": host})).status == 421, host
        app.state.service.store.close()

    run(scene())


@pytest.mark.parametrize(("bind", "port", "words"), [
    ("0.0.0.0", 80, "give this machine's names"), ("10.0.0.5", 80, "others reach"), ("::", 80, "others reach"),
    ("localhost", 80, "must be an address"), ("", 80, "must be an address"), ("127.0.0.1", 65536, "must be 0"),
    ("127.0.0.1", -1, "must be 0"),
])  # fmt: skip
def test_nothing_is_reached_from_elsewhere_unless_its_names_are_given(
    tmp_path: Path, bind: str, port: int, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        serve._listening(Config((LabConfig("one", tmp_path),)), bind, port)


@pytest.mark.parametrize("words", [["--seed", "-1"], ["--scenario", "defualt"], ["--seed", "1", "--config", "s.toml"]])
def test_options_are_checked_as_the_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    root = make_lab(tmp_path)
    (root / "s.toml").touch()
    monkeypatch.chdir(root)
    with pytest.raises(LabError) as refused:
        serve.serve([*words, "--port", "0"])
    assert "\n" not in str(refused.value) and not (root / "service").exists()
    assert isinstance(refused.value, UsageError)
