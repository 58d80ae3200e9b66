"""Novogorny, an ADC card.  Named for annotations; the pip-only runtime has no driver."""

from sim.artiq_runtime.absent import absent

Novogorny = absent(__name__, "Novogorny")
