"""Completion for bash, zsh and fish: each shell asks `atomlink completion --words …` for what the last word may become.

    source <(atomlink completion bash)        # bash, in ~/.bashrc;  zsh in ~/.zshrc with zsh for bash
    atomlink completion fish | source         # fish, in ~/.config/fish/config.fish
"""

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from atomlink.errors import LabError, UsageError
from sim.command.find_experiment import classes_in, files_of, find_experiment
from sim.command.lab import Lab, find_lab
from sim.command.words import OneLineParser, add_run_options, run_parser

BASH = """_atomlink() {
    local line="${COMP_LINE:0:COMP_POINT}" current known
    local -a given
    read -ra given <<< "$line"
    [[ "$line" == *[[:space:]] ]] && given+=("")
    current="${given[${#given[@]}-1]}"
    COMPREPLY=()
    while IFS= read -r known; do
        # bash takes what is behind the last = or : as the word
        if [[ "$current" == *=* && "$COMP_WORDBREAKS" == *=* ]]; then known="${known#*=}"; fi
        COMPREPLY+=("$(printf %q "$known")")
    done < <(atomlink completion --words "${given[@]:1}" 2>/dev/null)
    if [[ "${COMPREPLY[0]}" == *= ]]; then compopt -o nospace; fi
}
complete -o default -F _atomlink atomlink
"""

ZSH = """#compdef atomlink
_atomlink() {
    local -a known open
    known=("${(@f)$(atomlink completion --words "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    known=(${known:#})
    open=(${(M)known:#*=})
    known=(${known:#*=})
    (( ${#open} )) && compadd -S '' -- $open
    (( ${#known} )) && compadd -- $known
    (( ${#open} + ${#known} )) || _files
}
compdef _atomlink atomlink
"""

FISH = """function __atomlink_known
    set -l given (commandline -opc) (commandline -ct)
    atomlink completion --words $given[2..] 2>/dev/null
end
complete -c atomlink -f -a '(__atomlink_known)'
complete -c atomlink -F -n '__fish_seen_subcommand_from report export recover'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
RUNNING = ("run", "timeline")


def completion(words: Sequence[str], commands: Iterable[str]) -> int:
    """Print a shell's script, or with `--words` what the last word may become, one a line."""
    if words and words[0] == "--words":
        known = candidates(list(words[1:]) or [""], list(commands))
        print("\n".join(known), end="\n" if known else "")
        return 0
    parser = OneLineParser(prog="atomlink completion", description="Print the script that completes commands, "
                           "experiments and arguments: `source <(atomlink completion bash)`.")  # fmt: skip
    parser.add_argument("shell", metavar="SHELL", help=f"one of {', '.join(SCRIPTS)}")
    shell = parser.parse_args(words).shell
    if shell not in SCRIPTS:
        raise UsageError(f"unknown shell `{shell}`, must be one of: {', '.join(SCRIPTS)}")
    print(SCRIPTS[shell], end="")
    return 0


def candidates(words: list[str], commands: Sequence[str]) -> list[str]:
    """Return what the last of the words behind `atomlink` may become; nothing where something is wrong with them."""
    *before, current = words
    if not before:
        return _beginning(current, commands)
    try:
        return _beginning(current, _offered(before[0], before[1:], current))
    except (LabError, OSError):  # no lab here, no such experiment: the shell then offers files
        return []


def _offered(command: str, given: list[str], current: str) -> list[str]:
    values = OPTION_VALUES.get(given[-1]) if given else None
    if values is not None:
        return values()
    if current.startswith("-"):
        return _options(command)
    if command == "completion":
        return list(SCRIPTS)
    if command == "calibrate" and not given:
        return _choices(find_experiment("calibrate", Path.cwd()), "target")
    if command == "list":
        return _names(find_lab(Path.cwd()))
    if command == "runs":
        return ["compare", "again"] if not given else []
    if command not in RUNNING:
        return []
    places = [word for word, last in zip(given, ["", *given], strict=False) if last not in WITH_VALUE]
    named = [word for word in places if not word.startswith("-") and "=" not in word]
    return _arguments(named[0], current) if named else _names(find_lab(Path.cwd()))


def _names(lab: Lab) -> list[str]:
    """Return what `atomlink run` calls the experiments: files, and classes where a file has several."""
    names = []
    for path in files_of(lab):
        classes = classes_in(path)
        names += [path.stem] if len(classes) < 2 else [path.stem, *classes]
    return sorted(set(names))


def _arguments(name: str, current: str) -> list[str]:
    """Return `ARG=` for each argument of an experiment, or `ARG=CHOICE` for one that offers choices."""
    found = find_experiment(name, Path.cwd())
    key, equals, _ = current.partition("=")
    if equals:
        return [f"{key}={choice}" for choice in _choices(found, key)]
    return [f"{each}=" for each in _requested(found)]


def _requested(found: Any) -> Any:
    from sim import artiq_runtime

    artiq_runtime.install()
    from sim.command.catalog import requested_by
    from sim.command.examine import find_class, load_module

    try:
        return requested_by(found.lab, find_class(load_module(found.file), found.file, found.class_name))
    except Exception:  # noqa: BLE001 - an experiment's own fault; `atomlink run` says which
        return {}


def _choices(found: Any, key: str) -> list[str]:
    requested = _requested(found)
    from sim.command.catalog import choices_of

    return choices_of(requested[key][0]) if key in requested else []


def _scenarios() -> list[str]:
    from sim.target import scenario_files

    return list(scenario_files())


def _presets() -> list[str]:
    from sim.target import COST_PRESETS

    return list(COST_PRESETS)


OPTION_VALUES: dict[str, Callable[[], list[str]]] = {"--scenario": _scenarios, "--costs": _presets}
WITH_VALUE = ("--scenario", "--costs", "--seed", "--results", "-c", "--class-name", "--vcd", "--figure")


def _options(command: str) -> list[str]:
    parser = run_parser(command, "") if command in RUNNING else argparse.ArgumentParser(add_help=False)
    if command == "calibrate":
        add_run_options(parser)
    own = {"timeline": ["--vcd", "--figure"], "calibrate": ["--dry-run", "--recheck"], "list": ["--verbose"],
           "report": ["--day", "--results"], "export": ["--netcdf", "--to", "--results"]}  # fmt: skip
    known = [option for action in parser._actions for option in action.option_strings if option.startswith("--")]
    return [*known, *own.get(command, [])]


def _beginning(current: str, known: Iterable[str]) -> list[str]:
    return [word for word in known if word.startswith(current)]
