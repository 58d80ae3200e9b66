"""Parameters out of range are refused with field, value and allowed range; models stay light to import."""

import subprocess
import sys
from pathlib import Path

import pytest

import sim.physics
from atomlink.errors import ScenarioError
from sim.physics.aom import Aom
from sim.physics.cavity import CavityPort
from sim.physics.detector import Detector
from sim.physics.fibre import Fibre
from sim.physics.fields import Coils
from sim.physics.freespace import FreeSpacePort
from sim.physics.heralding import OnePhoton, TwoPhoton
from sim.physics.imaging import Imaging
from sim.physics.loading import Loading
from sim.physics.pumping import Pumping
from sim.physics.species import RB87, species
from sim.physics.trap import Trap

ZERO = (0.0, 0.0, 0.0)


@pytest.mark.parametrize(("build", "field"), [
    (lambda: Aom(0.0, 1.0), "Aom.saturation_w"),
    (lambda: CavityPort(1e7, -1.0, 0.0, 1e7), "CavityPort.kappa_ext_rad_s"),
    (lambda: CavityPort(1e7, 1e7, 0.0, 1e7, detuning_rad_s=float("nan")), "CavityPort.detuning_rad_s"),
    (lambda: Detector(1.2, 10.0, 50e-12, 0.0), "Detector.efficiency"),
    (lambda: Detector(True, 10.0, 50e-12, 0.0), "Detector.efficiency"),
    (lambda: Fibre(-3.0), "Fibre.length_m"),
    (lambda: Coils((0.0, 1.0), ZERO, ZERO), "Coils.x_gauss_per_v"),  # type: ignore[arg-type]
    (lambda: Coils(ZERO, ZERO, (0.0, 1.0, float("inf"))), "Coils.z_gauss_per_v"),
    (lambda: FreeSpacePort(0.1, 1.5, 1e7), "FreeSpacePort.fibre_coupling"),
    (lambda: TwoPhoton(0.1, 0.1, 1.0, 1.0), "TwoPhoton.dark_probability"),
    (lambda: OnePhoton(0.1, -0.1, 0.0, 1.0, 1.0), "OnePhoton.bright_fraction"),
    (lambda: Imaging(1e4, -1.0, 0.0), "Imaging.background_hz"),
    (lambda: Loading(1.0, 0.0, 1.01), "Loading.single_loss_fraction"),
    (lambda: Pumping(1e6, 1e6, 1.0, 0.0), "Pumping.branch_f1"),
    (lambda: Trap("deep", 1e-6, 852e-9), "Trap.depth_k"),  # type: ignore[arg-type]
])
def test_value_out_of_range_is_named_with_its_field(build, field):
    with pytest.raises(ScenarioError, match=field.replace(".", r"\.") + " is .*, but must be "):
        build()


def test_message_states_the_open_end_of_the_range():
    with pytest.raises(ScenarioError, match=r"is 1\.0, but must be a number in \[0, 1\): correct the scenario"):
        TwoPhoton(0.1, 0.1, 1.0, 1.0)


def test_unknown_species_is_refused_with_the_known_ones():
    assert species("Rb-87") is RB87
    with pytest.raises(ScenarioError, match="'Yb-171', but must be one of Rb-87"):
        species("Yb-171")


def test_no_model_imports_scipy_when_imported():
    folder = Path(sim.physics.__file__).parent
    names = [f"sim.physics.{path.stem}" for path in folder.glob("*.py") if path.stem != "__init__"]
    code = f"import sys, {', '.join(names)}; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=folder.parent.parent, check=False).returncode == 0
