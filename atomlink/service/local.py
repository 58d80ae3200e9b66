"""Jobs on a lab of this machine: a worker process for each, which outlives the service and is taken up by the next."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from atomlink.files import write_whole
from atomlink.service.config import LabConfig
from atomlink.service.store import Row
from atomlink.service.worker import BEGUN, JOB, LOCK, LOG, OUTCOME, read_rid

INSIST_S = (0.0, 30.0, 60.0)  # after a cancel: ask (SIGTERM), ask again, kill


def folder_of(folder: Path, number: int) -> Path:
    """Return the folder of a job in that of all jobs."""
    return folder / f"{number:09}"


def highest_number(folder: Path) -> int:
    """Return the highest number of a job that has a folder in this one, 0 where there is none."""
    return max(_numbers(folder), default=0)


def living(folder: Path) -> list[int]:
    """Return the jobs in a folder whose workers live."""
    return sorted(number for number in _numbers(folder) if _held(folder_of(folder, number)))


def _numbers(folder: Path) -> list[int]:
    return [int(place.name) for place in folder.glob("*") if place.name.isdecimal()]


def _held(place: Path) -> bool:
    try:
        with open(place / LOCK, "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


class LocalLab:
    """A lab whose jobs are processes of this machine."""

    def __init__(self, config: LabConfig, folder: Path) -> None:
        self.config, self.folder = config, folder
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._asked: dict[int, tuple[float, int]] = {}  # when a cancel came, how often it was insisted on

    def place(self, job: Row) -> Path:
        """Return the folder of a job."""
        return folder_of(self.folder, job["id"])

    def _lives(self, number: int) -> bool:
        """Say whether a job's worker lives: by the process that we made, or by the lock that it holds."""
        child = self._children.get(number)
        return _held(folder_of(self.folder, number)) if child is None else child.poll() is None

    def start(self, job: Row) -> None:
        """Start a job's worker; it holds the lock before it exists.

        A job that has begun before is left as it is, for `ended` to find what became of it: the queue may be an older
        copy, in which it still waits.
        """
        place = self.place(job)
        place.mkdir(parents=True, exist_ok=True)
        if (place / BEGUN).exists():
            return
        write_whole(place / JOB, json.dumps(self.spec(job)).encode())
        lock = os.open(place / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._children[job["id"]] = self._spawn(place, [], (lock,))
        finally:
            os.close(lock)

    def spec(self, job: Row) -> dict[str, Any]:
        """Return what the worker is told."""
        spec, config = json.loads(job["spec"]), self.config
        simulated = not config.hardware and config.lab is None
        seed = spec.get("seed", config.seed)
        return {
            "root": str(config.folder), "file": str(config.folder / spec["file"]),
            "class_name": spec.get("class_name"), "arguments": spec.get("arguments", {}), "lab": config.lab,
            "scenario": config.scenario if simulated else None, "costs": config.costs if simulated else None,
            "seed": (job["id"] if seed is None else seed) if simulated else None,
        }  # fmt: skip

    def ended(self, job: Row) -> dict[str, Any] | None:
        """Return how a job ended, None while it runs; `{"begun": False}` where its worker never came to it."""
        place = self.place(job)
        if self._lives(job["id"]):
            self._insist(job["id"])
            return None
        self._asked.pop(job["id"], None)
        outcome = self._outcome(place)
        if outcome is None and not (place / BEGUN).exists():
            self._children.pop(job["id"], None)
            return {"begun": False}
        if outcome is None:
            with open(place / LOCK, "ab") as lock:  # made where somebody has removed it
                fcntl.flock(lock, fcntl.LOCK_SH)  # shared, so that nobody takes it for the worker's own
                self._spawn(place, ["recover"], ()).wait()
            outcome = self._outcome(place) or {"exit_code": None, "path": None, "error": "its worker was killed, and "
                                               "its journal cannot be read: see its log"}  # fmt: skip
        self._children.pop(job["id"], None)
        return {"begun": True, "begun_at": self._begun(job["id"]).get("at"), "rid": read_rid(place), **outcome}

    def rid(self, job: Row) -> int | None:
        """Return the number of the job's run, None while it has none."""
        return read_rid(self.place(job))

    def stop(self, job: Row) -> None:
        """Ask a job that runs to end; `ended` insists where it does not."""
        self._asked.setdefault(job["id"], (time.monotonic(), 0))
        self._insist(job["id"])

    def log(self, job: Row, most: int, since: int | None = None) -> tuple[int, bytes]:
        """Return at most so many bytes of a job's log, from `since` on (None: the last), and where they begin."""
        try:
            with open(self.place(job) / LOG, "rb") as file:
                start = max(0, os.fstat(file.fileno()).st_size - most) if since is None else since
                file.seek(start)
                return start, file.read(most)
        except OSError:
            return since or 0, b""

    def result(self, job: Row) -> dict[str, Any]:
        """Return what a job that has ended found."""
        return self._outcome(self.place(job)) or {}

    def _insist(self, number: int) -> None:
        since, times = self._asked.get(number, (0.0, len(INSIST_S)))
        if times < len(INSIST_S) and time.monotonic() - since >= INSIST_S[times]:
            pid = self._begun(number).get("pid")
            if pid is None or not self._lives(number):
                return  # not begun: it is asked at the next look; ended: its number may be another process's by now
            self._asked[number] = since, times + 1
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if times == len(INSIST_S) - 1 else signal.SIGTERM)

    def _begun(self, number: int) -> dict[str, Any]:
        """Return what a worker wrote down when it began: its process `pid`, which is its own while it lives, and `at`.

        Empty where it has not begun.
        """
        try:
            begun = json.loads((folder_of(self.folder, number) / BEGUN).read_text())
            return {"pid": int(begun["pid"]), "at": float(begun["at"])}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def _spawn(self, place: Path, words: list[str], keep: tuple[int, ...]) -> subprocess.Popen[bytes]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("ATOMLINK_")}
        environment["ATOMLINK_TARGET"] = "hardware" if self.config.hardware else "simulation"
        environment["PYTHONUNBUFFERED"] = "1"
        with open(place / LOG, "ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "atomlink.service.worker", str(place), *words], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, cwd=self.config.folder, env=environment, pass_fds=keep, start_new_session=True,
            )  # fmt: skip

    @staticmethod
    def _outcome(place: Path) -> dict[str, Any] | None:
        try:
            outcome: dict[str, Any] = json.loads((place / OUTCOME).read_text())
        except (OSError, ValueError):
            return None
        return outcome
