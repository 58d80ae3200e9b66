"""Run ARTIQ's own tests on our runtime: `python artiqs_own_tests.py PACKAGES MODULE …`; PACKAGES holds a real ARTIQ.

Our `artiq` is loaded; what it lacks (the tests themselves, `artiq.test`) is then found in the real package's folder,
and sipyco, which one test borrows a function from, beside it. The modules under test stay ours: that is checked.
"""

import sys
import unittest
from pathlib import Path

from sim import artiq_runtime

UNDER_TEST = (
    "artiq.language.environment",
    "artiq.language.scan",
    "artiq.master.worker_db",
    "artiq.master.databases",
    "artiq.tools",
)


def main(packages: str, modules: list[str]) -> int:
    artiq_runtime.install()
    import artiq

    for name in UNDER_TEST:
        __import__(name)
    artiq.__path__.append(str(Path(packages) / "artiq"))
    sys.path.append(packages)
    suite = unittest.defaultTestLoader.loadTestsFromNames([f"artiq.test.{module}" for module in modules])
    result = unittest.TextTestRunner(stream=sys.stdout).run(suite)
    ours = all(packages not in (sys.modules[name].__file__ or "") for name in UNDER_TEST)
    print(f"ran {result.testsRun}, ours {ours}")
    return 0 if result.wasSuccessful() and ours else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
