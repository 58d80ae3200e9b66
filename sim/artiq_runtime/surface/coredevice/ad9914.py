"""AD9914, a DDS card of the KC705.  Named for annotations; the pip-only runtime has no driver."""

from sim.artiq_runtime.absent import absent

AD9914 = absent(__name__, "AD9914")
