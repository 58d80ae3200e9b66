"""Everything an experiment's `from artiq.language import *` gives."""

# ruff: noqa: F403 - star imports are ARTIQ's own interface

from artiq.language import core, environment, scan, types, units
from artiq.language.core import *
from artiq.language.environment import *
from artiq.language.scan import *
from artiq.language.types import *
from artiq.language.units import *

__all__: list[str] = []
__all__ += core.__all__
__all__ += types.__all__
__all__ += environment.__all__
__all__ += units.__all__
__all__ += scan.__all__
