"""Core-device drivers, written from the hardware's facts; they end at the RTIO system calls."""

from artiq.coredevice.exceptions import RTIOOverflow, RTIOUnderflow

__all__ = ["RTIOOverflow", "RTIOUnderflow"]
