"""The rearrangement planner against an independent replay of its moves: what a crossed AOD would really do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomlink.errors import DataError, UsageError
from drivers.rtio.rearrangement import ALONG_COLUMN, Move, Plan, Target, plan, split


def make_move(sites: set[tuple[int, int]], shape: tuple[int, int], move: Move) -> None:
    """Carry one move out on the set of occupied (row, column); assert what hardware and atoms demand."""
    start, stop = np.asarray(move.start), np.asarray(move.stop)
    along = shape[0] if move.axis == ALONG_COLUMN else shape[1]

    def site(position: int) -> tuple[int, int]:
        return (int(position), move.line) if move.axis == ALONG_COLUMN else (move.line, int(position))

    assert len(start) == len(stop) > 0 and np.all(start != stop)
    for fraction in (0.0, 0.25, 0.5, 0.75, 1.0):  # one profile for all tones: they stay in order, a site apart
        assert np.all(np.diff(start + fraction * (stop - start)) >= 1 - 1e-9)
    held = {site(position) for position in start}
    assert held <= sites, "a tone without an atom"
    sites -= held
    for one, other in zip(start, stop, strict=True):
        assert 0 <= other < along, "out of the array"
        swept = {site(position) for position in range(min(one, other), max(one, other) + 1)}
        assert not swept & sites, "an atom that stays is on the way, or in the place"
    sites |= {site(position) for position in stop}


def replay(occupied: np.ndarray, moves: Plan) -> np.ndarray:
    """Return the occupation after all moves."""
    sites = set(zip(*(axis.tolist() for axis in np.nonzero(occupied)), strict=True))
    for move in moves:
        make_move(sites, occupied.shape, move)
    result = np.zeros_like(occupied)
    for place in sites:
        result[place] = True
    return result


def full(occupied: np.ndarray, target: Target) -> bool:
    return bool(occupied[target.row:target.row + target.rows, target.column:target.column + target.columns].all())


def random_instance(rng: np.random.Generator, side: int, filling: float) -> np.ndarray:
    """An array with 1.15 atoms per site of a side x side target, at random places."""
    atoms = int(np.ceil(1.15 * side**2))
    width = max(side, int(np.ceil(np.sqrt(atoms / filling))))
    sites = np.zeros(width**2, dtype=bool)
    sites[rng.choice(width**2, atoms, replace=False)] = True
    return sites.reshape(width, width)


def check_random(rng: np.random.Generator, instances: int, largest: int) -> None:
    for _ in range(instances):
        side = int(rng.integers(1, largest + 1))
        occupied = random_instance(rng, side, rng.uniform(0.35, 0.95))
        target = Target.centred(occupied.shape, side, side)
        moves = plan(occupied, target)
        result = replay(occupied, moves)
        assert full(result, target) and result.sum() == occupied.sum()
        assert len(moves) <= 3 * side
        assert np.array_equal(result, moves.after(occupied))


def test_every_random_array_is_sorted_without_a_collision_in_at_most_3_sides_of_moves() -> None:
    check_random(np.random.default_rng(1), 300, 20)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_thousand_random_arrays_are_sorted_without_a_collision() -> None:
    check_random(np.random.default_rng(20261122), 10_000, 40)


@pytest.mark.parametrize("side", [32, 100])
def test_large_arrays_loaded_at_random_are_sorted(side: int) -> None:
    occupied = random_instance(np.random.default_rng(side), side, 0.507)
    target = Target.centred(occupied.shape, side, side)
    moves = plan(occupied, target)
    assert full(replay(occupied, moves), target)
    assert len(moves) <= 3 * side


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_occupation_with_enough_atoms_fills_any_rectangle(data: st.DataObject) -> None:
    """Uneven arrays and off-centre rectangles too: the only condition is the number of atoms."""
    rows, columns = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    occupied = np.array(data.draw(st.lists(st.booleans(), min_size=rows * columns, max_size=rows * columns)))
    occupied = occupied.reshape(rows, columns)
    height, width = data.draw(st.integers(1, rows)), data.draw(st.integers(1, columns))
    target = Target(data.draw(st.integers(0, rows - height)), data.draw(st.integers(0, columns - width)), height, width)
    if occupied.sum() < target.sites:
        with pytest.raises(DataError, match=f"{occupied.sum()} atoms for {target.sites} target sites"):
            plan(occupied, target)
    else:
        assert full(replay(occupied, plan(occupied, target)), target)


@pytest.mark.parametrize("most", [1, 3, 20])
def test_a_plan_split_for_few_tones_ends_the_same_without_a_collision(most: int) -> None:
    """30 random arrays; `replay` refuses an atom that is taken over or onto another."""
    rng = np.random.default_rng(8)
    for _ in range(30):
        occupied = random_instance(rng, 12, 0.6)
        whole = plan(occupied, Target.centred(occupied.shape, 12, 12))
        few = split(whole, most)
        assert max((len(move.start) for move in few), default=0) <= most
        assert np.array_equal(replay(occupied, few), whole.after(occupied))
    with pytest.raises(UsageError, match="most"):
        split(whole, 0)


def test_a_cross_of_atoms_is_spread_out_first() -> None:
    """Two full columns and two full rows: neither direction alone can serve every line of the target."""
    occupied = np.zeros((40, 40), dtype=bool)
    occupied[:, 19:21] = occupied[19:21] = True
    target = Target.centred(occupied.shape, 12, 12)
    assert full(replay(occupied, plan(occupied, target)), target)


def test_a_full_target_needs_no_moves() -> None:
    moves = plan(np.ones((5, 5), dtype=bool), Target.centred((5, 5), 3, 3))
    assert len(moves) == 0 and list(moves) == [] and len(moves.longest_sites()) == 0


def test_one_atom_beside_its_site_takes_one_move_of_one_site() -> None:
    occupied = np.zeros((3, 4), dtype=bool)
    occupied[1, 2] = True
    moves = plan(occupied, Target(1, 1, 1, 1))
    assert len(moves) == 1 and moves.longest_sites().tolist() == [1]
    assert (moves[0].line, moves[0].start.tolist(), moves[0].stop.tolist()) == (1, [2], [1])


@pytest.mark.parametrize("target", [Target(0, 0, 4, 3), Target(-1, 0, 2, 2), Target(0, 2, 1, 2), Target(0, 0, 0, 1)])
def test_a_target_outside_the_array_is_refused(target: Target) -> None:
    with pytest.raises(UsageError, match="does not fit into an array of 3 x 3"):
        plan(np.ones((3, 3), dtype=bool), target)


def test_an_occupation_that_is_no_array_of_sites_is_refused() -> None:
    with pytest.raises(UsageError, match="has 1 dimensions, but must have 2"):
        plan(np.ones(9, dtype=bool), Target(0, 0, 1, 1))


def lossy_rounds(rng: np.random.Generator, side: int, rounds: int, lost_per_move: float) -> list[tuple[int, int]]:
    """Play rounds of plan, move and image; return (holes left, atoms moved) of each."""
    occupied = random_instance(rng, side, 0.507)
    target = Target.centred(occupied.shape, side, side)
    result = []
    for _ in range(rounds):
        moves = plan(occupied, target)
        occupied = replay(occupied, moves)
        for move in moves:
            gone = move.stop[rng.random(len(move.stop)) < lost_per_move]
            occupied[(gone, move.line) if move.axis == ALONG_COLUMN else (move.line, gone)] = False
        inside = occupied[target.row:target.row + side, target.column:target.column + side]
        result.append((int((~inside).sum()), len(moves.start)))
    return result


def test_a_second_round_moves_only_what_is_needed_and_rounds_converge() -> None:
    """1 % of the atoms moved are lost in each move; 40 x 40 sites, two moves for most atoms in the first round."""
    holes, moved = zip(*lossy_rounds(np.random.default_rng(8), 40, 5, 0.01), strict=True)
    assert holes[0] >= 10
    assert moved[1] < moved[0] / 3
    assert holes[4] <= 1


def test_one_hole_in_a_full_row_is_filled_along_that_row() -> None:
    """The reserve is beside the row: one move, and only atoms between the reserve and the hole."""
    occupied = np.zeros((7, 9), dtype=bool)
    occupied[1:6, 2:7] = True
    occupied[3, 3], occupied[3, 0] = False, True
    moves = plan(occupied, Target(1, 2, 5, 5))
    assert [(move.axis, move.line, move.start.tolist(), move.stop.tolist()) for move in moves] == [
        (1, 3, [0, 2], [2, 3])]


def test_a_row_without_reserve_gets_an_atom_from_a_row_that_has_one_to_spare() -> None:
    occupied = np.zeros((13, 14), dtype=bool)
    occupied[1:12, 1:12] = True
    occupied[5, 4], occupied[7, 12], occupied[0, 4] = False, True, True
    target = Target(1, 1, 11, 11)
    moves = plan(occupied, target)
    assert full(replay(occupied, moves), target)
    assert moves[0] == (ALONG_COLUMN, 12, [7], [5])
