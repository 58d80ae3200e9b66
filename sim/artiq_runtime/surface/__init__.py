"""The host-only stand-in for ARTIQ 8, loaded under the name `artiq` where no real ARTIQ is installed."""

import os

__version__ = "8.0+atomlink"
__artiq_dir__ = os.path.dirname(os.path.abspath(__file__))
# Tells this stand-in from the real package, for code and people who must know.
__host_runtime__ = True
