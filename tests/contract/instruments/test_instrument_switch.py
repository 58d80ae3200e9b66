"""Switches: the optical cross-connect at the midpoint."""

import pytest
from instrument_lab import Bench, Contract, Scripted

from atomlink.errors import DeviceError
from drivers.instruments.polatis import Driver
from sim.world.elements.fibre_switch import SWITCHING_S


class TestPolatis(Contract):
    ROWS = ("fibre_switch",)

    def test_opening_it_changes_nothing_in_the_lab(self, bench: Bench) -> None:
        assert bench.driver.connections() == {1: 17, 2: 18}
        for node in ("alice", "bob"):
            path = f"{node}.fibre.insertion"
            assert bench.value(path) == bench.lab.world.quantities.base(path)

    def test_a_node_whose_fibre_is_let_go_sends_nothing(self, bench: Bench) -> None:
        bench.driver.release(1)
        assert bench.value("alice.fibre.insertion") == 0.0
        assert bench.value("bob.fibre.insertion") == bench.lab.world.quantities.base("bob.fibre.insertion")
        assert bench.lab.world.nodes["alice"].truth.fibre.insertion == 0.0

    def test_a_connection_made_anew_is_dark_until_it_has_switched_and_couples_within_a_tenth_of_a_db(
        self, bench: Bench
    ) -> None:
        base = bench.lab.world.quantities.base("alice.fibre.insertion")
        bench.driver.release(1)
        bench.driver.route(1, 17)
        assert bench.value("alice.fibre.insertion") == 0.0
        bench.lab.wait(SWITCHING_S)
        assert base * 10**-0.01 < bench.value("alice.fibre.insertion") <= base

    def test_exchanged_fibres_reach_the_splitter_all_the_same(self, bench: Bench) -> None:
        bench.driver.release_all()
        assert bench.driver.connections() == {}
        bench.driver.route(1, 18)
        bench.driver.route(2, 17)
        bench.lab.wait(SWITCHING_S)
        assert bench.value("alice.fibre.insertion") > 0 and bench.value("bob.fibre.insertion") > 0

    def test_a_node_led_elsewhere_is_dark(self, bench: Bench) -> None:
        bench.driver.route(2, 32)
        bench.lab.wait(SWITCHING_S)
        assert bench.driver.connections() == {1: 17, 2: 32} and bench.value("bob.fibre.insertion") == 0.0

    def test_a_switch_that_sticks_is_found_by_reading_back(self, bench: Bench) -> None:
        bench.lab.world.element("fibre_switch").stuck = True
        with pytest.raises(DeviceError, match="port 1 was set to 18 but reads back 17"):
            bench.driver.route(1, 18)
        with pytest.raises(DeviceError, match="port 2 was set to nothing but reads back 18"):
            bench.driver.release(2)

    @pytest.mark.parametrize(
        "ports", [(0, 17), (17, 17), (1, 16), (1, 33), (1.5, 17), ("1", 17), (True, 17), (1, None)]
    )
    def test_ports_that_do_not_exist_are_refused_before_any_io(self, bench: Bench, ports: tuple[int, int]) -> None:
        sent = len(bench.sent)
        with pytest.raises(DeviceError, match=r"fibre_switch (input|output) is"):
            bench.driver.route(*ports)
        assert len(bench.sent) == sent


def test_connecting_is_exactly_these_bytes() -> None:
    wire = Scripted(
        ("*IDN?", "Polatis,OST-16x16-LA1-DMHNS,050001,6.8.2.8"), ("SYST:ERR?", '0,"No error"'),
        (":oxc:swit:conn:add (@1),(@17)", None), ("SYST:ERR?", '0,"No error"'),
        (":oxc:swit:conn:stat?", "(@1,2),(@17,18)"),
        (":oxc:swit:disc:all", None), ("SYST:ERR?", '0,"No error"'), (":oxc:swit:conn:stat?", "(@),(@)"),
    )  # fmt: skip
    with Driver("switch", wire).open() as switch:
        switch.route(1, 17)
        switch.release_all()


@pytest.mark.parametrize("reply", ["", "(@1,2),(@17)", "(@1),(@x)", "1,17", "(@1,2)"])
def test_a_state_that_is_no_list_of_connections_is_an_error(reply: str) -> None:
    with pytest.raises(DeviceError, match="switch answered"):
        Driver("switch", Scripted((":oxc:swit:conn:stat?", reply))).connections()
