"""Shuttler, a card of 16 DACs.  Named for annotations; the pip-only runtime has no driver."""

from sim.artiq_runtime.absent import absent

Config = absent(__name__, "Config")
DCBias = absent(__name__, "DCBias")
DDS = absent(__name__, "DDS")
Trigger = absent(__name__, "Trigger")
Relay = absent(__name__, "Relay")
ADC = absent(__name__, "ADC")
