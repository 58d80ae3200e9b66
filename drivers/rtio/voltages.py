"""The slow voltages of a node, on one Zotino: trap depth and shim coils, and a cavity piezo and a polarisation
compensator for each port.
"""

from artiq.language.core import delay, kernel
from artiq.language.environment import HasEnvironment
from artiq.language.types import TFloat
from artiq.language.units import us

from atomlink.at_port import belief, dac_channels, row
from drivers import parameters
from drivers.network import topology

SHIM_X, SHIM_Y, SHIM_Z, TRAP_DEPTH = range(4)  # Zotino channels, before those of the ports
PIEZO, TURN, PHASE = 4, 5, 6  # in `volts`, behind those


class Tweezers(HasEnvironment):
    """Trap depth and shims of a node, piezo and polarisation of one port. `acts`: the former are this atom's to set."""

    kernel_invariants = {"core", "dac", "channels", "acts", "piezo", "turn", "phase"}

    def build(self, atom: str, acts: bool = True) -> None:
        self.atom = atom
        self.acts = acts
        self.core = self.get_device("core")
        self.dac = self.get_device(row(atom, "zotino"))
        self.piezo, self.turn, self.phase = dac_channels(topology(self).number_of(atom))
        self.channels = [SHIM_X, SHIM_Y, SHIM_Z, TRAP_DEPTH, self.piezo, self.turn, self.phase]

    def prepare(self) -> None:
        """Read the set points, in the order of the DAC channels."""
        names = ("v_shim_x_v", "v_shim_y_v", "v_shim_z_v", "v_trap_v", "v_piezo_v", "v_paddle_turn_v",
                 "v_paddle_phase_v")  # fmt: skip
        self.volts = [parameters.get(self, belief(self.atom, name)) for name in names]

    @kernel
    def init(self):
        """Initialise the DAC and apply every set point."""
        if self.acts:
            self.dac.init()
            delay(200 * us)
        self.dac.set_dac(self.volts, self.channels)
        delay(200 * us)

    @kernel
    def set_trap(self, volts: TFloat):
        """Set the trap depth; the write is scheduled before the cursor, so leave 10 us of slack."""
        if self.acts:
            self.dac.set_dac([volts], [TRAP_DEPTH])

    @kernel
    def release(self):
        """Switch the trap off now; leave 10 us of slack, and 10 us until it is restored."""
        self.set_trap(0.0)

    @kernel
    def restore(self):
        """Switch the trap on again, to its set point."""
        self.set_trap(self.volts[TRAP_DEPTH])

    @kernel
    def set_piezo(self, volts: TFloat):
        """Set the cavity piezo, from now on at `init`, too; the write is scheduled before the cursor: leave 10 us."""
        self.volts[PIEZO] = volts
        self.dac.set_dac([volts], [self.piezo])

    @kernel
    def set_paddles(self, turn: TFloat, phase: TFloat):
        """Set the polarisation compensator, rotator and retarder, from now on at `init`, too; leave 10 us of slack."""
        self.volts[TURN] = turn
        self.volts[PHASE] = phase
        self.dac.set_dac([turn, phase], [self.turn, self.phase])
