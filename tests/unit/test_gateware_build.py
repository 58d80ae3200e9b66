"""A device database becomes gateware, or one error says which row is wrong and what it must be."""

import pytest
from gateware_lab import URUKUL_DB, NotingWorld, SpiHand, row

from atomlink.errors import DeviceError
from sim.gateware import Gateware


def refusal(device_db):
    """Return what is wrong with the last row; building the others goes on."""
    message = str(Gateware(device_db, NotingWorld()).refused[list(device_db)[-1]])
    assert "\n" not in message
    return message


def test_channels_and_names_follow_the_rows():
    gateware = Gateware(URUKUL_DB, NotingWorld())
    assert gateware.names == {1: "spi", 2: "io_update", 3: "sw0"}
    assert set(gateware.channels) == {1, 2, 3}


def test_satellite_channels_keep_their_destination():
    gateware = Gateware({"far": row("ttl.TTLOut", channel=0x020005)}, NotingWorld())
    assert gateware.names == {0x020005: "far"}


def test_missing_key_is_named_with_its_row_and_meaning():
    message = refusal({"shutter": row("ttl.TTLOut")})
    assert "`shutter`" in message and "`channel`" in message and "missing" in message and "integer" in message


def test_wrong_value_is_quoted():
    message = refusal({"shutter": row("ttl.TTLOut", channel="three")})
    assert "'three'" in message and "must be an integer" in message


def test_rows_that_have_no_model_are_inert_and_known_by_their_channels():
    device_db = {
        "ph": row("phaser.Phaser", channel_base=4),
        "x": {"type": "local", "module": "drivers.rtio.nothing", "class": "Nothing", "arguments": {"channel": 3}},
        "ttl": row("ttl.TTLOut", channel=5),
    }
    gateware = Gateware(device_db, NotingWorld())
    assert (gateware.names, gateware.refused) == ({5: "ttl"}, {})
    assert "`ph` (artiq.coredevice.phaser.Phaser) is not modelled" in str(gateware.unmodelled[4])
    assert "`x` (drivers.rtio.nothing.Nothing) is not modelled" in str(gateware.unmodelled[3])


def test_duplicate_channel_names_both_rows():
    message = refusal({"a": row("ttl.TTLOut", channel=3), "b": row("ttl.TTLInOut", channel=3)})
    assert "`a`" in message and "`b`" in message and "0x3" in message


def test_of_two_rows_that_want_a_channel_the_one_that_is_made_has_it():
    device_db = {"a": row("ttl.TTLOut", channel=3), "b": row("ttl.TTLInOut", channel=3)}
    gateware = Gateware(device_db, NotingWorld(), [row("ttl.TTLInOut", channel=3)])
    assert gateware.names == {3: "b"} and list(gateware.refused) == ["a"]


def test_rows_with_equal_descriptions_are_one_device():
    device_db = {"a": row("ttl.TTLOut", channel=3), "b": row("ttl.TTLOut", channel=3)}
    gateware = Gateware(device_db, NotingWorld())
    assert (gateware.names, gateware.refused) == ({3: "a"}, {})


def test_a_faulty_row_keeps_what_names_it_from_working_and_nothing_else():
    device_db = {
        "spi": row("spi2.SPIMaster"), "cpld": row("urukul.CPLD", spi_device="spi"), "ttl": row("ttl.TTLOut", channel=1)
    }  # fmt: skip
    gateware = Gateware(device_db, NotingWorld())
    assert gateware.names == {1: "ttl"}
    assert "`spi`: argument `channel` is missing" in str(gateware.refused["spi"]) == str(gateware.refused["cpld"])


def test_nothing_seems_to_answer_for_a_device_on_an_spi_bus_that_has_no_model():
    device_db = {
        "spi": row("spi2.SPIMaster", channel=1), "bare": row("spi2.SPIMaster", channel=2), "alias": "spi",
        "dac": {"type": "local", "module": "own.dac", "class": "Dac", "arguments": {"spi_device": "alias"}},
    }  # fmt: skip
    gateware = Gateware(device_db, NotingWorld())
    with pytest.raises(DeviceError, match="`dac` .own.dac.Dac. is not modelled"):
        SpiHand(gateware.channels[1]).send(1, 8, 0)
    SpiHand(gateware.channels[2]).send(1, 8, 0)


def test_reference_to_no_row_is_refused():
    message = refusal({"cpld": row("urukul.CPLD", spi_device="spi")})
    assert "`cpld`" in message and "`spi_device`" in message and "'spi'" in message and "SpiBus" in message


def test_reference_to_another_kind_of_row_is_refused():
    message = refusal({"spi": row("ttl.TTLOut", channel=1), "cpld": row("urukul.CPLD", spi_device="spi")})
    assert "`cpld`" in message and "SpiBus" in message


def test_aliases_are_followed():
    device_db = {
        "spi": row("spi2.SPIMaster", channel=1),
        "alias": "spi",
        "cpld": row("urukul.CPLD", spi_device="alias"),
    }
    assert Gateware(device_db, NotingWorld()).names == {1: "spi"}


def test_rows_off_the_bus_are_left_alone():
    device_db = {
        "core": row("core.Core", host=None, ref_period=1e-9),
        "core_dma": row("dma.CoreDMA"),
        "laser": {"type": "controller", "host": "::1", "port": 3251, "command": "aqctl"},
        "beam": {"type": "local", "module": "drivers.rtio.beam", "class": "Beam", "arguments": {"dds": "dds0"}},
    }
    assert Gateware(device_db, NotingWorld()).channels == {}
