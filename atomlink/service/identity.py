"""Who asks: bearer tokens (the service's own, or an identity provider's) and MUNGE credentials.

Scopes: an operator may what a user may, an admin all. A MUNGE credential is taken once; munged itself refuses a second
decoding, and the service remembers what it has seen, in case munged has been restarted meanwhile.
"""

import ctypes
import hashlib
import os
import pwd
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from atomlink.errors import DataError
from atomlink.service.config import Bearer
from atomlink.service.problems import Problem
from atomlink.service.store import Store

SCOPES = ("user", "operator", "admin")
ISSUER = "atomlink"
USER_NAME = re.compile(r"[A-Za-z0-9_.@-]{1,64}")
KEY = re.compile(r"[0-9A-Fa-f]{64}\n?")
CREDENTIAL = re.compile(r"MUNGE:[A-Za-z0-9+/=]{16,4096}:")
KEEP_S = 3600.0  # of credentials that were seen: MUNGE's own longest life
UNKNOWN = {"WWW-Authenticate": "Bearer"}

_SUCCESS, _EXPIRED, _REPLAYED = 0, 15, 17  # munge.h


@dataclass(frozen=True)
class Identity:
    """Who asks, what they may, and how that is known."""

    user: str
    scope: str
    via: str

    def may(self, scope: str) -> bool:
        """Say whether they may what needs a scope."""
        return SCOPES.index(self.scope) >= SCOPES.index(scope)


def refused(detail: str, remedy: str) -> Problem:
    """Return the problem of somebody who is not known."""
    return Problem(401, "unauthorized", detail, remedy, UNKNOWN)


class Tokens:
    """The service's own tokens, signed with a key that lies in its folder, and those of an identity provider."""

    def __init__(self, folder: Path, bearer: Bearer | None = None) -> None:
        self._key = _key(folder / "token.key")
        self._run = secrets.token_hex(16)  # tokens of this run end with it
        self._bearer = bearer
        self._public = None if bearer is None else _public_key(bearer.public_key)

    def issue(self, user: str, scope: str, valid_s: float, this_run: bool = False) -> str:
        """Return a token; one of `this_run` is taken no more once this service has ended."""
        now = time.time()
        claims = {"iss": ISSUER, "aud": ISSUER, "sub": user, "scope": scope, "iat": int(now), "exp": int(now + valid_s),
                  "jti": secrets.token_hex(8), **({"run": self._run} if this_run else {})}  # fmt: skip
        return jwt.encode(claims, self._key, "HS256")

    def identity(self, token: str) -> Identity:
        """Return whose token it is; Problem for one that is expired, foreign or spoiled."""
        try:
            own = jwt.decode(token, self._key, ["HS256"], audience=ISSUER, issuer=ISSUER,
                             options={"require": ["exp", "sub", "scope"]})  # fmt: skip
            if own.get("run", self._run) != self._run:
                raise refused("the token was of a service that has ended", "use the one of the service that runs now")
            return _identity(own["sub"], own["scope"], "token")
        except jwt.ExpiredSignatureError:
            raise refused("the token has expired", "get a new one: atomlink serve token USER") from None
        except jwt.PyJWTError:
            if self._bearer is None or self._public is None:
                raise refused("the token is not one of this service", "get one: atomlink serve token USER") from None
        try:
            # Asymmetric algorithms only: with a symmetric one the public key would sign, too.
            theirs = jwt.decode(token, self._public, ["RS256", "ES256", "EdDSA"], audience=self._bearer.audience,
                                issuer=self._bearer.issuer, options={"require": ["exp"]})  # fmt: skip
        except jwt.ExpiredSignatureError:
            raise refused("the token has expired", f"get a new one from {self._bearer.issuer}") from None
        except (jwt.PyJWTError, ValueError, TypeError):
            raise refused("the token is neither of this service nor of its identity provider",
                          f"get one from {self._bearer.issuer}") from None  # fmt: skip
        granted = str(theirs.get(self._bearer.scope_claim, "")).split()
        scope = next((scope for scope in reversed(SCOPES) if scope in granted), "")
        return _identity(theirs.get(self._bearer.user_claim), scope, "oidc")


def _identity(user: object, scope: object, via: str) -> Identity:
    if not isinstance(user, str) or not USER_NAME.fullmatch(user):
        raise refused("the token names no user", "its subject must be 1 to 64 letters, digits, . _ @ -")
    if scope not in SCOPES:
        raise refused("the token has no scope of this service", f"its scope must be one of {', '.join(SCOPES)}")
    return Identity(user, str(scope), via)


def _key(path: Path) -> str:
    """Return the key in a file, which is made where there is none; DataError where it is not one."""
    try:
        if not path.exists():
            _make_key(path)
        text = path.read_text("ascii", "replace")
    except OSError as error:
        raise DataError(f"The key `{path}` cannot be read or made ({error.strerror}): see to its folder.") from None
    if not KEY.fullmatch(text):
        raise DataError(f"The key `{path}` must be 64 hexadecimal digits, but is not: delete it, start the service "
                        "again, and give everybody new tokens.")  # fmt: skip
    return text.strip()


def _public_key(path: Path) -> RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey:
    """Return the key of an identity provider; DataError where the file has none that could have signed a token."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise DataError(f"The public key `{path}` cannot be read ({error.strerror}): correct `public_key`.") from None
    except (ValueError, UnsupportedAlgorithm):
        raise DataError(f"The public key `{path}` must be one in PEM (-----BEGIN PUBLIC KEY-----), but is not: get it "
                        "from the identity provider.") from None  # fmt: skip
    if not isinstance(key, RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey):
        raise DataError(f"The public key `{path}` is {type(key).__name__}, but must be for RS256, ES256 or EdDSA.")
    return key


def _make_key(path: Path) -> None:
    """Make a key aside and give it its name when it is whole: half a key would be one that can be guessed."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # another process was first: its key is the one
            os.link(aside, path)
    finally:
        aside.unlink(missing_ok=True)


Decode = Callable[[str], tuple[int, int]]  # a credential -> (munge's error, uid)


class Munge:
    """MUNGE credentials, each taken once."""

    def __init__(self, store: Store, admins: tuple[int, ...], decode: Decode | None = None) -> None:
        self._store, self._admins, self._decode = store, admins, decode or libmunge()

    def identity(self, credential: str) -> Identity:
        """Return whose credential it is; Problem for one that is expired, spoiled or was seen before."""
        credential = credential.strip()
        if not CREDENTIAL.fullmatch(credential):
            raise refused("the MUNGE credential is not one", "make one with `munge -n`")
        digest = hashlib.sha256(credential.encode()).hexdigest()
        error, uid = self._decode(credential)
        if error in (_EXPIRED, _REPLAYED) or error == _SUCCESS and not self._store.first_use(digest, KEEP_S):
            word = "has expired" if error == _EXPIRED else "was used before"
            raise refused(f"the MUNGE credential {word}", "make a new one for each request")
        if error != _SUCCESS:
            raise refused("the MUNGE credential cannot be decoded", "is munged running here with the cluster's key?")
        return Identity(user_of(uid), "admin" if uid in self._admins else "user", "munge")


def user_of(uid: int) -> str:
    """Return the name of a uid; of one without a name, or with one that no token can have, the number."""
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = ""
    return name if USER_NAME.fullmatch(name) else f"uid-{uid}"


def libmunge() -> Decode:
    """Return what decodes a credential with the library of MUNGE; Problem where there is none."""
    try:
        library = ctypes.CDLL("libmunge.so.2")
    except OSError:
        def missing(_credential: str) -> tuple[int, int]:
            raise Problem(503, "no-munge", "libmunge.so.2 is not installed here", "install the package munge")

        return missing
    free = ctypes.CDLL(None).free
    free.argtypes = [ctypes.c_void_p]

    def decode(credential: str) -> tuple[int, int]:
        payload, length = ctypes.c_void_p(), ctypes.c_int()
        uid, gid = ctypes.c_uint32(), ctypes.c_uint32()
        error = library.munge_decode(credential.encode("ascii"), None, ctypes.byref(payload), ctypes.byref(length),
                                     ctypes.byref(uid), ctypes.byref(gid))  # fmt: skip
        free(payload)
        return int(error), uid.value

    return decode
