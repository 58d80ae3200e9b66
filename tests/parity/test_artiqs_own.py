"""ARTIQ's own tests of arguments, datasets, tools, device database and HDF5 types pass on the pip-only runtime."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from real_artiq import PYTHON, ROOT

SCRIPT = Path(__file__).with_name("artiqs_own_tests.py")
FIND = (
    "import artiq, pathlib, sys\n"
    "sys.exit(3) if hasattr(artiq, '__host_runtime__') else print(pathlib.Path(artiq.__path__[0]).parent)"
)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("module", "count"),
    [("test_arguments", 12), ("test_datasets", 12), ("test_tools", 8), ("test_device_db", 7), ("test_h5types", 1)],
)
def test_artiqs_own_tests_pass_on_our_runtime(module: str, count: int, tmp_path: Path) -> None:
    if not hasattr(importlib.import_module("artiq"), "__host_runtime__"):
        pytest.skip(f"{sys.executable} has real ARTIQ, which our runtime never shadows; run this from an environment "
                    "without it, and name the one with it in ATOMLINK_ARTIQ_PYTHON")
    found = subprocess.run([PYTHON, "-c", FIND], cwd=tmp_path, capture_output=True, text=True, check=False)
    if found.returncode != 0:
        pytest.skip(f"{PYTHON} has no real ARTIQ; name an interpreter that has in ATOMLINK_ARTIQ_PYTHON")
    words = [sys.executable, str(SCRIPT), found.stdout.strip(), module]
    path = {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=tmp_path, env=path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    ran = re.search(r"ran (\d+), ours True", done.stdout)
    assert ran is not None and int(ran[1]) == count
