"""The register of one node: atoms of its array by site, stored, moved, coupled and read out one by one.

    show     drives, Rydberg and resonant light reach the gate zone, cooling and imaging light every site
    hide     all of them reach the port's site only: the others keep their state
    store    Zeeman pair -> clock states, and `storage.hold`: XY8 on all of the node's stored atoms
    move     site -> site, along the lanes: into the zone, to the port, back into the array
    cz       every pair of neighbours in the zone; who stands alone there turns by cz_phase only
    measure  hidden: push out F = 2 |‾| , local image |‾‾‾‾| , sum of the port's pixels -> kernel      within 1 ms

Which pair a gate acts on is a matter of place: bring the two side by side into the zone, the others out of it. The host
keeps what the last image said (`occupied`) and follows moves and read-outs from there on; what is not possible is
refused before the AWG hears of it.
"""

from collections.abc import Iterable

import numpy as np
from artiq.language.core import delay, delay_mu, kernel, now_mu
from artiq.language.environment import HasEnvironment
from artiq.language.types import TBool, TInt32, TInt64
from artiq.language.units import ms, us

from atomlink.at_port import belief, row
from atomlink.errors import DeviceError, UsageError
from drivers import parameters
from drivers.instruments.camera import ELECTRONS_PER_COUNT, OFFSET_COUNTS
from drivers.rtio.node import Node
from drivers.rtio.rydberg import RydbergLight
from drivers.rtio.storage import Storage
from drivers.rtio.tweezer_array import TweezerArray

Site = tuple[int, int]
CLEAR = 3  # sites from a pair to the next atom: at two the pair is 5 % off its gate, 70S at 5 um
ROI_MARGIN_MU = 1_000_000  # after the region's sums are due: then none has come
SLACK_MU = 125_000  # that `core.break_realtime` makes


class Register(HasEnvironment):
    """All atoms of a node with an array of `rows` x `columns` sites; `set_size` before `prepare`.

    `measure_mu`: what `measure` and its answer take at most.
    """

    kernel_invariants = {"core", "tweezer", "array", "rydberg", "storage", "grabber", "region", "roi_threshold",
                         "local_mu", "answer_mu", "measure_mu"}  # fmt: skip

    def build(self, node: str, tweezer: Node | None = None) -> None:
        """Take the register of a node; `tweezer`: its first port's atom, where the run has it already."""
        self.node = node
        self.core = self.get_device("core")
        self.tweezer = tweezer or Node(self, node)
        self.array = TweezerArray(self, node, self.tweezer.imaging)
        self.rydberg = RydbergLight(self, node)
        self.storage = Storage(self, node, self.tweezer.qubit)
        self.grabber = self.get_device(row(node, "grabber"))
        self.sums = [0]

    def set_size(self, rows: int, columns: int) -> None:
        """Say how many sites the array has; before `prepare`."""
        self.array.set_size(rows, columns)

    def prepare(self) -> None:
        """Read the beliefs; UsageError where the gate zone is not within the array."""
        self.call_child_method("prepare")
        (row_, column), size = self.array.port, (self.array.rows, self.array.columns)
        rows, columns = (round(parameters.get(self, belief(self.node, f"zone_{axis}"))) for axis in ("rows", "columns"))
        if row_ + rows > size[0] or column + columns > size[1]:
            raise UsageError(f"The gate zone of {self.node} has {rows} x {columns} sites from {self.array.port} on, "
                             f"but the array {size[0]} x {size[1]}: give rows and columns as the array has them, or "
                             f"set param.{self.node}.zone_rows and zone_columns.")
        self.zone = tuple((row_ + r, column + c) for r in range(rows) for c in range(columns))
        self.region = [int(edge) for edge in self.array.finder.region(*self.array.port)]
        self.roi_threshold = self._roi_threshold()
        self.local_mu = parameters.duration_mu(self, belief(self.node, "t_local_image_s"))
        answer_mu = parameters.duration_mu(self, belief(self.node, "t_local_readout_s"))
        self.answer_mu = answer_mu + ROI_MARGIN_MU
        imaging = self.tweezer.imaging
        self.measure_mu = (imaging.pushout_mu + imaging.pushout.dark_mu + imaging.cooling.latency_mu + self.local_mu
                           + answer_mu + SLACK_MU)  # fmt: skip
        self.occupied = np.zeros(size, dtype=bool)
        self.spares: set[Site] = set()

    def _roi_threshold(self) -> int:
        """Return the sum of the port's pixels, in counts, above which an atom is there."""
        x0, y0, x1, y1 = self.region
        pixels = (x1 - x0) * (y1 - y0)
        electrons = parameters.get(self, belief(self.node, "site_threshold"))
        background = parameters.get(self, belief(self.node, "camera_background"))
        return round(pixels * (OFFSET_COUNTS + background / ELECTRONS_PER_COUNT) + electrons / ELECTRONS_PER_COUNT)

    # -- host: who is where --------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Get the AWG, set the camera to local images; from the host, before the first kernel."""
        self.array.connect()
        self.array.camera.exposure_s = float(self.local_mu) * self.core.ref_period

    def look(self) -> None:
        """Take a picture of all sites, and believe it."""
        self.array.arm_camera()
        self.picture()
        self.occupied = self.array.read()[2]

    def there(self, site: Site) -> bool:
        """Return whether an atom is believed at a site; UsageError for a site that the array does not have."""
        if not (0 <= site[0] < self.array.rows and 0 <= site[1] < self.array.columns):
            raise UsageError(f"Site {site} is not of the array of {self.array.rows} x {self.array.columns} sites: rows "
                             "and columns count from 0.")
        return bool(self.occupied[site])

    def need(self, *sites: Site) -> None:
        """Raise DeviceError unless there is an atom at each of these sites."""
        for site in sites:
            if not self.there(site):
                raise DeviceError(f"{self.node}: there is no atom at site {site}: look(), and fetch or load one.")

    def pair(self, one: Site, other: Site) -> None:
        """Check that `cz` will couple these two atoms and nobody else of the zone to them.

        UsageError for sites that are no neighbours in the gate zone, DeviceError without an atom, or for a third one.
        """
        for site in (one, other):
            if site not in self.zone:
                raise UsageError(f"Site {site} is not in the gate zone, which has {self.zone[0]} to {self.zone[-1]}: "
                                 "move the atom there first.")
        if abs(one[0] - other[0]) + abs(one[1] - other[1]) != 1:
            raise UsageError(f"Sites {one} and {other} are not neighbours: a CZ gate needs two atoms side by side.")
        self.need(one, other)
        for third in self.zone:
            near = min(np.hypot(third[0] - site[0], third[1] - site[1]) for site in (one, other))
            if third not in (one, other) and self.occupied[third] and near < CLEAR:
                raise DeviceError(f"{self.node}: the atom at {third} is less than {CLEAR} sites from {one} or {other} "
                                  "and would take part in their gate: move it away first.")

    def keep_spares(self, sites: Iterable[Site]) -> None:
        """Say which sites hold atoms that `fetch` may use."""
        self.spares = {site for site in sites if self.there(site)}

    def queue_move(self, row: TInt32, column: TInt32, to_row: TInt32, to_column: TInt32):
        """Check a move, queue it, and take it as done."""
        start, stop = (int(row), int(column)), (int(to_row), int(to_column))
        self.need(start)
        if self.there(stop):
            raise DeviceError(f"{self.node}: site {stop} has an atom already: a second one would cost both.")
        self.array.carry(start, stop)
        self.occupied[start], self.occupied[stop] = False, True
        self.spares.discard(start)

    def queue_fetch(self, row: TInt32, column: TInt32) -> TBool:
        """Queue the move of the nearest spare atom to a site; return False where there is none left."""
        site = int(row), int(column)
        spares = sorted(self.spares, key=lambda spare: (abs(spare[0] - site[0]) + abs(spare[1] - site[1]), spare))
        if spares:
            self.queue_move(*spares[0], *site)
        return bool(spares)

    # -- kernels -------------------------------------------------------------------------------------------------------

    @kernel
    def init(self):
        """Initialise the node, its Rydberg and its storage light, and the grabber's region of the port."""
        self.tweezer.init()
        self.rydberg.init()
        self.storage.init()
        self.grabber.setup_roi(0, self.region[0], self.region[1], self.region[2], self.region[3])
        self.show()
        delay(1 * ms)

    @kernel
    def close(self):
        """Leave the node dark, its shutter closed, its sites shown."""
        self.rydberg.off()
        self.storage.off()
        delay(1 * us)
        self.show()
        self.tweezer.close()

    @kernel
    def hide(self):
        """Let all light but the clock light reach the port's site only."""
        self.array.hide()

    @kernel
    def show(self):
        """Let drives reach the zone, and cooling and imaging light every site."""
        self.array.show()

    @kernel
    def ready(self, duration_mu: TInt64):
        """Pump the atoms that drives reach to F = 2, m = 0: stored qubits in |2>, once the clock light is on them."""
        self.tweezer.pumping.pulse_mu(duration_mu)
        delay_mu(-duration_mu)
        self.tweezer.repump.pulse_mu(duration_mu)
        delay_mu(self.tweezer.pumping.dark_mu)

    @kernel
    def rotate(self, t_ref_mu: TInt64, pow_: TInt32, duration_mu: TInt64):
        """Turn the Zeeman qubits that drives reach about the axis that had azimuth `pow_`/65536 turns at `t_ref_mu`."""
        self.tweezer.qubit.set_phase(t_ref_mu, pow_)
        self.tweezer.qubit.rotate_mu(duration_mu)

    @kernel
    def store(self):
        """Take the Zeeman qubits that drives reach to the clock states."""
        self.storage.store()

    @kernel
    def recall(self):
        """Take the stored qubits that drives reach back to the Zeeman pair."""
        self.storage.recall()

    @kernel
    def cz(self):
        """Make the gate on |2> of every pair of neighbours in the zone; stored qubits have their |2> at hand."""
        self.rydberg.cz()

    @kernel
    def move(self, row: TInt32, column: TInt32, to_row: TInt32, to_column: TInt32):
        """Carry one atom to another site; asks the host, uses up the slack and makes new."""
        self.queue_move(row, column, to_row, to_column)
        self.array.play()

    @kernel
    def fetch(self, row: TInt32, column: TInt32) -> TBool:
        """Carry the nearest spare atom to a site; False where there is none left."""
        found = self.queue_fetch(row, column)
        if found:
            self.array.play()
        return found

    @kernel
    def measure(self) -> TBool:
        """Push the port's atom out if it is in F = 2, and say whether one is left; hide first. Uses up the slack and
        makes new. |1> of a Zeeman qubit is in F = 1, too: map it to F = 2 before.
        """
        self.tweezer.imaging.push_out()
        return self.see()

    @kernel
    def see(self) -> TBool:
        """Say whether an atom is at the port, by a local image; under hiding light the others keep their state."""
        self.expose()
        seen = self.seen()
        self.core.break_realtime()
        self.grabber.gate_roi(0)
        return seen

    @kernel
    def expose(self):
        """Take a local image; `seen` says what it showed, once the camera has sent it."""
        self.grabber.gate_roi(1)
        self.array.expose(self.local_mu)

    @kernel
    def seen(self) -> TBool:
        """Wait for the local image that was taken last, and say whether an atom is at the port. Uses up the slack."""
        self.grabber.input_mu(self.sums, now_mu() + self.answer_mu)
        return self.sums[0] > self.roi_threshold

    @kernel
    def picture(self):
        """Take one frame of all sites, to be read on the host."""
        self.core.break_realtime()
        self.show()
        self.array.expose(self.local_mu)
        delay_mu(self.array.readout_mu)
        self.core.wait_until_mu(now_mu())
