"""The estimators that `make sweep` judges: which experiment, how small, and what is true."""

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from artiq.language.scan import ExplicitScan, RangeScan

from analysis import hom, link
from analysis.estimates import Estimate
from analysis.experiments import imaging_histogram
from analysis.load import Run
from analysis.twins import twin_of
from atomlink.heralds import FOUR
from atomlink.topology import pair
from drivers import parameters
from sim.physics import imaging, loading
from sim.physics.aom import rf_fraction
from sim.validation.optimum import best_parameters
from sim.world.scenario import load_scenario
from sim.world.world import World

TABLE = parameters.table(pair(("alice", "bob"), FOUR))

Truth = float | Callable[[World, Run, str], float]  # of a name; `*` in a name stands for either node
LEFT = {"bright_alice": "n", "bright_bob": "n"}
CLICKS = {"clicks_alice": "n_alice", "clicks_bob": "n_bob"}
TURNED, LOSSY, LOSSY_PAIR, LOSSY_ARRAY = (
    Path(__file__).parent / f"{name}.toml" for name in ("turned", "lossy", "lossy_pair", "lossy_array")
)
BELIEVED = {name: row.default for name, row in TABLE.items()}


@dataclass(frozen=True)
class Row:
    """One experiment at a small size; `truths` by the name of the estimate.

    `shares`: counted columns and their trials; from the shares that all seeds had, more runs can be drawn. `draw` makes
    the twin's input of a seed where the experiment is too slow for hundreds. `wide`: estimates whose error is meant to
    be larger than their scatter, and why. `version`: to be raised where the lab changed, so that old data no longer
    count.
    """

    name: str
    experiment: str
    arguments: Mapping[str, Any]
    truths: Mapping[str, Truth]
    source: str = ""  # of the truth
    scenario: str = "default"
    believed: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    fresh: bool = False
    shares: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    draw: Callable[[int], Run] | None = None
    analyse: Callable[[Run], Mapping[str, Any]] | None = None
    wide: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    version: int = 1


def best(name: str) -> Callable[[World, Run, str], float]:
    """Return what the lab ought to believe; `*` in the name becomes the node of the estimate."""

    def truth(world: World, _run: Run, estimate: str) -> float:
        key = id(world)
        if key not in _best:
            _best[key] = best_parameters(world, BELIEVED)
        return _best[key][name.replace("*", node_of(estimate))]

    return truth


_best: dict[int, dict[str, float]] = {}


def pooled(_world: World, _run: Run, _estimate: str) -> float:
    """Stand for what the same estimator says of the data of all seeds together: errors are judged, and the bias of
    small data, but not that of the model.
    """
    raise NotImplementedError("the sweep works this out of all runs")


def of_node(function: Callable[[Any, Run], float]) -> Callable[[World, Run, str], float]:
    """Return a truth from a node of the world, and from what the run believed."""
    return lambda world, run, estimate: function(world.nodes[node_of(estimate)], run)


def node_of(estimate: str) -> str:
    """Return the node in an estimate's name."""
    return next(name for name in ("alice", "bob") if f"{name}." in estimate or f"_{name}_" in estimate)


def of_link(run: Run) -> dict[str, Estimate]:
    """Return the numbers of the report on heralded pairs."""
    found = link.analyse(run)
    total, corrected = found.total.raw, found.total.corrected
    out = {"fidelity": total.fidelity, "chsh": total.chsh, "p_herald": found.probability, "rate_hz": found.rate_lab,
           "fidelity_corrected": corrected.fidelity if corrected else None, **total.correlators}  # fmt: skip
    return {name: estimate for name, estimate in out.items() if estimate is not None}


def of_hom(run: Run) -> dict[str, Estimate]:
    """Return the visibility at no delay, as counted and without accidental coincidences, and the dip's centre."""
    found = hom.analyse(run)
    middle = int(np.argmin(np.abs(found.delay_s)))
    out = {"visibility": found.raw.visibility[middle], "visibility_subtracted": found.subtracted.visibility[middle]}
    dip = found.subtracted.fit
    return out | ({"fit.visibility": dip.visibility, "fit.centre_s": dip.centre_s} if dip else {})


def with_updates(run: Run) -> dict[str, Estimate]:
    """Return what the twin finds, and what beliefs should become."""
    twin = twin_of(run.class_name)
    assert twin is not None, run.class_name
    result = twin.analyse(run)
    return {**result.estimates, **result.updates}


def drawn_images(seed: int) -> Run:
    """Return an imaging histogram of 1000 shots whose counts come from the physics of an image, not from its run."""
    rng, node = np.random.default_rng(seed), load_scenario("default").node("alice")
    exposure, columns = BELIEVED["param.alice.t_image_s"], {}
    for name in ("alice", "bob"):
        loaded = rng.random(1000) < loading.stationary_filling(node.loading)
        columns[f"scan.first_{name}"], left = imaging.counts(rng, exposure, loaded, node.imaging)
        columns[f"scan.second_{name}"], _ = imaging.counts(rng, exposure, left, node.imaging)
    datasets = {**columns, "param.alice.t_image_s": exposure, "param.bob.t_image_s": exposure}
    return Run(path=Path(), rid=1, class_name="ImagingHistogram", start_time=0.0, run_time=0.0, artiq_version="",
               expid={}, datasets=datasets, archive={}, metadata={})  # fmt: skip


def with_losses(run: Run) -> dict[str, Estimate]:
    """Return the twin's estimates and the share of atoms lost."""
    lost = {f"{node}.lost": level.lost for node, level in imaging_histogram.levels(run).items()}
    return {**with_updates(run), **lost}


def image_fidelity(node: Any, run: Run) -> float:
    """Return the fidelity at the threshold that the run found."""
    threshold = with_updates(run)[f"{node.name}.threshold"].value
    return 1 - sum(imaging.error_rates(exposure_s(node, run), threshold, node.truth.imaging)) / 2


@functools.cache
def enough_light(node: Any) -> float:
    """Return the lowest amplitude that extracts 99.9 % of the most photons, from the integrated wavepackets."""
    at = np.linspace(0.4, 1.0, 31)
    length_mu, aom = round(BELIEVED[f"param.{node.name}.t_excitation_s"] * 1e9), node.truth.aom
    powers = [aom.diffraction(rf_fraction(float(a), BELIEVED[f"param.{node.name}.att_excitation_db"])) for a in at]
    efficiency = np.array([node.port.photon(length_mu, power, node.truth.port).efficiency for power in powers])
    top = int(np.argmax(efficiency))
    return float(np.interp(0.999 * efficiency[top], efficiency[: top + 1], at[: top + 1]))


def exposure_s(node: Any, run: Run) -> float:
    """Return the length of an image."""
    return float(run.belief(f"param.{node.name}.t_image_s"))


ROWS = (
    Row(
        "imaging_histogram", "atoms.imaging_histogram:ImagingHistogram", {"shots": 100, "repeats": 2},
        {
            "*.dark": of_node(lambda node, run: node.truth.imaging.background_hz * exposure_s(node, run)),
            "*.bright": of_node(lambda node, run: (node.truth.imaging.background_hz + node.truth.imaging.atom_hz)
                                * exposure_s(node, run)),
        },
        "imaging rates x exposure",
    ),
    Row(
        "microwave_rabi", "atoms.microwave_rabi:MicrowaveRabi", {"shots": 16, "t_mw": RangeScan(0.0, 30e-6, 13)},
        {"*.t_mw_pi_s": best("param.*.t_mw_pi_s")}, "optimum",
        shares=LEFT,
    ),
    Row(
        "raman_rabi", "atoms.raman_rabi:RamanRabi", {"shots": 16, "t_raman": RangeScan(0.0, 6e-6, 13)},
        {"*.t_raman_pi_s": best("param.*.t_raman_pi_s")}, "optimum",
        shares=LEFT,
    ),
    Row(
        "ramsey", "atoms.ramsey:Ramsey", {"shots": 12, "t_wait": RangeScan(5e-6, 125e-6, 21)},
        {"*.f_larmor_hz": best("param.*.f_larmor_hz")}, "optimum",
        shares=LEFT,
    ),
    Row(
        "spin_echo", "atoms.spin_echo:SpinEcho",
        {"shots": 90, "t_wait": RangeScan(20e-6, 4020e-6, 11)},
        {"*.t2_s": of_node(lambda node, _run: node.truth.memory.t2_s)}, "scenario",
        shares=LEFT,
    ),
    Row(
        "transfer_rate", "atoms.transfer_rate:TransferRate", {"shots": 40},
        {"*.transfer_rate": pooled, "*.taken": pooled}, "all seeds together",
        shares=LEFT,
    ),
    Row(
        "trap_lifetime", "atoms.trap_lifetime:TrapLifetime", {"shots": 30},
        {"*.t_lifetime_s": of_node(lambda node, _run: node.truth.atom.vacuum_lifetime_s)}, "scenario",
        shares=LEFT,
    ),
    Row(
        "tweezer_loading", "atoms.tweezer_loading:TweezerLoading", {"shots": 40},
        {"*.t_load_s": of_node(lambda node, _run: 1 / loading.relaxation_hz(node.truth.loading)),
         "*.filling": of_node(lambda node, _run: loading.stationary_filling(node.truth.loading))}, "scenario",
        shares=LEFT,
    ),
    Row(
        "pushout_fidelity", "atoms.pushout_fidelity:PushoutFidelity", {"shots": 20},
        {"*.tau_s": of_node(lambda node, _run: 1 / node.truth.pushout.loss_hz)}, "scenario",
        shares={f"{node}_{state}": "n" for node in ("alice", "bob") for state in ("f1", "f2")},
    ),
    Row(
        "imaging_fidelity", "atoms.imaging_histogram:ImagingHistogram", {},
        {"*.lost": of_node(lambda node, run: -math.expm1(-node.truth.imaging.loss_hz * exposure_s(node, run))),
         "*.fidelity": of_node(image_fidelity)},
        "physics of an image; its counts drawn from there (1000 shots)", draw=drawn_images, analyse=with_losses,
    ),
    Row(
        "optical_pumping", "atoms.optical_pumping:OpticalPumping", {"shots": 60},
        {"*.tau_s": pooled, "*.pumped": pooled, "param.*.t_pump_s": pooled}, "all seeds together",
        analyse=with_updates,
        shares=LEFT,
    ),
    Row(
        "fibre_delay", "setup.fibre_delay:FibreDelay", {"shots": 4000, "repeats": 1},
        {"*.t_photon_s": best("param.*.midpoint.t_photon_s")}, "optimum", version=2,
    ),
    Row(
        "photon_shape", "photons.photon_shape:PhotonShape", {"shots": 5000, "repeats": 1},
        {"*.t_mean_s": pooled, "*.t_rms_s": pooled, "*.clicks_per_attempt": pooled, "*.share_h": 0.5},
        "all seeds together; symmetry for share_h", version=2,
    ),
    Row(
        "emission_efficiency", "photons.emission_efficiency:EmissionEfficiency", {"shots": 600},
        {"*.a_excitation": of_node(lambda node, _run: enough_light(node)), "*.efficiency_best": pooled,
         "*.efficiency": pooled},
        "integrated wavepackets for the amplitude; all seeds together",
        shares=CLICKS,
    ),
    Row(
        "cavity_scan", "setup.cavity_scan:CavityScan", {"shots": 600},
        {"*.v_centre_v": best("param.*.v_piezo_v"), "*.v_linewidth_v": pooled, "*.clicks_per_attempt": pooled},
        "optimum for the centre, else all seeds together",
        shares=CLICKS,
    ),
    Row(
        "hbt_g2", "photons.hbt_g2:HbtG2",
        {"shots": 60_000, "repeats": 1, "singles_attempts": 4000, "dark_attempts": 60_000},
        {"g2": pooled, "g2_of_dark_clicks": pooled, "g2_of_photons": pooled}, "all seeds together", "bright",
    ),
    Row(
        "hom", "photons.hom_interference:HomInterference",
        {"delays": RangeScan(-0.24e-6, 0.24e-6, 7), "attempts": 6000, "singles_attempts": 400, "dark_attempts": 6000},
        {"visibility": pooled, "visibility_subtracted": pooled, "fit.visibility": pooled, "fit.centre_s": 0.0},
        "all seeds together", "bright", analyse=of_hom,
        wide={"fit.visibility": "its error holds what three shapes of the dip differ by"},
    ),
    Row(
        "atom_photon", "photons.atom_photon:AtomPhoton", {"shots": 100, "repeats": 1},
        {"*.e_x": pooled, "*.e_z": pooled, "*.visibility": pooled}, "all seeds together", str(TURNED),
    ),
    Row(
        "remote_entanglement", "link.remote_entanglement:RemoteEntanglement",
        {"n_pairs": 200, "calibration_fraction": 0.2},
        {"XX": pooled, "fidelity": pooled, "fidelity_corrected": pooled, "chsh": pooled, "p_herald": pooled,
         "rate_hz": pooled}, "all seeds together", str(LOSSY), analyse=of_link,
        wide={"p_herald": "its error holds what is not known of when a missing atom went"},
    ),
    Row(
        "polarisation_alignment", "setup.polarisation_alignment:PolarisationAlignment", {"shots": 36},
        {"param.*.v_paddle_turn_v": best("param.*.v_paddle_turn_v"),
         "param.*.v_paddle_phase_v": best("param.*.v_paddle_phase_v")}, "optimum", str(TURNED), analyse=with_updates,
        shares={"agree_alice": "n", "agree_bob": "n"},
    ),
    Row(
        "bell_tomography", "link.bell_tomography:BellTomography", {"n_pairs": 300, "calibration_fraction": 0.2},
        {"fidelity": pooled, "concurrence": pooled, "purity": pooled, "phase_rad": pooled}, "all seeds together",
        str(LOSSY),
    ),
    Row(
        "detector_characterisation", "setup.detector_characterisation:DetectorCharacterisation",
        {"gates": 80, "repeats": 3},
        {"dark_rate_hz": 50.0, "c_h.dark_rate_hz": 50.0, "c_h.t_recovery_s": 30e-9}, "scenario",
    ),
    Row(
        "release_recapture", "atoms.release_recapture:ReleaseRecapture", {"shots": 40},
        {"*.temperature_k": of_node(lambda node, _run: node.truth.atom.temperature_k)}, "scenario",
        shares=LEFT,
    ),
    Row(
        "pair_lifetime", "link.pair_lifetime:PairLifetime",
        {"shots": 60, "calibration_fraction": 0.3, "t_wait": RangeScan(30e-6, 330e-6, 5)},
        {"pair.t2_star_s": pooled, "coherence_at_0": pooled, "zz": pooled, "fidelity_first": pooled},
        "all seeds together", str(LOSSY),
    ),
    Row(
        "aom_power", "setup.aom_power:AomPower", {"shots": 16},
        {"*.p_full_w": pooled, "*.a_saturation": pooled, "*.a_wanted": pooled}, "all seeds together",
        # less than full diffraction, where the amplitude has no slope to be found by
        believed={f"param.{node}.p_excitation_w": 8e-6 for node in ("alice", "bob")},
        fresh=True,
    ),
    Row(
        "cavity_lock_quality", "setup.cavity_lock_quality:CavityLockQuality", {"shots": 12},
        {"*.rms_kappa": pooled, "*.v_per_kappa_v": pooled, "*.v_offset_v": pooled, "*.v_transmitted_v": pooled},
        "all seeds together", fresh=True,
    ),
    Row(
        "pair_phase", "link.pair_phase:PairPhase", {"shots": 30},
        {"phase_rad": pooled, "visibility": pooled}, "all seeds together", "bright", version=2,
    ),
    Row(
        "link_monitor", "link.link_monitor:LinkMonitor", {"shots": 66, "repeats": 3, "calibrate": False},
        {"rate_hz": pooled, "rate_lab_hz": pooled, "fidelity": pooled}, "all seeds together",
    ),
    Row(
        "multiplexed_port", "link.multiplexed_port:MultiplexedPort",
        {"n_atoms": ExplicitScan([2]), "shots": 100, "attempts": 120, "rows": 3, "columns": 3},
        {"rate_2_hz": pooled, "heralds_per_attempt": pooled, "stored_zz": pooled},
        "all seeds together", str(LOSSY_ARRAY), fresh=True, version=2,
    ),
    Row(
        "rearrangement", "atoms.rearrangement:Rearrangement", {"n_shots": 6, "rows": 10, "columns": 10},
        {"loaded": pooled, "filled": pooled, "lost": pooled, "moves": pooled}, "all seeds together", "array",
        fresh=True,
    ),
    Row(
        "cz_bell", "atoms.cz_bell:CzBell", {"phase": RangeScan(0.0, 5 / 6, 6), "shots": 12},
        {"fidelity": pooled, "fidelity_raw": pooled, "contrast": pooled}, "all seeds together",
        str(LOSSY_PAIR), fresh=True,
    ),
)  # fmt: skip


def row_named(name: str) -> Row:
    """Return a row; KeyError names what there is."""
    known = {row.name: row for row in ROWS}
    if name not in known:
        raise KeyError(f"row {name!r} is none of {', '.join(known)}")
    return known[name]
