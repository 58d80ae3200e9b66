"""Runs of heralded pairs in which a laser unlocks, for tests/experiments/test_lost_lock.py."""

from artiq.experiment import TBool

from experiments.link.remote_entanglement import RemoteEntanglement

AT_CHECK = 3  # of the locks, which come after shots 8, 16, 24


class _Unlocking(RemoteEntanglement):
    """Slam the door just before a check of the locks; tell at the end, however it ends, what the world looks like."""

    def prepare(self) -> None:
        super().prepare()
        check = self.shots.pairs.locks.check
        self.checks = 0

        def slam_first(t_mu) -> TBool:
            self.checks += 1
            if self.checks == AT_CHECK:
                print(f"slammed at {int(t_mu)}")
                self.slam(self.core.world.element("alice_laser"))
            return check(t_mu)

        self.shots.pairs.locks.check = slam_first

    def run(self) -> None:
        try:
            super().run()
        finally:
            self.core.notify_run_end()
            world = self.core.world
            world.reach(world.now_mu + 10**8)  # mechanical shutters take some ms
            beams = [beam for node in world.nodes.values() for beam in node.beams.values()]
            print(f"shutters open: {sum(beam.shutter_open for beam in beams)} of {len(beams)}")

    def slam(self, laser) -> None:
        raise NotImplementedError


class DoorSlams(_Unlocking):
    """The lock is lost; one relock brings it back."""

    def slam(self, laser) -> None:
        laser.unlock(300e6)


class DiodeAges(_Unlocking):
    """The lock is lost and the reference is out of the servo's range: nothing brings it back."""

    def slam(self, laser) -> None:
        laser.set_piezo(laser.piezo_v + 10)


class ControllerDies(_Unlocking):
    """The laser's controller stops answering."""

    def slam(self, laser) -> None:
        transport = self.get_device("alice_laser").transport
        transport.close()
        transport.connection.open = transport.connection.close
