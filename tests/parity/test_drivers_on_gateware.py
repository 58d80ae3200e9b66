"""Drivers, engine, bus and gateware together: chips initialise with read-back, and the world gets what is set."""

from __future__ import annotations

import importlib
from collections import defaultdict
from typing import Any

import pytest

from sim.gateware import Gateware
from sim.rtio.core import Core


def row(path: str, **arguments: Any) -> dict[str, Any]:
    module, class_name = path.rsplit(".", 1)
    return {"type": "local", "module": f"artiq.coredevice.{module}", "class": class_name, "arguments": arguments}


ROWS = {
    "spi": row("spi2.SPIMaster", channel=1),
    "io_update": row("ttl.TTLOut", channel=2),
    "sw": row("ttl.TTLOut", channel=3),
    "cpld": row("urukul.CPLD", spi_device="spi", io_update_device="io_update", refclk=125e6, clk_sel=2),
    "dds": row("ad9910.AD9910", cpld_device="cpld", chip_select=4, sw_device="sw", pll_n=32),
    "spi_old": row("spi2.SPIMaster", channel=4),
    "io_update_old": row("ttl.TTLOut", channel=5),
    "cpld_old": row("urukul.CPLD", spi_device="spi_old", io_update_device="io_update_old", refclk=100e6),
    "dds_old": row("ad9912.AD9912", cpld_device="cpld_old", chip_select=6),
    "spi_z": row("spi2.SPIMaster", channel=6),
    "ldac": row("ttl.TTLOut", channel=7),
    "clr": row("ttl.TTLOut", channel=8),
    "zotino": row("zotino.Zotino", spi_device="spi_z", ldac_device="ldac", clr_device="clr"),
    "det": row("ttl.TTLInOut", channel=9),
    "det_counter": row("edge_counter.EdgeCounter", channel=10),
    "spi_adc": row("spi2.SPIMaster", channel=11),
    "spi_pgia": row("spi2.SPIMaster", channel=12),
    "cnv": row("ttl.TTLOut", channel=13),
    "sampler": row("sampler.Sampler", spi_adc_device="spi_adc", spi_pgia_device="spi_pgia", cnv_device="cnv"),
}


class Lab:
    """A core on gateware, with a world that notes signals and clicks every 100 ns."""

    def __init__(self) -> None:
        self.signals: dict[str, list[tuple[int, Any]]] = defaultdict(list)
        self.core = Core(self, costs="ideal", gateware=Gateware(ROWS, self))
        self._made: dict[str, Any] = {"core": self.core}
        self.core.break_realtime()

    def output(self, port: str, kind: str) -> Any:
        return lambda t_mu, value: self.signals[port].append((t_mu, value))

    def clicks(self, port: str) -> Any:
        return lambda t0_mu, t1_mu: list(range((t0_mu // 100 + 1) * 100, t1_mu + 1, 100))

    def advance(self, t_mu: int) -> None:
        pass

    def get(self, name: str) -> Any:
        if name not in self._made:
            cls = getattr(importlib.import_module(ROWS[name]["module"]), ROWS[name]["class"])
            self._made[name] = cls(self, **ROWS[name]["arguments"])
        return self._made[name]

    def slack(self) -> None:
        """Wait for what is on its way, then make slack."""
        self.core.wait_until_mu(self.core.bus.now)
        self.core.break_realtime()


@pytest.fixture
def lab() -> Lab:
    return Lab()


@pytest.fixture
def dds(lab: Lab) -> Any:
    dds = lab.get("dds")
    lab.get("cpld").init()
    dds.init()
    lab.slack()
    return dds


def test_ad9910_initialises_with_read_back_and_returns_what_was_set(lab, dds):
    dds.set(80e6, 0.25, 0.5)
    lab.slack()
    frequency, phase, amplitude = dds.get()
    assert (frequency, phase, amplitude) == pytest.approx((80e6, 0.25, 0.5), abs=0.2, rel=1e-4)
    tone = lab.signals["dds"][-1][1]
    assert (tone.frequency_hz, tone.amplitude) == (frequency, amplitude)


def test_attenuation_and_switch_reach_the_world_and_read_back(lab, dds):
    dds.set(80e6)
    dds.set_att(10.0)
    dds.cfg_sw(True)
    lab.slack()
    assert dds.get_att() == 10.0
    tone = lab.signals["dds"][-1][1]
    assert (tone.attenuation_db, tone.switch) == (10.0, True)


def test_absolute_phase_is_the_offset_at_the_update(lab, dds):
    dds.set(80e6)
    for wait_mu in (1001, 2002):
        lab.core.bus.now += wait_mu
        dds.set(81e6, 0.125, phase_mode=1)
        lab.slack()
        assert lab.signals["dds"][-1][1].phase_turns == 0.125


def test_continuous_phase_keeps_running_through_an_amplitude_step(lab, dds):
    dds.set(80e6)
    lab.core.bus.now += 12_345
    dds.set(80e6, amplitude=0.5)
    lab.slack()
    (t0_mu, before), (t1_mu, after) = lab.signals["dds"][-2:]
    assert after.phase_turns == pytest.approx(
        (before.phase_turns + before.frequency_hz * 1e-9 * (t1_mu - t0_mu)) % 1, abs=1e-9
    )


def test_tracking_returns_to_the_phase_it_would_have_had(lab, dds):
    phases = []
    for frequency, wait_mu in ((80e6, 0), (70e6, 4_321), (80e6, 98_765)):
        lab.core.bus.now += wait_mu
        dds.set(frequency, 0.0, 1.0, 2)
        lab.slack()
        t_mu, tone = lab.signals["dds"][-1]
        phases.append((tone.phase_turns - tone.frequency_hz * 1e-9 * t_mu) % 1)
    # 16-bit phase words; 64-bit floats of 80 MHz times 0.1 s
    assert abs((phases[2] - phases[0] + 0.5) % 1 - 0.5) < 2e-4
    assert abs((phases[1] - phases[0] + 0.5) % 1 - 0.5) > 1e-3


def test_sync_delay_search_ends(lab, dds):
    lab.get("cpld").sync_div = 2
    assert dds.tune_sync_delay(15) == (15, 5)  # windows 0 to 6 are free of errors; two less is safe


def test_ad9912_initialises_and_returns_what_was_set(lab):
    lab.get("cpld_old").init()
    old = lab.get("dds_old")
    old.init()
    lab.slack()
    old.set(10e6, 0.5)
    lab.slack()
    assert old.get() == pytest.approx((10e6, 0.5), abs=1e-5)
    assert lab.signals["dds_old"][-1][1].frequency_hz == pytest.approx(10e6, abs=1e-5)


def test_zotino_initialises_and_its_voltages_arrive_together(lab):
    zotino = lab.get("zotino")
    zotino.init()
    lab.slack()
    zotino.set_dac([1.0, -2.0], [0, 4])
    t_mu = int(lab.core.bus.now)
    lab.slack()
    for port, volts in (("zotino/0", 1.0), ("zotino/4", -2.0)):
        t_seen_mu, seen = lab.signals[port][-1]
        assert (t_seen_mu, seen) == (t_mu, pytest.approx(volts, abs=20 / 65536))
    assert zotino.read_reg(4) == zotino.voltage_to_mu(-2.0)


def test_sampler_reads_its_gains_back(lab):
    sampler = lab.get("sampler")
    sampler.init()
    sampler.set_gain_mu(3, 2)
    assert sampler.get_gains_mu() == 2 << 6


def test_counter_and_time_stamps_agree(lab):
    det, counter = lab.get("det"), lab.get("det_counter")
    start_mu = int(lab.core.bus.now)
    end_mu = det.gate_rising_mu(5000)
    lab.core.bus.now = start_mu
    counter.gate_rising_mu(5000)
    assert counter.fetch_count() == det.count(end_mu) == 50


def test_a_word_written_to_a_busy_spi_bus_is_lost_and_reported_once(lab, caplog):
    """As on hardware: no exception, a line in the core log, one warning when a kernel ends."""
    spi = lab.get("spi")
    spi.set_config(0, 32, 1e6, 1)
    start = lab.core.bus.now
    spi.write(1)
    lab.core.bus.now = start + 800  # the transfer takes 33 us
    spi.write(2)
    assert "busy" not in caplog.text  # it is still on its way
    lab.slack()
    lab.slack()
    assert caplog.text.count("busy error(s) reported during kernel execution") == 1
    assert caplog.text.count("RTIO busy error involving channel") == 1
