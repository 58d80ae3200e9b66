"""Plan how a crossed AOD makes a full rectangle of atoms out of a partly filled array, one line of traps per move.

A move holds one line still with a single tone of one axis and drives the other axis with one tone per atom. All tones
follow the same profile, so atoms of a line keep their order and at least one site between them: no tone crosses
another, and no atom is taken through one that stays. Two phases suffice, the first along columns or along rows,
whichever needs fewer moves (here: along columns).

    1  each column in use puts its u_j atoms into u_j different rows of the target, dealt out in turn like cards, so
       that every row gets at least as many atoms as the target has columns
    2  each row of the target moves its atoms together

Dealing always works out if the columns give sum(u_j) >= rows * columns, u_j <= rows: each row's share is that sum over
the number of rows, rounded down or up. In turn means in the order of frac(row * golden ratio), which spreads every run
of rows evenly, so atoms travel little. A very uneven array (few lines hold most atoms) is spread out first, a third
phase. Where hardly an atom is missing (a second round, after a new image), nothing is dealt: a row that lacks an atom
gets it from one that has an atom to spare. Atoms in excess stay where they are unless they are in the way, then they
are pushed aside, never dropped.

Sources: S. Ebadi et al., Nature 595, 227 (2021), methods, for sorting by parallel moves along columns, then rows; D.
Gale, Pac. J. Math. 7, 1073 (1957), for which sums of lines allow a filling.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from atomlink.errors import DataError, UsageError

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

ALONG_COLUMN, ALONG_ROW = 0, 1
_GOLDEN = (5**0.5 - 1) / 2
# For a repair rows may lack this fraction of the target's atoms, and so many; each costs a search through the array.
_REPAIR_FRACTION, _REPAIRS = 0.01, 16


@dataclass(frozen=True)
class Target:
    """The rectangle of sites to fill: first row and column, numbers of rows and columns."""

    row: int
    column: int
    rows: int
    columns: int

    @staticmethod
    def centred(shape: tuple[int, int], rows: int, columns: int) -> Target:
        """Return a rectangle in the middle of an array of `shape` sites."""
        return Target((shape[0] - rows) // 2, (shape[1] - columns) // 2, rows, columns)

    @property
    def sites(self) -> int:
        """Return the number of sites to fill."""
        return self.rows * self.columns


class Move(NamedTuple):
    """One move: `axis` ALONG_COLUMN or ALONG_ROW, `line` the column or row, `start`, `stop` (n,) sites, increasing."""

    axis: int
    line: int
    start: Ints
    stop: Ints


@dataclass(frozen=True)
class Plan:
    """Moves in the order to be made, flat: move k has the atoms first[k]:first[k + 1].

    axis, line, int, shape (moves,); first, int, shape (moves + 1,); start, stop, int, shape (atoms moved,).
    """

    axis: Ints
    line: Ints
    first: Ints
    start: Ints
    stop: Ints

    def __len__(self) -> int:
        """Return the number of moves."""
        return len(self.axis)

    def __getitem__(self, k: int) -> Move:
        """Return move k."""
        if not -len(self) <= k < len(self):
            raise IndexError(f"move {k} of a plan of {len(self)} moves")
        k %= len(self)
        atoms = slice(self.first[k], self.first[k + 1])
        return Move(int(self.axis[k]), int(self.line[k]), self.start[atoms], self.stop[atoms])

    def __iter__(self) -> Iterator[Move]:
        """Yield the moves in order."""
        return (self[k] for k in range(len(self)))

    def longest_sites(self) -> Ints:
        """Return the longest way in each move, in sites; int, shape (moves,)."""
        if not len(self):
            return np.zeros(0, dtype=np.int64)
        return np.asarray(np.maximum.reduceat(np.abs(self.stop - self.start), self.first[:-1]))

    def after(self, occupied: Bools) -> Bools:
        """Return the occupation, shape as `occupied`, that the moves leave behind if no atom is lost."""
        result = occupied.copy()
        for move in self:
            line = result[:, move.line] if move.axis == ALONG_COLUMN else result[move.line]
            line[move.start] = False
            line[move.stop] = True
        return result


def plan(occupied: npt.ArrayLike, target: Target) -> Plan:
    """Return the moves that fill the target; occupied, bool, shape (rows, columns).

    Raises UsageError where the target does not fit into the array, DataError where there are too few atoms.
    """
    sites = np.ascontiguousarray(occupied, dtype=bool)
    _check(sites, target)
    turned = np.ascontiguousarray(sites.T)
    mirrored = Target(target.column, target.row, target.columns, target.rows)
    for axis, lines, goal in ((ALONG_COLUMN, turned, target), (ALONG_ROW, sites, mirrored)):
        repair = _repair(axis, lines, goal)
        if repair is not None:
            return _joined([repair, _gather(lines.shape, repair, goal)])
    along_columns = _lines_needed(turned, target.rows, target.sites)
    along_rows = _lines_needed(sites, target.columns, target.sites)
    if along_columns is None and along_rows is None:
        spread, level = _spread(ALONG_ROW, sites)
        rest = _two_phases(ALONG_COLUMN, np.ascontiguousarray(level.T), target)
        return _joined([spread, *rest])
    if along_rows is None or (along_columns is not None and along_columns + target.rows <= along_rows + target.columns):
        return _joined(_two_phases(ALONG_COLUMN, turned, target))
    return _joined(_two_phases(ALONG_ROW, sites, mirrored))


def split(moves: Plan, most: int) -> Plan:
    """Return the same plan with at most `most` atoms per move, for an AWG with so few tones.

    Within a line, atoms that move up go first from the far end, then those that move down from the near end, so that
    no atom is taken over one that still stands: whatever is in an atom's way moves the same way and went before it.
    """
    if most < 1:
        raise UsageError(f"Argument `most` is {most}, but must be at least 1: one atom per move.")
    if not len(moves) or int(np.diff(moves.first).max()) <= most:
        return moves
    atoms, pieces = np.arange(len(moves.start)), []
    for k in range(len(moves)):
        own = atoms[moves.first[k]:moves.first[k + 1]]
        up = moves.stop[own] > moves.start[own]
        for group, far_first in ((own[up], True), (own[~up], False)):
            n = max(1, -(-len(group) // most))
            parts = np.array_split(group, n)
            pieces += [(k, part) for part in (parts[::-1] if far_first else parts) if len(part)]
    which = np.array([k for k, _ in pieces])
    order = np.concatenate([part for _, part in pieces])
    first = np.concatenate(([0], np.cumsum([len(part) for _, part in pieces])))
    return Plan(moves.axis[which], moves.line[which], first, moves.start[order], moves.stop[order])


def _check(sites: Bools, target: Target) -> None:
    if sites.ndim != 2:
        raise UsageError(f"Argument `occupied` has {sites.ndim} dimensions, but must have 2: (rows, columns).")
    fits = all(first >= 0 and n > 0 and first + n <= size for first, n, size in (
        (target.row, target.rows, sites.shape[0]), (target.column, target.columns, sites.shape[1])))
    if not fits:
        raise UsageError(f"{target} does not fit into an array of {sites.shape[0]} x {sites.shape[1]} sites: "
                         "choose a smaller one, or Target.centred.")
    atoms = np.count_nonzero(sites)
    if atoms < target.sites:
        raise DataError(f"{atoms} atoms for {target.sites} target sites: load again, or choose a smaller target.")


def _lines_needed(lines: Bools, most: int, wanted: int) -> int | None:
    """Return how many of the fullest lines give `wanted` atoms, `most` each; None if all together do not."""
    total = np.cumsum(np.sort(np.minimum(lines.sum(axis=1), most))[::-1])
    return None if total[-1] < wanted else int(np.searchsorted(total, wanted)) + 1


class _Phase(NamedTuple):
    """Where the atoms of all lines go along one axis; line, start, stop (atoms,), in order of line, then of start."""

    axis: int
    line: Ints
    start: Ints
    stop: Ints


def _two_phases(axis: int, lines: Bools, target: Target) -> list[_Phase]:
    """Return both phases, the first along `axis`; lines[j] is occupied along that axis.

    `target` is seen from the first axis: its rows are the sites along a line, its columns the lines.
    """
    deal = _deal(axis, lines, target)
    return [deal, _gather(lines.shape, deal, target)]


def _gather(shape: tuple[int, ...], first: _Phase, target: Target) -> _Phase:
    """Return the second phase: move the atoms of each target row together, where the first phase has left them."""
    dealt = np.zeros(shape, dtype=bool)
    dealt[first.line, first.stop] = True
    line, start = np.nonzero(dealt.T[target.row:target.row + target.rows])
    stop = _gathered(line, start, target.rows, target.column, target.columns, shape[0])
    return _Phase(1 - first.axis, line + target.row, start, stop)


def _repair(axis: int, lines: Bools, target: Target) -> _Phase | None:
    """Return a first phase that gives each target row just the atoms it lacks; None where too many are lacking.

    Each comes along a line from a row that has an atom to spare, or lies outside the target, so that as few atoms as
    possible shift, and then over the shortest way.
    """
    spare = lines.sum(axis=0) - target.columns
    inside = np.zeros(len(spare), dtype=bool)
    inside[target.row:target.row + target.rows] = True
    lacking = np.where(inside, np.maximum(-spare, 0), 0)
    if lacking.sum() > min(_REPAIR_FRACTION * target.sites, _REPAIRS):
        return None
    final, rows = lines.copy(), np.arange(len(spare), dtype=np.int32)
    before = np.cumsum(final, axis=1, dtype=np.int32) * np.int32(len(rows))
    for row in np.repeat(rows, lacking):
        able = np.flatnonzero(~final[:, row])
        donors = final[able] & (~inside | (spare > 0))
        extra = len(rows) * (rows < row) + np.abs(rows - row)
        cost = np.where(donors, np.abs(before[able] - before[able, row, None]) + extra, len(rows) ** 2)
        best, donor = np.unravel_index(int(cost.argmin()), cost.shape) if len(able) else (0, 0)
        if not len(able) or not donors[best, donor]:
            return None
        final[able[best], donor], final[able[best], row] = False, True
        before[able[best]] = np.cumsum(final[able[best]]) * len(rows)
        spare[donor] -= 1
        spare[row] += 1
    line, start = np.nonzero(lines)
    return _Phase(axis, line, start, np.nonzero(final)[1])


def _deal(axis: int, lines: Bools, target: Target) -> _Phase:
    """Send the atoms of the fullest lines to target rows in turn; those of the other lines stay."""
    counts = lines.sum(axis=1)
    used = np.minimum(counts, target.rows)
    # Fullest lines first: the fewest moves. A stable sort keeps the plan the same on every machine.
    order = np.argsort(-used, kind="stable")
    n = int(np.searchsorted(np.cumsum(used[order]), target.sites)) + 1
    order = np.sort(order[:n])
    final = lines.copy()
    final[order] = False
    within = final[:, target.row:target.row + target.rows]
    within[order] = _in_turn(used[order], target.rows)
    over = np.zeros(len(lines), dtype=bool)
    over[order] = counts[order] > target.rows
    final[over] = lines[over]
    line, start = np.nonzero(lines)
    stop = np.nonzero(final)[1]
    if over.any():
        which = over[line]
        stop[which] = _gathered(line[which], start[which], len(lines), target.row, target.rows, lines.shape[1])
    return _Phase(axis, line, start, stop)


def _in_turn(shares: Ints, n: int) -> Bools:
    """Deal n places out in turn, shares[j] <= n different ones to line j; bool, shape (lines, n)."""
    rank = np.empty(n, dtype=np.int32)
    rank[np.argsort(np.arange(n) * _GOLDEN % 1, kind="stable")] = np.arange(n)
    ends = np.cumsum(shares)
    begin = ((ends - shares) % n).astype(np.int32)[:, None]
    end = begin + shares.astype(np.int32)[:, None]
    return ((rank >= begin) & (rank < end)) | (rank < end - n)


def _gathered(line: Ints, start: Ints, n_lines: int, first: int, wanted: int, length: int) -> Ints:
    """Return where atoms go so that each line's sites first:first + wanted are full; start is sorted within a line.

    Of each line the `wanted` atoms nearest to those sites are taken; one in excess moves only if it is in the way. A
    line with fewer atoms than wanted must not occur.
    """
    counts = np.bincount(line, minlength=n_lines)
    begin = np.cumsum(counts) - counts
    before = np.bincount(line, weights=2 * start < 2 * first + wanted - 1, minlength=n_lines).astype(np.int64)
    lowest = np.maximum(counts - wanted - (length - first - wanted), 0)
    skipped = np.clip(before - wanted // 2, lowest, np.minimum(counts - wanted, first))
    index = np.arange(len(line)) - (begin + skipped)[line]
    place = first + index
    return np.where(index < 0, np.minimum(start, place), np.where(index < wanted, place, np.maximum(start, place)))


def _spread(axis: int, lines: Bools) -> tuple[_Phase, Bools]:
    """Even out an array: return the phase along `axis` after which all crossing lines hold the same +- 1, and its end.
    """
    line, start = np.nonzero(lines)
    level = _in_turn(lines.sum(axis=1), lines.shape[1])
    return _Phase(axis, line, start, np.nonzero(level)[1]), level


def _joined(phases: list[_Phase] | tuple[_Phase, ...]) -> Plan:
    """Make moves of phases, leaving out atoms and lines that stay."""
    pieces, offset = [], 0
    for phase in phases:
        moved = np.flatnonzero(phase.start != phase.stop)
        line = phase.line[moved]
        begin = np.flatnonzero(np.concatenate(([True], line[1:] != line[:-1]))) if len(line) else moved
        pieces.append((np.full(len(begin), phase.axis), line[begin], begin + offset,
                       phase.start[moved], phase.stop[moved]))
        offset += len(moved)
    axis, which, first, start, stop = (np.concatenate(piece) for piece in zip(*pieces, strict=True))
    return Plan(axis, which, np.append(first, offset), start, stop)
