"""What a belief may be, in its unit: by the pattern of the last part of its name."""

import fnmatch
from typing import Any

from atomlink.errors import UsageError

# The first pattern that fits. Wide enough for any lab: they catch a wrong sign, prefix or unit. `WHOLE`: counted.
WHOLE = ("n_*", "port_row", "port_column", "zone_rows", "zone_columns", "awg_tones", "rydberg_n")
_RANGES = (
    ("t_*_pi_s", 1e-9, 0.1),
    ("t_excitation_s", 1e-9, 1e-3),
    ("transfer_rate", 1e-3, 1e3),
    ("phase_gain", 0.01, 2.0),
    ("phase_walk_rad2_s", 0.0, 1e9),
    ("t_aom_s", 0.0, 1e-4),
    ("t_cz_*", 0.0, 1e-3),
    ("t_photon_*", 0.0, 0.1),  # 20 000 km of fibre
    ("t_gate_s", 1e-9, 1e-3),
    ("t_wavepacket_s", 1e-12, 1e-3),
    ("t_*_slack_s", 0.0, 0.1),
    ("t1_*", 1e-9, 1e6),
    ("t2_*", 1e-9, 1e5),
    ("t_loading_s", 1e-6, 1e3),
    ("t_*", 0.0, 100.0),
    ("f_larmor_hz", 0.0, 1e10),
    ("f_kappa_hz", 1.0, 1e12),
    ("f_coupling_hz", 0.0, 1e12),
    ("f_cz_detuning_hz", -1e9, 1e9),
    ("f_*_site_hz", -1e9, 1e9),
    ("f_*", 0.0, 1e9),  # a DDS stays below 0.5 GHz
    ("aod_*_hz", 0.0, 1e9),
    ("*_rate_hz", 0.0, 1e9),
    ("cavity_hz_per_v", -1e12, 1e12),
    ("a_*", 0.0, 1.0),
    ("att_*_db", 0.0, 31.5),  # Urukul's step attenuator
    ("p_*_w", 0.0, 100.0),
    ("p_*", 0.0, 1.0),
    ("pulse_rms", 0.0, 1.0),
    ("v_transmitted_v", -100.0, 100.0),
    ("v_*", -10.0, 10.0),  # Zotino
    ("temperature_k", 1e-9, 1.0),
    ("standing_wave_m", 0.0, 1e-4),
    ("*_heating_k", 0.0, 1.0),
    ("trap_depth_k", 1e-9, 1.0),
    ("trap_wavelength_m", 1e-7, 2e-5),
    ("trap_waist_m", 1e-8, 1e-2),
    ("site_m", 1e-8, 1e-2),
    ("phase_rad", -7.0, 7.0),  # a turn either way
    ("*_rad_per_v", -100.0, 100.0),
    ("camera_[xy]_px", -1e5, 1e5),
    ("camera_*_px", 1e-3, 1e5),
    ("camera_background", -1e6, 1e6),
    ("image_threshold", 0.0, 1e9),
    ("site_threshold", -1e6, 1e9),
    ("port_*", 0.0, 1e4),
    ("zone_*", 1.0, 1e4),
    ("awg_tones", 1.0, 1e6),
    ("rydberg_n", 5.0, 1000.0),
    ("cz_*_turns", -10.0, 10.0),
    ("move_speed_m_s", 1e-9, 1e3),
    ("n_recooling", 1.0, 1e9),
    ("efficiency", 0.0, 1.0),
    ("memory_*", 0.0, 1.0),
    ("visibility", 0.0, 1.0),
    ("*_fidelity", 0.0, 1.0),
)


def of(name: str) -> dict[str, Any]:
    """Return lowest and highest value, and whether it is a whole number."""
    last = name.rpartition(".")[2]
    for pattern, lowest, highest in _RANGES:
        if fnmatch.fnmatchcase(last, pattern):
            whole = any(fnmatch.fnmatchcase(last, pattern) for pattern in WHOLE)
            return {"lowest": lowest, "highest": highest, "whole": whole}
    raise UsageError(f"Parameter {name} has no range, must have one: add it to _RANGES of drivers/parameter_ranges.py")
