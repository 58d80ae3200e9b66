"""Count photons that were stored: an attempt at the port before a memory, its control light, and gates at read-out.

    cloud     |fill|                                        ·  ·  ·
    attempt         ( pump --[ excite ]--/photon/--.
    control                        [‾‾‾‾‾‾‾‾‾‾‾]   storage   [ read ]
    gates                                                    [ gate ] ) x shots
Beside them two passes without storage: the cloud let go, so that all photons pass (what came to the memory), and the
memory without light at the port (noise and dark clicks).
"""

from collections.abc import Iterable
from typing import Any

from artiq.language.core import delay, kernel
from artiq.language.environment import HasEnvironment, NumberValue, StringValue
from artiq.language.types import TFloat
from artiq.language.units import ms

from atomlink.errors import UsageError
from atomlink.memory_spec import of_memory
from drivers import parameters
from drivers.network import topology
from drivers.rtio.attempt import Attempt, believed_timing
from drivers.rtio.memory import Memory
from drivers.rtio.stored_herald import StoredHeralder
from experiments.sequences.nodes import Nodes
from experiments.sequences.photons import CHECK_ATTEMPTS, PhotonCounter

BETWEEN_LOOKS_S = 20e-3  # of storing: long storage must not mean that the atom is gone unnoticed
FEWEST = 20  # attempts between two looks


class StoredPhotons(HasEnvironment):
    """The memory of a run (argument `memory`), the nodes of the link that it lies in, and what is counted with it.

    storage_s: default of the argument `t_storage`; None where the run scans it.
    """

    kernel_invariants = {"core"}

    def build(self, storage_s: float | None = 5e-6) -> None:
        self.core = self.get_device("core")
        self.light: tuple[float, float] | None = None  # of the control's DDS, where it is not as believed
        network = topology(self)
        text = self.get_argument("memory", StringValue(""), "Memory", "Which memory; empty: the first of the lab.")
        if storage_s is not None:
            self.storage = self.get_argument(
                "t_storage", NumberValue(storage_s, unit="us", precision=3, step=1e-6, min=0.0, max=1.0), "Memory",
                "From the photon's first light in the cloud to the read-out's.",
            )  # fmt: skip
        specs = {memory.name: memory for memory in network.memories}
        if not specs:  # arguments may be examined there; `prepare` refuses a run
            self.nodes = Nodes(self, network.atoms)
            self.photons: Any = None
            return
        if text and text not in specs:
            raise UsageError(f"Memory {text!r} is not in this lab; it must be one of {', '.join(specs)}.")
        spec = specs[text or next(iter(specs))]
        link = next((link for link in network.links if spec.port in (port.key for port in link.ports)), None)
        if link is None:
            raise UsageError(f"Memory {spec.name} is behind {spec.port}, which is in no link: connect it to a station.")
        self.name, end = spec.name, [port.key for port in link.ports].index(spec.port)
        self.source = link.atoms[end]
        self.nodes = Nodes(self, link.atoms, link)
        self.memory = Memory(self, self.name)
        light = Attempt(self, self.nodes.nodes)
        self.heralder = StoredHeralder(self, light, network.station(link.station), self.memory, end)
        self.photons = PhotonCounter(self, self.nodes, heralder=self.heralder, lab=self)

    def prepare(self) -> None:
        """Read the beliefs and lay out the timing."""
        if self.photons is None:
            raise UsageError("This lab has no memory, which this needs: name one in network.memories of device_db.py, "
                             "or choose scenario memory.")
        self.call_child_method("prepare")
        self.timing = believed_timing(self, self.nodes.link)
        self.read_s = parameters.get(self, of_memory(self.name, "t_read_out_s"))
        for key in ("memory_efficiency", "memory_noise", "t_spin_wave_s", "t_control_off_s", "a_control",
                    "f_control_hz"):
            parameters.get(self, of_memory(self.name, key))  # filed with the results

    def check(self, storages_s: Iterable[float], off_s: float | None = None) -> None:
        """Refuse times outside the memory's window before anything is played."""
        for storage_s in storages_s:
            self.memory.use(storage_s, off_s)

    def run_level(self) -> dict[str, Any]:
        """Return the datasets that say what was stored where."""
        level = {"scan.memory": self.name, "scan.node": self.source, "scan.t_read_s": self.read_s,
                 "scan.detectors": ",".join(self.heralder.station.roles)}  # fmt: skip
        return {**self.nodes.run_level(), **level}

    def stored(self, attempts: int, storage_s: float, off_s: float | None = None) -> list[int]:
        """Return how often each pattern came in the read-out's gate."""
        self.memory.use(storage_s, off_s)
        self.heralder.storing = True
        self.heralder.gate(self.memory.storage_mu * self.core.ref_period, self.read_s)
        return self._count(attempts, self.source)

    def leaked(self, attempts: int, storage_s: float, off_s: float | None = None) -> list[int]:
        """Return how often each pattern came while the photon was stored, in a gate from first light to the read-out
        (a read-out's length at most).
        """
        self.memory.use(storage_s, off_s)
        self.heralder.storing = True
        self.heralder.gate(0.0, min(self.read_s, self.memory.storage_mu * self.core.ref_period))
        return self._count(attempts, self.source)

    def passing(self, attempts: int) -> list[int]:
        """Return how often each pattern came with the cloud let go: all photons that come to the memory."""
        self.memory.use(0.0)
        self.heralder.storing = False
        self.heralder.gate(0.0, self.read_s)
        return self._count(attempts, self.source)

    def noise(self, attempts: int, storage_s: float) -> list[int]:
        """Return how often each pattern came in the read-out's gate without a photon to store."""
        self.memory.use(storage_s)
        self.heralder.storing = True
        self.heralder.gate(self.memory.storage_mu * self.core.ref_period, self.read_s)
        return self._count(attempts)

    def row(self, attempts: int, storage_s: float, off_s: float | None = None) -> dict[str, Any]:
        """Return a row of a scan: attempts with a click in the read-out's gate of how many, the same for photons that
        pass, and for noise; passing photons a quarter as often, noise half as often.
        """
        row: dict[str, Any] = {}
        for name, found in (
            ("clicks", lambda: self.stored(attempts, storage_s, off_s)),
            ("came", lambda: self.passing(max(1, attempts // 4))),
            ("noise", lambda: self.noise(max(1, attempts // 2), storage_s)),
        ):
            row[name], row[f"n_{name}"] = sum(found()[1:]), self.done
        return row

    def _count(self, attempts: int, *lit: str) -> list[int]:
        self.photons.excite(*lit)
        storage_s = self.memory.storage_mu * self.core.ref_period if self.heralder.storing else 0.0
        self.photons.check = max(FEWEST, min(CHECK_ATTEMPTS, int(BETWEEN_LOOKS_S / max(storage_s, 1e-9))))
        self.photons.count(self.timing, self.heralder.singles, attempts, sure=True)  # long storage loses atoms
        self.done = int(self.photons.done)
        return [int(n) for n in self.heralder.pattern_counts]  # two clicks, too, which end no block

    def init(self) -> None:
        """Initialise nodes and memory; its control light is again as `control` has it."""
        self.nodes.init()
        self.init_memory()
        if self.light is not None:
            self.set_control(*self.light)

    def close(self) -> None:
        """Leave nodes and memory dark; works after an exception, too."""
        self.nodes.close()
        self.close_memory()

    def control(self, frequency_hz: float, amplitude: float) -> None:
        """Give the control light this frequency and amplitude from now on; they outlast a pause."""
        self.light = float(frequency_hz), float(amplitude)
        self.set_control(*self.light)

    @kernel
    def init_memory(self):
        """Initialise the memory; its cloud is empty."""
        self.core.break_realtime()
        self.memory.init()
        delay(1 * ms)

    @kernel
    def close_memory(self):
        """Switch the memory's light off."""
        self.core.break_realtime()
        self.memory.off()
        delay(1 * ms)

    @kernel
    def set_control(self, frequency: TFloat, amplitude: TFloat):
        """Set the control light's DDS."""
        self.core.break_realtime()
        self.memory.set(frequency, amplitude)
