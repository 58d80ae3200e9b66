"""What an experiment on pairs asks for: how shots are laid out, and how it waits for heralds. Set at the owner."""

import math
from functools import partial
from typing import Any

from artiq.language.environment import BooleanValue, EnumerationValue, NumberValue

from analysis import heralding
from atomlink.link_name import LinkName
from atomlink.topology import StationSpec
from drivers import parameters
from experiments.sequences.whole_numbers import ask_whole

UNLIKELY_WAIT = 0.01  # chance that both atoms wait so long for a herald: then look whether they are there
MOST_ATTEMPTS = 1_000_000  # without a look


def ask_shots(owner: Any) -> None:
    """Ask for the share of calibration shots (`calibration_fraction`) and their order (`randomise`)."""
    owner.setattr_argument(
        "calibration_fraction",
        NumberValue(0.05, precision=3, step=0.01, min=0.0, max=0.9),
        "Measurement",
        "Share of shots without push-out: they tell how often an atom that was there is seen.",
    )
    owner.setattr_argument(
        "randomise",
        BooleanValue(True),
        "Measurement",
        "Shuffle the order of settings and calibration shots.",
    )


def ask_waiting(owner: Any, wait_s: float | None, choose_feed_forward: bool) -> None:
    """Ask for `feed_forward` if there is a choice, `wait` (default `wait_s`; None: no argument), `check_attempts`."""
    if choose_feed_forward:
        owner.setattr_argument(
            "feed_forward",
            EnumerationValue(["kernel", "analysis"], default="kernel"),
            "Heralding",
            "Where pi on the second end's phase turns Psi- into Psi+: in the kernel, or in the analysis.",
        )
    if wait_s is not None:
        owner.setattr_argument(
            "wait",
            NumberValue(wait_s, unit="us", precision=3, step=1e-6, min=1e-6, max=1.0),
            "Heralding",
            "From the herald to the analysis pulse; at least what the kernel needs to write the phases.",
        )
    ask_whole(owner, "check_attempts", 0, 0, MOST_ATTEMPTS, "Heralding",
              "After this many attempts without a herald, look whether the atoms are still there; 0: when a wait so "
              f"long has a chance of {UNLIKELY_WAIT:.0%} only, as the lab believes.", step=100)  # fmt: skip


def unlikely_wait(owner: Any, link: LinkName, station: StationSpec, bright: float | None) -> int:
    """Return after how many attempts without a herald an atom is likely to be gone, as the lab believes.

    bright: the bright fraction of a scheme that has one.
    """
    believed = partial(parameters.get, owner)
    p = heralding.believed(link, station.scheme, station.roles, believed, bright).probability
    if p >= 1:
        return 1
    return min(math.ceil(math.log(UNLIKELY_WAIT) / math.log1p(-p)), MOST_ATTEMPTS) if p > 0 else MOST_ATTEMPTS
