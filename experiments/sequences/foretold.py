"""Say before a run that it will take long, where that is known beforehand."""

from typing import Any

from drivers import labs
from drivers.progress import estimate
from drivers.rtio.herald_software import SoftwareHeralder

# Attempts a second that the simulated lab plays where a kernel spells them out, pulse by pulse: hom_interference's 2.85
# million took 23 minutes on one core. Another machine is another number; it is a belief, and printed as one.
SIMULATED_PER_S = 2000.0
LONG_S = 60.0


def foretell(experiment: Any, heralder: Any, attempts: int) -> None:
    """Print how long so many attempts take in the simulated lab where that is more than a minute; a belief.

    Repeated by gateware they are drawn many at a time, and on the hardware they take what the timing says.
    """
    seconds = attempts / SIMULATED_PER_S
    if not isinstance(heralder, SoftwareHeralder) or labs.simulation(experiment) is None or seconds < LONG_S:
        return
    print(
        f"{attempts:,} attempts, each played pulse by pulse: {estimate(seconds, 1)} of processor time in the "
        f"simulation (believed: {SIMULATED_PER_S:g} a second). Faster: fewer attempts, or backend=entangler. Ctrl-C "
        "ends the run and keeps what there is.",
        flush=True,
    )
