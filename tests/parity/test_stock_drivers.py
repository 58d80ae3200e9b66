"""ARTIQ's stock coredevice drivers on our engine and bus: the tests of our drivers, run again with those.

Needs an interpreter with real ARTIQ and pytest: this one, or the one that ATOMLINK_ARTIQ_PYTHON names.
"""

import re
from pathlib import Path

import pytest
import real_artiq
from real_artiq import ROOT

HERE = Path(__file__).parent


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("file", "at_least"),
    [("test_driver_events.py", 70), ("test_drivers_on_gateware.py", 10), ("test_kernel_probes.py", 60)],
)
def test_stock_drivers_and_language_pass_the_tests_of_ours(file: str, at_least: int) -> None:
    """No plugin of ours is loaded there, so `artiq` is the real one."""
    real_artiq.require("pytest")
    output = real_artiq.run(["-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts=", str(HERE / file)], ROOT)
    passed = re.search(r"(\d+) passed", output)
    assert passed is not None and int(passed.group(1)) >= at_least, output
