"""What the rest of the world may ask of a photon port, whatever it is."""

from __future__ import annotations

from typing import Protocol

from sim.physics.cavity import CavityPort
from sim.physics.emission import Emission, FloatArray
from sim.physics.motion import Spread


class Port(Protocol):
    """A frozen dataclass of a scenario's numbers: pulse and atom in, photon out."""

    def __hash__(self) -> int:
        """Equal numbers are the same port."""

    @property
    def fibre_coupling(self) -> float:
        """The part of what leaves the port that enters the fibre."""

    @property
    def resonator(self) -> CavityPort | None:
        """The cavity, for what locks and tunes it; None for a port without one."""

    @property
    def schemes(self) -> tuple[str, ...]:
        """The heralding schemes that it can serve (`atomlink.heralds`)."""

    @property
    def feels_motion(self) -> bool:
        """Whether its photon depends on how far the atom strays."""

    @property
    def sends_beside(self) -> bool:
        """Whether an atom in F = 2, m = +-1 sends a photon, too."""

    def emit(self, t_s: FloatArray, rabi_rad_s: FloatArray, detuning_rad_s: float,
             moved: Spread | None = None) -> Emission:  # fmt: skip
        """Return what a pulse on a ready atom gives: probability, wavepacket (a mixture where it is not pure), and how
        often the atom ends elsewhere; rabi_rad_s, float, shape (n,), on the grid t_s, detuning of the light; `moved`:
        how far the atom strays, over which the port averages; None: not at all. A port never draws.
        """

    def emit_beside(self, t_s: FloatArray, rabi_rad_s: FloatArray, detuning_rad_s: float,
                    moved: Spread | None = None) -> Emission:  # fmt: skip
        """Return what the same pulse gives of an atom in F = 2, m = +-1, where `sends_beside`."""

    def tuned(self, offset_rad_s: float) -> Port:
        """Return the port with its resonance moved, by a piezo; itself where there is none."""


class Plain:
    """A port to which neither the motion of its atom nor its state before the pulse matters."""

    feels_motion = False
    sends_beside = False

    def emit_beside(self, t_s: FloatArray, rabi_rad_s: FloatArray, detuning_rad_s: float,
                    moved: Spread | None = None) -> Emission:  # fmt: skip
        """Refuse: `sends_beside` is False."""
        raise NotImplementedError(f"{type(self).__name__} has no model of an atom in F = 2, m = +-1.")
