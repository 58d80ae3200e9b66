"""The words that commands share: a parser whose errors are one line, and the options of whatever runs something."""

import argparse
from pathlib import Path
from typing import NoReturn

from atomlink.errors import UsageError

CORE = "127.0.0.1"  # where `atomlink virtual-core` listens unless told otherwise
LAB = "127.0.0.1:3290"  # where `atomlink lab` listens unless told otherwise


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Raise the message instead of printing the usage before it."""
        raise UsageError(f"{message} (see `{self.prog} --help`)")


def run_parser(command: str, description: str) -> argparse.ArgumentParser:
    """Return the parser of a command that runs one experiment; `--help` is left to the command, which knows more."""
    parser = OneLineParser(prog=f"atomlink {command}", description=description, add_help=False)
    parser.add_argument("file", metavar="FILE", nargs="?", help="file of the experiment, or its name: ramsey, Ramsey")
    parser.add_argument("arguments", metavar="ARG=VALUE", nargs="*",
                        help="arguments: 3, 50kHz, 0:100us:21, 1us,2us, '\"text\"', or PYON as for artiq_run")
    parser.add_argument("-h", "--help", action="store_true", help="show this help, with FILE its arguments too")
    parser.add_argument("-c", "--class-name", metavar="CLASS", help="class, where the file has several")
    add_run_options(parser)
    return parser


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where and how something runs."""
    parser.add_argument("--scenario", metavar="NAME", help="simulated lab: a name (see `atomlink list`) or a TOML file")
    parser.add_argument("--seed", metavar="N", help="seed of everything random in the simulated lab")
    parser.add_argument("--costs", metavar="PRESET", help="what RTIO calls cost in time: ideal, kasli or kasli_soc")
    parser.add_argument("--lab", metavar="HOST:PORT", nargs="?", const=LAB, help="run in the lab that `atomlink lab` "
                        f"keeps (default {LAB})")
    parser.add_argument("--results", metavar="DIR", type=Path, help="folder of results (default: results/ of the lab)")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="log more, show the traceback of an error")
    parser.add_argument("--traceback", action="store_true", help="show the traceback of an error")


def traceback_option(parser: argparse.ArgumentParser) -> None:
    """Add the option of every command that `main` looks for."""
    parser.add_argument("-v", "--traceback", action="store_true", help="show the traceback of an error")


def virtual_core_parser() -> argparse.ArgumentParser:
    """Return the parser of `atomlink virtual-core`."""
    parser = OneLineParser(prog="atomlink virtual-core", description="Serve a core device on loopback that executes "
                           "the kernels ARTIQ compiles, against the simulated lab.")  # fmt: skip
    parser.add_argument("--scenario", metavar="NAME", help="simulated lab: a name (see `atomlink list`) or a TOML file")
    parser.add_argument("--seed", metavar="N", help="seed of everything random in the simulated lab")
    parser.add_argument("--costs", metavar="PRESET", help="what RTIO calls cost in time: ideal, kasli or kasli_soc")
    parser.add_argument("--lab", metavar="HOST:PORT", nargs="?", const=LAB, help="act on the lab that `atomlink lab` "
                        f"keeps (default {LAB})")
    parser.add_argument("--bind", metavar="HOST", default=CORE, help=f"loopback address (default: {CORE})")
    parser.add_argument("--port", metavar="N", type=int, default=1381, help="port for kernels (default: 1381, which "
                        "ARTIQ expects); management has N - 1, the analyzer N + 1, MonInj N + 2")
    parser.add_argument("--configuration", metavar="FILE", type=Path, help="file that keeps what `artiq_coremgmt "
                        "config` writes, start-up and idle kernels too (default: nothing is kept)")
    traceback_option(parser)
    return parser
