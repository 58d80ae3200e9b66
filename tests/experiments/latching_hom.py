"""A HOM scan in which a detector latches, for tests/experiments/test_lost_lock.py."""

from artiq.experiment import TBool

from experiments.photons.hom_interference import HomInterference

AT_CHECK = 2  # the first comes before the attempts, then one after each block


class LatchingHom(HomInterference):
    """Latch a detector right after a check, so that the next block is spoiled; tell what was done at each check."""

    def prepare(self) -> None:
        super().prepare()
        locks = self.photons.locks
        check = locks.check
        self.done_at: list[int] = []

        def latch_after(t_mu) -> TBool:
            self.done_at.append(int(self.photons.done))
            good = check(t_mu)
            if len(self.done_at) == AT_CHECK:
                self.core.world.counters["snspd_c_v"].latch(self.core.world.now_mu)
            return good

        locks.check = latch_after

    def run(self) -> None:
        super().run()
        print(f"done at the checks: {self.done_at}")
