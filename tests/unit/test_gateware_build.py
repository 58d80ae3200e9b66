"""A device database becomes gateware, or one error says which row is wrong and what it must be."""

import pytest
from gateware_lab import URUKUL_DB, NotingWorld, row

from atomlink.errors import DeviceError
from sim.gateware import Gateware


def refusal(device_db):
    with pytest.raises(DeviceError) as error:
        Gateware(device_db, NotingWorld())
    message = str(error.value)
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


def test_unknown_class_lists_what_there_is():
    message = refusal({"ph": row("phaser.Phaser", channel_base=4)})
    assert (
        "`ph`" in message and "artiq.coredevice.phaser.Phaser" in message and "artiq.coredevice.ttl.TTLOut" in message
    )


def test_row_with_a_channel_of_an_unknown_driver_is_refused():
    device_db = {
        "x": {"type": "local", "module": "drivers.rtio.nothing", "class": "Nothing", "arguments": {"channel": 3}}
    }
    assert "drivers.rtio.nothing.Nothing" in refusal(device_db)


def test_duplicate_channel_names_both_rows():
    message = refusal({"a": row("ttl.TTLOut", channel=3), "b": row("ttl.TTLInOut", channel=3)})
    assert "`a`" in message and "`b`" in message and "0x3" in message


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
