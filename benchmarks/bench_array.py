"""A 10,000-site array: load, image, plan, move, image again; wall time of each step and peak memory.

    python benchmarks/bench_array.py [SITES_PER_SIDE]

One process per measurement, so that the peak memory is its own. It runs experiments/atoms/rearrangement.py on the
simulated lab of scenario `array10k` (`array` up to 32 sites): kernels, bus, gateware, world, camera driver. The plan
knows only the first image, the verdict comes from the second. In the place of the DDS cards, whose 20 tones and 65536
commands such a plan does not fit, stands an AWG that takes segments as they are. The first shot compiles the kernels
and works out the optics, the second does not.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
STEPS = ("load and image", "read and find", "plan", "ramps", "move and image", "read and find again")


class SegmentAwg:
    """An AWG with as many tones as wanted, whose blocks the world's array plays."""

    def __init__(self, dmgr: Any, node: str) -> None:
        self._core, self._node = dmgr.get("core"), node

    def arm(self) -> None:
        """Let triggers act: they always do."""

    def write_segments(self, segments: Any) -> None:
        """Queue a block."""
        self._core.sync()
        self._core.world.nodes[self._node].tweezers.queue(segments)


class Scheduler:
    """The device `scheduler` of a run that nobody stops."""

    rid, expid = 0, None

    def check_pause(self) -> bool:
        """Never pause."""
        return False


def experiment(side: int, folder: str) -> Any:
    """Return the experiment, prepared, in a lab with `side` sites along each side."""
    os.environ["ATOMLINK_SCENARIO"] = "array10k" if side > 32 else "array"
    os.chdir(folder)
    from sim.artiq_runtime import install

    install()
    from artiq.language.environment import ProcessArgumentManager
    from artiq.master.databases import DatasetDB, DeviceDB
    from artiq.master.worker_db import DatasetManager, DeviceManager

    row = "device_db['alice_awg'] = {'type': 'local', 'module': 'bench_array', 'class': 'SegmentAwg', " \
          "'arguments': {'node': 'alice'}}\n"  # fmt: skip
    Path("device_db.py").write_text((ROOT / "device_db.py").read_text() + row)
    sys.path.insert(0, str(ROOT / "benchmarks"))
    from experiments.atoms.rearrangement import Rearrangement

    devices = DeviceManager(DeviceDB("device_db.py"), virtual_devices={"scheduler": Scheduler()})
    arguments = ProcessArgumentManager({"rows": side, "columns": side, "moves_per_block": 100_000})
    made = Rearrangement((devices, DatasetManager(DatasetDB("dataset_db.mdb")), arguments, {}))
    made.set_dataset("param.alice.awg_tones", 128.0)
    made.prepare()
    made.array.connect()
    made.begin()
    return made


def shot(made: Any) -> dict[str, Any]:
    """Play one shot; return the seconds of each step, and what the images showed."""
    from drivers.rtio.rearrangement import Target, plan

    array, times = made.array, [time.perf_counter()]

    def step(work: Any) -> Any:
        result = work()
        times.append(time.perf_counter())
        return result

    array.arm_camera(2)
    step(made.load)
    before = step(array.read)[2]
    side = int((before.sum() / 1.15) ** 0.5)
    target = Target.centred(before.shape, side, side)
    moves = step(lambda: plan(before, target))
    step(lambda: array.write(moves, 100_000))
    step(made.rearrange)
    after = step(array.read)[2]
    inside = after[target.row : target.row + side, target.column : target.column + side]
    return {"steps": [b - a for a, b in zip(times, times[1:], strict=False)], "loaded": int(before.sum()),
            "side": side, "moves": len(moves), "filled": float(inside.mean())}  # fmt: skip


def child(side: int) -> None:
    """Measure in this process; print JSON."""
    with tempfile.TemporaryDirectory() as folder:
        made = experiment(side, folder)
        shots = [shot(made) for _ in range(3)]
    print(json.dumps({"shots": shots, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def main() -> None:
    """Measure in a process of its own and print the table."""
    side = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    command = [sys.executable, __file__, str(side), "child"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    shots = found["shots"]
    for number, result in enumerate(shots, 1):
        print(f"shot {number}: {side * side} sites, {result['loaded']} atoms seen, target {result['side']} x "
              f"{result['side']} in {result['moves']} moves (3 sqrt N = {3 * result['side']}), "
              f"second image: {result['filled']:.2%} filled")  # fmt: skip
    print(f"{'ms':24s}" + "".join(f"{f'shot {k + 1}':>10s}" for k in range(len(shots))))
    for k, name in enumerate(STEPS):
        print(f"{name:24s}" + "".join(f"{1e3 * result['steps'][k]:10.1f}" for result in shots))
    print(f"{'all':24s}" + "".join(f"{1e3 * sum(r['steps']):10.1f}" for r in shots) + "   (to beat: 2000)")
    print(f"peak memory {found['peak_mb']:.0f} MB   (to beat: 1000)")


if __name__ == "__main__":
    child(int(sys.argv[1])) if sys.argv[2:] == ["child"] else main()
