"""What the lab believes: the table of parameters, what each may be, and how an experiment reads one.

The truth lies in the apparatus (or in the scenario of the twin). A belief is an ARTIQ dataset `param.*` of its lab
(`drivers/labs.py`); when the dataset does not exist yet, its default from this table is used. Calibrations update
datasets, never this file.
"""

import difflib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from atomlink import old_names
from atomlink.at_port import belief, is_of_a_port
from atomlink.errors import UsageError
from atomlink.topology import Topology
from drivers import labs, origins, parameter_log, parameter_ranges, run_datasets
from drivers.labs import LabName
from drivers.network import topology

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_LOOKS = {"end": r"\w+(\.\w+)?", "link": r"\w+(\.\w+)?-\w+(\.\w+)?\.\w+"}  # names that have dots themselves
SCALED = ("s", "Hz", "V", "W", "K", "m")  # units that take a prefix
PER_S = "/s"  # of a rate of events; Hz is of frequencies
_PREFIXES = {"p": 1e-12, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9}

BEAMS = ("cooling", "repump", "pumping", "excitation", "raman_a", "raman_b", "pushout", "rydberg_420",
         "rydberg_1013", "transfer", "clock")  # fmt: skip


@dataclass(frozen=True)
class Parameter:
    """One belief: its dataset key, default, unit, meaning, where the default comes from, and what it may be."""

    name: str
    default: float
    unit: str
    meaning: str
    source: str
    lowest: float = -math.inf
    highest: float = math.inf
    whole: bool = False


# {m} stands for a memory,
# {n} for a node, or for the atom at a port where each has its own (`atomlink.at_port`), {beam} for a beam of it,
# {s} for a station, {end} for an end of a link (a node, or node.port),
# {link} for a link, "alice-bob.midpoint". The shipped scenarios agree with these defaults.
_TEMPLATES = (
    Parameter("param.{n}.f_larmor_hz", 1.40e6, "Hz", "precession of the Zeeman pair m = -1, +1",
              "2 x 0.70 MHz/G (F = 1 of Rb-87) at the bias field of 1 G"),
    Parameter("param.{n}.t_raman_pi_s", 2e-6, "s", "Raman pi pulse on the Zeeman pair", "design: Rabi 250 kHz"),
    Parameter("param.{n}.t_mw_pi_s", 10e-6, "s", "microwave pi pulse, |1> to F = 2", "design: Rabi 50 kHz"),
    Parameter("param.{n}.t_pump_s", 4e-6, "s", "optical pumping inside an attempt", "design: 5 time constants"),
    Parameter("param.{n}.t_excitation_s", 0.5e-6, "s", "excitation pulse",
              "adiabatic cavity Raman emission takes 0.1 ... 1 us"),
    Parameter("param.{n}.transfer_rate", 4.2, "1", "-ln of the share that a weak excitation pulse leaves in F = 2, "
              "m = 0, over its power", "pulse of 0.5 us, g/2pi = 10 MHz, Rabi 10 MHz"),
    Parameter("param.{n}.t_aom_s", 500e-9, "s", "switch edge to light at the atom, every beam",
              "sound travels 2 mm at 4.2 mm/us in TeO2"),
    Parameter("param.{n}.t_cooling_s", 2e-3, "s", "cooling before the attempts", "design: 10 time constants"),
    Parameter("param.{n}.t_recooling_s", 0.5e-3, "s", "recooling between blocks of attempts", "design"),
    Parameter("param.{n}.t_loading_s", 50e-3, "s", "one try to load an atom", "design: several loading times"),
    Parameter("param.{n}.t_image_s", 20e-3, "s", "exposure of an image", "design: 400 counts of a bright atom"),
    Parameter("param.{n}.image_threshold", 60.0, "counts", "an atom is there above this",
              "between 4 counts (background 200 /s) and 400 (atom 20 k/s) in 20 ms"),
    Parameter("param.{n}.t_pushout_s", 50e-6, "s", "push-out pulse on F = 2", "design"),
    Parameter("param.{n}.t_shutter_s", 5e-3, "s", "the shutter opens or closes", "mechanical shutters: 2 ... 5 ms"),
    Parameter("param.{n}.t_coil_s", 1e-3, "s", "the quadrupole field decays",
              "coils of some 100 uH behind a fast switch"),
    Parameter("param.{n}.v_trap_v", 5.0, "V", "trap depth set point", "5 V give 1 mK"),
    Parameter("param.{n}.trap_depth_k", 1e-3, "K", "depth of the trap at its set point", "design: 5 V, 0.2 mK/V"),
    Parameter("param.{n}.trap_waist_m", 1e-6, "m", "waist of the trap", "design: NA 0.5 at 852 nm"),
    Parameter("param.{n}.trap_wavelength_m", 852e-9, "m", "wavelength of the trap", "design"),
    Parameter("param.{n}.v_shim_x_v", 0.0, "V", "shim coil x", "bias field alone"),
    Parameter("param.{n}.v_shim_y_v", 0.0, "V", "shim coil y", "bias field alone"),
    Parameter("param.{n}.v_shim_z_v", 0.0, "V", "shim coil z", "bias field alone"),
    Parameter("param.{n}.v_piezo_v", 0.0, "V", "cavity piezo", "the lock holds the cavity"),
    Parameter("param.{n}.cavity_hz_per_v", 1e6, "Hz/V", "cavity resonance against the piezo", "design: 1 MHz per volt"),
    Parameter("param.{n}.f_kappa_hz", 2.75e6, "Hz", "field decay of the cavity without an atom, half width",
              "design: 2.5 MHz through the mirror, 0.25 MHz of loss"),
    Parameter("param.{n}.v_paddle_turn_v", 0.0, "V", "polarisation compensator, rotator", "no compensation"),
    Parameter("param.{n}.v_paddle_phase_v", 0.0, "V", "polarisation compensator, retarder of H against V",
              "no compensation"),
    Parameter("param.{n}.turn_rad_per_v", 0.2, "rad/V", "compensator's rotator per volt", "design"),
    Parameter("param.{n}.phase_rad_per_v", 0.2, "rad/V", "compensator's retarder per volt", "design"),
    Parameter("param.{n}.f_{beam}_hz", 80e6, "Hz", "DDS carrier of the beam's AOM", "centre of an 80 MHz AOM"),
    Parameter("param.{n}.a_{beam}", 1.0, "1", "DDS amplitude of the beam, fraction of full scale", "AOM saturated"),
    Parameter("param.{n}.att_{beam}_db", 0.0, "dB", "step attenuator of the beam", "AOM saturated"),
    Parameter("param.{n}.p_excitation_w", 10e-6, "W", "excitation light wanted, at the power meter",
              "design: 1 % of 1 mW picked off behind the AOM"),
    Parameter("param.{n}.t_frame_s", 20e-3, "s", "exposure of a camera frame", "design: as the counter's image"),
    Parameter("param.{n}.t_readout_s", 5e-3, "s", "end of the exposure to the whole frame", "700 lines of a qCMOS"),
    Parameter("param.{n}.camera_x_px", 9.0, "1", "site (0, 0) on the sensor, pixels to the right", "design"),
    Parameter("param.{n}.camera_y_px", 9.0, "1", "site (0, 0) on the sensor, pixels down", "design"),
    Parameter("param.{n}.camera_pitch_px", 6.0, "1", "pixels from site to site", "design: 5 um, 0.83 um per pixel"),
    Parameter("param.{n}.camera_sigma_px", 0.9, "1", "width of a site's light, rms pixels", "NA 0.5 at 780 nm"),
    Parameter("param.{n}.camera_background", 0.2, "1", "electrons per pixel and frame without atoms",
              "10 /s in 20 ms"),
    Parameter("param.{n}.site_threshold", 25.0, "1", "electrons of a site above which an atom is there",
              "between 0 +- 2 and 100 +- 11 in 20 ms"),
    Parameter("param.{n}.site_m", 5e-6, "m", "distance of two sites", "design"),
    Parameter("param.{n}.port_row", 0.0, "1", "row of the site at the photon port", "design: a corner"),
    Parameter("param.{n}.port_column", 0.0, "1", "column of the site at the photon port", "design: a corner"),
    Parameter("param.{n}.move_speed_m_s", 0.55, "m/s", "highest speed of a carried atom",
              "Bluvstein et al., Nature 604, 451 (2022)"),
    Parameter("param.{n}.t_move_s", 100e-6, "s", "shortest time of a move", "10 radial trap periods"),
    Parameter("param.{n}.t_handover_s", 100e-6, "s", "ramp of a moving tweezer's amplitude", "10 radial trap periods"),
    Parameter("param.{n}.p_handover", 0.003, "1", "an atom is lost when one tweezer hands it to another",
              "design: pick-up or drop loss of 0.3 to 0.7 %"),
    Parameter("param.{n}.f_row_0_hz", 75.25e6, "Hz", "tone of row 0", "design: band of 75 to 125 MHz"),
    Parameter("param.{n}.f_row_site_hz", 0.5e6, "Hz", "tone step from row to row", "design"),
    Parameter("param.{n}.f_column_0_hz", 75.25e6, "Hz", "tone of column 0", "design: band of 75 to 125 MHz"),
    Parameter("param.{n}.f_column_site_hz", 0.5e6, "Hz", "tone step from column to column", "design"),
    Parameter("param.{n}.aod_lowest_hz", 75e6, "Hz", "lowest tone that the AOD deflects", "design"),
    Parameter("param.{n}.aod_highest_hz", 125e6, "Hz", "highest tone that the AOD deflects", "design"),
    Parameter("param.{n}.a_tone", 0.009, "1", "amplitude of one tone, fraction of the AWG's full scale",
              "a hundred of them stay within full scale"),
    Parameter("param.{n}.awg_tones", 20.0, "1", "tones that one axis of the AWG has", "DDS cores of an M4i.66xx"),
    Parameter("param.{n}.rydberg_n", 70.0, "1", "principal quantum number of the Rydberg state", "design: 70S"),
    Parameter("param.{n}.f_rydberg_rabi_hz", 4.6e6, "Hz", "two-photon Rabi frequency of the Rydberg light",
              "Evered et al., Nature 622, 268 (2023)"),
    Parameter("param.{n}.t_cz_pulse_s", 149e-9, "s", "each of the CZ gate's two pulses",
              "Levine et al., PRL 123, 170503 (2019): 4.29268 / (2 pi 4.6 MHz)"),
    Parameter("param.{n}.f_cz_detuning_hz", 1.73591e6, "Hz", "Rydberg light above resonance in the CZ gate",
              "Levine et al.: 0.377371 x 4.6 MHz"),
    Parameter("param.{n}.t_cz_dark_s", 358e-9, "s", "dark time between the CZ gate's two pulses",
              "the jump of phase of Levine et al., 3.90242 rad, over 2 pi x 1.73591 MHz"),
    Parameter("param.{n}.cz_phase_turns", 0.379, "1", "phase that the CZ gate gives to one atom in |2>",
              "sim.physics.rydberg.cz of these pulses"),
    Parameter("param.{n}.cz_excess_turns", 0.0276, "1", "phase of a pair in |2> beyond half a turn, beside its atoms'",
              "the same, two atoms at 5 um: the blockade is no perfect one"),
    Parameter("param.{n}.zone_rows", 1.0, "1", "rows of the gate zone, from the port's site on", "design"),
    Parameter("param.{n}.zone_columns", 4.0, "1", "columns of the gate zone, from the port's site on",
              "design: a row of four sites"),
    Parameter("param.{n}.t_transfer_pi_s", 2e-6, "s", "pi pulse that takes |0> to F = 1, m = 0, for storage",
              "design: Rabi 250 kHz"),
    Parameter("param.{n}.t_clock_pi_s", 2e-6, "s", "pi pulse on qubits stored in clock states", "design: Rabi 250 kHz"),
    Parameter("param.{n}.t2_storage_s", 1.5, "s", "1/e time of a stored qubit's coherence under XY8",
              "Bluvstein et al., Nature 604, 451 (2022)"),
    Parameter("param.{n}.t2_star_storage_s", 4e-3, "s", "1/e time of a stored qubit's dephasing that a pulse undoes",
              "Bluvstein et al., Nature 604, 451 (2022)"),
    Parameter("param.{n}.t1_storage_s", 10.0, "s", "1/e time of a stored qubit's populations",
              "design: far-detuned tweezers"),
    Parameter("param.{n}.t_local_image_s", 0.5e-3, "s", "exposure of a local image between two steps of a shot",
              "Bluvstein et al., Nature 626, 58 (2024)"),
    Parameter("param.{n}.t_local_readout_s", 0.2e-3, "s", "end of a local image to the sums of its region",
              "the same: 200 us; some 30 lines of a qCMOS"),
    Parameter("param.{n}.hidden_scatter_rate_hz", 5.0, "/s", "hidden atoms scatter cooling light meant for the port's",
              "design: 1e7 photons/s of a lit atom, 1 GHz of shift"),
    Parameter("param.{n}.v_transmitted_v", 2.0, "V", "photodiode behind the cavity, cavity in lock", "design"),
    Parameter("param.{end}.{s}.t_photon_s", 549e-9, "s", "excitation switch edge to first light at the detectors",
              "500 ns of AOM + 10 m of fibre at n = 1.468"),
    Parameter("param.{end}.{s}.efficiency", 0.0863, "1", "an attempt of one node ends in a click, end to end",
              "ready 0.97 x emission 0.757 x mode matching 0.6 x path 0.446 x midpoint 0.5 x detector 0.88"),
    Parameter("param.{n}.t2_star_s", 300e-6, "s", "1/e time of the Zeeman pair's dephasing that an echo undoes",
              "0.7 mG rms of field noise"),
    Parameter("param.{n}.t2_s", 2e-3, "s", "1/e time of its spin echo", "design"),
    Parameter("param.{n}.p_pumped", 0.997, "1", "share of attempts whose atom was pumped to F = 2, m = 0",
              "design: what leaks out of the dark state"),
    Parameter("param.{n}.p_wrong_state", 0.0, "1", "share of a pumped atom's photons that leave it outside the qubit",
              "nothing known; default cavity with returns to F = 2, m = +-1: 0.016"),
    Parameter("param.{n}.p_beside", 0.0, "1", "photons of an atom that was not pumped, for one of a pumped atom",
              "nothing known; default cavity, all left in F = 2, m = +-1: 0.91"),
    Parameter("param.{n}.temperature_k", 20e-6, "K", "temperature of the atom while it sends photons",
              "Tuchendler et al., PRA 78, 033425 (2008)"),
    Parameter("param.{n}.standing_wave_m", 0.0, "m", "wavelength of the standing wave that the atom feels; 0: none",
              "nothing known of the atom's place"),
    Parameter("param.{n}.f_coupling_hz", 10e6, "Hz", "atom-cavity coupling g/2pi at an antinode", "design"),
    Parameter("param.{n}.p_loading", 0.8, "1", "a try to load ends with an atom", "design: enhanced loading"),
    Parameter("param.{n}.attempt_heating_k", 0.7e-6, "K", "an attempt warms the atom by so much",
              "design: five photons of pumping and one of the attempt, 2 E_rec/3 k_B each"),
    Parameter("param.{n}.p_pushout_f1", 0.002, "1", "the push-out pulse costs an atom in F = 1",
              "design: 40 /s off resonance, 50 us"),
    Parameter("param.{n}.pulse_rms", 0.01, "1", "spread of the Raman and microwave pulses' areas from shot to shot",
              "design: 1 %"),
    Parameter("param.{n}.t_wavepacket_s", 134e-9, "s", "mean time of a photon after first light",
              "pulse of 0.5 us, g/2pi = 10 MHz, kappa/2pi = 2.75 MHz"),
    Parameter("param.{s}.t_gate_s", 0.9e-6, "s", "detector gate, from the first light on", "pulse + cavity decay"),
    Parameter("param.{s}.n_recooling", 100.0, "attempts", "attempts between two recoolings", "design"),
    Parameter("param.{s}.t_software_slack_s", 25e-6, "s", "software heralding: lead of an attempt over the counter",
              "about 30 events at 0.3 ... 0.8 us"),
    Parameter("param.{s}.t_register_slack_s", 2e-6, "s", "lead of a register access over the counter",
              "about 3 events at 0.3 ... 0.8 us"),
    Parameter("param.{link}.phase_rad", 0.0, "rad", "phase of the pairs, by which the second end's axes are turned",
              "compensators and delays leave none"),
    Parameter("param.{s}.dark_rate_hz", 50.0, "/s", "dark counts of one detector", "SNSPD: 10 ... 100 /s"),
    Parameter("param.{s}.t_phase_probe_s", 300e-6, "s", "calibration light in one reading of the optical phase",
              "300 clicks of 1 MHz: 0.06 rad"),
    Parameter("param.{s}.t_phase_period_s", 5e-3, "s", "shortest time between two corrections of the optical phase",
              "design: a block of attempts"),
    Parameter("param.{s}.phase_gain", 1.0, "1", "part of the phase that a correction takes out", "design"),
    Parameter("param.{s}.phase_walk_rad2_s", 0.0, "1", "how fast the variance of the optical phase grows, rad^2/s",
              "no walk is known before it is measured"),
    Parameter("param.{s}.visibility", 0.97, "1", "two-photon interference visibility, accidentals subtracted",
              "design: spatial overlap at the splitter; equal wavepackets"),
    Parameter("param.{m}.f_control_hz", 80e6, "Hz", "DDS carrier of the control light's AOM", "two-photon resonance"),
    Parameter("param.{m}.a_control", 0.4, "1", "DDS amplitude of the control light, fraction of full scale",
              "design: a delay of about 1.7 lengths of the photon"),
    Parameter("param.{m}.att_control_db", 0.0, "dB", "step attenuator of the control light", "design"),
    Parameter("param.{m}.t_control_aom_s", 500e-9, "s", "switch edge to control light in the cloud",
              "sound travels 2 mm at 4.2 mm/us in TeO2"),
    Parameter("param.{m}.t_control_lead_s", 200e-9, "s", "the control light is on so long before the photon",
              "longer than it takes to settle"),
    Parameter("param.{m}.t_control_off_s", 450e-9, "s", "the control light goes off so long after first light",
              "design: when most of the photon is inside"),
    Parameter("param.{m}.t_read_out_s", 1e-6, "s", "length of a read-out, and of its gate", "several delays"),
    Parameter("param.{m}.t_longest_storage_s", 600e-6, "s", "longest storage: three times the spin wave's life",
              "design"),
    Parameter("param.{m}.t_cloud_fill_s", 30e-3, "s", "the MOT fills the cloud",
              "design: three times its filling time"),
    Parameter("param.{m}.t_cloud_fresh_s", 0.5e-3, "s", "a cloud is used so long before it is filled again",
              "design: it loses a tenth of its depth"),
    Parameter("param.{m}.t_cloud_empty_s", 60e-3, "s", "until a cloud without MOT is gone",
              "design: twelve decay times"),
    Parameter("param.{m}.t_spin_wave_s", 200e-6, "s", "1/e time of the stored spin wave", "design: a thermal cloud"),
    Parameter("param.{m}.memory_efficiency", 0.6, "1", "a photon that comes to the cloud is read out right after",
              "Maxwell-Bloch integration of the default photon at OD 100"),
    Parameter("param.{m}.memory_noise", 3e-3, "1", "noise photons in one read-out", "design"),
    Parameter("param.{s}.reference_rate_hz", 655.0, "/s", "heralds per second of attempting of a link as it should be",
              "scenario `default`"),
    Parameter("param.{s}.reference_fidelity", 0.948, "1", "its raw fidelity with Psi+", "scenario `default`"),
)  # fmt: skip

def _places(topology: Topology) -> Iterator[dict[str, str]]:
    """Return what each placeholder of a template may stand for, alone or together with others."""
    for atom in topology.atoms:
        yield {"n": atom}
    for memory in topology.memories:
        yield {"m": memory.name}
    for station in topology.stations:
        yield {"s": station.name}
    seen = {(end, link.station): None for link in topology.links for end in link.ends}
    for end, station_name in seen:
        yield {"end": end, "s": station_name}
    for link in topology.links:
        yield {"link": f"{link.ends[0]}-{link.ends[1]}.{link.station}"}


@lru_cache(maxsize=16)
def table(topology: Topology) -> Mapping[str, Parameter]:
    """Return every belief of a lab by its name."""
    found: dict[str, Parameter] = {}
    places = list(_places(topology))
    for row in _TEMPLATES:
        wanted = set(_PLACEHOLDER.findall(row.name)) - {"beam"}
        for place in places:
            if set(place) == wanted:
                for beam in BEAMS if "{beam}" in row.name else ("",):
                    name = row.name.format(**place, beam=beam)
                    if "n" not in place or name == belief(place["n"], name.rpartition(".")[2]):
                        found[name] = replace(row, name=name, **parameter_ranges.of(name))
    return MappingProxyType(found)


@lru_cache(maxsize=1)
def _by_key() -> dict[str, tuple[re.Pattern[str], Parameter]]:
    """Return the templates by the last part of their names, each with what its whole name must look like."""
    found = {}
    for row in _TEMPLATES:
        for beam in BEAMS if "{beam}" in row.name else ("",):
            name = row.name.replace("{beam}", beam)
            key = name.rpartition(".")[2]
            looks = _LOOKS | ({"n": _LOOKS["end"]} if is_of_a_port(key) else {})
            pattern = "".join(looks.get(word, r"\w+") if k % 2 else re.escape(word)
                              for k, word in enumerate(_PLACEHOLDER.split(name)))  # fmt: skip
            found[key] = re.compile(pattern), row
    return found


def is_parameter(name: str) -> bool:
    """Say whether a name is that of a parameter, in this lab or in another one."""
    pattern, _ = _by_key().get(name.rpartition(".")[2], (None, None))
    return pattern is not None and pattern.fullmatch(name) is not None


def parameter(name: str, lab: Mapping[str, Parameter] | None = None) -> Parameter:
    """Return the row of one belief (in the table of `lab`, if given); UsageError names the nearest if there is none."""
    if lab is None and is_parameter(name):
        _, row = _by_key()[name.rpartition(".")[2]]
        return replace(row, name=name, **parameter_ranges.of(name))
    names: Mapping[str, Parameter] = lab or {}
    if name in names:
        return names[name]
    near = difflib.get_close_matches(name, names or [row.name for row in _TEMPLATES], n=3)
    hint = f"did you mean {', '.join(near)}?" if near else "`atomlink params list` names them."
    raise UsageError(f"Parameter {name!r} does not exist; it must be one of drivers/parameters.py: {hint}")


def dataset_unit(row: Parameter) -> str:
    """Return the unit as a dataset carries it: none for a pure number."""
    return "" if row.unit == "1" else row.unit


def scale_of(unit: str, base: str) -> float | None:
    """Return by how much a value in `unit` is to be multiplied to be in `base`; None where the two do not fit."""
    if unit == base or (unit in ("", "1") and base == "1"):
        return 1.0
    if base == "1":
        return 0.01 if unit == "%" else None
    if base == PER_S:
        return 1.0 if unit == "1/s" else scale_of(unit, "Hz")  # as earlier versions said, and their histories do
    if base in SCALED and unit.endswith(base) and unit[: -len(base)] in _PREFIXES:
        return _PREFIXES[unit[: -len(base)]]
    return None


def get(experiment: Any, name: str) -> float:
    """Return what the lab of an experiment believes, in the unit of the table.

    `experiment` is any HasEnvironment. The value is written into the results file, too, so that the file says what the
    run believed. A revision of the history that the datasets have not followed yet (the process was killed in between)
    comes first, then what the run has set for itself alone.
    """
    row, lab = parameter(name), labs.of(experiment)
    _announce(lab)
    waiting = _waiting(experiment, lab)
    if name in waiting:
        return _filed(experiment, row, waiting[name])
    key, own = lab.key(name), run_datasets.own(experiment)
    if key != name and name in own:
        return float(own[name])
    try:
        # What has the name that it is to be filed by is archived, once; ARTIQ warns of each further reading.
        archive = key == name and name not in run_datasets.archived(experiment)
        value = float(experiment.get_dataset(key, archive=archive))
    except KeyError:
        value = _under_old_name(experiment, row, lab)
    else:
        if key == name:
            return value
    return _filed(experiment, row, value)


def _under_old_name(experiment: Any, row: Parameter, lab: LabName) -> float:
    """Return a belief that was set before its parameter had today's name, else the default."""
    before = old_names.before(row.name)
    if before == row.name:
        return row.default
    return float(experiment.get_dataset(lab.key(before), row.default, archive=False))


def known(experiment: Any) -> dict[str, float]:
    """Return every belief that somebody has set or that this run has asked for."""
    lab, own = labs.of(experiment), run_datasets.own(experiment)
    found = {}
    for name in table(topology(experiment)):
        key = lab.key(name)
        try:
            value = own[name] if key != name and name in own else experiment.get_dataset(key, archive=False)
        except KeyError:
            continue
        found[name] = value
    return found


def _filed(experiment: Any, row: Parameter, value: float) -> float:
    experiment.set_dataset(row.name, value, unit=dataset_unit(row), scale=1.0)
    return value


_announced: set[tuple[LabName, Path]] = set()


def _announce(lab: LabName) -> None:
    """Say once in a process where the beliefs come from, if not from the lab itself."""
    folder = parameter_log.lab_folder()
    if (lab, folder) not in _announced:
        _announced.add((lab, folder))
        line = origins.note(lab, folder)
        if line:
            print(f"note: {line}")


def _waiting(experiment: Any, lab: LabName) -> dict[str, float]:
    """Return what the history says and the datasets do not yet; nearly always nothing."""
    path = parameter_log.lab_folder() / lab.file(parameter_log.FILE)
    if not path.exists():
        return {}
    followed = int(experiment.get_dataset(lab.key(parameter_log.REVISION), 0, archive=False))
    return parameter_log.waiting(path, followed)


def duration_mu(experiment: Any, name: str) -> np.int64:
    """Return a believed duration (a parameter in s) in machine units, rounded; int64, as kernels reckon time."""
    return np.int64(round(get(experiment, name) / experiment.core.ref_period))
