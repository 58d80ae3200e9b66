"""Watch the instruments during a run, and veto the data of the time when one of them was not as it must be.

shutters closed --[ all read, brought back if need be ]--> shots --[ all read ]-- all hold --> shots
    one lost --> dark, shutters closed --[ relock, delatch, route, a bounded number of times ]--> shots, or the end
`lock_monitors.py` says what is watched.
"""

import time
from collections.abc import Callable

from artiq.experiment import BooleanValue, HasEnvironment, TBool, TInt64, kernel, ms, now_mu, rpc

from atomlink.at_port import belief
from atomlink.routes import watched
from drivers import parameters
from drivers.instruments.polatis import Driver as Polatis
from drivers.interlock import LockMonitor, LockState, LostTime
from drivers.interlock_log import run_log
from drivers.network import topology
from experiments.sequences import lock_monitors
from experiments.sequences.nodes import Nodes

SETTLE_S = 50 * ms  # the fibre switch takes 25 ms, a nanowire some to cool

Veto = Callable[[list[tuple[int, int]]], None]


class Locks(HasEnvironment):
    """The instruments, if the run's argument `watch_locks` asks for it; without it nothing is opened and nothing asked.

    `ask`: whether the run has that argument. It is the shutter, too, that `DetectorGuard` wants closed.
    """

    kernel_invariants = {"core", "nodes", "watching"}

    def build(self, nodes: Nodes, ask: bool = True) -> None:
        self.core = self.get_device("core")
        self.nodes = nodes
        self.watch_locks = False
        if ask:
            self.setattr_argument(
                "watch_locks",
                BooleanValue(False),
                "Safety",
                "Read lasers, cavity locks, detectors and fibre switch between shots: what is lost closes the shutters "
                "and vetoes its shots.",
            )
        self.opened = False
        self.dark = False  # the shutters are closed until the host says otherwise
        self.monitors: list[LockMonitor] = []
        self.bright_v: dict[str, float] = {}

    def prepare(self) -> None:
        """Read what the lab believes of the light behind a locked cavity."""
        self.watching = bool(self.watch_locks)
        if self.watching:
            for node in self.nodes.names:
                self.bright_v[node] = parameters.get(self, belief(node, "v_transmitted_v"))

    def open(self, veto: Veto | None = None) -> None:
        """Open the instruments behind closed shutters and bring back what is lost; the nodes need `init` after.

        `veto` is told the times (mu) that are vetoed at every check.
        """
        self._veto, self._lost_time = veto, LostTime()
        if not self.watching:
            return
        self.log = run_log(int(self.get_device("scheduler").rid))
        self.close()
        self.monitors = lock_monitors.monitors(self.get_device, self.bright_v, self._routes(), self, self.log)
        self.opened = True
        if not self.check(self.counter_mu()):
            self.recover()
        self.dark = False

    def _routes(self) -> dict[int, int]:
        """Return what the fibre switch must connect for the link of the run."""
        if not self.nodes.link:
            return {}
        return watched(topology(self), self.nodes.link, "fibre_switch", int(Polatis.OUTPUT.lowest))

    @kernel
    def hold(self) -> TBool:
        """Return whether everything watched holds; uses up the slack if anything is watched."""
        good = True
        if self.watching:
            good = self.check(self.core.get_rtio_counter_mu())
        return good

    @rpc
    def check(self, t_mu) -> TBool:
        """Read everything at RTIO time t_mu; veto what is not known to be good; return whether all is."""
        now = time.monotonic()
        good = LockState.LOST not in [monitor.check(now) for monitor in self.monitors]
        self._lost_time.note(int(t_mu), good)
        if self._veto is not None:
            self._veto(self._lost_time.intervals_mu())
        return good

    def recover(self) -> None:
        """Close the shutters and bring back what is lost; DeviceError in one line if that does not help.

        The nodes need `init` after.
        """
        good = False
        while not good:
            self._bring_back()
            self.settle()
            good = self.check(self.counter_mu())

    def good(self) -> bool:
        """Look once; where something is lost, bring it back and return False: what came since the last look is void."""
        if not self.watching or self.check(self.counter_mu()):
            return True
        self.recover()
        return False

    def check_last(self) -> None:
        """Look once more when the shots are taken, so that the last of them are known to be good or not."""
        if self.watching:
            self.check(self.counter_mu())
            self.log.close()

    # -- the shutter ---------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the shutters of all nodes and wait until they are."""
        self.darken()
        self.dark = True

    def is_closed(self) -> bool:
        """Tell whether the shutters have been closed since light was last allowed."""
        return self.dark

    # -- inside --------------------------------------------------------------------------------------------------------

    def _bring_back(self) -> None:
        self.close()
        try:
            for monitor in self.monitors:
                if monitor.recover(time.monotonic()) is LockState.LOST:
                    self.log.close()
                    monitor.latch.require()
        finally:
            self.dark = False

    @kernel
    def darken(self):
        """Leave all nodes dark; return when the shutters are closed."""
        self.nodes.close()
        self.core.wait_until_mu(now_mu())

    @kernel
    def settle(self):
        """Let what was brought back settle."""
        self.core.wait_until_mu(self.core.get_rtio_counter_mu() + self.core.seconds_to_mu(SETTLE_S))

    @kernel
    def counter_mu(self) -> TInt64:
        """Return the RTIO counter."""
        return self.core.get_rtio_counter_mu()
