"""Almazny, a mezzanine of a Mirny card.  Named for annotations; the pip-only runtime has no driver."""

from sim.artiq_runtime.absent import absent

AlmaznyLegacy = absent(__name__, "AlmaznyLegacy")
AlmaznyChannel = absent(__name__, "AlmaznyChannel")
