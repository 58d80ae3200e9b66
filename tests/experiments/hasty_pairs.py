"""Remote entanglement by a gateware that repeats its cycle as soon as the gates are closed: no node waits for news."""

from drivers.rtio.entangler import COARSE_MU
from drivers.rtio.herald_gateware import LATEST_MU
from experiments.link.remote_entanglement import RemoteEntanglement


class HastyPairs(RemoteEntanglement):
    """Pairs whose atoms are pumped again before a herald can have come back."""

    def prepare(self) -> None:
        """Shorten the cycle to its gates."""
        super().prepare()
        herald = self.shots.pairs.herald
        herald.length = COARSE_MU * -(-(herald.timing.gate_stop_mu + LATEST_MU) // COARSE_MU)
