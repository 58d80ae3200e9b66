"""Driver classes that the pip-only runtime names and does not have: experiments may import them, nobody can make one.

Many an experiment imports a driver's class for an annotation alone; that must not keep it from running.
"""

from typing import Any

from atomlink.errors import DeviceError
from sim.artiq_runtime.finder import REMEDY


def absent(module: str, name: str) -> type:
    """Return a class of this name that refuses to be made."""

    def refuse(self: Any, *arguments: Any, **keywords: Any) -> None:
        raise DeviceError(f"{module}.{name} is not in the pip-only runtime of atomlink; {REMEDY}")

    return type(name, (), {"__module__": module, "__init__": refuse, "__doc__": f"{name}, which needs the real ARTIQ."})
