"""The devices that ARTIQ's master gives to an experiment and no device_db names: `scheduler` and `ccb`."""

import logging
import signal
from types import FrameType
from typing import Any

from artiq.language.core import TerminationRequested, host_only
from artiq.language.types import TBool

from atomlink.errors import UsageError

logger = logging.getLogger(__name__)


class Scheduler:
    """The scheduler as an experiment sees it, with one run in one pipeline."""

    def __init__(self) -> None:
        self.rid = -1  # while arguments are examined there is no run yet
        self.pipeline_name = "main"
        self.priority = 0
        self.expid: dict[str, Any] = {}
        self.status = "preparing"
        self.stop_signal: int | None = None

    def pause_noexc(self) -> bool:
        """Return whether the run was asked to end."""
        return self.stop_signal is not None

    @host_only
    def pause(self) -> None:
        """Raise TerminationRequested where the run was asked to end."""
        if self.pause_noexc():
            raise TerminationRequested

    def check_pause(self, rid: int | None = None) -> TBool:
        """Say whether `pause` would do something."""
        return self.check_termination(rid)

    def check_termination(self, rid: int | None = None) -> TBool:
        """Say whether a run was asked to end."""
        return self.stop_signal is not None and rid in (None, self.rid)

    def request_termination(self, rid: int) -> None:
        """Ask a run to end."""
        if rid != self.rid:
            raise UsageError(f"no run {rid} here: `atomlink run` has one run, {self.rid}")
        self.stop_signal = signal.SIGTERM

    def get_status(self) -> dict[int, dict[str, Any]]:
        """Return the runs in the schedule, in ARTIQ's form."""
        return {self.rid: {
            "pipeline": self.pipeline_name, "expid": self.expid, "priority": self.priority, "due_date": None,
            "flush": False, "status": self.status, "repo_msg": None,
        }}

    def submit(self, *_args: Any, **_keywords: Any) -> int:
        """Refuse: another run needs a master."""
        raise UsageError("scheduler.submit needs ARTIQ's master: `atomlink run` runs one experiment and ends")

    def delete(self, rid: int) -> None:
        """Refuse: another run needs a master."""
        raise UsageError("scheduler.delete needs ARTIQ's master: `atomlink run` runs one experiment and ends")

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Ask the run to end at the first signal, interrupt it at the second."""
        if self.stop_signal is not None:
            raise KeyboardInterrupt
        self.stop_signal = number
        logger.warning("asked to stop: the experiment ends at its next check (once more interrupts it now)")


class CCB:
    """The client broadcast, with no client to listen."""

    def issue(self, service: str, *args: Any, **keywords: Any) -> None:
        """Log what a dashboard would be told."""
        logger.info("ccb %s %s %s", service, args, keywords)
