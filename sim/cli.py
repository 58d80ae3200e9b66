"""The command `atomlink`: run, timeline, calibrate, params, lab, report, export, recover, validate, list, doctor.

Bad input is one line on stderr and exit code 2; an experiment's own exception is one line with its place and code 1.
Each command imports what it needs when it is called, so that a tiny experiment starts as fast as with `artiq_run`.
"""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import atomlink
from atomlink.errors import LabError, UsageError
from sim.command.paths import short

if TYPE_CHECKING:
    from datetime import date

    from sim.command.lab import Lab
    from sim.runner import Run

USAGE = """usage: atomlink COMMAND …

  run FILE [ARG=VALUE …]   run an experiment and write its results file
  timeline FILE [ARG=…]    run an experiment, write a VCD, and say where slack and time go
  calibrate [TARGET]       bring what is stale or drifted back, in the order of the calibration graph
  params [COMMAND …]       what a lab believes: list, get, set, log, diff, rollback, adopt
  lab                      keep one simulated lab alive for runs, and serve its instruments on loopback
  report [FILE.h5]         make the one-page report of a results file (default: the newest)
  export [FILE.h5]         the tables of a run as CSV, or all of it as netCDF
  recover [PATH]           write the results file of a run that was killed, from its journal
  validate [ROW …]         published experiments against the twin, written to docs/validation.md
  list                     experiments with their arguments, and scenarios
  doctor                   what is installed, what is missing and how to get it

atomlink COMMAND --help says more."""


LAB = "127.0.0.1:3290"  # where `atomlink lab` listens unless told otherwise


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Raise the message instead of printing the usage before it."""
        raise UsageError(f"{message} (see `{self.prog} --help`)")


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one command and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    show_traceback = any(word in ("--traceback", "-v", "-vv") for word in words)
    try:
        return _dispatch(words)
    except KeyboardInterrupt:
        return _say("interrupted", 128 + signal.SIGINT)
    except BrokenPipeError:  # the reader of our output has gone (`atomlink list | head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 - the last place; each kind becomes one line and an exit code
        if show_traceback:
            import traceback

            traceback.print_exception(error)
        if isinstance(error, LabError):
            return _say(str(error), 2)
        from sim.command.failures import explain

        return _say(*explain(error))


def _say(message: str, code: int) -> int:
    print(f"atomlink: error: {message}", file=sys.stderr)
    return code


def _dispatch(words: list[str]) -> int:
    commands = {"run": _run, "timeline": _timeline, "report": _report, "export": _export, "recover": _recover,
                "validate": _validate,
                "calibrate": _calibrate, "params": _params, "lab": _serve_lab, "list": _list, "doctor": _doctor}
    if not words or words[0] in ("-h", "--help", "help"):
        print(USAGE)
        return 0 if words else 2
    if words[0] in ("-V", "--version"):
        print(f"atomlink {atomlink.__version__}")
        return 0
    if words[0] not in commands:
        raise UsageError(f"unknown command `{words[0]}`, must be one of: {', '.join(commands)}")
    return commands[words[0]](words[1:])


def _run(words: list[str]) -> int:
    with _prepared(_run_parser("run", "Run an experiment and write its results file."), words) as (run, _args):
        return _execute(run)


def _timeline(words: list[str]) -> int:
    parser = _run_parser("timeline", "Run an experiment in the simulation, write what happened as a value change dump "
                                     "(VCD), and print slack and time by source line.")  # fmt: skip
    parser.add_argument("--vcd", metavar="OUT.vcd", type=Path, help="where the VCD goes (default: beside the results)")
    with _prepared(parser, words) as (run, args):
        from sim.command.timeline import Timeline

        timeline = Timeline(run, None if args.vcd is None else args.vcd.resolve())
        try:
            return _execute(run)
        finally:
            timeline.finish()


@contextmanager
def _prepared(parser: argparse.ArgumentParser, words: list[str]) -> "Iterator[tuple[Run, argparse.Namespace]]":
    """Make ready what the words of a command describe, and the environment for as long as it runs."""
    args = parser.parse_intermixed_args(words)
    if args.file is None:
        raise UsageError(f"FILE is missing: {parser.prog} FILE [ARG=VALUE …], see `atomlink list`")
    lab, file = _lab_of(args.file)
    with _run_of(args, lab, file) as run:
        yield run, args


@contextmanager
def _run_of(args: argparse.Namespace, lab: "Lab", file: Path) -> "Iterator[Run]":
    """Make ready the run of one file, and the environment for as long as it runs."""
    logging.basicConfig(level=max(logging.DEBUG, logging.WARNING - 10 * args.verbose),
                        format="%(levelname)s:%(name)s:%(message)s")
    from sim.target import scenario_is_chosen

    chosen = args.scenario is not None or bool(args.lab) or scenario_is_chosen(os.environ)
    with _environment(args), _variables({"ATOMLINK_ROOT": str(lab.root)}):
        from sim import artiq_runtime

        artiq_runtime.install()
        from sim import runner
        from sim.command.arguments import parse

        yield runner.Run(lab, file, args.class_name, parse(args.arguments), (args.results or lab.results).resolve(),
                         log_level=logging.getLogger().level, own_scenario=not chosen)


def _execute(run: "Run") -> int:
    """Carry a run out, say where its data are, and return the exit code."""
    from artiq.language.core import TerminationRequested

    try:
        run.execute()
    except TerminationRequested:
        print(f"stopped on request in `run`; {_kept(run.path)}", file=sys.stderr)
        return 128 + (run.stop_signal or signal.SIGTERM)
    except BaseException:
        if run.path is not None:
            print(_kept(run.path), file=sys.stderr)
        raise
    if run.path is not None:
        print(f"results: {short(run.path)}")
    for other in run.others:
        print(f"atomlink: {other}", file=sys.stderr)
    if run.others and run.stop_signal is not None:
        return 128 + run.stop_signal
    return int(bool(run.others))


def _run_parser(command: str, description: str) -> argparse.ArgumentParser:
    parser = OneLineParser(prog=f"atomlink {command}", description=description)
    parser.add_argument("file", metavar="FILE", type=Path, nargs="?", help="file of the experiment")
    parser.add_argument("arguments", metavar="ARG=VALUE", nargs="*", help="arguments, values in PYON as for artiq_run")
    parser.add_argument("-c", "--class-name", metavar="CLASS", help="class, where the file has several")
    _add_run_options(parser)
    return parser


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scenario", metavar="NAME", help="simulated lab: a name (see `atomlink list`) or a TOML file")
    parser.add_argument("--seed", metavar="N", help="seed of everything random in the simulated lab")
    parser.add_argument("--costs", metavar="PRESET", help="what RTIO calls cost in time: ideal, kasli or kasli_soc")
    parser.add_argument("--lab", metavar="HOST:PORT", nargs="?", const=LAB, help="run in the lab that `atomlink lab` "
                        f"keeps (default {LAB})")
    parser.add_argument("--results", metavar="DIR", type=Path, help="folder of results (default: results/ of the lab)")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="log more, show the traceback of an error")
    parser.add_argument("--traceback", action="store_true", help="show the traceback of an error")


def _serve_lab(words: list[str]) -> int:
    parser = OneLineParser(prog="atomlink lab", description="Keep one simulated lab alive for runs, and serve its "
                           "instruments on loopback in their own protocols.")
    parser.add_argument("--scenario", metavar="NAME", help="simulated lab: a name (see `atomlink list`) or a TOML file")
    parser.add_argument("--seed", metavar="N", help="seed of everything random in the simulated lab")
    host, port = LAB.split(":")
    parser.add_argument("--bind", metavar="HOST", default=host, help=f"address to listen at (default: {host} alone)")
    parser.add_argument("--port", metavar="N", type=int, default=int(port), help=f"port for runs (default: {port})")
    parser.add_argument("--realtime", action="store_true", help="lab time follows the wall clock between runs")
    parser.add_argument("--heartbeat", metavar="S", type=float, help="close the shutters and give others the timeline "
                        "when the run that holds it says nothing for S seconds (default: wait for ever)")
    parser.add_argument("-v", "--traceback", action="store_true", help="show the traceback of an error")
    args = parser.parse_args(words)
    from sim import artiq_runtime

    artiq_runtime.install()
    from sim.command.serve import serve
    from sim.target import resolved

    given = {"ATOMLINK_SCENARIO": args.scenario, "ATOMLINK_SEED": args.seed}
    settings = resolved({**os.environ, "ATOMLINK_TARGET": "simulation", "ATOMLINK_LAB": ""},
                        {name: value for name, value in given.items() if value is not None})
    with _variables({"ATOMLINK_TARGET": "hardware"}):  # the instruments' rows as the real lab has them
        return serve(args, settings["ATOMLINK_SCENARIO"], int(settings["ATOMLINK_SEED"]))


def _lab_of(file: Path) -> tuple["Lab", Path]:
    from sim.command.lab import find_lab

    if not file.is_file():
        raise UsageError(f"no file {file}: name the file of an experiment, or see `atomlink list`")
    return find_lab(file.parent, Path.cwd()), file.resolve()


@contextmanager
def _environment(args: argparse.Namespace) -> Iterator[None]:
    """Set what `device_db.py` reads from the environment, checked, for as long as the run lasts."""
    from sim.target import resolved

    wanted = {"ATOMLINK_SCENARIO": args.scenario, "ATOMLINK_SEED": args.seed, "ATOMLINK_COSTS": args.costs,
              "ATOMLINK_LAB": getattr(args, "lab", None)}
    given = {name: value for name, value in wanted.items() if value is not None}
    with _variables(resolved(os.environ, given)):
        yield


@contextmanager
def _variables(settings: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for as long as the block lasts."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            os.environ.update({} if value is None else {name: value})


def _kept(path: Path | None) -> str:
    return "nothing was written" if path is None else f"what there was by then is in {short(path)}"


def _report(words: list[str]) -> int:
    parser = OneLineParser(prog="atomlink report", description="Make the one-page HTML report of a results file, or of "
                                                               "a day.")  # fmt: skip
    parser.add_argument("file", metavar="FILE.h5", nargs="?", help="results file or run number (default: the newest)")
    parser.add_argument("--day", metavar="YYYY-MM-DD", nargs="?", const="", help="report of a day (default: today)")
    parser.add_argument("-v", "--traceback", action="store_true", help="show the traceback of an error")
    args = parser.parse_args(words)
    from sim.command.lab import find_lab

    if args.day is not None:
        from analysis.report_day import report_day

        print(f"report: {short(report_day(find_lab(Path.cwd()).results, _day(args.day)))}")
        return 0
    from analysis.report import main_report

    print("\n".join(main_report(_result(args.file))))
    return 0


def _export(words: list[str]) -> int:
    parser = OneLineParser(prog="atomlink export", description="Write the tables of a run as CSV, or all of it as "
                                                               "netCDF.")  # fmt: skip
    parser.add_argument("file", metavar="FILE.h5", nargs="?", help="results file or run number (default: the newest)")
    parser.add_argument("--netcdf", action="store_true", help="one netCDF file instead (needs xarray)")
    parser.add_argument("--to", metavar="DIR", type=Path, help="folder (default: that of the results file)")
    parser.add_argument("-v", "--traceback", action="store_true", help="show the traceback of an error")
    args = parser.parse_args(words)
    from analysis import export, load

    if args.to is not None and not args.to.is_dir():
        raise UsageError(f"--to is {str(args.to)!r}, must be a folder that exists")
    run = load(_result(args.file))
    folder = args.to or run.path.parent
    for path in [export.to_netcdf(run, folder)] if args.netcdf else export.to_csv(run, folder):
        print(short(path))
    return 0


def _result(given: str | None) -> Path:
    """Return the results file that a command is about: a file, a run's number, or the newest."""
    from sim.command.lab import find_lab, newest_result

    if given is None:
        return newest_result(find_lab(Path.cwd()).results)
    if given.isascii() and given.isdigit() and not Path(given).exists():
        from analysis.load import find

        return find(int(given), find_lab(Path.cwd()).results)
    return Path(given)


def _day(text: str) -> "date":
    from datetime import date

    try:
        return date.fromisoformat(text) if text else date.today()
    except ValueError:
        raise UsageError(f"--day is {text!r}, must be a date as YYYY-MM-DD") from None


def _recover(words: list[str]) -> int:
    parser = OneLineParser(prog="atomlink recover", description="Write the results files of killed runs from journals.")
    parser.add_argument("path", metavar="PATH", type=Path, nargs="?", help="journal or folder (default: all results)")
    parser.add_argument("-v", "--traceback", action="store_true", help="show the traceback of an error")
    args = parser.parse_args(words)
    from sim.command.lab import find_lab
    from sim.command.recover import print_recovered

    return print_recovered(args.path, find_lab(Path.cwd()).results)


def _validate(words: list[str]) -> int:
    parser = OneLineParser(prog="atomlink validate", description="Compare the twin with published experiments.")
    parser.add_argument("rows", metavar="ROW", nargs="*", help="rows of the table, as V12 (default: all)")
    parser.add_argument("--seed", metavar="N", type=int, default=1, help="seed of the simulated clicks (default: 1)")
    parser.add_argument("--output", metavar="FILE", type=Path,
                        help="page to write (default: docs/validation.md of the lab, for all rows; else none)")
    parser.add_argument("-v", "--traceback", action="store_true", help="show the traceback of an error")
    args = parser.parse_args(words)
    from sim.command.lab import find_lab
    from sim.command.validate import validate

    output = args.output or (None if args.rows else find_lab(Path.cwd()).root / "docs" / "validation.md")
    print("\n".join(validate(args.rows, args.seed, output)))
    return 0


def _params(words: list[str]) -> int:
    from sim import artiq_runtime
    from sim.command.lab import find_lab

    artiq_runtime.install()
    from sim.command.params import USAGE as PARAMS_USAGE
    from sim.command.params import params

    if words and words[0] in ("-h", "--help", "help"):
        print(PARAMS_USAGE)
        return 0
    print("\n".join(params(find_lab(Path.cwd()), words, LAB)))
    return 0


def _calibrate(words: list[str]) -> int:
    parser = OneLineParser(prog="atomlink calibrate", description="Walk the calibration graph to TARGET: check what is "
                           "stale, diagnose upwards what fails, calibrate what has drifted.")
    parser.add_argument("target", metavar="TARGET", nargs="?", default="all", help="a node (default: all)")
    parser.add_argument("--dry-run", action="store_true", help="say what is stale and would be checked; touch nothing")
    parser.add_argument("--recheck", action="store_true", help="check what is fresh, too: something has changed")
    _add_run_options(parser)
    args = parser.parse_args(words)
    given = (f'target="{args.target}"', f"recheck={args.recheck}", f"dry_run={args.dry_run}")
    args.class_name, args.arguments = None, [*given]
    import experiments.calibration
    from sim.command.lab import find_lab

    with _run_of(args, find_lab(Path.cwd()), Path(experiments.calibration.__path__[0]) / "calibrate.py") as run:
        run.writes = not args.dry_run
        return _execute(run)


def _list(words: list[str]) -> int:
    OneLineParser(prog="atomlink list", description="List experiments and scenarios.").parse_args(words)
    from sim import artiq_runtime
    from sim.command.lab import find_lab

    artiq_runtime.install()
    from sim.command.catalog import print_catalog

    return print_catalog(find_lab(Path.cwd()))


def _doctor(words: list[str]) -> int:
    OneLineParser(prog="atomlink doctor", description="Say what is installed and what is missing.").parse_args(words)
    from sim.command.doctor import print_findings

    return print_findings()


if __name__ == "__main__":
    sys.exit(main())
