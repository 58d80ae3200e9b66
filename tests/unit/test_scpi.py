"""The habits of SCPI instruments that every twin of one has, and that nothing on the wire can break one."""

from collections.abc import Mapping

import numpy as np
import pytest

from sim.instruments.catalog import make_twin
from sim.instruments.scpi import QUEUE_LENGTH, Handler, ScpiError, ScpiTwin, boolean, nr3, number
from sim.world.scenario import load_scenario
from sim.world.world import World

# What is fuzzed: kind -> row, and the question that it must still answer afterwards.
KINDS = {
    "microwave": ("alice_microwave", "*CLS;*IDN?"),
    "pm100d": ("alice_power_meter", "*CLS;*IDN?"),
    "polatis": ("fibre_switch", "*CLS;*IDN?"),
    "mdt693b": ("alice_piezo", "id?"),  # no SCPI, but text over a wire all the same
}
WORDS = (
    "SOUR", "source", ":", ";", "?", " ", ",", "FREQ", "frequency", "POW", "*", "IDN", "RST", "CLS", "OPC", "ON",
    "CORR", "WAV", "OXC", "SWIT", "CONN", "ADD", "(@1)", "(@17)", "(@", ")", "1e9", "-5", "1e400", "NaN", "MAX",
    "SYST", "SENS", "ERR", "ALL", "xvoltage", "ymax", "echo", "=", '"', "'", "GHZ", "\t", "\x00", "\xff", "ß",
    "MEAS", "PORT", "0", "99999999999999999",
)  # fmt: skip


class Oven(ScpiTwin):
    """A twin of nothing in particular."""

    identity = "ACME,OVEN,1,1"

    def __init__(self) -> None:
        self.temperature, self.heard = 20.0, 0
        super().__init__(None, np.random.default_rng(1))

    def commands(self) -> Mapping[str, Handler]:
        return {
            "[SOURce]:TEMPerature[:LEVel]": self._set,
            "[SOURce]:TEMPerature[:LEVel]?": lambda: nr3(self.temperature),
            "SOURce:HEAT[:STATe]?": lambda: "0",
            "ROUTe:PATH": self._path,
        }

    def reset(self) -> None:
        self.temperature = 20.0

    def _set(self, text: str) -> None:
        self.temperature = number(text, {"C": 1.0, "MC": 1e-3}, 0.0, 300.0)

    def _path(self, inputs: str, outputs: str = "(@0)") -> None:
        self.heard += 1


@pytest.mark.parametrize(
    "header",
    ["SOUR:TEMP", "SOURce:TEMPerature", "source:temperature:level", ":SOUR:TEMP:LEV", "TEMP", "tEmPeRaTuRe", ":TEMP",
     "TEMP:LEV", "SOUR1:TEMP", "SOURCE1:TEMP1"],
)  # fmt: skip
def test_every_spelling_of_a_header_is_understood(header: str) -> None:
    oven = Oven()
    assert oven.handle(f"{header} 55") is None
    assert oven.handle(f"{header}?") == "5.500000E+01"
    assert oven.handle("SYST:ERR?") == '0,"No error"'


@pytest.mark.parametrize("header", ["SOURC:TEMP", "TEMPE", "SOUR:TEMP:LEVE", "TEMP:SOUR", "TEMP2", "", "HEAT"])
def test_other_spellings_are_undefined_headers(header: str) -> None:
    oven = Oven()
    oven.handle(f"{header} 55" if header else "? 55")
    assert oven.temperature == 20.0
    assert oven.handle("SYST:ERR?").startswith("-113,")


def test_joined_commands_go_on_where_the_one_before_stood_or_at_the_root() -> None:
    oven = Oven()
    assert oven.handle("SOUR:TEMP 30;TEMP?;HEAT?;:TEMP 40;*OPC?;:SOUR:TEMP?") == "3.000000E+01;0;1;4.000000E+01"


def test_replies_of_one_line_come_in_one_line_and_commands_alone_have_none() -> None:
    assert Oven().handle("TEMP 30;TEMP 31") is None
    assert Oven().handle("*IDN?;*OPC?") == "ACME,OVEN,1,1;1"


@pytest.mark.parametrize(
    ("request_", "error"),
    [("TEMP", -109), ("TEMP 1,2", -108), ("TEMP hot", -104), ("TEMP 301", -222), ("TEMP -1", -222), ("TEMP 1 KG", -131),
     ("TEMP 1e999", -222), ("TEMP nan", -104), ("TEMP? 1", -108), ("BAKE", -113), ("TEMP \u00b2", -104)],
)  # fmt: skip
def test_what_cannot_be_done_goes_into_the_error_queue_and_changes_nothing(request_: str, error: int) -> None:
    oven = Oven()
    assert oven.handle(request_) is None
    assert oven.temperature == 20.0
    assert oven.handle("SYST:ERR:COUN?") == "1"
    assert int(oven.handle("SYST:ERR?").split(",")[0]) == error


def test_an_error_does_not_keep_the_rest_of_the_line_from_being_done() -> None:
    oven = Oven()
    assert oven.handle("TEMP hot;TEMP 50;TEMP?") == "5.000000E+01"


def test_the_error_queue_is_first_in_first_out_and_says_when_it_overflowed() -> None:
    oven = Oven()
    for _ in range(QUEUE_LENGTH):
        oven.handle("TEMP hot")
    oven.handle("BAKE")
    found = [oven.handle("SYST:ERR?") for _ in range(QUEUE_LENGTH + 1)]
    assert found[0] == '-104,"Data type error;hot"'
    assert found[-2:] == ['-350,"Queue overflow"', '0,"No error"']


def test_the_whole_queue_can_be_read_at_once_or_cleared() -> None:
    oven = Oven()
    oven.handle("TEMP hot;BAKE")
    assert oven.handle("*STB?") == "4"
    assert oven.handle("SYST:ERR:ALL?") == '-104,"Data type error;hot",-113,"Undefined header;BAKE"'
    oven.handle("BAKE;*CLS")
    assert oven.handle("SYST:ERR?") == '0,"No error"'


def test_units_and_names_stand_for_numbers() -> None:
    oven = Oven()
    for text, value in (("25 C", 25.0), ("2500mC", 2.5), ("MIN", 0.0), ("maximum", 300.0), ("+.5E1", 5.0)):
        oven.handle(f"TEMP {text}")
        assert oven.temperature == pytest.approx(value), text


def test_reset_goes_to_the_state_of_the_instruments_own_making() -> None:
    oven = Oven()
    oven.handle("TEMP 50;*RST")
    assert oven.temperature == 20.0


def test_commas_in_brackets_and_quotes_do_not_part_arguments() -> None:
    oven = Oven()
    oven.handle("ROUT:PATH (@1,2,3),(@4,5)")
    oven.handle("ROUT:PATH 'a,b;c'")
    assert (oven.heard, oven.handle("SYST:ERR:COUN?")) == (2, "0")


@pytest.mark.parametrize(("text", "value"), [("ON", True), ("off", False), ("1", True), ("0", False)])
def test_switches_are_on_off_1_or_0(text: str, value: bool) -> None:
    assert boolean(text) is value
    with pytest.raises(ScpiError):
        boolean(text + "x")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("requests", [2_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_no_request_crashes_a_twin(kind: str, requests: int) -> None:
    row, question = KINDS[kind]
    twin = make_twin(World(load_scenario("default"), 1), row, kind)
    rng = np.random.default_rng(20261122)
    for _ in range(requests):
        if rng.random() < 0.5:
            request = "".join(rng.choice(WORDS, size=rng.integers(1, 12)))
        else:
            request = rng.integers(0, 256, size=rng.integers(0, 60), dtype=np.uint8).tobytes().decode("latin-1")
        reply = twin.handle(request)
        assert reply is None or isinstance(reply, str)
    assert twin.identity in twin.handle(question)  # type: ignore[attr-defined]


def test_a_request_of_endless_length_overflows_the_input_buffer() -> None:
    oven = Oven()
    oven.handle("TEMP " + "9" * 100_000)
    assert oven.handle("SYST:ERR?").startswith("-363,")
