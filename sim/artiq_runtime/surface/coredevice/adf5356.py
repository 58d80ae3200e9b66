"""ADF5356, a synthesiser of a Mirny card.  Named for annotations; the pip-only runtime has no driver."""

from sim.artiq_runtime.absent import absent

ADF5356 = absent(__name__, "ADF5356")
