"""The slow voltages of a node: trap depth, shim coils, cavity piezo and polarisation compensator, on one Zotino."""

from artiq.language.core import delay, kernel
from artiq.language.environment import HasEnvironment
from artiq.language.types import TFloat
from artiq.language.units import us

from drivers import parameters

SHIM_X, SHIM_Y, SHIM_Z, TRAP_DEPTH, CAVITY_PIEZO, PADDLE_TURN, PADDLE_PHASE = range(7)  # Zotino channels


class Tweezers(HasEnvironment):
    """Trap depth, shims, piezo and polarisation of a node."""

    kernel_invariants = {"core", "dac", "channels"}

    def build(self, node: str) -> None:
        self.node = node
        self.core = self.get_device("core")
        self.dac = self.get_device(f"{node}_zotino")
        self.channels = [SHIM_X, SHIM_Y, SHIM_Z, TRAP_DEPTH, CAVITY_PIEZO, PADDLE_TURN, PADDLE_PHASE]

    def prepare(self) -> None:
        """Read the set points, in the order of the DAC channels."""
        names = ("v_shim_x_v", "v_shim_y_v", "v_shim_z_v", "v_trap_v", "v_piezo_v", "v_paddle_turn_v",
                 "v_paddle_phase_v")  # fmt: skip
        self.volts = [parameters.get(self, f"param.{self.node}.{name}") for name in names]

    @kernel
    def init(self):
        """Initialise the DAC and apply every set point."""
        self.dac.init()
        delay(200 * us)
        self.dac.set_dac(self.volts, self.channels)
        delay(200 * us)

    @kernel
    def set_trap(self, volts: TFloat):
        """Set the trap depth; the write is scheduled before the cursor, so leave 10 us of slack."""
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
        self.volts[CAVITY_PIEZO] = volts
        self.dac.set_dac([volts], [CAVITY_PIEZO])

    @kernel
    def set_paddles(self, turn: TFloat, phase: TFloat):
        """Set the polarisation compensator, rotator and retarder, from now on at `init`, too; leave 10 us of slack."""
        self.volts[PADDLE_TURN] = turn
        self.volts[PADDLE_PHASE] = phase
        self.dac.set_dac([turn, phase], [PADDLE_TURN, PADDLE_PHASE])
