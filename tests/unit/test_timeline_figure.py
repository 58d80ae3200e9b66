"""`atomlink timeline --figure`: what is drawn is what was on, gated and seen in the last shot."""

from pathlib import Path

import pytest
from cli_lab import make_lab

from atomlink.errors import UsageError
from atomlink.signals import Cycle, CycleResult
from sim import cli
from sim.command import diagram
from sim.command.diagram import Pulse, Wiring
from sim.rtio.vcd import Changes, SeenEntangler
from sim.world import World, load_scenario

OUTPUTS = [["alice.pumping", "bob.pumping"], ["alice.port.excitation"]]
WIRING = {"entangler": Wiring(OUTPUTS, ["c_h", "c_v", "d_h", "d_v"])}


def pulse(changes: Changes, name: str, *edges: int) -> None:
    """Switch a line on and off and on … at these times."""
    for k, t_mu in enumerate(edges):
        changes.add(t_mu, changes.variable(name), "0" if k % 2 else "1")


def tone(changes: Changes, device: str, t_mu: int, amplitude: float) -> None:
    changes.add_real(t_mu, changes.variable(device, "amplitude", kind="real"), amplitude)


def shot_of(changes: Changes) -> dict[str, diagram.Row]:
    """Return the lines of the last shot, by name."""
    rows = diagram.rows_of(changes, WIRING)
    shot = diagram.last_shot(rows)
    return {row.name: cut for row in rows if (cut := row.within(shot)).pulses or cut.clicks}


def test_a_shot_goes_from_one_image_to_the_next() -> None:
    changes = Changes()
    pulse(changes, "x_fluorescence_counter_gate", 0, 200_000, 500_000, 700_000, 900_000, 1_100_000)
    pulse(changes, "x_mw_switch", 100, 200, 300_000, 310_000, 750_000, 760_000)
    rows = diagram.rows_of(changes, WIRING)
    assert diagram.last_shot(rows) == Pulse(700_000, 1_100_000)
    assert shot_of(changes)["x microwave"].pulses == [Pulse(750_000, 760_000)]
    assert shot_of(changes)["x fluorescence"].pulses == [Pulse(900_000, 1_100_000)]


def test_light_is_on_where_the_switch_is_and_the_tone_has_an_amplitude() -> None:
    changes = Changes()
    tone(changes, "x_dds_raman_a", 0, 0.0)
    pulse(changes, "x_sw_raman_a", 10, 20, 30, 60)
    tone(changes, "x_dds_raman_a", 40, 0.5)
    tone(changes, "x_dds_raman_a", 50, 0.0)
    pulse(changes, "x_sw_cooling", 5, 70)
    assert shot_of(changes)["x raman a"].pulses == [Pulse(40, 50)]
    assert shot_of(changes)["x cooling"].pulses == [Pulse(5, 70)]


def test_the_last_attempt_of_the_gateware_is_drawn_on_the_lines_that_it_switches() -> None:
    class Port:
        def run(self, t_start_mu: int, t_end_mu: int, cycle: Cycle) -> CycleResult:
            return CycleResult(5, 9, (4910, -1, -1, 4920), 5000, 5)

    changes = Changes()
    cycle = Cycle(1000, ((100, 400), (500, 560), None, None), ((880, 940),) * 4, (9,))
    SeenEntangler(Port(), "entangler", changes).run(0, 9000, cycle)
    rows = shot_of(changes)
    assert rows["attempt"].pulses == [Pulse(4000, 5000)]
    assert rows["alice pumping"].pulses == rows["bob pumping"].pulses == [Pulse(4100, 4400)]
    assert rows["alice excitation"].pulses == [Pulse(4500, 4560)]
    assert rows["c h"].pulses == [Pulse(4880, 4940)]
    assert (rows["c h"].clicks, rows["c v"].clicks, rows["d v"].clicks) == ([4910], [], [4920])


def test_the_shipped_lab_tells_which_beams_its_gateware_switches() -> None:
    db = {"entangler": {"class": "Entangler", "arguments": {"inputs": ["snspd_c_h"]}}, "core": {"class": "Core"}}
    wiring = diagram.wirings_of(World(load_scenario("default"), 1), db)["entangler"]
    assert "alice.port.pumping" in wiring.outputs[0] and wiring.outputs[1] == ("alice.port.excitation",)
    assert wiring.inputs == ["snspd_c_h"]
    assert diagram.wirings_of(object(), db)["entangler"].outputs == ()


def test_intervals_are_as_wide_as_the_logarithm_of_their_length() -> None:
    axis = diagram.Axis([0, 8, 88, 888, 10**8])
    widths = [b - a for a, b in zip(axis.places, axis.places[1:], strict=False)]
    assert widths == sorted(widths) and widths[-1] / widths[0] < 10
    assert axis.place(4) == pytest.approx(axis.places[1] / 2)


def test_what_is_too_long_for_a_page_is_left_out_in_the_middle() -> None:
    axis = diagram.Axis(range(0, 100_000, 100))
    assert len(axis.edges) == diagram.MOST_EDGES
    assert axis.edges[0] == 0 and axis.edges[-1] == 99_900
    assert axis.whole(Pulse(0, 300)) and not axis.whole(Pulse(0, 99_900)) and axis.whole(Pulse(99_000, 99_900))
    assert axis.left_out is not None and axis.edges[axis.left_out + 1] - axis.edges[axis.left_out] > 10_000


@pytest.mark.parametrize(("ns", "text"), [(8, "8 ns"), (1250, "1.25 µs"), (2e7, "20 ms"), (3.2e9, "3.2 s")])
def test_durations_read_well(ns: float, text: str) -> None:
    assert diagram.duration(ns) == text


@pytest.mark.parametrize("suffix", diagram.FORMATS)
def test_a_figure_is_written(tmp_path: Path, suffix: str) -> None:
    changes = Changes()
    pulse(changes, "x_sw_cooling", 10, 500_000)
    pulse(changes, "x_fluorescence_counter_gate", 600_000, 900_000)
    for t_mu in range(610_000, 890_000, 10_000):
        pulse(changes, "x_fluorescence_click", t_mu, t_mu + 1)
    about = {"name": "test", "rid": 1, "scenario": "default", "seed": 1}
    path = tmp_path / f"out{suffix}"
    assert diagram.write(path, changes, WIRING, about, 1.0) == Pulse(10, 900_000)
    assert path.stat().st_size > 1000


def test_a_run_without_an_edge_has_no_diagram() -> None:
    with pytest.raises(UsageError, match="nothing was switched"):
        diagram.last_shot([])


@pytest.mark.parametrize(
    ("name", "says"),
    [("out.gif", "must end in one of: .png, .svg, .pdf"), ("nowhere/out.png", "there is no folder")],
)
def test_a_figure_that_cannot_be_is_refused_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, says: str
) -> None:
    root = make_lab(tmp_path)
    monkeypatch.chdir(root)
    assert cli.main(["timeline", "Count", "--figure", name]) == 2
    assert says in capsys.readouterr().err
    assert not (root / "results").exists()
