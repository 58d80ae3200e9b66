"""One run of one experiment: examine, build, prepare, run, analyze, results file.  Rules: ARTIQ's worker.

A failure in `run` still writes the file and skips `analyze`; a failure before it writes nothing. Only public names of
`artiq` are used, so this works on real ARTIQ and on the pip-only runtime; call `sim.artiq_runtime.install()` first.
"""

import contextlib
import logging
import math
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import artiq
from artiq.language.core import TerminationRequested
from artiq.master.worker_db import DatasetManager, DeviceManager
from artiq.master.worker_db import DeviceError as NoDevice

import atomlink
from atomlink.errors import DataError, UsageError
from atomlink.interrupts import STOP_SIGNALS
from sim.command.arguments import CheckedArguments
from sim.command.examine import check_scenario, examine, find_class, load_device_db, load_module, open_dataset_db, save
from sim.command.failures import explain, explain_device
from sim.command.lab import Lab, next_rid, remove_empty, results_folder, working_in
from sim.command.results import write_results
from sim.command.scheduler import Deleted, Entry, Schedule
from sim.command.virtual_devices import CCB, Scheduler
from sim.gateware.row import resolved
from sim.target import scenario_of

logger = logging.getLogger(__name__)

CLOSING_S = 10.0  # for devices to close, before a further signal interrupts that


class Session:
    """What the runs of one command share: the lab's databases, its simulated core, the schedule."""

    def __init__(self, lab: Lab, results: Path, log_level: int) -> None:
        self.lab, self.results, self.log_level = lab, results, log_level
        self.device_db = load_device_db(lab)
        rows = self.device_db.get_device_db()
        self.core_row = rows.get(resolved(rows, "core"))
        check_scenario(self.core_row, self.device_db.get_device_db())
        self.dataset_db = open_dataset_db(lab)
        self.schedule = Schedule(self._submitted, lambda: next_rid(lab, results), self._failed)
        self.runs: list[Run] = []
        self.folders: set[Path] = set()
        self.here = Path.cwd()  # where the command was given; each stage of a run works in its results folder
        self.errors: dict[int, BaseException] = {}
        self.applets: list[tuple[str, str]] = []  # that experiments have asked to show
        self.unsaved: DataError | None = None  # why the datasets could not be saved
        self._core: Any = None

    def keep_core(self) -> Any:
        """Return the core device that a run has made first, None where none has; keep it when that run is over."""
        if self._core is None:
            made = (device for run in self.runs for row, device in run.active_devices() if row == self.core_row)
            self._core = next(made, None)
        return self._core

    def close(self) -> None:
        """Let go of what is left; keep the datasets."""
        for run in list(self.runs):
            run.close()
        for folder in self.folders:
            remove_empty(folder, self.results)
        try:
            save(self.dataset_db)
        except DataError as error:
            self.unsaved = error
        self.dataset_db.close_db()

    def _submitted(self, entry: Entry) -> "Run":
        """Return what an experiment submitted; its file is below the lab's root where it is not absolute."""
        expid = entry.expid
        if "file" not in expid:
            raise UsageError("an experiment was submitted by its content; `atomlink run` needs its file: expid['file']")
        return Run(self.lab, self.lab.root / expid["file"], expid.get("class_name"), expid.get("arguments", {}),
                   self.results, expid.get("log_level", self.log_level), submitted=True, session=self)

    def _failed(self, entry: Entry, error: BaseException) -> None:
        """Note how a run ended; what fails does not keep the others from running."""
        submitted = getattr(entry.job, "submitted", True)
        if submitted and isinstance(error, (TerminationRequested, Deleted)):
            logger.warning("run %d (%s) was stopped on request", entry.rid, entry.expid.get("class_name"))
            return
        self.errors[entry.rid] = error
        if submitted:
            logger.error("run %d (%s): %s", entry.rid, entry.expid.get("class_name"), explain(error)[0])


@dataclass
class Run:
    """One run and what is known of it so far: a job of the schedule."""

    lab: Lab
    file: Path
    class_name: str | None
    arguments: dict[str, Any]
    results: Path
    log_level: int = logging.WARNING
    submitted: bool = False   # by another run
    own_scenario: bool = False  # none was chosen: the class may name one
    session: Session | None = None
    entry: Entry | None = None
    start_time: float = 0.0
    run_time: float = 0.0
    path: Path | None = None  # of the results file, once it is written
    watch: Any = None         # `atomlink timeline` looks on
    writes: bool = True       # False: one that only says what it would do leaves no results file
    told: Callable[[int], None] | None = None  # is told the run's number before anything is made
    stop_signal: int | None = None
    others: list[str] = field(default_factory=list)  # submitted ones that failed or were not started
    _experiment: Any = None
    _instance: Any = None
    _devices: Any = None
    _datasets: Any = None

    def execute(self) -> None:
        """Carry the run out, and what it submits; what fails is raised after all that can be kept is on disk."""
        experiment = find_class(load_module(self.file), self.file, self.class_name)
        scenario = scenario_of(experiment) if self.own_scenario else None
        if scenario is not None:
            os.environ["ATOMLINK_SCENARIO"] = scenario  # for device_db.py; whoever made the run puts it back
            print(f"scenario {scenario}: {experiment.__name__} needs it where no other is chosen (--scenario)")
        session = self.session = Session(self.lab, self.results, self.log_level)
        with _signals_to(session.schedule):
            try:
                with session.schedule.interrupts():
                    self._examine(experiment)
                session.schedule.submit("main", self.expid, job=self)
                session.schedule.run_all()
            finally:
                self.stop_signal = session.schedule.stop_signal
                session.close()
                if session.unsaved is not None and sys.exc_info()[0] is not None:  # what ended the run is said
                    logger.error("%s", session.unsaved)
        self._raise_failure()

    def print_arguments(self) -> None:
        """Print what the experiment is and which arguments it takes; nothing is made."""
        from sim.command.catalog import print_arguments

        module = load_module(self.file)
        print_arguments(self.lab, self.file, module, find_class(module, self.file, self.class_name))

    def _raise_failure(self) -> None:
        """Raise what ended the run; note how those went that it submitted."""
        session = self._session
        error = session.errors.pop(self.rid, None)
        self.others = [f"run {rid} failed" for rid in session.errors]
        left = (entry.rid for entry in session.schedule.left() if entry.job is not self)
        self.others += [f"run {rid} was not started" for rid in left]
        if session.unsaved is not None:
            if error is None and self.path is not None:
                raise session.unsaved
            logger.error("%s", session.unsaved)
        if isinstance(error, Deleted) or error is None and self.path is None and self.writes:
            raise TerminationRequested
        if error is not None:
            raise error

    # What is known

    @property
    def rid(self) -> int:
        """Return the run's number, -1 while it has none."""
        return -1 if self.entry is None else self.entry.rid

    @property
    def core_row(self) -> Any:
        """Return the row of the device_db that says whether the core was simulated, and how."""
        return self._session.core_row

    @property
    def expid(self) -> dict[str, Any]:
        """Return the description of the run that ARTIQ keeps in each results file."""
        return {"devarg_override": {}, "log_level": self.log_level, "file": str(self.file),
                "class_name": self._experiment.__qualname__, "arguments": self.arguments}

    @property
    def _session(self) -> Session:
        assert self.session is not None
        return self.session

    def active_devices(self) -> list[tuple[Any, Any]]:
        """Return the devices that the run has made, each with its row."""
        return [] if self._devices is None else self._devices.active_devices

    # The stages

    def prepare(self, entry: Entry) -> None:
        """Build the experiment and prepare it."""
        self.entry, session = entry, self._session
        if self.told is not None:
            self.told(entry.rid)
        if self._experiment is None:
            self._examine(find_class(load_module(self.file), self.file, self.class_name))
        self.start_time = time.time()
        scheduler = Scheduler(session.schedule, entry)
        session.runs.append(self)
        given = {"scheduler": scheduler, "ccb": CCB(session.applets)}
        self._devices = DeviceManager(session.device_db, virtual_devices=given)
        self._devices.devarg_override = entry.expid.get("devarg_override", {})
        self._datasets = DatasetManager(session.dataset_db)
        with self._at_work(), session.schedule.interrupts():
            self._share_core()
            arguments = CheckedArguments(self.arguments)
            self._instance = self._experiment((self._devices, self._datasets, arguments, {}))
            arguments.check_all_used(self._experiment.__name__)
            self._instance.prepare()

    def _examine(self, experiment: type) -> None:
        session = self._session
        self._experiment = experiment
        with self._rows_explained():
            self.arguments = examine(experiment, self.arguments, session.device_db, session.dataset_db)

    def _share_core(self) -> None:
        """Give all runs of the command one lab: what is submitted finds it as the others left it."""
        session = self._session
        if self.watch is not None:
            self.watch.start(session.core_row, session.device_db.get_device_db())
            self._devices.get("core").watch(self.watch)
            return
        core = session.keep_core()
        if hasattr(core, "join"):
            self._devices.get("core").join(core)

    def run(self) -> None:
        """Run the experiment; where that fails, write its results."""
        self.run_time = time.time()
        with self._at_work():
            try:
                try:
                    with self._session.schedule.interrupts():
                        self._instance.run()
                finally:
                    with self._session.schedule.interrupts(CLOSING_S):
                        self._devices.notify_run_end()
            except BaseException:
                self._write(type(self._instance).__name__, self._datasets)
                raise

    def analyze(self) -> None:
        """Analyze, and write the results."""
        with self._at_work():
            try:
                with self._session.schedule.interrupts():
                    self._instance.analyze()
            finally:
                left_out = self._write(type(self._instance).__name__, self._datasets)
        if self.submitted and self.path is not None:
            here = self._session.here
            shown = self.path.relative_to(here) if self.path.is_relative_to(here) else self.path
            print(f"results of run {self.rid}: {shown}")
        if left_out:
            raise DataError(f"results are written without {left_out}: "
                            "a dataset must be a number, a string or an array of one of NumPy's plain types")

    def close(self) -> None:
        """Close the devices; the session keeps the simulated core, whose lab others may share."""
        if self._devices is not None:
            self._session.keep_core()
            self._session.runs.remove(self)
            with self._session.schedule.interrupts(CLOSING_S):
                self._devices.close_devices()
            self._devices = None

    @contextlib.contextmanager
    def _at_work(self) -> Iterator[None]:
        """Work in the results folder."""
        folder = results_folder(self.results, self.start_time)
        self._session.folders.add(folder)
        with self._rows_explained(), working_in(folder):
            yield

    @contextlib.contextmanager
    def _rows_explained(self) -> Iterator[None]:
        """Say what is wrong with a device's row where a device cannot be made."""
        try:
            yield
        except NoDevice as error:
            raise explain_device(error, self._session.device_db.get_device_db()) or error from error

    def _write(self, class_name: str, datasets: DatasetManager) -> str:
        """Write the results, whatever signals come; what ended the run must not be hidden by what fails here."""
        if not self.writes:
            return ""
        ended = sys.exc_info()[0] is not None
        folder = results_folder(self.results, self.start_time).resolve()
        path = folder / f"{self.rid:09}-{class_name}.h5"
        with self._session.schedule.interrupts(math.inf):
            try:
                folder.mkdir(parents=True, exist_ok=True)  # the experiment or somebody else may have removed it
                left_out = "; ".join(write_results(path, datasets, self.header))
                self.path = path
            except (DataError, OSError) as error:
                refused = self._write_elsewhere(path, datasets, error)
                if not ended:
                    raise refused from None
                logger.error("%s", refused)
                return ""
        if left_out and ended:  # else this is raised
            logger.error("%s is written without %s", path.name, left_out)
        return left_out

    def _write_elsewhere(self, path: Path, datasets: DatasetManager, error: Exception) -> DataError:
        """Write results that have no room where they belong where temporary files go; return what to say."""
        spare = Path(tempfile.gettempdir()) / path.name
        try:
            write_results(spare, datasets, self.header)
        except (DataError, OSError):
            return error if isinstance(error, DataError) else DataError(f"{path} cannot be written ({error})")
        self.path = spare
        return DataError(f"{str(error).rstrip('.')}. Meanwhile it is kept as {spare}: move it.")

    @property
    def header(self) -> dict[str, Any]:
        """Return what the results file says about the run beside its datasets."""
        expid = None if self.entry is None else self.entry.expid
        return {"artiq_version": artiq.__version__, "rid": self.rid, "start_time": self.start_time,
                "run_time": self.run_time, "expid": expid, "atomlink_version": atomlink.__version__,
                "core": self.core_row}


@contextlib.contextmanager
def _signals_to(schedule: Schedule) -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and a closed terminal ask the experiment to end; only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    wanted = [number for number in STOP_SIGNALS
              if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]  # nohup wants it ignored
    before = {number: signal.signal(number, schedule.on_signal) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
