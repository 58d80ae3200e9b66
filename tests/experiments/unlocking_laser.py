"""Runs of heralded pairs in which an instrument fails, for tests/experiments/test_lost_lock.py."""

from artiq.experiment import TBool

from experiments.link.remote_entanglement import RemoteEntanglement

AT_CHECK = 4  # of what is watched: the first comes before the shots, then after shots 8, 16, 24


class _Failing(RemoteEntanglement):
    """Break something just before a check; tell at the end, however it ends, what the world looks like."""

    def prepare(self) -> None:
        super().prepare()
        check = self.shots.pairs.locks.check
        self.checks = 0

        def slam_first(t_mu) -> TBool:
            self.checks += 1
            if self.checks == AT_CHECK:
                print(f"slammed at {int(t_mu)}")
                self.slam()
            return check(t_mu)

        self.shots.pairs.locks.check = slam_first

    def run(self) -> None:
        try:
            super().run()
        finally:
            self.core.notify_run_end()
            world = self.core.world
            world.reach(world.now_mu + 10**8)  # mechanical shutters take some ms
            print(f"shutters open: {open_shutters(world)} of {len(beams(world))}")

    def slam(self) -> None:
        raise NotImplementedError

    def element(self, name):
        return self.core.world.element(name)


def beams(world):
    return [beam for node in world.nodes.values() for beam in node.beams.values()]


def open_shutters(world) -> int:
    return sum(beam.shutter_open for beam in beams(world))


class DoorSlams(_Failing):
    """The lock is lost; one relock brings it back."""

    def slam(self) -> None:
        self.element("alice_laser").unlock(300e6)


class DiodeAges(_Failing):
    """The lock is lost and the reference is out of the servo's range: nothing brings it back."""

    def slam(self) -> None:
        laser = self.element("alice_laser")
        laser.set_piezo(laser.piezo_v + 10)


class ControllerDies(_Failing):
    """The laser's controller stops answering."""

    def slam(self) -> None:
        transport = self.get_device("alice_laser").transport
        transport.close()
        transport.connection.open = transport.connection.close


class WireLatches(_Failing):
    """A detector latches; taking its bias away brings it back."""

    def slam(self) -> None:
        world, electronics = self.core.world, self.element("snspd_electronics")
        set_bias = electronics.set_bias

        def watched(currents) -> None:
            print(f"bias {currents}, shutters open then: {open_shutters(world)}")
            set_bias(currents)

        electronics.set_bias = watched
        world.counters["snspd_c_v"].latch(world.now_mu)


class WireStaysLatched(WireLatches):
    """A detector latches and, being too warm, does so at once whenever it is biased."""

    def slam(self) -> None:
        super().slam()
        self.core.world.counters["snspd_c_v"].reset = lambda _t_mu: None


class MirrorTurns(_Failing):
    """The fibre switch leads alice's fibre elsewhere; it can be led back."""

    def slam(self) -> None:
        self.element("fibre_switch").connect(1, 30)


class MirrorSticks(MirrorTurns):
    """The fibre switch leads alice's fibre elsewhere, and its mirrors stick there."""

    def slam(self) -> None:
        super().slam()
        self.element("fibre_switch").stuck = True


class MirrorStuckAtStart(MirrorSticks):
    """The mirrors stick before the run begins."""

    def prepare(self) -> None:
        super().prepare()
        self.slam()
        print("slammed at 0")

    def slam(self) -> None:
        if self.checks == 0:
            super().slam()
