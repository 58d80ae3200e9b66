"""AWGs: the two cards that move a node's tweezers."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from unittest import mock

import numpy as np
import pytest
from instrument_lab import NO_NUMBERS, Bench, Contract, Lab

from atomlink.errors import DeviceError
from drivers.instruments.spcm_cards import SpcmCards
from drivers.instruments.spectrum_awg import AXES, STEP_S, Driver
from drivers.interlock import AmplitudeSum
from drivers.limits import Limits
from drivers.rtio.awg_commands import Cores, block, chords
from drivers.rtio.awg_ramps import Axis, Segment, Timing, Tones, frequency_hz, ramps
from drivers.rtio.rearrangement import Target, plan
from sim.instruments.dds_card import CORES, M2CMD, PRODUCT_NAME, ROOM, SERIAL, Fault
from sim.instruments.spectrum_awg import Twin

ROWS = Axis(85e6, 0.5e6, 70e6, 115e6, 0.05)
COLUMNS = Axis(115e6, -0.5e6, 70e6, 115e6, 0.05)
TIMING = Timing(5e-6, 0.55, 100e-6, 50e-6)


class Array:
    """What the AWG's twin hands blocks to: the part of a node's tweezer array that it uses."""

    def __init__(self) -> None:
        self.blocks: list[list[Any]] = []

    @property
    def queued(self) -> int:
        return len(self.blocks)

    def queue(self, segments: list[Any]) -> None:
        self.blocks.append(segments)

    def clear(self) -> None:
        self.blocks.clear()


def tones(start_hz: list[float], stop_hz: list[float], start: float, stop: float) -> Tones:
    n = len(start_hz)
    return Tones(np.array(start_hz), np.array(stop_hz), np.full(n, start), np.full(n, stop))


def some_segments(sites: int = 8, inner: int = 4) -> list[Segment]:
    occupied = np.random.default_rng(4).random((sites, sites)) < 0.7
    return ramps(plan(occupied, Target.centred((sites, sites), inner, inner)), ROWS, COLUMNS, TIMING)


def stand(amplitude: float = 0.1) -> Segment:
    one = tones([80e6], [80e6], amplitude, amplitude)
    return Segment(1e-4, one, one)


class TestSpectrumAwg(Contract):
    ROWS = ("alice_awg", "bob_awg")

    def pretend(self, twin: Any) -> None:
        twin.product = "M2p.6541-x4"

    def is_identity_request(self, request: Any) -> bool:
        return request[1:3] in (("get_str", PRODUCT_NAME), ("get", SERIAL))

    @pytest.fixture
    def array(self, bench: Bench) -> Iterator[Array]:
        bench.twin.element = made = Array()
        bench.driver.silence()
        yield made

    def test_tones_stand_and_read_back(self, bench: Bench) -> None:
        records: list[Any] = []
        bench.driver.on_record = records.append
        bench.driver.set_tones("rows", [80e6, 81e6], [0.3, 0.4], [0.0, 1.0])
        dds = bench.driver.transport.rows
        assert [dds.get_freq(k) for k in range(2)] == pytest.approx([80e6, 81e6], abs=1)
        assert [dds.get_amp(k) for k in range(CORES)] == pytest.approx([0.3, 0.4] + [0.0] * (CORES - 2), abs=1e-4)
        assert records[-1].quantity == "rows tones" and "81000000.0" in str(records[-1].requested)

    def test_the_sum_of_amplitudes_of_an_axis_is_the_limit(self, bench: Bench) -> None:
        bench.driver.set_tones("rows", [80e6, 81e6, 82e6], [1 / 3, 1 / 3, 1 / 3])
        bench.driver.set_tones("columns", [80e6], [1.0])
        bench.driver.amplitude_sum = AmplitudeSum(0.5)
        sent = len(bench.sent)
        loud = tones([80e6, 81e6], [80e6, 81e6], 0.1, 0.26)
        with pytest.raises(DeviceError, match="columns: The amplitudes of 2 tones add up to 0.6"):
            bench.driver.set_tones("columns", [80e6, 81e6], [0.3, 0.3])
        with pytest.raises(DeviceError, match="segment 1, columns, stop: The amplitudes of 2 tones add up to 0.52"):
            bench.driver.write_segments([stand(), Segment(1e-4, stand().rows, loud)])
        assert len(bench.sent) == sent

    @pytest.mark.parametrize("bad", [
        ("rows", [49e6], [0.1]), ("rows", [151e6], [0.1]), ("rows", [80e6], [-0.1]), ("rows", [80e6], [1.1]),
        ("rows", [80e6, 81e6], [0.1]), ("rows", [80e6], [0.1], [0.0, 1.0]), ("sideways", [80e6], [0.1]),
        ("rows", [80e6] * (CORES + 1), [0.01] * (CORES + 1)), *(("columns", [value], [0.1]) for value in NO_NUMBERS)])
    def test_tones_out_of_range_are_refused_before_any_io(self, bench: Bench, bad: tuple[Any, ...]) -> None:
        sent = len(bench.sent)
        with pytest.raises(DeviceError, match=r"_awg.*nothing was sent"):
            bench.driver.set_tones(*bad)
        assert len(bench.sent) == sent

    def test_a_ramp_ends_by_itself_within_the_band_or_is_refused(self, bench: Bench) -> None:
        bench.driver.set_tones("rows", [80e6, 90e6], [0.3, 0.3])
        bench.driver.ramp("rows", [1e9, -1e9], 1e-3)
        dds = bench.driver.transport.rows
        assert [dds.get_freq(k) for k in range(2)] == pytest.approx([81e6, 89e6], abs=10)
        sent = len(bench.sent)
        for slopes, duration in (([1e12, 0.0], 1e-3), ([1e9], 1e-3), ([1e9, 1e9], 0.0), ([np.nan, 0.0], 1e-3)):
            with pytest.raises(DeviceError, match=r"(?i)nothing was sent"):
                bench.driver.ramp("rows", slopes, duration)
        assert len(bench.sent) == sent

    def test_segments_reach_the_world_as_they_were_meant(self, bench: Bench, array: Array) -> None:
        segments = some_segments()
        bench.driver.write_segments(segments)
        assert array.blocks == [], "nothing happens before triggers act"
        bench.driver.arm()
        assert len(array.blocks) == 1
        for wanted, found in zip(segments, array.blocks[0], strict=True):
            pieces = chords(wanted, bench.driver.error_hz)
            assert abs(found.duration_s - wanted.duration_s) <= pieces * STEP_S / 2 * 1.001
            for axis in AXES:
                for mine, its in zip(getattr(wanted, axis), getattr(found, axis), strict=True):
                    assert its == pytest.approx(mine, abs=2.0 if mine.max() > 2 else 1e-6)

    def test_each_trigger_plays_one_block_and_the_queue_empties(self, bench: Bench, array: Array) -> None:
        bench.driver.arm()
        for _ in range(3):
            bench.driver.write_segments([stand()])
        assert len(array.blocks) == 3
        waiting = [bench.driver.waiting()]
        while array.blocks:
            array.blocks.pop(0)
            waiting.append(bench.driver.waiting())
        assert waiting[-1] == 0 and all(a > b for a, b in pairwise(waiting))

    def test_a_block_that_does_not_fit_the_queue_is_refused_whole(
        self, bench: Bench, array: Array, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(ROOM, 1, 100)
        far = tones([80e6], [110e6], 0.5, 0.5)
        sent = [request for request in bench.sent if request[1] == "set"]
        with pytest.raises(DeviceError, match="has room for 100: write fewer"):
            bench.driver.write_segments([Segment(1e-2, far, far)] * 2)
        assert [request for request in bench.sent if request[1] == "set"] == sent and bench.driver.waiting() == 0

    def test_tones_at_once_are_refused_while_blocks_wait(self, bench: Bench, array: Array) -> None:
        bench.driver.set_tones("rows", [80e6], [0.1])
        bench.driver.write_segments([stand()])
        driver = bench.driver
        for late in (lambda: driver.set_tones("rows", [80e6], [0.1]), lambda: driver.ramp("rows", [1e6], 1e-3)):
            with pytest.raises(DeviceError, match="wait for the trigger.*Nothing was sent"):
                late()
        bench.driver.arm()
        array.blocks.clear()
        bench.driver.set_tones("rows", [81e6], [0.1])

    def test_silence_empties_cards_and_world(self, bench: Bench, array: Array) -> None:
        bench.driver.arm()
        bench.driver.write_segments([stand()])
        bench.driver.silence()
        assert array.blocks == [] and bench.driver.waiting() == 0
        bench.driver.write_segments([stand()])
        assert array.blocks == [], "silence takes the triggers away"

    def test_segments_may_come_as_plain_tuples_as_they_do_over_a_controller(self, bench: Bench, array: Array) -> None:
        one = ([80e6], [80e6], [0.0], [0.1])
        bench.driver.arm()
        bench.driver.write_segments([(1e-4, one, one)])
        assert array.blocks[0][0].rows.stop_amplitude == pytest.approx([0.1], abs=1e-6)

    @pytest.mark.parametrize("segments", [
        [], [()], [(1e-4, [], [])], [1.0], [(1e-4, "tones", "tones")], [(1e-4, ([80e6],) * 3, ([80e6],) * 3)],
        [Segment(0.0, stand().rows, stand().columns)], [Segment(np.nan, stand().rows, stand().columns)],
        [Segment(1e-4, tones([], [], 0, 0), stand().columns)],
        [Segment(1e-4, tones([80e6], [200e6], 0.1, 0.1), stand().columns)],
        [Segment(1e-4, stand().rows._replace(stop_hz=np.array([80e6, 81e6])), stand().columns)],
        [Segment(1e-4, tones([80e6] * 21, [80e6] * 21, 0.01, 0.01), stand().columns)]])
    def test_segments_that_make_no_sense_are_refused_before_any_io(self, bench: Bench, segments: list[Segment]) -> None:
        sent = len(bench.sent)
        with pytest.raises(DeviceError, match=r"_awg.*nothing was sent"):
            bench.driver.write_segments(segments)
        assert len(bench.sent) == sent

    def test_what_the_card_refuses_is_raised_in_its_own_words(self, bench: Bench) -> None:
        bench.driver.band["rows"] = Limits(0.0, 1e12, "Hz")
        with pytest.raises(DeviceError, match="_awg: the card says: register 603000, value 5e.08: ERR_VALUE"):
            bench.driver.set_tones("rows", [5e8], [0.1])

    def test_an_underrun_is_found(self, bench: Bench) -> None:
        handle = bench.twin.handle
        bench.driver.transport.rows._handle = lambda request: 0x02 if request[2] == 608004 else handle(request)
        with pytest.raises(DeviceError, match="rows: DDS queue underrun. silence"):
            bench.driver.arm()


# -- the cubic as chords -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("error_hz", [1e2, 5e3, 1e5])
@pytest.mark.parametrize("travel_hz", [1e3, -0.5e6, 10e6])
def test_chords_stay_within_the_error_that_was_allowed(error_hz: float, travel_hz: float) -> None:
    one = tones([90e6], [90e6 + travel_hz], 0.1, 0.1)
    n = chords(Segment(1e-3, one, one), error_hz)
    s = np.linspace(0, 1, 20 * n + 1)
    cubic = np.array([frequency_hz(one, x)[0] for x in s])
    knots = np.linspace(0, 1, n + 1)
    worst = np.abs(np.interp(s, knots, [frequency_hz(one, x)[0] for x in knots]) - cubic).max()
    assert worst <= error_hz
    assert n == 1 or worst > 0.2 * error_hz, "no more pieces than the error needs, up to the last one"


def test_commands_of_one_block_are_exactly_these() -> None:
    up = tones([80e6], [80e6], 0.0, 0.5)
    commands = block([(up, 1, 1e-3)], Cores(2))
    assert [(c.what, c.core, c.value) for c in commands] == [
        ("freq", 0, 80e6), ("amp_slope", 0, 500.0), ("trg_timer", None, 1e-3), ("trg_src", None, "timer"),
        ("exec_at_trg", None, None), ("amp_slope", 0, 0.0), ("amp", 0, 0.5),
        ("trg_src", None, "card"), ("exec_at_trg", None, None),
    ]  # fmt: skip


# -- Spectrum's own package --------------------------------------------------------------------------------------------
class Card:
    """What `spcm.DDS` needs of a card, over the twin's registers."""

    def __init__(self, axis: str, twin: Twin) -> None:
        self._axis, self._twin = axis, twin

    def _call(self, what: str, register: int, value: float = 0) -> Any:
        reply = self._twin.handle((self._axis, what, register, value))
        if isinstance(reply, Fault):
            raise ValueError(str(reply))
        return reply

    def set_i(self, register: int, value: int) -> None:
        self._call("set", register, value)

    set_d = set_i

    def get_i(self, register: int) -> int:
        return int(self._call("get", register))

    def get_d(self, register: int) -> float:
        return float(self._call("get", register))

    def function_type(self) -> int:
        return 2  # SPCM_TYPE_AO

    def ext_features(self) -> int:
        return self.get_i(2121)


@pytest.fixture
def spcm() -> Iterator[Any]:
    """Spectrum's package, unmodified, with nothing where its kernel driver's library would be."""
    hidden = {"matplotlib": None, "matplotlib.pyplot": None}  # it would plot
    with mock.patch.dict(sys.modules, hidden), mock.patch.object(ctypes.cdll, "LoadLibrary", mock.MagicMock()):
        try:
            import spcm as package
        except ImportError:
            pytest.skip("spcm is not installed")
        yield package


def test_spectrums_own_dds_object_drives_the_twin(spcm: Any) -> None:
    """Golden client: `spcm.DDS` in the driver's place for `Dds`, the driver above it and the registers below."""
    array = Array()
    twin = Twin(array, np.random.default_rng(0))
    cards = twin.in_process(twin.handle)
    cards.rows, cards.columns = (spcm.DDS(Card(axis, twin), no_units=True, check_features=True) for axis in AXES)
    cards.errors = (ValueError,)
    with mock.patch.object(cards, "identity", lambda: "M4i.6631-x8 sn 1, M4i.6631-x8 sn 2"), mock.patch.object(
        cards, "triggers", lambda on: [twin.handle((axis, "set", M2CMD, 8 if on else 32)) for axis in AXES]
    ):
        awg = Driver("awg", cards).open()
        awg.set_tones("rows", [80e6], [0.25], [1.0])
        segments = some_segments(4, 2)
        awg.write_segments(segments)
        awg.arm()
    assert [len(found) for found in array.blocks] == [len(segments)]
    assert array.blocks[0][1].rows.stop_hz == pytest.approx(segments[1].rows.stop_hz, abs=1)


def test_the_twin_has_exactly_methods_of_spectrums_dds_object(spcm: Any) -> None:
    from sim.instruments.spectrum_awg import Dds

    for name in (name for name in vars(Dds) if not name.startswith("_") and name not in ("get_i", "get_d", "get_str")):
        assert callable(getattr(spcm.DDS, name)), name


# -- fuzz --------------------------------------------------------------------------------------------------------------
def fuzz(number: int, seed: int) -> None:
    twin = Twin(Array(), np.random.default_rng(seed))
    rng = np.random.default_rng(seed)
    registers = [100, 2000, 2030, 2121, *range(603000, 603003), *range(604000, 604003), 605000, 605001, 606000, 607000,
                 608000, 608001, 608003, 608003, 608003, 608004, 608006, 608007, 608012, 608500, 1]  # fmt: skip
    values = [0, 1, 2, 4, 8, 0x0A, 0x0C, 16, 32, 64, -1, 0.5, 1e-6, 80e6, 1e300, float("nan"), float("inf"), True]
    for _ in range(number):
        request = (AXES[rng.integers(0, 2)], ("set", "set", "set", "get", "get_str", "go")[rng.integers(0, 6)],
                   registers[rng.integers(0, len(registers))], values[rng.integers(0, len(values))])  # fmt: skip
        reply = twin.handle(request)
        assert reply is None or isinstance(reply, (int, float, str, Fault))
        if isinstance(twin.element, Array) and rng.random() < 0.01:
            twin.element.clear()


def test_two_thousand_fuzzed_requests_are_all_answered() -> None:
    fuzz(2000, 1)


@pytest.mark.slow
def test_a_hundred_thousand_fuzzed_requests_are_all_answered() -> None:
    fuzz(100_000, 2)


@pytest.mark.parametrize("request_", [None, 3, "x", (), ("rows",), ("rows", "set", "x", 1), ("up", "set", 1, 1),
                                      [1] * 4])  # fmt: skip
def test_no_request_makes_it_raise(request_: Any) -> None:
    assert isinstance(Twin(None, np.random.default_rng(0)).handle(request_), Fault)


@pytest.mark.parametrize("device", ["", "/dev/spcm0", "/dev/spcm0,/dev/spcm0", "a,b,c", ","])
def test_an_address_that_does_not_name_two_cards_is_refused(device: str) -> None:
    with pytest.raises(DeviceError, match="must be ROWS,COLUMNS"):
        Driver.connect(device)


def test_cards_are_set_up_for_dds_and_an_external_trigger_before_anything_is_played() -> None:
    """Spectrum's package as a list of calls: mode, output and trigger are set before the card starts."""
    package = mock.MagicMock()
    package.SpcmException, package.SpcmTimeout = ValueError, TimeoutError
    package.Card.return_value.product_name.return_value = "M4i.6631-x8"
    package.Card.return_value.sn.side_effect = [1, 2]
    cards = SpcmCards("/dev/spcm0,/dev/spcm1")
    with mock.patch.object(cards, "_package", lambda: package):
        assert cards.identity() == "M4i.6631-x8 sn 1, M4i.6631-x8 sn 2"
        assert [call.args for call in package.Card.call_args_list] == [("/dev/spcm0",), ("/dev/spcm1",)]
        calls = [name for name, *_ in package.mock_calls]
        order = ["Card().card_mode", "Channels().amp", "Trigger().or_mask", "Card().write_setup", "Card().start", "DDS"]
        assert [name for name in calls if name in order] == order * 2
        cards.triggers(True)
        assert package.Card.return_value.cmd.call_args.args == (package.M2CMD_CARD_ENABLETRIGGER,)
        cards.close()
        assert package.Card.return_value.close.call_count == 2


def test_without_the_kernel_driver_the_error_says_what_to_do() -> None:
    missing = mock.Mock(side_effect=Exception("The Spectrum Instrumentation device driver is not found."))
    with mock.patch("importlib.import_module", missing), pytest.raises(
        DeviceError, match="driver is not found.*install it with its kernel driver, or run with --simulation"
    ):
        Driver("awg", Driver.connect("/dev/spcm0,/dev/spcm1")).open()


def test_a_node_without_an_array_has_an_awg_that_moves_nothing() -> None:
    lab = Lab()
    lab.world.nodes["alice"].tweezers = None
    assert Twin.element_of(lab.world, "alice_awg") is None
    twin = Twin(None, np.random.default_rng(0))
    awg = Driver("awg", twin.in_process(twin.handle)).open()
    awg.write_segments([stand()])
    awg.arm()
    assert awg.waiting() == 0
