"""What a person writes for an argument: quantities, simple scans, choices; PYON stays what it was."""

from typing import Any

import pytest
from artiq.language.environment import BooleanValue, EnumerationValue, NumberValue, StringValue
from artiq.language.scan import CenterScan, ExplicitScan, NoScan, RangeScan, Scannable

from atomlink.errors import UsageError
from sim.command.arguments import CheckedArguments
from sim.command.written import parse, scan_text

ARGUMENTS: dict[str, Any] = {
    "f_offset": NumberValue(50e3, unit="kHz", min=0.0, max=500e3),
    "n": NumberValue(3, precision=0, step=1, min=1, max=10_000, type="int"),
    "rad": NumberValue(0.0, unit="rad", scale=1.0),
    "t_wait": Scannable(RangeScan(0.0, 1e-4, 5), unit="us", global_min=0.0, global_max=1e-2),
    "phase": Scannable(RangeScan(0.0, 1.0, 5), unit="turns", scale=1.0),
    "backend": EnumerationValue(["entangler", "software"]),
    "twice": BooleanValue(False),
    "name": StringValue("x"),
}


def given(word: str) -> Any:
    """Return what the experiment gets for one word of the command line."""
    arguments = CheckedArguments(parse([word]))
    name = word.partition("=")[0]
    return arguments.get(name, ARGUMENTS[name], None, None)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("f_offset=50kHz", 50e3), ("f_offset=0.05MHz", 50e3), ("f_offset=50*kHz", 50e3), ("f_offset=5e4", 50e3),
        ("f_offset=50000", 50e3), ("f_offset=1.5 Hz", 1.5), ("rad=0.5rad", 0.5), ("n=7", 7),
        ("backend=software", "software"), ('backend="software"', "software"), ("twice=true", True),
        ('name="5us"', "5us"), ("name=spare", "spare"), ("name=alice,bob", "alice,bob"),
        ("name=alice-charlie.west@left", "alice-charlie.west@left"),
    ],
)  # fmt: skip
def test_a_number_may_have_its_unit_and_a_choice_or_a_name_needs_no_quotes(word: str, value: Any) -> None:
    assert given(word) == pytest.approx(value, rel=1e-12) if isinstance(value, float) else given(word) == value


@pytest.mark.parametrize(
    ("word", "kind", "points"),
    [
        ("t_wait=0:100us:21", RangeScan, [i * 5e-6 for i in range(21)]),
        ("t_wait=0:1e-4:3", RangeScan, [0.0, 5e-5, 1e-4]),
        ("t_wait=0:0.1ms:3", RangeScan, [0.0, 5e-5, 1e-4]),
        ("t_wait=1us,2us,5us", ExplicitScan, [1e-6, 2e-6, 5e-6]),
        ("t_wait=1e-6,2e-6", ExplicitScan, [1e-6, 2e-6]),
        ("t_wait=[1e-6, 2e-6]", ExplicitScan, [1e-6, 2e-6]),
        ("t_wait=5us", NoScan, [5e-6]),
        ("t_wait=5e-6", NoScan, [5e-6]),
        ("phase=0:0.75turns:4", RangeScan, [0.0, 0.25, 0.5, 0.75]),
        ('t_wait={"ty": "CenterScan", "center": 1e-5, "span": 2e-6, "step": 1e-6}', CenterScan, [1e-5, 9e-6, 1.1e-5]),
    ],
)  # fmt: skip
def test_a_simple_scan_needs_no_json(word: str, kind: type, points: list[float]) -> None:
    scan = given(word)
    assert type(scan) is kind
    assert list(scan) == pytest.approx(points, rel=1e-12)


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("f_offset=50us", "argument `f_offset` is 50 us, but its unit is kHz (or mHz, Hz, MHz, GHz)"),
        ("f_offset=50parsec", "argument `f_offset` has the unknown unit `parsec`: its unit is kHz"),
        ("f_offset=1MHz", "argument `f_offset` is 1000 kHz (1000000), must be in the range"),
        ("f_offset=0:1kHz:3", "argument `f_offset` is '0:1kHz:3', a scan, must be one number"),
        ("n=2kHz", "argument `n` is 2 kHz, but it is a number without a unit"),
        ("t_wait=5:100us:21", "argument `t_wait` is '5:100us:21': 5 needs a unit as the others have one"),
        ("t_wait=5us:100us", "argument `t_wait` is '5us:100us', must be start:stop:points"),
        ("t_wait=0:100us:5us", "must be start:stop:points"),
        ("t_wait=0:100us:2.5", "must be start:stop:points"),
        ("t_wait=0:100us:99999999", "is a scan of 1e+08 points, must be 1,000,000 at most"),
        ("t_wait=0:100us:0:3", "must be start:stop:points"),
        ("t_wait=0:1e999us:3", "argument `t_wait` has the value inf in its scan, must be finite numbers"),
        ("t_wait=0:1s:3", "argument `t_wait` is 1000000 us (1), must be in the range"),
        ("t_wait=1us,x", "'1us,x' is not PYON"),
        ("t_wait=[]", "argument `t_wait` is [], must be a scan: 0:100us:21"),
        ("t_wait=fast", "'fast' is not PYON; text needs its own quotes"),
        ("backend=sofware", "argument `backend` is 'sofware' (did you mean `software`?), must be one of"),
        ("twice=5us", "argument `twice`: '5us' is not PYON"),
        ("name=two words", """'two words' is not PYON; text needs its own quotes: write 'name="two words"'"""),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_one_line(word: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        given(word)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "scan",
    [RangeScan(5e-6, 125e-6, 25), NoScan(3e-6), ExplicitScan([1e-6, 2e-6]), CenterScan(1e-5, 2e-6, 1e-6),
     RangeScan(0.0, 1e-5, 3, randomize=True, seed=2)],
)  # fmt: skip
def test_a_scan_is_shown_as_it_may_be_written(scan: Any) -> None:
    again = given(f"t_wait={scan_text(scan, ARGUMENTS['t_wait'])}")
    assert type(again) is type(scan)
    assert list(again) == pytest.approx(list(scan), rel=1e-8)


def test_what_the_experiment_did_not_ask_for_is_plain_too() -> None:
    """A build that ends early asks for nothing: what is filed as the run's arguments is plain all the same."""
    given_words = parse(["a=5us", "b=0:100us:3", "c=1us,2us", "d=3"])
    assert CheckedArguments(given_words).plain() == {
        "a": pytest.approx(5e-6), "b": {"ty": "RangeScan", "start": 0.0, "stop": pytest.approx(1e-4), "npoints": 3},
        "c": {"ty": "ExplicitScan", "sequence": pytest.approx([1e-6, 2e-6])}, "d": 3,
    }  # fmt: skip
