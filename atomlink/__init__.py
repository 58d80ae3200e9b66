"""atomlink: lab control and a physical twin for networks of neutral-atom processors."""

__version__ = "0.1.0"
