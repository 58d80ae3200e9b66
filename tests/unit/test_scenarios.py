"""Scenarios: the shipped ones are complete and sourced, broken ones are refused with path, value and range."""

import re
from pathlib import Path

import pytest

from atomlink.errors import ScenarioError
from sim.world.scenario import FOLDER, load_scenario, scenario_names

BASE = 'description = "test"\nextends = "default"\n'


@pytest.mark.parametrize("name", scenario_names())
def test_every_shipped_scenario_loads(name: str) -> None:
    assert load_scenario(name).description


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_every_number_of_a_scenario_names_its_source(path: Path) -> None:
    numbers = [line for line in path.read_text().splitlines() if re.match(r"^\w+ = [-\d\[]", line)]
    bare = [line for line in numbers if not re.search(r"# .{5,}", line) and "entangler_outputs" not in line]
    assert not bare


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[nodes.trap]\ndepth_k = -1.0\n", r"alice\.trap: Trap\.depth_k is -1\.0, but must be"),
        ("[nodes.trap]\ndepth = 1e-3\n", r"alice\.trap\.depth does not exist .*did you mean 'depth_k'"),
        ('[nodes.fibre]\nlength_m = "ten"\n', r"alice\.fibre\.length_m is 'ten', but must be a number"),
        ("[midpoint.detector]\nefficiency = 1.2\n", r"efficiency is 1\.2, but must be"),
        ("[midpoint.detectors.e_h]\nefficiency = 0.2\n", r"midpoint\.detectors\.e_h does not exist"),
        ('[nodes.port]\nkind = "mirror"\n', r"alice\.port\.kind is 'mirror', but must be one of cavity, free_space"),
        ("[nodes]\nfibre = 3\n", r"alice\.fibre is 3, but must be a table"),
        ("[nodes.memory]\nt2_s = 2.0\n", r"t2_s is 2\.0, but must be <= 2 t1_s"),
        ("colour = 3\n", r"colour does not exist .*value is 3\); it must be one of name, description"),
        # Rates below zero.
        ("[bob.loading]\narrival_hz = -1.0\n", r"bob\.loading: Loading\.arrival_hz is -1\.0, but must be .* inf\)"),
        ("[nodes.pumping]\npump_hz = -3e6\n", r"alice\.pumping: Pumping\.pump_hz is -3000000\.0, .* in \[0, inf\)"),
        ("[midpoint.detectors.d_v]\ndark_rate_hz = -5.0\n", r"d_v: Detector\.dark_rate_hz is -5\.0, .*\[0, inf\)"),
        ("[nodes.memory]\nt1_s = -1\n", r"alice\.memory: Memory\.t1_s is -1\.0, but must be a number in \(0, inf\)"),
        # Probabilities above one.
        ("[bob.port]\nfibre_coupling = 1.3\n", r"bob\.port: CavityPort\.fibre_coupling is 1\.3, .* in \[0, 1\]"),
        ("[midpoint]\noverlap = 1.01\n", r"midpoint: StationTruth\.overlap is 1\.01, .* in \[0, 1\]"),
        # The output mirror's share above the whole, kappa_ext > kappa: then the rest is negative.
        ("[nodes.port]\nkappa_in_over_2pi_hz = -1e6\n", r"CavityPort\.kappa_in_rad_s is -6283185\.3\d*, .* "
         r"\[0, inf\): .* It was given as kappa_in_over_2pi_hz = -1000000\.0"),
        ("[nodes.port]\nkappa_over_2pi_hz = 2e6\n", r"port\.kappa_over_2pi_hz does not exist.*'kappa_in_over_2pi_hz'"),
        # Species.
        ('species = "Yb-171"\n', r"species is 'Yb-171', but must be one of Rb-87"),
        # Units: in the name, in the value, and by a factor of a million.
        ("[nodes.trap]\nwavelength_nm = 852\n", r"wavelength_nm does not exist .*852\); did you mean 'wavelength_m'"),
        ("[nodes.raman]\nrabi_hz = 1e5\n", r"alice\.raman\.rabi_hz does not exist .* did you mean 'rabi_over_2pi_hz'"),
        ("[nodes.raman]\nrabi_mhz = 1\n", r"rabi_mhz does not exist .* it must be one of rabi_rad_s, amplitude_rms"),
        ('[nodes.fibre]\nlength_m = "1 km"\n', r"alice\.fibre\.length_m is '1 km', but must be a number"),
        ("[nodes.trap]\nwavelength_m = 852.0\n", r"Trap\.wavelength_m is 852\.0, but must be .* in \(0, 0\.0001\]"),
        ("[nodes.trap]\ndepth_k = 1000.0\n", r"Trap\.depth_k is 1000\.0, but must be a number in \(0, 1\]"),
        ("[nodes.atom]\ntemperature_k = 20\n", r"Atom\.temperature_k is 20\.0, but must be a number in \[0, 1\]"),
        ("[nodes.aom]\nlatency_s = 500\n", r"Aom\.latency_s is 500\.0, but must be a number in \[0, 0\.0001\]"),
        # What is no number, or a beam that is not there.
        ("[alice.port]\ng_over_2pi_hz = true\n", r"alice\.port\.g_rad_s is True, but must be a number"),
        ("[nodes.trap]\ndepth_k = [1e-3]\n", r"alice\.trap\.depth_k is \[0\.001\], but must be a number"),
        ("[nodes.atom]\nvacuum_lifetime_s = nan\n", r"Atom\.vacuum_lifetime_s is nan, but must be .* in \(0, inf\)"),
        ('[wiring]\nentangler_outputs = [["alice.pumpin"]]\n', r"0 holds 'alice\.pumpin', but .* alice\.cooling"),
        ("[wiring]\noutputs = []\n", r"wiring\.outputs does not exist .* it must be one of entangler_outputs"),
    ],
)
def test_what_is_wrong_in_a_scenario_is_named(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(BASE + text)
    with pytest.raises(ScenarioError, match=says):
        load_scenario(str(path))


def test_an_unknown_scenario_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ScenarioError, match=r"'defualt' does not exist.*did you mean 'default'"):
        load_scenario("defualt")


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text('description = "empty"\nspecies = "Rb-87"\n[nodes.port]\nkind = "cavity"\n')
    with pytest.raises(ScenarioError, match=r"alice\.port\.\w+ is missing"):
        load_scenario(str(path))
