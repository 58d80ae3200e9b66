"""Commands about results that are there: runs, report, export, recover, validate."""

import argparse
from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path

from atomlink.errors import UsageError
from sim.command.paths import short
from sim.command.words import OneLineParser, traceback_option

RESULTS = "folder of results (default: results/ of the lab)"


RUNS = """Search among earlier runs, the newest last.

  atomlink runs WORD …              runs that have all the words: part of the name of a class or an estimate (ramsey),
                                    a day or month (2026-01-31, 2026-01), or a condition on an argument, an estimate,
                                    scenario, seed or rid: shots=30, 'F>0.95', 'f_offset<=40kHz', scenario=drifting
  atomlink runs compare RID RID     what differs: arguments, beliefs, estimates and by how many standard errors
  atomlink runs again RID [ARG=VALUE …] [OPTION …]   run it again, same arguments, scenario and seed but for these"""


def runs(words: Sequence[str]) -> int:
    """Search among earlier runs, or compare two."""
    parser = OneLineParser(prog="atomlink runs", description=RUNS, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", metavar="WORD", nargs="*", help="what a run must have")
    parser.add_argument("--most", metavar="N", type=int, default=20, help="so many of the newest (default: 20)")
    parser.add_argument("--results", metavar="DIR", type=Path, help=RESULTS)
    traceback_option(parser)
    args = parser.parse_intermixed_args(words)
    from sim import artiq_runtime

    artiq_runtime.install()
    from sim.command import runs as earlier

    if args.most < 1:
        raise UsageError(f"--most is {args.most}, must be 1 or more")
    results = results_of(args.results)
    if args.words[:1] != ["compare"]:
        print("\n".join(earlier.search(results, args.words, args.most)))
        return 0
    if len(args.words) != 3:
        raise UsageError(f"compare takes two runs, not {len(args.words) - 1}: atomlink runs compare RID RID")
    a, b = (earlier.one(results, word) for word in args.words[1:])
    print("\n".join(earlier.compare(a, b)))
    return 0


def again(words: Sequence[str]) -> list[str]:
    """Return the words of `atomlink run` that carry a run out again."""
    from sim import artiq_runtime
    from sim.command.lab import find_lab

    artiq_runtime.install()
    from sim.command import runs as earlier

    if not words or words[0].startswith("-"):
        raise UsageError("RID is missing: atomlink runs again RID [ARG=VALUE …] [OPTION …]")
    root = find_lab(Path.cwd()).root
    results = results_of(next((Path(after) for word, after in pairwise(words) if word == "--results"), None))
    return earlier.words_again(earlier.one(results, words[0]), root, words[1:])


def report(words: Sequence[str]) -> int:
    """Make the page of a run or of a day."""
    parser = OneLineParser(prog="atomlink report", description="Make the one-page HTML report of a results file, or of "
                                                               "a day.")  # fmt: skip
    parser.add_argument("file", metavar="FILE.h5", nargs="?", help="results file or run number (default: the newest)")
    parser.add_argument("--day", metavar="YYYY-MM-DD", nargs="?", const="", help="report of a day (default: today)")
    parser.add_argument("--results", metavar="DIR", type=Path, help=RESULTS)
    traceback_option(parser)
    args = parser.parse_args(words)
    if args.day is not None:
        from analysis.report_day import report_day

        if args.file is not None:
            raise UsageError(f"--day makes the page of a day, but {args.file!r} names a run: give one of the two")
        print(f"report: {short(report_day(results_of(args.results), _day(args.day)))}")
        return 0
    from analysis.report import main_report

    print("\n".join(main_report(result_file(args.file, args.results))))
    return 0


def export(words: Sequence[str]) -> int:
    """Write the tables of a run for other programs."""
    parser = OneLineParser(prog="atomlink export", description="Write the tables of a run as CSV, or all of it as "
                                                               "netCDF.")  # fmt: skip
    parser.add_argument("file", metavar="FILE.h5", nargs="?", help="results file or run number (default: the newest)")
    parser.add_argument("--netcdf", action="store_true", help="one netCDF file instead (needs xarray)")
    parser.add_argument("--to", metavar="DIR", type=Path, help="folder (default: that of the results file)")
    parser.add_argument("--results", metavar="DIR", type=Path, help=RESULTS)
    traceback_option(parser)
    args = parser.parse_args(words)
    from analysis import export as tables
    from analysis import load

    if args.to is not None and not args.to.is_dir():
        raise UsageError(f"--to is {str(args.to)!r}, must be a folder that exists")
    run = load(result_file(args.file, args.results))
    folder = args.to or run.path.parent
    for path in [tables.to_netcdf(run, folder)] if args.netcdf else tables.to_csv(run, folder):
        print(short(path))
    return 0


def recover(words: Sequence[str]) -> int:
    """Write results files from journals."""
    parser = OneLineParser(prog="atomlink recover", description="Write the results files of killed runs from journals.")
    parser.add_argument("path", metavar="PATH", type=Path, nargs="?", help="journal or folder (default: all results)")
    traceback_option(parser)
    args = parser.parse_args(words)
    from sim.command.recover import print_recovered

    return print_recovered(args.path, results_of(None))


def validate(words: Sequence[str]) -> int:
    """Compare the twin with published experiments."""
    parser = OneLineParser(prog="atomlink validate", description="Compare the twin with published experiments.")
    parser.add_argument("rows", metavar="ROW", nargs="*", help="rows of the table, as V12 (default: all)")
    parser.add_argument("--seed", metavar="N", type=int, default=1, help="seed of the simulated clicks (default: 1)")
    parser.add_argument("--output", metavar="FILE", type=Path,
                        help="page to write (default: docs/validation.md of the lab, for all rows; else none)")
    traceback_option(parser)
    args = parser.parse_args(words)
    from sim.command.lab import find_lab
    from sim.command.validate import validate as compare

    output = args.output or (None if args.rows else find_lab(Path.cwd()).root / "docs" / "validation.md")
    print("\n".join(compare(args.rows, args.seed, output)))
    return 0


def results_of(given: Path | None) -> Path:
    """Return the folder of results: the one given, else that of the lab around the working directory."""
    from sim.command.lab import find_lab

    if given is None:
        return find_lab(Path.cwd()).results
    if not given.is_dir():
        raise UsageError(f"--results is {str(given)!r}, must be a folder that exists")
    return given


def result_file(given: str | None, results: Path | None = None) -> Path:
    """Return the results file that a command is about: a file, a run's number, or the newest."""
    from sim.command.lab import newest_result

    if given is None:
        return newest_result(results_of(results))
    if given.isascii() and given.isdigit() and not Path(given).exists():
        from analysis.load import find

        return find(int(given), results_of(results))
    return Path(given)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text) if text else date.today()
    except ValueError:
        raise UsageError(f"--day is {text!r}, must be a date as YYYY-MM-DD") from None
