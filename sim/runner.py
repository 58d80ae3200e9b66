"""One run of one experiment: examine, build, prepare, run, analyze, results file.  Rules: ARTIQ's worker.

A failure in `run` still writes the file and skips `analyze`; a failure before it writes nothing. Only public names of
`artiq` are used, so this works on real ARTIQ and on the pip-only runtime; call `sim.artiq_runtime.install()` first.
"""

import contextlib
import logging
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import artiq
from artiq.master.databases import DatasetDB, DeviceDB
from artiq.master.worker_db import DatasetManager, DeviceManager
from artiq.master.worker_db import DeviceError as NoDevice

import atomlink
from atomlink.errors import DataError
from sim.command.arguments import CheckedArguments
from sim.command.dataset_copies import DatasetCopies
from sim.command.examine import check_scenario, examine, find_class, load_device_db, load_module, open_dataset_db
from sim.command.failures import explain_device
from sim.command.lab import Lab, next_rid, results_folder, working_in
from sim.command.results import write_results
from sim.command.virtual_devices import CCB, Scheduler

logger = logging.getLogger(__name__)

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass
class Run:
    """One run and what is known of it so far."""

    lab: Lab
    file: Path
    class_name: str | None
    arguments: dict[str, Any]
    results: Path
    log_level: int = logging.WARNING
    scheduler: Scheduler = field(default_factory=Scheduler)
    rid: int = -1
    start_time: float = 0.0
    run_time: float = 0.0
    core_row: Any = None      # of the device_db: says whether the core was simulated, and how
    path: Path | None = None  # of the results file, once it is written
    watch: Any = None         # `atomlink timeline` looks on

    def execute(self) -> None:
        """Carry the run out; what fails is raised after everything that can be kept is on disk."""
        experiment = find_class(load_module(self.file), self.file, self.class_name)
        device_db = load_device_db(self.lab)
        self.core_row = device_db.get_device_db().get("core")
        check_scenario(self.core_row)
        dataset_db = open_dataset_db(self.lab)
        try:
            examine(experiment, self.arguments, device_db, dataset_db)
            self.rid = next_rid(self.lab, self.results)
            self.start_time = time.time()
            self.scheduler.rid = self.rid
            self.scheduler.expid = self.expid(experiment)
            with working_in(results_folder(self.results, self.start_time), self.results):
                self._stages(experiment, device_db, dataset_db)
        except NoDevice as error:
            raise explain_device(error, device_db.get_device_db()) or error from error
        finally:
            dataset_db.save()
            dataset_db.close_db()

    def expid(self, experiment: type) -> dict[str, Any]:
        """Return the description of the run that ARTIQ keeps in each results file."""
        return {"devarg_override": {}, "log_level": self.log_level, "file": str(self.file),
                "class_name": experiment.__qualname__, "arguments": self.arguments}

    def _stages(self, experiment: type, device_db: DeviceDB, dataset_db: DatasetDB) -> None:
        devices = DeviceManager(device_db, virtual_devices={"scheduler": self.scheduler, "ccb": CCB()})
        # The pip-only runtime's database keeps copies by itself.
        ours = getattr(artiq, "__host_runtime__", False)
        datasets = DatasetManager(dataset_db if ours else DatasetCopies(dataset_db))
        arguments = CheckedArguments(self.arguments)
        if self.watch is not None:
            self.watch.start(self.core_row, device_db.get_device_db())
            devices.get("core").watch(self.watch)

        try:
            with _signals_to(self.scheduler):
                instance = experiment((devices, datasets, arguments, {}))
                arguments.check_all_used(experiment.__name__)
                instance.prepare()
                self._run_and_analyze(instance, devices, datasets)
        finally:
            devices.close_devices()

    def _run_and_analyze(self, instance: Any, devices: DeviceManager, datasets: DatasetManager) -> None:
        self.scheduler.status, self.run_time = "running", time.time()
        try:
            try:
                instance.run()
            finally:
                devices.notify_run_end()
            self.scheduler.status = "analyzing"
            instance.analyze()
        finally:
            left_out = self._write(type(instance).__name__, datasets)
        if left_out:
            raise DataError(f"results are written without {left_out}: "
                            "a dataset must be a number, a string or an array of one of NumPy's plain types")

    def _write(self, class_name: str, datasets: DatasetManager) -> str:
        path = Path.cwd() / f"{self.rid:09}-{class_name}.h5"
        with _signals_held():
            left_out = "; ".join(write_results(path, datasets, self.header))
            self.path = path
        if left_out and sys.exc_info()[0] is not None:  # what ended the run must not be hidden; else this is raised
            logger.error("%s is written without %s", path.name, left_out)
        return left_out

    @property
    def header(self) -> dict[str, Any]:
        """Return what the results file says about the run beside its datasets."""
        return {"artiq_version": artiq.__version__, "rid": self.rid, "start_time": self.start_time,
                "run_time": self.run_time, "expid": self.scheduler.expid, "atomlink_version": atomlink.__version__,
                "core": self.core_row}


@contextlib.contextmanager
def _signals_to(scheduler: Scheduler) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM ask the experiment to end; only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, scheduler.on_signal) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Put off Ctrl-C and SIGTERM, so that the results file gets written."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
