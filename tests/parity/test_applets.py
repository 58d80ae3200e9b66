"""The applets that experiments open are ARTIQ's own: these take our commands and draw our datasets."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import real_artiq

sys.path.append(str(real_artiq.ROOT / "tests" / "unit"))
from test_live import Calibrate, carried_out

from experiments.calibration.graph import Verdict, Visit
from experiments.calibration.progress_plot import ProgressPlot


def on_screen(issued: list[tuple[str, str]], datasets: dict[str, Any]) -> dict[str, Any]:
    """Return what ARTIQ's applets draw, by the name of the applet."""
    real_artiq.require("PyQt5", "pyqtgraph", "qasync")
    plain = {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in datasets.items()}
    done = subprocess.run(
        [real_artiq.PYTHON, str(Path(__file__).with_name("applet_probe.py"))],
        input=json.dumps([(command, plain) for _, command in issued]), capture_output=True, text=True, check=False,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(zip((name for name, _ in issued), json.loads(done.stdout.splitlines()[-1]), strict=True))


def test_artiqs_applets_take_our_commands_and_draw_every_point() -> None:
    toy, _ = carried_out()
    screen = on_screen(toy.issued, toy.datasets)
    title = "RID 12 Toy left over: share against x (s)"
    assert screen["Toy left over"] == {"points": 2, "title": title, "warned": False}
    for name in ("Toy alice", "Toy fidelity", "Toy rate"):
        assert screen[name]["points"] == 2 and not screen[name]["warned"]
    assert screen["Toy map"] == {"shape": [2, 2]} and screen["Toy total"] == {"number": 12}
    for name in ("counts", "arrivals"):
        assert screen[f"Toy {name}"]["points"] == len(toy.datasets[f"live.Toy.{name}.y"])


def test_the_title_of_a_calibration_says_where_it_is() -> None:
    toy = Calibrate()
    plot = ProgressPlot(toy)
    plot.open()
    plot.add(Visit("pumping", "check", 0.0, Verdict.IN_SPEC, ""))
    plot.begin("larmor", "check")
    assert on_screen(toy.issued, toy.datasets) == {
        "Calibrate verdict": {"points": 2, "title": "larmor: check", "warned": False}
    }
