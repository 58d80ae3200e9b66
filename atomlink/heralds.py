"""What clicks at a station herald: for each scheme, pattern -> (Bell state, correction). The one table of it.

A pattern has bit k set where detector k of the station clicked. The detectors' roles say what a click tells: the output
of the beam splitter (c or d), and behind a polarising splitter H or V. Exactly the pattern counts: a further click
vetoes.

    polarisation   one H and one V: Psi+ at one output, Psi- at different ones   Simon & Irvine, PRL 91, 110405 (2003)
    one_photon     one click: Psi+ at c, Psi- at d                               Cabrillo et al., PRA 59, 1025 (1999)
    time_bin       one click in each of two rounds: Psi+ at one output, Psi- at different ones; the pattern has two bits
                   a detector, early, then late                                  Bernien et al., Nature 497, 86 (2013)
    barrett_kok    the same patterns; the second round is played only where the first showed exactly one click
                                                                                 Barrett & Kok, PRA 71, 060310 (2005)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from atomlink.errors import UsageError

SCHEMES = ("polarisation", "one_photon", "time_bin", "barrett_kok")
TWO_ROUNDS = ("time_bin", "barrett_kok")
FOUR = ("c_h", "c_v", "d_h", "d_v")  # both outputs, both polarisations, in the order of the published gateware's inputs
TWO = ("c", "d")  # both outputs


@dataclass(frozen=True)
class Role:
    """What a click of one detector tells: `output` "c" or "d", `polarisation` "h", "v", or "" where none is chosen."""

    output: str
    polarisation: str = ""

    @classmethod
    def of(cls, name: str) -> Role:
        """Read "c", "c_h", or "c_h_2" for the second of several detectors that share the light of one output."""
        output, _, rest = name.partition("_")
        polarisation, _, number = rest.partition("_")
        if polarisation.isdigit():
            polarisation, number = "", polarisation
        if output not in ("c", "d") or polarisation not in ("", "h", "v") or (number and not number.isdigit()):
            raise UsageError(
                f"Detector role {name!r} must be an output, c or d, with h or v where a polarising splitter is behind "
                "it, and a number where several share one: c, d_v, c_h_2."
            )
        return cls(output, polarisation)


class Herald(NamedTuple):
    """What a pattern tells: Bell state "Psi+" or "Psi-", its `sign`, what makes Psi+ of it on one atom ("" or "z")."""

    state: str
    sign: int
    correction: str


PSI_PLUS_STATE, PSI_MINUS_STATE = Herald("Psi+", +1, ""), Herald("Psi-", -1, "z")


@lru_cache(maxsize=64)
def heralds(scheme: str, roles: Sequence[str] = FOUR) -> MappingProxyType[int, Herald]:
    """Return what each heralding pattern of a station tells, those of Psi+ first.

    `roles` (a tuple) are those of its detectors, in the order of the pattern's bits. UsageError for a scheme that does
    not exist.
    """
    if scheme not in SCHEMES:
        raise UsageError(f"Scheme {scheme!r} does not exist; it must be one of {', '.join(SCHEMES)}.")
    read = [Role.of(name) for name in roles]
    found: list[tuple[int, Herald]] = []
    for i, first in enumerate(read):
        if scheme == "one_photon":
            found.append((1 << i, _state(first.output == "c")))
            continue
        for k, second in enumerate(read):
            if scheme in TWO_ROUNDS:
                found.append((1 << 2 * i | 1 << 2 * k + 1, _state(first.output == second.output)))
            elif (first.polarisation, second.polarisation) == ("h", "v"):
                found.append((1 << i | 1 << k, _state(first.output == second.output)))
    return MappingProxyType(dict(sorted(found, key=lambda entry: -entry[1].sign)))


def patterns(scheme: str, roles: Sequence[str] = FOUR, sign: int = 0) -> tuple[int, ...]:
    """Return the heralding patterns, of one sign (+1, -1) or of both (0)."""
    return tuple(pattern for pattern, herald in heralds(scheme, roles).items() if sign in (0, herald.sign))


def share_seen(scheme: str, roles: Sequence[str] = FOUR) -> float:
    """Return which part of a scheme's heralds detectors with these roles see, of those that both outputs would show.

    Several detectors that share the light of one output see no more than one.
    """
    read = {(role.output, role.polarisation) for role in map(Role.of, roles)}
    if scheme == "polarisation":
        h, v = (sum(polarisation == seen for _, polarisation in read) for seen in "hv")
        return h * v / 4
    outputs = len({output for output, _ in read})
    return (outputs / 2) ** rounds(scheme)


def same_polarisation(roles: Sequence[str] = FOUR) -> tuple[int, ...]:
    """Return the patterns of one click at each output, equal polarisation: where two-photon interference shows."""
    read = [Role.of(name) for name in roles]
    pairs = ((1 << i | 1 << k, a, b) for i, a in enumerate(read) for k, b in enumerate(read))
    return tuple(pattern for pattern, a, b in pairs
                 if (a.output, b.output) == ("c", "d") and a.polarisation == b.polarisation)  # fmt: skip


def singles(roles: Sequence[str] = FOUR) -> tuple[int, ...]:
    """Return the patterns of a single click."""
    return tuple(1 << k for k in range(len(roles)))


def rounds(scheme: str) -> int:
    """Return in how many rounds a scheme looks at its detectors; a pattern has so many bits a detector."""
    return 2 if scheme in TWO_ROUNDS else 1


def labels(scheme: str, roles: Sequence[str] = FOUR) -> tuple[str, ...]:
    """Return what each bit of a pattern is called: the detector's role, with its round where there are two."""
    if rounds(scheme) == 1:
        return tuple(roles)
    return tuple(f"{role} {when}" for role in roles for when in ("early", "late"))


def _state(plus: bool) -> Herald:
    return PSI_PLUS_STATE if plus else PSI_MINUS_STATE
