"""Rearrangement: time and number of moves of a plan, the optimal assignment of scipy beside it.

    python benchmarks/bench_rearrangement.py [--large-peer]

1.15 N atoms at random places, filling 0.507, target sqrt(N) x sqrt(N) in the middle. The peer matches every target site
to an atom with the least total squared distance, one atom per move and collisions not yet considered; at N = 10,000 it
takes minutes and 1 GB, so it runs there only on request. Median and worst of all instances, one process.
"""

import argparse
import math
import time
from collections.abc import Callable

import numpy as np

from drivers.rtio.rearrangement import Target, plan

FILLING, SURPLUS = 0.507, 1.15


def instance(rng: np.random.Generator, n: int) -> tuple[np.ndarray, Target]:
    """Return a random occupation and its target of n sites."""
    side, atoms = math.isqrt(n), math.ceil(SURPLUS * n)
    width = math.ceil(math.sqrt(atoms / FILLING))
    sites = np.zeros(width**2, dtype=bool)
    sites[rng.choice(width**2, atoms, replace=False)] = True
    return sites.reshape(width, width), Target.centred((width, width), side, side)


def assignment(occupied: np.ndarray, target: Target) -> int:
    """Match target sites to atoms as the peer does; return the number of single-atom moves."""
    from scipy.optimize import linear_sum_assignment

    atoms = np.argwhere(occupied)
    goals = np.argwhere(np.ones((target.rows, target.columns))) + (target.row, target.column)
    cost = ((goals[:, None, :] - atoms[None, :, :]) ** 2).sum(axis=2)
    rows, columns = linear_sum_assignment(cost)
    return int((cost[rows, columns] > 0).sum())


def measure(work: Callable[[np.ndarray, Target], int], n: int, repeats: int) -> tuple[float, float, int]:
    """Return (median s, worst s, most moves) of `work` over random instances."""
    rng = np.random.default_rng(n)
    times, moves = [], []
    for _ in range(repeats):
        occupied, target = instance(rng, n)
        start = time.perf_counter()
        moves.append(work(occupied, target))
        times.append(time.perf_counter() - start)
    return float(np.median(times)), max(times), max(moves)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large-peer", action="store_true", help="run the peer at N = 10,000 too (minutes, 1 GB)")
    large_peer = parser.parse_args().large_peer
    print(f"{'N':>6s} {'work':24s} {'median ms':>10s} {'worst ms':>10s} {'moves':>7s} {'3 sqrt N':>9s}")
    for n in (1024, 10_000):
        rows = [("row-column plan", measure(lambda occupied, target: len(plan(occupied, target)), n, 200))]
        if n <= 1024 or large_peer:
            rows.append(("linear_sum_assignment", measure(assignment, n, 3 if n <= 1024 else 1)))
        for name, (median, worst, moves) in rows:
            print(f"{n:6d} {name:24s} {median * 1e3:10.3f} {worst * 1e3:10.3f} {moves:7d} {3 * math.isqrt(n):9d}")
        if len(rows) > 1:
            print(f"{n:6d} {'peer / plan':24s} {rows[1][1][0] / rows[0][1][0]:10.0f}")


if __name__ == "__main__":
    main()
