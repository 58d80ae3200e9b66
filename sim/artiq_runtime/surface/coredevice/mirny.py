"""Mirny, a card of four synthesisers.  Named for annotations; the pip-only runtime has no driver."""

from sim.artiq_runtime.absent import absent

Mirny = absent(__name__, "Mirny")
