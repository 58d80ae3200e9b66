"""Draw the datasets of a run from a known state of two atoms, a known retention and known rates, without any twin."""

from pathlib import Path
from typing import Any

import numpy as np

from analysis import old_files, schema
from analysis.load import Run
from sim.physics.bell import axis_operator, bell_state

HALF, QUARTER = np.pi / 2, np.pi / 4
SETTINGS: dict[str, tuple[float, float, float, float]] = {
    "XX": (HALF, 0.0, HALF, 0.0),
    "YY": (HALF, HALF, HALF, HALF),
    "ZZ": (0.0, 0.0, 0.0, 0.0),
    "CHSH00": (HALF, 0.0, HALF, QUARTER),
    "CHSH01": (HALF, 0.0, HALF, -QUARTER),
    "CHSH10": (HALF, HALF, HALF, QUARTER),
    "CHSH11": (HALF, HALF, HALF, -QUARTER),
}
PSI_PLUS_PATTERNS, PSI_MINUS_PATTERNS = (0b0011, 0b1100), (0b1001, 0b0110)


def werner(name: str, weight: float) -> np.ndarray:
    """Return weight * Bell state + (1 - weight) * identity/4: fidelity (1 + 3 weight)/4, S = 2 sqrt 2 weight."""
    ket = bell_state(name)
    return weight * np.outer(ket, ket.conj()) + (1 - weight) * np.eye(4) / 4


def bright_probabilities(rho: np.ndarray, angles: tuple[float, float, float, float]) -> np.ndarray:
    """Return P(|0>, |0>), P(|0>, |1>), P(|1>, |0>), P(|1>, |1>) along the axes, shape (4,)."""
    projectors = [[(np.eye(2) + sign * axis_operator(*angles[k : k + 2])) / 2 for sign in (1, -1)] for k in (0, 2)]
    return np.array([np.trace(rho @ np.kron(a, b)).real for a in projectors[0] for b in projectors[1]])


def link_datasets(
    rng: np.random.Generator,
    states: dict[int, np.ndarray],
    shots: int,
    retention: tuple[float, float] = (1.0, 1.0),
    calibration: float = 0.0,
    p_herald: float = 0.004,
    feed_forward: str = "none",
) -> dict[str, Any]:
    """Return the datasets of `shots` heralds; `states`: density matrix by pattern, patterns equally likely."""
    names = list(SETTINGS)
    pattern = rng.choice(list(states), shots)
    setting = np.arange(shots) % len(names)
    bright = np.empty((shots, 2), dtype=int)
    for value, rho in states.items():
        for index, name in enumerate(names):
            rows = np.flatnonzero((pattern == value) & (setting == index))
            outcome = rng.choice(4, len(rows), p=np.clip(bright_probabilities(rho, SETTINGS[name]), 0, None))
            bright[rows] = np.stack((outcome < 2, outcome % 2 == 0), axis=1)
    pushout = (rng.random(shots) >= calibration).astype(int)
    present = (bright | (1 - pushout)[:, None]) & (rng.random((shots, 2)) < retention)
    attempts = rng.geometric(p_herald, shots)
    t_herald = np.cumsum(attempts) * 2000
    values = {
        "shots.t_herald_mu": t_herald,
        "shots.pattern": pattern,
        "shots.t_click_mu": t_herald[:, None] - rng.integers(100, 900, (shots, 2)),
        "shots.setting": setting,
        "shots.attempts": attempts,
        "shots.counts": rng.poisson(np.where(present == 1, 400.0, 4.0)),
        "shots.present": present,
        "shots.pushout": pushout,
        "shots.valid": np.ones(shots, dtype=int),
        "link.settings": np.reshape(list(SETTINGS.values()), (-1, 2, 2)),
        "link.setting_names": ",".join(names),
        "link.nodes": "alice,bob",
        "link.name": "alice-bob@midpoint",
        "link.station": "midpoint",
        "link.detectors": "c_h,c_v,d_h,d_v",
        "link.herald": "entangler",
        "link.feed_forward": feed_forward,
        "link.attempts": attempts.sum(),
        "link.t_attempting_s": float(t_herald[-1]) * 1e-9,
        "link.t_lab_s": float(t_herald[-1]) * 3e-9,
        "run.target": "simulation",
        "run.scenario": "default",
        "run.seed": 1,
        "run.costs": "kasli_soc",
    }
    beliefs = {"param.midpoint.dark_rate_hz": 50.0, "param.midpoint.t_gate_s": 0.9e-6,
               "param.midpoint.visibility": 0.95}  # fmt: skip
    beliefs |= {f"param.{node}.image_threshold": 60.0 for node in ("alice", "bob")}
    return {key: schema.array(key, value) for key, value in {**values, **beliefs}.items()}


def hom_datasets(
    rng: np.random.Generator, visibility: float, pairs: float, dark: float = 0.0, width_s: float = 150e-9
) -> dict[str, Any]:
    """Return a Gaussian dip with `pairs` expected crossed coincidences and dark probability `dark` per gate."""
    delay = np.linspace(-600e-9, 600e-9, 13)
    attempts, eta = np.full(13, 4 * int(pairs / 0.01)), 0.1  # crossed coincidences: eta^2/4 of all attempts
    v = visibility * np.exp(-0.5 * (delay / width_s) ** 2)
    single = eta / 2 + dark
    accidental = attempts * 2 * (2 * single * dark - dark**2)
    crossed = attempts * eta**2 / 4
    return {
        "hom.nodes": "alice,bob",
        "hom.link": "alice-bob@midpoint",
        "hom.delay_s": delay,
        "hom.attempts": attempts,
        "hom.coincidences_parallel": rng.poisson(crossed * (1 - v) + accidental),
        "hom.coincidences_orthogonal": rng.poisson(crossed + accidental),
        "hom.singles": rng.poisson(attempts[:, None] * single, (13, 4)),
        "hom.dark_clicks": rng.poisson(1e7 * dark, 4),
        "hom.dark_gates": np.int64(10_000_000),
        "run.target": "simulation",
        "run.scenario": "default",
        "run.seed": np.int64(1),
        "run.costs": "kasli_soc",
    }


def as_run(datasets: dict[str, Any], rid: int = 7, class_name: str = "RemoteEntanglement") -> Run:
    """Return a run of alice and bob that was never written; columns may be as in old files, one a node."""
    datasets = old_files.renamed(datasets)
    datasets = {"scan.nodes": "alice,bob", "scan.link": "alice-bob@midpoint"} | datasets
    return Run(Path(f"{rid:09}-{class_name}.h5"), rid, class_name, 1.7e9, 1.7e9, "8", {}, datasets, {}, {})
