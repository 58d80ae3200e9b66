"""Who a core device is: the identity that the virtual core gives, and the question for it.

It stands in the reply to `SystemInfo`, after the version that stock ARTIQ looks at: `8.0;atomlink …;{"scenario": …}`.
"""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

import atomlink
from atomlink.errors import DeviceError

PORT = 1381
MAGIC = b"ARTIQ coredev\n"
SYNC = b"\x5a\x5a\x5a\x5a"
_VERSION = "8.0"  # of the protocol; ARTIQ warns where the first number is not its own
_NAME = "atomlink virtual core"
_TIMEOUT_S = 5.0
_LONGEST = 65536


def ident(facts: dict[str, Any]) -> str:
    """Return the identity of a virtual core: `facts` are scenario, seed and costs of its lab."""
    return f"{_VERSION};{_NAME} {atomlink.__version__};{json.dumps(facts, separators=(',', ':'))}"


def ask(host: str, port: int = PORT) -> dict[str, Any]:
    """Return scenario, seed and costs of the virtual core at an address; DeviceError where there is none."""
    try:
        with socket.create_connection((host, port), _TIMEOUT_S) as connection:
            connection.sendall(MAGIC + SYNC + b"\x03")
            reply = connection.makefile("rb")
            head = reply.read(10)
            (length,) = struct.unpack("<I", reply.read(4))
            text = reply.read(min(length, _LONGEST)).decode()
    except OSError as error:
        raise DeviceError(f"no virtual core answers at {host}:{port} ({error}): start one with "
                          "`atomlink virtual-core`") from None  # fmt: skip
    except (struct.error, UnicodeDecodeError):
        head, text = b"", ""
    _, _, rest = text.partition(f";{_NAME} ")
    try:
        facts = json.loads(rest.partition(";")[2])
        if head == b"e" + SYNC + b"\x02AROR":
            return {"scenario": str(facts["scenario"]), "seed": int(facts["seed"]), "costs": str(facts["costs"])}
    except (ValueError, LookupError, TypeError):
        pass
    raise DeviceError(f"what answers at {host}:{port} is no virtual core of atomlink, must be one: "
                      "ATOMLINK_TARGET=virtual never talks to hardware")  # fmt: skip
