"""Fill a rectangle of the tweezer array: load, image, plan, move, and see in another image what came of it."""

from typing import Any

import numpy as np
from artiq.experiment import (
    EnvExperiment,
    TerminationRequested,
    delay,
    kernel,
    ms,
    now_mu,
)

from atomlink.errors import DataError
from drivers.progress import Progress
from drivers.rtio.node import Node
from drivers.rtio.rearrangement import Target, plan
from drivers.rtio.tweezer_array import TweezerArray
from experiments.sequences.analyse_run import conclude_run
from experiments.sequences.filing import ending, file_datasets
from experiments.sequences.live import Columns, Live, Plot
from experiments.sequences.nodes import ask_node
from experiments.sequences.recorder import provenance, stopped
from experiments.sequences.whole_numbers import ask_whole

MAX_LOADS = 10  # that often too few atoms for the target: then something is broken
SURPLUS = 1.15  # atoms per target site that the automatic size asks for


def _last_image(columns: Columns) -> dict[str, Any]:
    """Return the electrons of the sites; the columns of the array go to the right."""
    return {"img": np.asarray(columns["electrons"][-1]).T}


class Rearrangement(EnvExperiment):
    """Rearrangement of a tweezer array

    --[ load ]--[ image ]--( host: threshold, plan, ramps )--[ AWG: move, move, … ]--[ image ]--> next shot
                              ^----------------- once per round ------------------------'
    """

    simulated_in = "array"

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.node = ask_node(self, "Array", "Whose array.")
        ask_whole(self, "n_shots", 5, 1, 10_000, "Statistics", "How often to load.")
        ask_whole(self, "rows", 32, 1, 1000, "Array", "Rows of sites.")
        ask_whole(self, "columns", 32, 1, 1000, "Array", "Columns of sites.")
        ask_whole(self, "target", 0, 0, 1000, "Array",
                  "Sites of a side of the square to fill; 0: as many as the atoms allow.")  # fmt: skip
        ask_whole(self, "rounds", 1, 1, 5, "Moves", "Times that moves are planned and made, each after an image.")
        ask_whole(self, "moves_per_block", 8, 1, 100_000, "Moves",
                  "Moves for one trigger of the AWG; its memory bounds them.")  # fmt: skip
        self.tweezer = Node(self, self.node)
        self.array = TweezerArray(self, self.node, self.tweezer.imaging)

    def prepare(self) -> None:
        """Read the beliefs."""
        self.array.set_size(self.rows, self.columns)
        self.call_child_method("prepare")
        if self.target:
            Target.centred((self.rows, self.columns), self.target, self.target)
        self.shots: list[dict[str, Any]] = []

    def run(self) -> None:
        """Take the shots; keep what there is when asked to stop."""
        self.array.connect()
        self.live = Live(self, [Plot("array", "image", _last_image)])
        self.live.open()
        complete = False
        try:
            self.begin()
            with Progress(self.n_shots, "shots") as progress:
                while len(self.shots) < self.n_shots:
                    self.pause_if_due()
                    self.shots.append(self.shot())
                    self.live.publish({"electrons": [self.shots[-1]["electrons"][-1]]})
                    progress.update(len(self.shots))
            complete = True
        except (TerminationRequested, KeyboardInterrupt):
            print(stopped(len(self.shots), self.n_shots, "shots"))
        finally:
            with ending(self.end):
                self.archive(complete)

    def pause_if_due(self) -> None:
        """Let others run; TerminationRequested comes from here."""
        if self.scheduler.check_pause():
            self.end()
            self.core.comm.close()
            self.scheduler.pause()
            self.begin()

    def shot(self) -> dict[str, Any]:
        """Load, and move round by round; return what the images showed."""
        frames, target = self.load_enough()
        moves, duration_s = 0, 0.0
        for _ in range(self.rounds):
            todo = plan(frames[-1][2], target)
            moves += len(todo)
            duration_s += self.array.write(todo, self.moves_per_block)
            self.array.arm_camera()
            self.rearrange()
            frames.append(self.array.read())
            if frames[-1][2].sum() < target.sites:
                break  # too few atoms are left for another round
        frames += [frames[-1]] * (self.rounds + 1 - len(frames))
        return {
            "t_trigger_mu": [t_mu for t_mu, _, _ in frames],
            "electrons": np.array([electrons for _, electrons, _ in frames], dtype=np.float32),
            "target": [target.row, target.column, target.rows, target.columns],
            "moves": moves,
            "t_move_s": duration_s,
        }

    def load_enough(self) -> tuple[list[Any], Target]:
        """Load until an image shows enough atoms for the target; return that image and the target."""
        for _ in range(MAX_LOADS):
            self.array.arm_camera()
            self.load()
            frame = self.array.read()
            atoms = int(frame[2].sum())
            side = self.target or int((atoms / SURPLUS) ** 0.5)
            if side and atoms >= side**2:
                side = min(side, self.rows, self.columns)
                return [frame], Target.centred((self.rows, self.columns), side, side)
        raise DataError(
            f"{MAX_LOADS} loadings of {self.array.node} gave too few atoms, the last {atoms}, for a target of "
            f"{self.target or 1} x {self.target or 1} sites: check cooling light, coil and shutter, the camera, and "
            f"param.{self.array.node}.site_threshold, or choose a smaller target."
        )

    def archive(self, complete: bool) -> None:
        """Write the images of all shots, site by site, and what was done in between."""
        self.datasets = {
            **provenance(self),
            "run.complete": int(complete),
            "array.node": self.array.node,
            "array.threshold": self.array.finder.threshold,
        }
        if self.shots:
            self.datasets |= {f"array.{key}": np.array([shot[key] for shot in self.shots]) for key in self.shots[0]}
        self.datasets = file_datasets(self, self.datasets)

    def analyze(self) -> None:
        """Print filling and losses."""
        conclude_run(self, self.datasets, apply=False)

    @kernel
    def begin(self):
        """Reset the core device and initialise the node."""
        self.core.reset()
        self.tweezer.init()
        self.array.show()
        delay(1 * ms)

    @kernel
    def end(self):
        """Leave the node dark, its shutter closed; works after an exception, too."""
        self.core.reset()
        self.tweezer.close()
        self.core.wait_until_mu(now_mu())

    @kernel
    def load(self):
        """Load the array and take an image."""
        self.core.break_realtime()
        self.tweezer.imaging.load()
        self.array.picture()
        self.core.wait_until_mu(now_mu())

    @kernel
    def rearrange(self):
        """Play the moves, block by block, cool, and take an image."""
        if self.array.more():
            self.array.play()
        self.core.break_realtime()
        self.array.picture()
        self.core.wait_until_mu(now_mu())
