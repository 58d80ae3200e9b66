"""The import finder that falls back to our `artiq` and never shadows a real one.

Asked for `artiq`, it first asks every other finder, as Python would. Only a package with an `__init__` counts: a mere
folder of that name, say a clone of ARTIQ's sources in the working directory, is what Python calls a namespace package
and holds no ARTIQ.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

SURFACE = Path(__file__).parent / "surface"

REMEDY = "install the real ARTIQ with: pip install 'atomlink[artiq]'"


class RuntimeFinder:
    """A meta-path finder for the package `artiq`, if nobody else has it."""

    def __init__(self) -> None:
        self._asking = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where to load `artiq` or one of our submodules from; None leaves it to the other finders."""
        if fullname == "artiq":
            return None if self._elsewhere(fullname, path, target) else _package_spec()
        if fullname.startswith("artiq.") and _loaded_is_ours():
            return self._submodule_spec(fullname, path, target)
        return None

    def _submodule_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None and self._elsewhere(fullname, path, target) is None:
            # Without `name=`, so that "from artiq.coredevice import x" shows this message too.
            raise ModuleNotFoundError(f"{fullname} is not in the pip-only runtime of atomlink; {REMEDY}")
        return spec

    def _elsewhere(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        """Return what the first other finder that has a real package or module finds."""
        if self._asking:  # another finder of this kind asks everybody in its turn
            return None
        self._asking = True
        try:
            for finder in sys.meta_path:
                if finder is self or not hasattr(finder, "find_spec"):
                    continue
                spec = finder.find_spec(fullname, path, target)
                if spec is not None and spec.loader is not None:  # a namespace package has no loader
                    return spec
            return None
        finally:
            self._asking = False


def _package_spec() -> ModuleSpec | None:
    return spec_from_file_location(
        "artiq", SURFACE / "__init__.py", submodule_search_locations=[str(SURFACE)]
    )


def _loaded_is_ours() -> bool:
    return getattr(sys.modules.get("artiq"), "__host_runtime__", False) is True
