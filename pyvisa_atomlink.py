"""PyVISA's way to the simulated lab: `pyvisa.ResourceManager("lab@atomlink")` (PyVISA finds `pyvisa_<name>`)."""

from sim.instruments.visa_backend import TwinLibrary

WRAPPER_CLASS = TwinLibrary
