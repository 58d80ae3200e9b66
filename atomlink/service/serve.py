"""`atomlink serve`, and what an administrator does beside it: tokens, backup and restore."""

import argparse
import ipaddress
import os
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from atomlink.errors import UsageError
from atomlink.files import write_whole
from atomlink.service import client, copies
from atomlink.service.config import Config, LabConfig, load
from sim.command.lab import find_lab
from sim.command.words import OneLineParser, traceback_option

if TYPE_CHECKING:
    from atomlink.service.identity import Tokens

EXTRA = "the service needs the extra `service`: pip install --editable '.[service]'"
STATE = "service"  # folder below the lab's root
LONGEST_RUN_S = 20 * 365 * 86400.0  # of a service; the token that it leaves for its commands ends with it anyway


def serve(words: list[str]) -> int:
    """Carry out `atomlink serve [token|backup|restore]`."""
    if words[:1] and words[0] in ADMINISTRATION:
        return ADMINISTRATION[words[0]](words[1:])
    parser = _parser("serve", "Take jobs for one or several labs, over HTTP on loopback. Beside it: atomlink serve "
                     "token USER; atomlink serve backup FILE; atomlink serve restore FILE.")  # fmt: skip
    parser.add_argument("--bind", metavar="HOST", default="127.0.0.1", help="address to listen at (default: 127.0.0.1 "
                        "alone)")  # fmt: skip
    parser.add_argument("--port", metavar="N", type=int, default=client.PORT, help="port (0: any)")
    parser.add_argument("--scenario", metavar="NAME", help="simulated lab, where no file names labs")
    parser.add_argument("--seed", metavar="N", type=int, help="seed of every job (default: the job's number)")
    args = parser.parse_args(words)
    config, state = _listening(_config(args), args.bind, args.port), _state(args)
    try:
        from atomlink.service.app import make, server
    except ModuleNotFoundError as error:
        raise UsageError(f"{error.name} is not installed: {EXTRA}") from None
    listener = _listen(args.bind, args.port)
    os.umask(0o077)
    app = make(config, state)
    port = listener.getsockname()[1]
    _write_address(state, args.bind, port, app.state.service.tokens)
    labs = ", ".join(lab.name for lab in config.labs)
    print(f"service: {_url(args.bind, port)}, labs {labs}, state in {state}, pid {os.getpid()}; Ctrl-C stops it\n"
          f"monitor: {_url(args.bind, port)}/monitor\n"
          "jobs: atomlink submit EXPERIMENT [ARG=VALUE …]; atomlink jobs", flush=True)  # fmt: skip
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # uvicorn raises it again once it has closed
    try:
        server(app).run(sockets=[listener])
    except KeyboardInterrupt:
        pass
    finally:
        (state / client.ADDRESS).unlink(missing_ok=True)
    print("service stopped; a job that runs goes on, and is taken up at the next start", flush=True)
    return 0


def _parser(name: str, description: str) -> argparse.ArgumentParser:
    parser = OneLineParser(prog=f"atomlink {name}", description=description)
    parser.add_argument("--state", metavar="DIR", type=Path, help=f"folder of the queue (default: {STATE}/ of the lab)")
    parser.add_argument("--config", metavar="FILE.toml", type=Path, help="labs, limits, whom to trust: docs/service.md")
    traceback_option(parser)
    return parser


def _state(args: argparse.Namespace) -> Path:
    return Path(args.state or find_lab(Path.cwd()).root / STATE).resolve()


def _config(args: argparse.Namespace) -> Config:
    here = Path.cwd() if args.config is not None else find_lab(Path.cwd()).root
    config = load(args.config, here)
    if args.scenario is None and args.seed is None:
        return config
    if args.config is not None:
        raise UsageError("--scenario and --seed are for the one lab without a file: put them into its [labs.NAME]")
    from sim.target import scenario

    chosen = None if args.scenario is None else scenario({"ATOMLINK_SCENARIO": args.scenario})
    return replace(config, labs=(LabConfig("default", here, scenario=chosen, seed=args.seed),))


def _listening(config: Config, host: str, port: int) -> Config:
    """Return a configuration that knows the address it is to listen at; UsageError where that may not be."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise UsageError(f"--bind is {host!r}, must be an address: 127.0.0.1 for this machine alone") from None
    if not address.is_loopback and not config.hosts:
        raise UsageError(f"--bind is {host}, which others reach: give this machine's names as `hosts` in the file of "
                         "--config, and put it behind TLS (docs/service.md)")  # fmt: skip
    if not 0 <= port < 65536:
        raise UsageError(f"--port is {port}, must be 0 (any) to 65535")
    return replace(config, hosts=(*config.hosts, _reached(host)))


def _reached(host: str) -> str:
    """Return the address at which this machine reaches a service that listens at `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # named: else asyncio leaves Nagle on
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise UsageError(f"{host}:{port} cannot be listened at ({error.strerror}): is a service running? Else name "
                         "another --port") from None  # fmt: skip
    listener.listen(256)
    return listener


def _url(host: str, port: int) -> str:
    reached = _reached(host)
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def _write_address(state: Path, host: str, port: int, tokens: "Tokens") -> None:
    """Write where the service is, with an administrator's token, for the commands of whoever started it."""
    from atomlink.service.identity import user_of

    token = tokens.issue(user_of(os.getuid()), "admin", LONGEST_RUN_S, this_run=True)
    write_whole(state / client.ADDRESS, f"{_url(host, port)}\n{token}\n".encode())
    (state / client.ADDRESS).chmod(0o600)


def _who() -> str:
    """Return who gives a command, as the audit log has it."""
    from atomlink.service.identity import user_of

    return f"{user_of(os.getuid())} (command)"


def _token(words: list[str]) -> int:
    parser = _parser("serve token", "Print a new token of a user, signed with the service's key.")
    parser.add_argument("user", metavar="USER")
    parser.add_argument("--scope", choices=("user", "operator", "admin"), default="user")
    parser.add_argument("--days", type=int, default=30, help="for how long (default: 30)")
    args = parser.parse_args(words)
    from atomlink.service.identity import USER_NAME, Tokens
    from atomlink.service.store import audit_beside

    if not USER_NAME.fullmatch(args.user) or not 1 <= args.days <= 366:
        raise UsageError("USER must be 1 to 64 letters, digits, . _ @ -, and --days 1 to 366")
    state = _state(args)
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    token = Tokens(state).issue(args.user, args.scope, args.days * 86400.0)
    audit_beside(state, _who(), "token", f"user/{args.user}", f"{args.scope}, {args.days} days")
    print(token)
    return 0


def _backup(words: list[str]) -> int:
    parser = _parser("serve backup", "Write a copy of the queue's database, while the service runs or not.")
    parser.add_argument("file", metavar="FILE", type=Path)
    args = parser.parse_args(words)
    copies.backup(_state(args), args.file)
    print(f"backup: {args.file}; the results are in the labs' folders `results`, and are not in it")
    return 0


def _restore(words: list[str]) -> int:
    parser = _parser("serve restore", "Put a copy of the queue's database in its place; the service must be stopped.")
    parser.add_argument("file", metavar="FILE", type=Path)
    args = parser.parse_args(words)
    print(f"restored: {copies.restore(_state(args), args.file, _who())}")
    return 0


ADMINISTRATION = {"token": _token, "backup": _backup, "restore": _restore}

if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(serve(sys.argv[1:]))
