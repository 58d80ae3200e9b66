"""An experiment that changes its datasets in every way there is."""

from artiq.experiment import EnvExperiment


class DatasetProbe(EnvExperiment):
    """Set, append and mutate, local, broadcast and persistent."""

    def run(self) -> None:
        """Leave one dataset of each kind."""
        for name, options in (("local", {}), ("live", {"broadcast": True}), ("kept", {"persist": True})):
            self.set_dataset(name, [[1, 2, 3]], **options)
            for i in range(3):
                self.append_to_dataset(name, [i, i, i])
            self.mutate_dataset(name, 0, [7, 8, 9])
        self.set_dataset("seen", self.get_dataset("live"))
