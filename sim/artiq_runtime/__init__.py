"""Enough of ARTIQ's `artiq` package to load and run experiments where no real ARTIQ is installed.

`install()` puts a finder on Python's import path. It hands out our files, in `surface/`, only if nothing else on this
machine is an `artiq`; a real ARTIQ is never shadowed.
"""

import sys

from sim.artiq_runtime.finder import RuntimeFinder

__all__ = ["install"]


def install() -> None:
    """Make `import artiq` work with or without a real ARTIQ; calling it again changes nothing."""
    if not any(isinstance(finder, RuntimeFinder) for finder in sys.meta_path):
        # In front, because the ordinary path finder takes any folder named `artiq` for a package.
        sys.meta_path.insert(0, RuntimeFinder())
