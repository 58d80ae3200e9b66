"""SU-Servo, a loop of a Sampler and Urukuls.  Named for annotations; the pip-only runtime has no driver."""

from sim.artiq_runtime.absent import absent

SUServo = absent(__name__, "SUServo")
Channel = absent(__name__, "Channel")
