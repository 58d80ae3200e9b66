"""Rows about arrays: loading and survival (V22, V32), time of rearrangement (V23)."""

from __future__ import annotations

import math

import numpy as np

from drivers.rtio.rearrangement import Target, plan
from sim.physics.aod import Moves, duration_s
from sim.physics.imaging import Imaging, counts
from sim.physics.loading import RED_SINGLE_LOSS_FRACTION, Loading, load, stationary_filling
from sim.validation.outcome import COMPARED, FITTED, Finding, Outcome, judged
from sim.validation.table import Row

_ARRIVAL_HZ, _LOSS_HZ = 100.0, 1.0  # gamma/R = 0.01, as in the fit of RED_SINGLE_LOSS_FRACTION
_SITE_M = 5e-6  # design
_FILLING, _SIDE = 0.507, 68  # collisional blockade; 2344 atoms on average, 1.16 of those wanted
# Bluvstein et al., Nature 604, 451 (2022): cubic, 0.55 um/us; 100 us for a travel and for a hand-over: design.
_MOVES = Moves("cubic", 0.55, 100e-6, 100e-6, 0.005, 60.0)


def manetsch2025(row: Row, rng: np.random.Generator) -> Outcome:
    """V22: load every site once; image every atom once with the loss that the survival asks for."""
    sites = int(row.given("sites"))
    red = Loading(_ARRIVAL_HZ, _LOSS_HZ, RED_SINGLE_LOSS_FRACTION)
    filling = stationary_filling(red)
    atoms = sum(load(rng, 0, 1.0, red) for _ in range(sites))
    unfitted = sites * stationary_filling(Loading(_ARRIVAL_HZ, _LOSS_HZ, 0.0))
    loss = -math.log(row.published("imaging_survival"))
    n = 4_000_000
    kept = float(counts(rng, 1.0, np.ones(n, dtype=bool), Imaging(0.0, 0.0, loss))[1].mean())
    spread = math.sqrt(sites * filling * (1 - filling))
    return Outcome(row, (
        Finding(row.output("atoms"), atoms, spread, FITTED,
                f"one array drawn; with two-atom loss only and no fit {unfitted:.0f}"),
        Finding(row.output("imaging_survival"), kept, math.sqrt(loss / n), FITTED,
                "exposure and vacuum lifetime are not in the table"),
    ), f"single-loss fraction b = {RED_SINGLE_LOSS_FRACTION:.4f} (filling {filling:.3f}); exposure/vacuum lifetime = "
       f"{loss:.3e}", "sim.physics.loading and imaging, site by site, seeded")


def brown2019(row: Row, rng: np.random.Generator) -> Outcome:
    """V32: load 100,000 sites with the published single-loss fraction."""
    n, enhanced = 100_000, Loading(_ARRIVAL_HZ, _LOSS_HZ, row.given("single_loss_fraction"))
    found = sum(load(rng, 0, 1.0, enhanced) for _ in range(n)) / n
    finding = judged(row.output("loading_probability"), found, math.sqrt(found * (1 - found) / n), rounding=0.005,
                     remark="the single-loss fraction is itself a fit; gamma/R = 0.01 as for red light")
    return Outcome(row, (finding,), "single_loss_fraction (by the table)", "sim.physics.loading, site by site, seeded")


def lin2025(row: Row, rng: np.random.Generator) -> Outcome:
    """V23: plan 20 random arrays of the published size and time them with the move model."""
    rows, columns = squarest(int(row.given("atoms")))
    times, moves = [], []
    for _ in range(20):
        occupied = rng.random((_SIDE, _SIDE)) < _FILLING
        result = plan(occupied, Target.centred(occupied.shape, rows, columns))
        times.append(duration_s(result.longest_sites() * _SITE_M, _MOVES))
        moves.append(len(result))
    finding = Finding(row.output("rearrangement_time"), float(np.mean(times)), float(np.std(times)), COMPARED,
                      f"{np.mean(moves):.0f} moves of an AOD, two hand-overs of 100 us each; the hologram's time does "
                      "not grow with the number of atoms")
    return Outcome(row, (finding,), "nothing", "drivers.rtio.rearrangement, 68 x 68 sites of 5 um, filling 0.507; "
                                               "sim.physics.aod at 0.55 um/us; error: spread of 20 arrays")


def squarest(n: int) -> tuple[int, int]:
    """Return the two factors of n that are nearest to each other, the smaller first."""
    smaller = next(k for k in range(math.isqrt(n), 0, -1) if n % k == 0)
    return smaller, n // smaller
