"""A scan of the control light that makes way twice in each count, for a run that leaves the memory's light elsewhere:
for tests/experiments/test_memory.py.
"""

import experiments.memory.control_detuning


class PausedDetuning(experiments.memory.control_detuning.ControlDetuning):
    def prepare(self) -> None:
        super().prepare()
        self.store.photons.scheduler = Scheduler(self.store)


class Scheduler:
    """Asks for a pause at every other look, and runs something else then."""

    def __init__(self, store) -> None:
        self.store = store
        self.looks = 0

    def check_pause(self) -> bool:
        self.looks += 1
        return self.looks % 2 == 1

    def pause(self) -> None:
        self.store.set_control(90e6, 0.0)
