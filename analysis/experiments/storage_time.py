"""Efficiency and life of a memory. Twin of experiments/memory/storage_time.py.

Clicks per attempt at the read-out fall as noise + amplitude e^(-t^2/tau^2): the atoms of a thermal cloud move apart
(Zhao et al., Nature Phys. 5, 95 (2009)). The cloud loses atoms meanwhile, which shortens tau a little.
Fit: binomial maximum likelihood.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis import fits, stored_photons
from analysis.load import Run
from analysis.models import GAUSSIAN_DECAY
from analysis.result import Result
from atomlink.memory_spec import of_memory

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def analyse(run: Run) -> Result:
    """Return the efficiency right after storage, the 1/e time of the efficiency, and the noise per read-out."""
    noise, memory = stored_photons.pooled(run, "noise"), stored_photons.memory_of(run)
    data = {memory: stored_photons.points(run, "t_storage")}
    found, refusals = fits.fit_each(GAUSSIAN_DECAY, data, unit_x="s", fixed={"offset": noise.value})
    estimates = {"noise": noise, "came": stored_photons.came(run)}
    updates = {}
    if memory in found:
        estimates["t_spin_wave_s"] = found[memory]["decay"]
        estimates["efficiency"] = stored_photons.efficiency(run, found[memory]["amplitude"])
        updates = {of_memory(memory, "t_spin_wave_s"): estimates["t_spin_wave_s"],
                   of_memory(memory, "memory_efficiency"): estimates["efficiency"]}
    return Result("Storage time", estimates=estimates, updates=updates, fits=found, refusals=refusals)


def figure(run: Run, result: Result) -> Figure:
    """Draw clicks per attempt against the storage time with the fit."""
    return stored_photons.figure(run, result, "t_storage", "storage time", "s")
