"""Units as numbers in SI: `5 * us` is 5e-6.

Each value is a power computed as ARTIQ computes it, so that a product of a number and a unit has the same bits.
"""

# ruff: noqa: N816 - the names are ARTIQ's

__all__ = [
    "A", "GHz", "Hz", "MHz", "V", "W", "dB", "kHz", "kV", "mA", "mHz", "mV", "mW", "ms", "nW", "ns", "ps", "s",
    "uA", "uV", "uW", "us",
]  # fmt: skip

ps, ns, us, ms, s = 10.0**-12, 10.0**-9, 10.0**-6, 10.0**-3, 10.0**0
mHz, Hz, kHz, MHz, GHz = 10.0**-3, 10.0**0, 10.0**3, 10.0**6, 10.0**9
dB = 10.0**0
uV, mV, V, kV = 10.0**-6, 10.0**-3, 10.0**0, 10.0**3
uA, mA, A = 10.0**-6, 10.0**-3, 10.0**0
nW, uW, mW, W = 10.0**-9, 10.0**-6, 10.0**-3, 10.0**0
