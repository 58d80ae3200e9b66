"""The tweezer array of one node: camera, AOD, and the hiding light; the port's own tweezer is in `node.py`.

    picture    camera trigger |‾|        cooling, repump |‾‾‾‾‾‾| one AOM latency later, then the frame is read out
    play       AWG trigger    |‾|        the AOD carries atoms for as long as the block lasts
    read       host           frame -> electrons per site -> where there is an atom
    carry      host           plan -> tone ramps, checked -> blocks -> AWG, one block per trigger

The hiding light shifts every site but the port's out of resonance: cooling and imaging light then meets only the atom
at the port, and qubits that wait in the array keep their state.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from artiq.language.core import delay_mu, kernel, now_mu
from artiq.language.environment import HasEnvironment
from artiq.language.types import TBool, TInt64

from atomlink.at_port import belief, row
from atomlink.errors import DeviceError, UsageError
from drivers import parameters
from drivers.rtio.awg_ramps import Axis, Segment, Timing, duration_s, ramps, route
from drivers.rtio.imaging import Imaging
from drivers.rtio.rearrangement import Bools, Plan, split
from drivers.site_finder import Floats, SiteFinder

READOUT_MARGIN_MU = 1_000_000
LARGEST_SITES = 1_000


class TweezerArray(HasEnvironment):
    """An array of `rows` x `columns` sites as the lab believes it, and the instruments that act on it.

    The camera is looked for in `prepare`, the AWG when it is first needed: most experiments have one atom per node.
    """

    kernel_invariants = {"core", "awg_trigger", "camera_trigger", "hiding", "imaging", "exposure_mu", "readout_mu",
                         "node"}  # fmt: skip

    def build(self, node: str, imaging: Imaging) -> None:
        self.node = node
        self.imaging = imaging
        self.core = self.get_device("core")
        self.awg_trigger = self.get_device(row(node, "awg_trigger"))
        self.camera_trigger = self.get_device(row(node, "camera_trigger"))
        self.hiding = self.get_device(row(node, "hiding"))
        self.blocks: deque[list[Segment]] = deque()

    def set_size(self, rows: int, columns: int) -> None:
        """Say how many sites the array has; before `prepare`."""
        if not (0 < rows <= LARGEST_SITES and 0 < columns <= LARGEST_SITES):
            raise UsageError(f"An array of {rows} x {columns} sites: each side must be 1 to {LARGEST_SITES}.")
        self.rows, self.columns = rows, columns

    def prepare(self) -> None:
        """Read the beliefs; UsageError where an array needs its size first, DeviceError where there is none."""
        if not hasattr(self, "rows"):
            raise UsageError("TweezerArray.set_size(rows, columns) must be called before prepare().")
        self.finder = SiteFinder(
            self.rows, self.columns, (self._belief("camera_x_px"), self._belief("camera_y_px")),
            self._belief("camera_pitch_px"), self._belief("camera_sigma_px"), self._belief("site_threshold"),
            self._belief("camera_background"),
        )  # fmt: skip
        self.timing = Timing(self._belief("site_m"), self._belief("move_speed_m_s"), self._belief("t_move_s"),
                             self._belief("t_handover_s"))  # fmt: skip
        self.row_axis, self.column_axis = self._axis("row"), self._axis("column")
        self.tones = round(self._belief("awg_tones"))
        self.port = round(self._belief("port_row")), round(self._belief("port_column"))
        self.exposure_mu = parameters.duration_mu(self, belief(self.node, "t_frame_s"))
        self.readout_mu = parameters.duration_mu(self, belief(self.node, "t_readout_s")) + READOUT_MARGIN_MU
        self.look_for_camera()

    def _belief(self, name: str) -> float:
        return parameters.get(self, belief(self.node, name))

    def _axis(self, which: str) -> Axis:
        return Axis(self._belief(f"f_{which}_0_hz"), self._belief(f"f_{which}_site_hz"), self._belief("aod_lowest_hz"),
                    self._belief("aod_highest_hz"), self._belief("a_tone"))  # fmt: skip

    # -- host: instruments ---------------------------------------------------------------------------------------------

    def look_for_camera(self) -> None:
        """Read a number off the camera and set none: a lab without an array is refused before anything moves.

        A camera that cannot be opened is for `connect` to report: kernels are compiled where there is none.
        """
        from artiq.master.worker_db import DeviceError as NoDevice  # here: a core device's kernels need no master

        try:
            camera = self.get_device(row(self.node, "camera"))
        except NoDevice:
            return
        camera.exposure_s  # noqa: B018 - atomlink's DeviceError where the camera looks at no array

    def connect(self) -> None:
        """Get AWG and camera, set the exposure; from the host, before the first kernel."""
        self.camera = self.get_device(row(self.node, "camera"))
        self.awg = self.get_device(row(self.node, "awg"))
        self.camera.exposure_s = float(self.exposure_mu) * self.core.ref_period
        self.awg.arm()

    def arm_camera(self, frames: int = 1) -> None:
        """Take a frame at each of the next triggers."""
        self.camera.arm(frames)

    def read(self) -> tuple[int, Floats, Bools]:
        """Return (time of the trigger in mu, electrons of each site, where there is an atom) of the next frame."""
        t_mu, image = self.camera.read()
        electrons = self.finder.electrons(image)
        return t_mu, electrons, self.finder.occupied(electrons)

    def write(self, plan: Plan, moves_per_block: int = 8) -> float:
        """Queue a plan as blocks of so many moves; return how long they take in s. Nothing has been sent yet.

        Raises DeviceError where a tone leaves the AOD's band or the amplitudes exceed their limit.
        """
        if moves_per_block < 1:
            raise UsageError(f"moves_per_block is {moves_per_block}, but must be at least 1.")
        segments = ramps(split(plan, self.tones), self.row_axis, self.column_axis, self.timing)
        size = 3 * moves_per_block
        self.blocks.extend(segments[k : k + size] for k in range(0, len(segments), size))
        return duration_s(segments)

    def carry(self, start: tuple[int, int], stop: tuple[int, int]) -> float:
        """Queue the move of one atom as a block of its own; return how long it takes in s.

        It travels on the lanes between rows and columns, so standing atoms are not in its way; `stop` must be empty.
        """
        for name, site in (("start", start), ("stop", stop)):
            if not (0 <= site[0] < self.rows and 0 <= site[1] < self.columns):
                raise UsageError(f"Argument `{name}` is site {site}, but the array has {self.rows} x {self.columns}.")
        if start == stop:
            return 0.0
        (row, column), (last_row, last_column) = self._lane(start), self._lane(stop)
        places = [start, (row, column), (last_row, column), (last_row, last_column), stop]
        legs = [place for k, place in enumerate(places) if k == 0 or place != places[k - 1]]
        segments = route(legs, self.row_axis, self.column_axis, self.timing)
        self.blocks.append(segments)
        return duration_s(segments)

    def _lane(self, site: tuple[int, int]) -> tuple[float, float]:
        """Return the crossing of lanes beside a site: half a site on, or back at the last row or column."""
        row, column = (k + 0.5 if k < n - 1 else k - 0.5 for k, n in zip(site, (self.rows, self.columns), strict=True))
        return row, column

    @property
    def waiting(self) -> int:
        """Return how many blocks have not been played."""
        return len(self.blocks)

    def next_block(self) -> TInt64:
        """Send the next block to the AWG; return how long it takes in mu. DeviceError if none is queued."""
        if not self.blocks:
            raise DeviceError(f"{self.node}: no move is queued for the AWG's trigger: write() or carry() first.")
        block = self.blocks[0]
        self.awg.write_segments(block)
        self.blocks.popleft()
        # The card's clock has steps of its own: leave it a microsecond.
        return np.int64(round(duration_s(block) / self.core.ref_period)) + np.int64(1000)

    def more(self) -> TBool:
        """Tell whether a block is queued."""
        return bool(self.blocks)

    # -- kernels -------------------------------------------------------------------------------------------------------

    @kernel
    def hide(self):
        """Shift every site but the port's out of resonance."""
        self.hiding.on()

    @kernel
    def show(self):
        """Let cooling and imaging light act on all sites."""
        self.hiding.off()

    @kernel
    def expose(self, duration_mu: TInt64):
        """Take one frame under cooling light; ends when the light has left the atoms, before the frame is read out."""
        self.imaging.cooling.on()
        self.imaging.repump.on()
        delay_mu(self.imaging.cooling.latency_mu)
        self.camera_trigger.on()
        delay_mu(duration_mu)
        self.camera_trigger.off()
        self.imaging.cooling.off()
        self.imaging.repump.off()
        delay_mu(self.imaging.cooling.dark_mu)

    @kernel
    def picture(self):
        """Take one frame of the array; `read` it on the host after the kernel has waited for it."""
        self.expose(self.exposure_mu)
        delay_mu(self.readout_mu)

    @kernel
    def trigger(self, duration_mu: TInt64):
        """Play the block that was sent last, and wait until it is done."""
        self.awg_trigger.pulse_mu(1000)
        delay_mu(duration_mu)

    @kernel
    def play(self):
        """Send and play every block that is queued; uses up the slack and makes new. DeviceError if none is queued."""
        more = True
        while more:
            duration_mu = self.next_block()
            self.core.break_realtime()
            self.trigger(duration_mu)
            self.core.wait_until_mu(now_mu())
            more = self.more()
        self.core.break_realtime()
