"""An ensemble memory: a MOT that fills its cloud, and the control light that stores a photon and reads it out.

    MOT       |‾‾‾‾‾‾|____
    photon              ·/\\·                        first light in the cloud at t
    control           |‾‾‾‾‾|______________|‾‾‾‾‾‾|
                   lead    off           storage    read     all edges lead by the AOM's latency
"""

from artiq.language.core import at_mu, delay, delay_mu, kernel, now_mu
from artiq.language.environment import HasEnvironment
from artiq.language.types import TBool, TFloat, TInt64
from artiq.language.units import ms, us
from numpy import int64

from atomlink.errors import TimingError
from atomlink.memory_spec import of_memory
from drivers import parameters

GRID_MU = 8


class Memory(HasEnvironment):
    """One memory of the lab, by its name in `network.memories`."""

    kernel_invariants = {"core", "cpld", "dds", "control", "mot", "frequency", "attenuation", "latency_mu", "lead_mu",
                         "fill_mu", "fresh_mu", "empty_mu"}  # fmt: skip

    def build(self, name: str) -> None:
        self.name = name
        self.core = self.get_device("core")
        self.cpld = self.get_device(f"{name}_urukul0_cpld")
        self.dds = self.get_device(f"{name}_dds_control")
        self.control = self.get_device(f"{name}_ttl_control")
        self.mot = self.get_device(f"{name}_ttl_mot")

    def prepare(self) -> None:
        """Read the memory's beliefs."""
        self.frequency = parameters.get(self, of_memory(self.name, "f_control_hz"))
        self.amplitude = parameters.get(self, of_memory(self.name, "a_control"))
        self.attenuation = parameters.get(self, of_memory(self.name, "att_control_db"))
        self.latency_mu, self.lead_mu, self.off_mu = (self._duration_mu(f"control_{key}")
                                                      for key in ("aom", "lead", "off"))  # fmt: skip
        self.read_mu, self.longest_mu = self._duration_mu("read_out"), self._duration_mu("longest_storage")
        self.fill_mu, self.fresh_mu, self.empty_mu = (self._duration_mu(f"cloud_{key}")
                                                      for key in ("fill", "fresh", "empty"))  # fmt: skip
        self.storage_mu = int64(0)
        self.filled_mu = int64(0)
        self.filled = False
        self.use(0.0)

    def _duration_mu(self, key: str) -> int64:
        return parameters.duration_mu(self, of_memory(self.name, f"t_{key}_s"))

    def use(self, storage_s: float, off_s: float | None = None) -> None:
        """Store for storage_s from the next photon on: from its first light in the cloud to the read-out's.

        off_s: when the control light goes off after first light, by default as believed. TimingError outside the
        memory's window.
        """
        off = self.off_mu if off_s is None else int64(round(off_s / self.core.ref_period))
        storage = int64(round(storage_s / self.core.ref_period))
        if not -self.lead_mu < off:
            raise TimingError(f"Memory {self.name}: the control light goes off {off} mu after first light, "
                              f"must be after it goes on, at {-self.lead_mu} mu: lengthen t_control_lead_s.")
        if storage and not off + GRID_MU <= storage:
            raise TimingError(f"Memory {self.name}: read-out {storage} mu after first light, must be after the "
                              f"control light is off at {off} mu: store for longer.")
        if storage > self.longest_mu:
            window = of_memory(self.name, "t_longest_storage_s")
            raise TimingError(f"Memory {self.name}: read-out {storage} mu after first light, must be within its "
                              f"window of {self.longest_mu} mu ({window}).")
        self.stop_mu, self.storage_mu = off, storage if storage else off + GRID_MU * 8

    @kernel
    def init(self):
        """Initialise the control's DDS, switched off, and leave the cloud to itself."""
        self.cpld.init()
        delay(1 * ms)
        self.dds.init()
        self.control.off()
        self.dds.cfg_sw(False)
        delay(10 * us)
        self.dds.set_att(self.attenuation)
        delay(10 * us)
        self.set(self.frequency, self.amplitude)
        self.mot.off()
        self.filled = False

    @kernel
    def set(self, frequency: TFloat, amplitude: TFloat):
        """Set frequency (Hz) and amplitude (fraction of full scale) of the control light."""
        self.dds.set(frequency, 0.0, amplitude)
        delay(10 * us)

    @kernel
    def off(self):
        """Switch control light and MOT off, now."""
        self.control.off()
        self.mot.off()

    @kernel
    def fresh(self) -> TBool:
        """Say whether the cloud was filled so lately that it need not be filled again."""
        return self.filled and now_mu() - self.filled_mu < self.fresh_mu

    @kernel
    def fill(self):
        """Fill the cloud; what was stored is gone."""
        self.mot.on()
        delay_mu(self.fill_mu)
        self.mot.off()
        delay_mu(GRID_MU)
        self.filled_mu = now_mu()
        self.filled = True

    @kernel
    def empty(self):
        """Let the cloud go: photons then pass."""
        self.mot.off()
        delay_mu(self.empty_mu)
        self.filled = False

    @kernel
    def store(self, light_mu: TInt64):
        """Have the control light on around a photon whose first light is in the cloud at `light_mu`, then off."""
        at_mu(light_mu - self.lead_mu - self.latency_mu)
        self.control.on()
        at_mu(light_mu + self.stop_mu - self.latency_mu)
        self.control.off()

    @kernel
    def retrieve(self, read_mu: TInt64):
        """Read out at `read_mu`; the cursor ends where the control light is switched off again."""
        at_mu(read_mu - self.latency_mu)
        self.control.pulse_mu(self.read_mu)
