"""The devices that ARTIQ's master gives to an experiment and no device_db names: `scheduler` and `ccb`."""

import logging
from typing import Any

from artiq.language.core import TerminationRequested, host_only
from artiq.language.types import TBool

from sim.command.scheduler import Entry, Schedule

logger = logging.getLogger(__name__)


class Scheduler:
    """The device `scheduler`, as the experiment of one run sees it."""

    def __init__(self, schedule: Schedule, entry: Entry) -> None:
        self._schedule = schedule
        self.rid, self.pipeline_name, self.priority = entry.rid, entry.pipeline_name, entry.priority
        self.expid = entry.expid

    def pause_noexc(self) -> bool:
        """Let others take their turn; return whether the run was asked to end."""
        return self._schedule.pause(self.rid)

    @host_only
    def pause(self) -> None:
        """Let others take their turn; raise TerminationRequested where the run was asked to end."""
        if self.pause_noexc():
            raise TerminationRequested

    def check_pause(self, rid: int | None = None) -> TBool:
        """Say whether `pause` would do something."""
        return self._schedule.check_pause(self.rid if rid is None else rid)

    def check_termination(self, rid: int | None = None) -> TBool:
        """Say whether a run was asked to end."""
        return self._schedule.check_termination(self.rid if rid is None else rid)

    def submit(
        self, pipeline_name: str | None = None, expid: dict[str, Any] | None = None, priority: int | None = None,
        due_date: float | None = None, flush: bool = False,
    ) -> int | None:  # fmt: skip
        """Put a run into the schedule; what is not said is as for this run. Return its number."""
        return self._schedule.submit(
            self.pipeline_name if pipeline_name is None else pipeline_name,
            self.expid if expid is None else expid,
            self.priority if priority is None else priority,
            due_date,
            flush,
        )

    def delete(self, rid: int) -> None:
        """Take a run out of the schedule."""
        self._schedule.delete(rid)

    def request_termination(self, rid: int) -> None:
        """Ask a run to end."""
        self._schedule.request_termination(rid)

    def get_status(self) -> dict[int, dict[str, Any]]:
        """Return the runs in the schedule, in ARTIQ's form."""
        return self._schedule.get_status()


class CCB:
    """The client broadcast; `heard`: what has been told to show applets, as (name, command), for who looks on."""

    def __init__(self, heard: list[tuple[str, str]] | None = None) -> None:
        self._heard = heard

    def issue(self, service: str, *args: Any, **keywords: Any) -> None:
        """Log what a dashboard would be told."""
        logger.info("ccb %s %s %s", service, args, keywords)
        if self._heard is not None and service == "create_applet" and len(args) > 1:
            self._heard.append((str(args[0]), str(args[1])))
