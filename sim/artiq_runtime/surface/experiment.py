"""Everything an experiment needs: `from artiq.experiment import *`."""

# ruff: noqa: F403 - star imports are ARTIQ's own interface

from artiq import coredevice, language
from artiq.coredevice import *
from artiq.language import *

__all__: list[str] = []
__all__ += language.__all__
__all__ += coredevice.__all__
