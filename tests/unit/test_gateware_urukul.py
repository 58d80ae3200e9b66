"""SPI transfers, the CPLD's registers, and the AD9910's registers and phase."""

import pytest
from gateware_lab import CS_POLARITY, END, INPUT, UrukulHand

from atomlink.signals import Tone

GHZ = 1e9


def test_transfer_takes_effect_when_it_ends():
    hand = UrukulHand()
    hand.start()
    hand.bus.write(5000_000, 1, END | CS_POLARITY | 23 << 8 | 1 << 24)
    hand.bus.write(5000_008, 0, (7 << 8 | 1) << 8)
    end_mu = 5000_008 + (25 * 2 + 1) * 8
    assert hand.bus.running and hand.bus.due_mu == end_mu
    hand.bus.poll(end_mu - 1)
    assert not hand.tones()[-1][1].switch
    hand.bus.poll(end_mu)
    assert hand.tones()[-1][0] == end_mu and hand.tones()[-1][1].switch
    assert not hand.bus.running


def test_busy_bus_loses_the_event():
    hand = UrukulHand()
    hand.bus.write(0, 1, INPUT | END | 23 << 8 | 1 << 24)
    hand.bus.write(8, 0, 0)
    hand.bus.write(100, 0, 0)
    hand.bus.poll(100_000)
    assert hand.bus.lost == 1 and len(hand.bus.fifo) == 1


def test_bus_without_a_chip_reads_zero():
    hand = UrukulHand()
    assert hand.ask(0, 32, 0xFFFFFFFF) == 0


def test_status_tells_protocol_locks_and_switches():
    hand = UrukulHand()
    assert hand.ask(1, 24) >> 16 & 0x7F == 8
    hand.start()
    hand.gateware.channels[3].write(hand.t_mu, 0, 1)  # the TTL of channel 0
    status = hand.ask(1, 24, (7 << 8 | 2) << 8)  # and the register's bit of channel 1
    assert status >> 8 & 0xF == 0b01, "only the chip whose PLL is on has locked"
    assert hand.ask(1, 24, (7 << 8 | 2) << 8) & 0xF == 0b11


def test_attenuator_chain_reads_back_and_survives_reading():
    hand = UrukulHand()
    hand.send(2, 32, 0x00FF40AF)
    hand.start()
    assert hand.tones("dds0")[-1][1].attenuation_db == (255 - 0xAF) / 8
    assert hand.tones("dds1")[-1][1].attenuation_db == (255 - 0x40) / 8
    was = hand.ask(2, 32, 0, CS_POLARITY)  # read without release, then write back
    hand.send(2, 32, was)
    assert was == 0x00FF40AF
    assert hand.tones("dds0")[-1][1].attenuation_db == 10.0


def test_aux_dac_and_written_registers_read_back():
    hand = UrukulHand()
    assert hand.read32(4, 3) & 0xFF == 0x7F
    hand.write32(4, 7, 0x89ABCDEF)
    assert hand.read32(4, 7) == 0x89ABCDEF
    hand.profile(4, 0x12345678, 0xBEEF, 0x1FFF, profile=2)
    hand.send(4, 8, (0x10 | 0x80) << 24, CS_POLARITY)
    assert (hand.ask(4, 32, 0, CS_POLARITY), hand.ask(4, 32)) == (0x1FFFBEEF, 0x12345678)


def test_registers_wait_for_io_update():
    hand = UrukulHand()
    hand.start()
    before = len(hand.tones())
    hand.profile(4, 1 << 28, 0x4000, 0x3FFF)
    assert len(hand.tones()) == before
    t_mu = hand.update()
    t_tone_mu, tone = hand.tones()[-1]
    assert t_tone_mu == t_mu
    assert tone == Tone(GHZ / 16, 1.0, 0.25, 31.875, False)


def test_chip_select_reaches_its_chip_only_and_three_reaches_all():
    hand = UrukulHand()
    hand.start(4)
    hand.start(5)
    hand.profile(5, 1 << 27, 0, 0x3FFF)
    hand.update()
    assert hand.tones("dds1")[-1][1].frequency_hz == GHZ / 32
    assert hand.tones("dds0")[-1][1].frequency_hz == 0
    hand.profile(3, 1 << 26, 0, 0x3FFF)
    hand.update()
    assert {hand.tones(key)[-1][1].frequency_hz for key in ("dds0", "dds1")} == {GHZ / 64}


def test_unchanged_chip_tells_the_world_nothing():
    hand = UrukulHand()
    hand.start()
    hand.profile(4, 1 << 28, 0, 0x3FFF)
    hand.update()
    told = len(hand.tones())
    hand.update()
    hand.config(7 << 8)
    assert len(hand.tones()) == told


def test_phase_runs_on_over_a_change_of_frequency():
    hand = UrukulHand()
    hand.start()
    hand.profile(4, 1 << 28, 0, 0x3FFF)  # one turn in 16 ns
    t0_mu = hand.update()
    hand.profile(4, 3 << 28, 0, 0x3FFF)
    hand.t_mu += 3
    t1_mu = hand.update()
    phase0, phase1 = (tone.phase_turns for _, tone in hand.tones()[-2:])
    assert phase1 == pytest.approx((phase0 + (t1_mu - t0_mu) / 16) % 1)


def test_autoclear_starts_the_phase_at_the_offset():
    hand = UrukulHand()
    hand.start()
    hand.profile(4, 1 << 28, 0, 0x3FFF)
    hand.update()
    hand.t_mu += 5
    hand.write32(4, 0, 1 << 13 | 2)
    hand.profile(4, 1 << 28, 0x2000, 0x3FFF)
    t_mu = hand.update()
    assert hand.tones()[-1] == (t_mu, Tone(GHZ / 16, 1.0, 0.125, 31.875, False))


def test_autoclear_off_again_leaves_the_phase_alone():
    hand = UrukulHand()
    hand.start()
    hand.write32(4, 0, 1 << 13 | 2)
    hand.profile(4, 1 << 28, 0, 0x3FFF)
    t0_mu = hand.update()
    hand.write32(4, 0, 2)  # as the driver writes after the update: taken over with the next
    hand.profile(4, 1 << 28, 0, 0x2000)
    hand.t_mu += 5
    t1_mu = hand.update()
    assert hand.tones()[-1][1].phase_turns == pytest.approx((t1_mu - t0_mu) / 16 % 1)


def test_profile_pins_choose_the_tone_at_once():
    hand = UrukulHand()
    hand.start()
    hand.profile(4, 1 << 26, 0, 0x3FFF, profile=3)
    hand.profile(4, 1 << 27, 0, 0x3FFF, profile=7)
    hand.update()
    assert hand.tones()[-1][1].frequency_hz == GHZ / 32
    hand.config(3 << 8)
    assert hand.tones()[-1][1].frequency_hz == GHZ / 64


def test_power_down_silences_the_output():
    hand = UrukulHand()
    hand.start()
    hand.profile(4, 1 << 28, 0, 0x3FFF)
    hand.update()
    hand.write32(4, 0, 0xF << 4 | 2)
    hand.update()
    assert hand.tones()[-1][1].amplitude == 0.0


def test_ram_holds_what_was_written_and_drives_the_frequency():
    hand = UrukulHand()
    hand.start()
    hand.send(4, 8, 0x15 << 24, CS_POLARITY)  # profile 7: addresses 10 to 12
    hand.send(4, 32, 12 >> 2, CS_POLARITY)
    hand.send(4, 32, (12 & 3) << 30 | 10 << 14)
    hand.update()
    words = [1 << 26, 1 << 27, 1 << 28]
    hand.send(4, 8, 0x16 << 24, CS_POLARITY)
    for i, word in enumerate(words):
        hand.send(4, 32, word, CS_POLARITY | (END if i == 2 else 0))
    hand.send(4, 8, (0x16 | 0x80) << 24, CS_POLARITY)
    assert [hand.ask(4, 32, 0, CS_POLARITY | (END if i == 2 else 0)) for i in range(3)] == words
    hand.write32(4, 0, 1 << 31 | 2)
    hand.update()
    assert hand.tones()[-1][1].frequency_hz == GHZ / 64


def test_phase_stays_exact_over_a_year():
    hand = UrukulHand()
    hand.start()
    hand.profile(4, 0x12345677, 0, 0x3FFF)
    t0_mu = hand.update()
    hand.t_mu += 365 * 24 * 3600 * 10**9
    hand.profile(4, 0x12345677, 0, 0x2000)
    t1_mu = hand.update()
    start = int(hand.tones()[-2][1].phase_turns * 2**32)
    assert hand.tones()[-1][1].phase_turns == (start + 0x12345677 * (t1_mu - t0_mu)) % 2**32 / 2**32


def test_the_monitor_shows_the_tuning_word_once_it_is_in_effect():
    hand = UrukulHand()
    hand.start()
    hand.profile(4, 0x1234_5678, 0, 0x3FFF)
    assert hand.bus.probe(0) == 0
    hand.update()
    assert (hand.bus.probe(0), hand.bus.probe(1), hand.bus.probe(9)) == (0x1234_5678, 0, 0)


def test_an_overridden_switch_is_what_the_status_tells():
    hand = UrukulHand()
    switch = hand.gateware.channels[3]
    switch.inject(0, 1, 1)
    switch.inject(0, 0, 1)
    assert hand.ask(1, 24) & 0xF == 1
    assert hand.world.signals["sw0", "level"] == [(0, 1)]
