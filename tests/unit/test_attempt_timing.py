"""The timing of an attempt follows the beliefs, and what cannot be played is refused."""

from types import SimpleNamespace
from typing import Any

import pytest

from atomlink.errors import TimingError, UsageError
from atomlink.heralds import FOUR
from atomlink.topology import pair
from drivers import parameters
from drivers.rtio.attempt import GRID_MU, believed_timing
from drivers.rtio.entangler import OVERHEAD_CLOCKS
from drivers.rtio.herald_gateware import register_mu
from drivers.rtio.heralding import AUTO, choose
from sim.physics.fibre import Fibre, delay_s

LAB = pair(("alice", "bob"), FOUR)
LINK = LAB.link()
TABLE = parameters.table(LAB)


class Believer:
    """An experiment as far as beliefs go: a dataset store and the core's clock."""

    def __init__(self, **beliefs: float) -> None:
        self.core = SimpleNamespace(ref_period=1e-9)
        self.datasets: dict[str, float] = {name.replace("__", "."): value for name, value in beliefs.items()}
        self.written: dict[str, float] = {}

    def get_dataset(self, key: str, *default: float, archive: bool = True) -> float:
        return self.datasets.get(key, *default) if default else self.datasets[key]

    def set_dataset(self, key: str, value: float, **_metadata: Any) -> None:
        self.written[key] = value


def test_photons_of_both_nodes_arrive_together_whatever_their_paths() -> None:
    """A node further away is excited earlier, to the coarse clock."""
    timing = believed_timing(Believer(param__bob__midpoint__t_photon_s=649e-9), LINK)
    assert abs(timing.excite_mu[0] + 549 - timing.excite_mu[1] - 649) <= GRID_MU
    assert abs(timing.delay_mu) <= GRID_MU
    assert abs(timing.gate_start_mu - timing.excite_mu[0] - 549) <= GRID_MU


def test_a_delay_moves_bob_and_neither_alice_nor_the_gates() -> None:
    together, apart = (believed_timing(Believer(), LINK, delay, 0.4e-6) for delay in (0.0, 0.4e-6))
    assert apart.excite_mu[1] - together.excite_mu[1] == 400 == apart.delay_mu - together.delay_mu
    assert (apart.gate_start_mu, apart.gate_stop_mu, apart.excite_mu[0]) == (
        together.gate_start_mu, together.gate_stop_mu, together.excite_mu[0])  # fmt: skip


def test_edges_are_on_the_coarse_clock() -> None:
    timing = believed_timing(Believer(), LINK, 0.123e-6, 0.3e-6)
    edges = (
        timing.pump_stop_mu,
        timing.excite_mu[0],
        timing.excite_stop_mu[0],
        timing.excite_mu[1],
        timing.excite_stop_mu[1],
    )
    assert all(edge % GRID_MU == 0 for edge in edges)


@pytest.mark.parametrize(("delay_s", "longest_s"), [(0.5e-6, 0.4e-6), (0.0, 0.6e-6)])
def test_delays_that_the_gates_cannot_admit_are_refused(delay_s: float, longest_s: float) -> None:
    with pytest.raises(TimingError, match="delay|Delay"):
        believed_timing(Believer(), LINK, delay_s, longest_s)


def test_a_belief_from_the_store_goes_before_the_default() -> None:
    believer = Believer(param__alice__f_larmor_hz=1.5e6)
    assert parameters.get(believer, "param.alice.f_larmor_hz") == 1.5e6
    assert parameters.get(believer, "param.bob.f_larmor_hz") == 1.40e6


def test_a_default_that_was_used_is_in_the_results() -> None:
    believer = Believer()
    parameters.get(believer, "param.midpoint.t_gate_s")
    assert believer.written == {"param.midpoint.t_gate_s": 0.9e-6}


def test_an_unknown_belief_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="f_larmor_khz"):
        parameters.get(Believer(), "param.alice.f_larmor_khz")


def test_every_belief_states_unit_meaning_and_source() -> None:
    assert all(row.unit and row.meaning and row.source for row in TABLE.values())


@pytest.mark.parametrize(("length_m", "both_us"), [(10.0, 0.098), (350.0, 3.43), (16.5e3, 161.6), (50e3, 489.7)])
def test_an_attempt_takes_at_least_the_way_there_and_back(length_m: float, both_us: float) -> None:
    """The farther end counts: whatever the other arm, no attempt follows before the news can be back."""
    photon_s = 500e-9 + delay_s(Fibre(length_m))
    timing = believed_timing(Believer(param__bob__midpoint__t_photon_s=photon_s), LINK)
    assert 2e-3 * timing.back_mu == pytest.approx(both_us, rel=4e-3)
    light = min(timing.excite_mu) + 500  # of the end that is farther away
    assert 1e-3 * (timing.shortest_mu - light) >= both_us
    assert register_mu(timing.gate_stop_mu, timing.back_mu) + 8 * OVERHEAD_CLOCKS >= timing.shortest_mu


def test_the_gateware_is_chosen_where_its_register_holds_the_attempt(capsys: pytest.CaptureFixture[str]) -> None:
    """At 4 us of pumping arms of 260 m are within it, 280 m beyond."""
    for length_m, backend in ((260.0, "entangler"), (280.0, "software")):
        photon_s = 500e-9 + delay_s(Fibre(length_m))
        believer = Believer(param__alice__midpoint__t_photon_s=photon_s, param__bob__midpoint__t_photon_s=photon_s)
        assert choose(believer, AUTO, [LINK]) == backend
        assert ("heralding in software" in capsys.readouterr().out) == (backend == "software")
        assert choose(believer, "entangler", [LINK]) == "entangler"  # refused where the timing is written
