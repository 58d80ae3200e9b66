"""The command `atomlink`: what each of its words does.

Bad input is one line on stderr and exit code 2; an experiment's own exception is one line with its place and code 1.
Each command imports what it needs when it is called, so that a tiny experiment starts as fast as with `artiq_run`.
"""

import argparse
import importlib
import logging
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import atomlink
from atomlink.errors import LabError, UsageError
from sim.command.environment import variables
from sim.command.paths import short
from sim.command.words import LAB, OneLineParser, add_run_options, run_parser, traceback_option, virtual_core_parser

if TYPE_CHECKING:
    from sim.command.lab import Lab
    from sim.runner import Run

USAGE = """usage: atomlink COMMAND …

  run FILE [ARG=VALUE …]   run an experiment and write its results file
  timeline FILE [ARG=…]    run an experiment, write a VCD, and say where slack and time go
  calibrate [TARGET]       bring what is stale or drifted back, in the order of the calibration graph
  params [COMMAND …]       what a lab believes: list, get, set, log, diff, rollback, adopt
  draw [OUT.png]           the network of the lab, and what each link should give
  new-lab SYSTEM.json ROLES.toml   a device_db.py from a Sinara system description and a table of roles
  lab                      keep one simulated lab alive for runs, and serve its instruments on loopback
  virtual-core             a core device that executes the kernels ARTIQ compiles, against the simulated lab
  serve                    take jobs for one or several labs, over HTTP on loopback
  submit FILE [ARG=…]      put an experiment into the queue of the service
  jobs, cancel, retry, result, logs   what is in the queue; end a job, submit it again, see what it found and printed
  runs [WORD …]            earlier runs: search, compare two, carry one out again
  report [FILE.h5]         make the one-page report of a results file (default: the newest)
  export [FILE.h5]         the tables of a run as CSV, or all of it as netCDF
  recover [PATH]           write the results file of a run that was killed, from its journal
  validate [ROW …]         published experiments against the twin, written to docs/validation.md
  plan CIRCUIT.qasm        a circuit on several nodes: pairs, makespan, expected fidelity, before it runs
  list [WORD …]            experiments and scenarios, a line each; what has WORD with its arguments
  doctor                   what is installed, what is missing and how to get it
  completion SHELL         the script that completes commands and arguments: bash, zsh or fish

atomlink COMMAND --help says more."""


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
    if not words or words[0] in ("-h", "--help", "help"):
        print(USAGE)
        return 0 if words else 2
    if words[0] in ("-V", "--version"):
        print(f"atomlink {atomlink.__version__}")
        return 0
    if words[0] not in COMMANDS:
        raise UsageError(f"unknown command `{words[0]}`, must be one of: {', '.join(COMMANDS)}")
    return COMMANDS[words[0]](words[1:])


def _of_results(name: str) -> Callable[[list[str]], int]:
    """Return a command about results that are there; its module is imported when it is called."""

    def command(words: list[str]) -> int:
        from sim.command import of_results

        return int(getattr(of_results, name)(words))

    return command


def _of_service(name: str, module: str = "client") -> Callable[[list[str]], int]:
    """Return a command of the service; its module is imported when it is called."""

    def command(words: list[str]) -> int:
        return int(getattr(importlib.import_module(f"atomlink.service.{module}"), name)(words))

    return command


def _run(words: list[str]) -> int:
    parser = run_parser("run", "Run an experiment and write its results file.")
    parser.add_argument("--monitor", action="store_true", help="show it in a browser while it lasts, on this machine "
                        "alone, at the address that is printed")  # fmt: skip
    with _prepared(parser, words) as prepared:
        if prepared is None:
            return 0
        run, args = prepared
        with _monitored(run) if args.monitor else nullcontext():
            return execute(run)


@contextmanager
def _monitored(run: "Run") -> Iterator[None]:
    """Show a run in a browser for as long as it lasts."""
    try:
        from atomlink.service.monitor.alone import opened
    except ModuleNotFoundError as error:
        raise UsageError(f"{error.name} is not installed: --monitor needs the extra `service`: "
                         "pip install --editable '.[service]'") from None  # fmt: skip
    with opened(run) as url:
        print(f"monitor: {url}", flush=True)
        yield


def _timeline(words: list[str]) -> int:
    parser = run_parser("timeline", "Run an experiment in the simulation, write what happened as a value change dump "
                                     "(VCD), and print slack and time by source line.")  # fmt: skip
    parser.add_argument("--vcd", metavar="OUT.vcd", type=Path, help="where the VCD goes (default: beside the results)")
    parser.add_argument("--figure", metavar="OUT.png", type=Path, help="draw the pulse diagram of the last shot there "
                        "(.png, .svg or .pdf)")
    with _prepared(parser, words) as prepared:
        if prepared is None:
            return 0
        run, args = prepared
        from sim.command.timeline import Timeline

        paths = [None if path is None else path.resolve() for path in (args.vcd, args.figure)]
        timeline = Timeline(run, *paths)
        try:
            return execute(run)
        finally:
            timeline.finish()


@contextmanager
def _prepared(parser: argparse.ArgumentParser, words: list[str]) -> "Iterator[tuple[Run, argparse.Namespace] | None]":
    """Make ready what the words of a command describe, and the environment for as long as it runs.

    None where only help was asked for, which is then given.
    """
    args = parser.parse_intermixed_args(words)
    if args.help:
        parser.print_help()
    if args.file is None:
        if not args.help:
            raise UsageError(f"FILE is missing: {parser.prog} FILE [ARG=VALUE …], see `atomlink list`")
        yield None
        return
    from sim.command.find_experiment import find_experiment

    found = find_experiment(args.file, Path.cwd())
    args.class_name = args.class_name or found.class_name
    with run_of(args, found.lab, found.file) as run:
        if args.help:
            run.print_arguments()
        yield None if args.help else (run, args)


@contextmanager
def run_of(args: argparse.Namespace, lab: "Lab", file: Path) -> "Iterator[Run]":
    """Make ready the run of one file, and the environment for as long as it runs."""
    logging.basicConfig(level=max(logging.DEBUG, logging.WARNING - 10 * args.verbose),
                        format="%(levelname)s:%(name)s:%(message)s")
    from sim.target import scenario_is_chosen

    chosen = args.scenario is not None or bool(args.lab) or scenario_is_chosen(os.environ)
    with _environment(args), variables({"ATOMLINK_ROOT": str(lab.root)}):
        from sim import artiq_runtime

        artiq_runtime.install()
        from sim import runner
        from sim.command.written import parse

        yield runner.Run(lab, file, args.class_name, parse(args.arguments), (args.results or lab.results).resolve(),
                         log_level=logging.getLogger().level, own_scenario=not chosen)


def execute(run: "Run") -> int:
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
    traceback_option(parser)
    args = parser.parse_args(words)
    from sim import artiq_runtime

    artiq_runtime.install()
    from sim.command.serve import serve
    from sim.target import resolved

    given = {"ATOMLINK_SCENARIO": args.scenario, "ATOMLINK_SEED": args.seed}
    settings = resolved({**os.environ, "ATOMLINK_TARGET": "simulation", "ATOMLINK_LAB": ""},
                        {name: value for name, value in given.items() if value is not None})
    # The instruments' rows as the real lab has them.
    with variables({"ATOMLINK_TARGET": "hardware", "ATOMLINK_ROWS_OF": settings["ATOMLINK_SCENARIO"]}):
        return serve(args, settings["ATOMLINK_SCENARIO"], int(settings["ATOMLINK_SEED"]))


def _virtual_core(words: list[str]) -> int:
    parser = virtual_core_parser()
    args = parser.parse_args(words)
    from sim import artiq_runtime

    artiq_runtime.install()
    from sim.command.virtual_core import facts_of, serve

    with variables({"ATOMLINK_TARGET": "simulation"}), _environment(args):
        lab = os.environ.get("ATOMLINK_LAB", "")
        facts = facts_of(lab, os.environ)
        # The rows as the real lab has them.
        with variables({"ATOMLINK_TARGET": "hardware", "ATOMLINK_ROWS_OF": str(facts["scenario"])}):
            return serve(args, lab, facts)


@contextmanager
def _environment(args: argparse.Namespace) -> Iterator[None]:
    """Set what `device_db.py` reads from the environment, checked, for as long as the run lasts."""
    from sim.target import resolved

    wanted = {"ATOMLINK_SCENARIO": args.scenario, "ATOMLINK_SEED": args.seed, "ATOMLINK_COSTS": args.costs,
              "ATOMLINK_LAB": getattr(args, "lab", None)}
    given = {name: value for name, value in wanted.items() if value is not None}
    with variables(resolved(os.environ, given)):
        yield


def _kept(path: Path | None) -> str:
    return "nothing was written" if path is None else f"what there was by then is in {short(path)}"


def _asks_for_help(words: list[str]) -> bool:
    """Return whether a command that reads its words by itself is asked what it takes."""
    return words[:1] == ["help"] or "-h" in words or "--help" in words


def _params(words: list[str]) -> int:
    from sim import artiq_runtime
    from sim.command.lab import find_lab

    artiq_runtime.install()
    from sim.command.params import USAGE as PARAMS_USAGE
    from sim.command.params import params

    if _asks_for_help(words):
        print(PARAMS_USAGE)
        return 0
    print("\n".join(params(find_lab(Path.cwd()), words, LAB)))
    return 0


def _draw(words: list[str]) -> int:
    from sim import artiq_runtime
    from sim.command.lab import find_lab

    artiq_runtime.install()
    from sim.command.draw import FORMATS, draw

    if _asks_for_help(words):
        print("usage: atomlink draw [OUT.png] [--scenario NAME | --lab [HOST:PORT]]\n\n"
              "Draw the lab's network and tell what each link should give by what that lab believes, and last gave.")
        return 0
    pictures = [word for word in words if not word.startswith("-") and Path(word).suffix in FORMATS]
    out = Path(pictures[0] if pictures else "network.png")
    words = [word for word in words if word not in pictures[:1]]
    if words and not words[0].startswith("-"):
        raise UsageError(f"figure `{words[0]}` must end with one of {', '.join(FORMATS)}")
    print("\n".join(draw(find_lab(Path.cwd()), out, words, LAB)))
    return 0


def _new_lab(words: list[str]) -> int:
    from sim.command.new_lab import new_lab

    parser = OneLineParser(prog="atomlink new-lab", description="Write a device_db.py: rows of the boards that a "
                           "Sinara description (M-Labs' JSON) has, under the names that a table of roles gives them.")
    parser.add_argument("system", metavar="SYSTEM.json", type=Path, help="of the master, or of the only Kasli")
    parser.add_argument("roles", metavar="ROLES.toml", type=Path, help="docs/your-lab.md has one")
    parser.add_argument("--out", metavar="FILE", type=Path, default=Path("device_db.py"), help="default: device_db.py")
    arguments = parser.parse_args(words)
    print("\n".join(new_lab(arguments.system, arguments.roles, arguments.out)))
    return 0


def _calibrate(words: list[str]) -> int:
    parser = OneLineParser(prog="atomlink calibrate", description="Walk the calibration graph to TARGET: check what is "
                           "stale, diagnose upwards what fails, calibrate what has drifted.")
    parser.add_argument("target", metavar="TARGET", nargs="?", default="all", help="a node (default: all)")
    parser.add_argument("--dry-run", action="store_true", help="say what is stale and would be checked; touch nothing")
    parser.add_argument("--recheck", action="store_true", help="check what is fresh, too: something has changed")
    add_run_options(parser)
    args = parser.parse_args(words)
    given = (f'target="{args.target}"', f"recheck={args.recheck}", f"dry_run={args.dry_run}")
    args.class_name, args.arguments = None, [*given]
    import experiments.calibration
    from sim.command.lab import find_lab

    with run_of(args, find_lab(Path.cwd()), Path(experiments.calibration.__path__[0]) / "calibrate.py") as run:
        run.writes = not args.dry_run
        return execute(run)


def _plan(words: list[str]) -> int:
    from sim.command.plan import parser, plan

    print("\n".join(plan(parser().parse_args(words))))
    return 0


def _list(words: list[str]) -> int:
    parser = OneLineParser(prog="atomlink list", description="List experiments and scenarios, a line each; those with "
                           "a WORD in name or description with all their arguments.")  # fmt: skip
    parser.add_argument("words", metavar="WORD", nargs="*", help="only what has this in its name or description")
    parser.add_argument("-v", "--verbose", action="store_true", help="every experiment with its arguments")
    args = parser.parse_args(words)
    from sim import artiq_runtime
    from sim.command.lab import find_lab

    artiq_runtime.install()
    from sim.command.catalog import print_catalog

    return print_catalog(find_lab(Path.cwd()), args.words, args.verbose)


def _runs(words: list[str]) -> int:
    """Search among runs, compare two, or carry one out again."""
    from sim.command import of_results

    if words[:1] == ["again"] and not _asks_for_help(words[1:2]):  # behind RID: about the experiment
        again = of_results.again(words[1:])
        print(f"atomlink run {' '.join(shlex.quote(word) for word in again)}")
        return _run(again)
    return of_results.runs(words)


def _completion(words: list[str]) -> int:
    from sim.command.completion import completion

    return completion(words, COMMANDS)


def _doctor(words: list[str]) -> int:
    OneLineParser(prog="atomlink doctor", description="Say what is installed and what is missing.").parse_args(words)
    from sim.command.doctor import print_findings

    return print_findings()


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "run": _run, "timeline": _timeline, "calibrate": _calibrate, "params": _params, "draw": _draw,
    "new-lab": _new_lab, "lab": _serve_lab,
    "virtual-core": _virtual_core, "serve": _of_service("serve", "serve"),
    **{name: _of_service(name) for name in ("submit", "jobs", "cancel", "retry", "result", "logs")}, "runs": _runs,
    "report": _of_results("report"), "export": _of_results("export"), "recover": _of_results("recover"),
    "validate": _of_results("validate"), "plan": _plan, "list": _list, "doctor": _doctor, "completion": _completion,
}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
