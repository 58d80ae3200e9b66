"""A Bell pair of the atom at the port and the one beside it by a Rydberg CZ gate: populations and parity fringe."""

from typing import Any

from artiq.experiment import (
    BooleanValue,
    EnvExperiment,
    RangeScan,
    Scannable,
    TInt32,
    TInt64,
    delay,
    delay_mu,
    kernel,
    ms,
    now_mu,
    parallel,
)
from numpy import int64

from atomlink.at_port import belief
from atomlink.errors import DeviceError
from drivers import parameters
from drivers.rtio.node import Node
from drivers.rtio.rydberg import RydbergLight
from drivers.rtio.tweezer_array import TweezerArray
from experiments.sequences.analyse_run import conclude
from experiments.sequences.nodes import ask_node
from experiments.sequences.raman import TURN_POW
from experiments.sequences.scan import Axis, Point, Scan
from experiments.sequences.states import PUMP_TIMES

MAX_LOADS = 200  # 0.6 or so per try: then something is broken
ONE, ZERO, BELL, PARITY = range(4)  # what a shot is for
KINDS = ("one", "zero", "bell", "parity")


class CzBell(EnvExperiment):
    """CZ Bell state

    load, image until both atoms are there --[ cool ]--[ pump to F = 2, m = 0 ]--[ microwave: |1> ]--
      --[ pi/2 ]--[ |1> -> |2> ]--[ CZ: Rydberg ]--[ |2> -> |1> ]--[ pi/4 ]--( [ pi/2, axis turned by phase ] )--
      --[ map |1>, push out ]--[ image ]--> next shot
    Each row has shots of four kinds: the parity with the last pulse, populations without it, and for the read-out both
    atoms in |1> and, after a pi pulse, in |0>. All light acts on both atoms: the drives must reach two tweezers.
    """

    simulated_in = "pair"

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        phases = Scannable(RangeScan(0.0, 11 / 12, 12), unit="turns", scale=1, global_min=0.0, global_max=1.0)
        self.scan = Scan(self, (Axis("phase", phases, "turns", "Axis of the analysis pulse."),),
                         shares={"even_parity": ("even", "n")}, shots=20)  # fmt: skip
        self.node = ask_node(self, "Array", "Whose atoms.")
        self.setattr_argument("rydberg_light", BooleanValue(True), "Gate", "Off: the same without the gate's light.")
        self.tweezer = Node(self, self.node)
        self.array = TweezerArray(self, self.node, self.tweezer.imaging)
        self.rydberg = RydbergLight(self, self.node)

    def prepare(self) -> None:
        """Read the beliefs and lay out the points."""
        self.array.set_size(1, 2)
        self.call_child_method("prepare")
        qubit, period = self.tweezer.qubit, self.core.ref_period
        self.pump_mu = int64(PUMP_TIMES) * parameters.duration_mu(self, belief(self.node, "t_pump_s"))
        for name in ("site_m", "rydberg_n", "f_rydberg_rabi_hz"):  # filed: the prediction rests on them
            parameters.get(self, belief(self.node, name))
        # In |2> an atom does not precess, and two half turns there and back leave a minus sign.
        mapped_s = float(qubit.mw_pi_mu + self.rydberg.duration_mu) * period
        gate = parameters.get(self, belief(self.node, "cz_phase_turns"))
        self.closing_pow = round((gate + 0.5 - 0.5 * qubit.larmor * mapped_s) * TURN_POW) % TURN_POW
        self.half_mu, self.quarter_mu = (int64(round(qubit.raman_pi_mu / part)) for part in (2, 4))
        self.there: tuple[bool, ...] = (False, False)

    def run(self) -> None:
        """Take every point; keep what there is when asked to stop."""
        self.array.connect()
        level = {"scan.node": self.node, "scan.rydberg_light": int(self.rydberg_light)}
        self.scan.run(self.measure, self.begin, self.end, level)

    def measure(self, point: Point) -> dict[str, Any]:
        """Return, for each kind of shot, how often [none, only the one beside, only the port's, both] were left."""
        pow_ = round(point.phase * TURN_POW) % TURN_POW
        counts = [[0, 0, 0, 0] for _ in KINDS]
        self.there = False, False  # the last image may be from before a pause
        for shot in range(2 * self.scan.shots + 2 * max(1, self.scan.shots // 4)):
            kind = (PARITY, BELL)[shot % 2] if shot < 2 * self.scan.shots else (ONE, ZERO)[shot % 2]
            self.load()
            self.array.arm_camera()
            self.shoot(kind, pow_)
            self.look()
            counts[kind][2 * self.there[0] + self.there[1]] += 1
        parity = counts[PARITY]
        return {**dict(zip(KINDS, counts, strict=True)), "even": parity[0] + parity[3], "n": sum(parity)}

    def load(self) -> None:
        """Load until both atoms are there; DeviceError where that fails."""
        for _ in range(MAX_LOADS):
            if all(self.there):
                return
            self.array.arm_camera()
            self.load_both()
            self.look()
        raise DeviceError(
            f"Loading {self.node} failed {MAX_LOADS} times, sites with an atom at last {self.there}: check cooling "
            f"light, coil and shutter, param.{self.node}.site_threshold, and whether the lab has two tweezers."
        )

    def look(self) -> None:
        """Read the frame that was taken last: is there an atom at the port, and beside it?"""
        occupied = self.array.read()[2]
        self.there = bool(occupied[0, 0]), bool(occupied[0, 1])

    def analyze(self) -> None:
        """Estimate the fidelity of the pair."""
        self.result = conclude(self, self.scan)

    @kernel
    def begin(self):
        """Reset the core device and initialise the node and its Rydberg light."""
        self.core.reset()
        self.tweezer.init()
        self.rydberg.init()
        self.array.show()
        delay(1 * ms)

    @kernel
    def end(self):
        """Leave the node dark, its shutter closed; works after an exception, too."""
        self.core.reset()
        self.rydberg.off()
        self.tweezer.close()
        self.core.wait_until_mu(now_mu())

    @kernel
    def load_both(self):
        """Try once to load both tweezers, and image them."""
        self.core.break_realtime()
        self.tweezer.imaging.load()
        self.array.picture()
        self.core.wait_until_mu(now_mu())

    @kernel
    def shoot(self, kind: TInt32, pow_: TInt32):
        """Take one shot, from both atoms to the image of what is left."""
        self.core.break_realtime()
        self.tweezer.imaging.cool()
        self.prepare_one()
        t_ref_mu = now_mu()
        self.tweezer.qubit.set_phase(t_ref_mu, 0)
        if kind == ZERO:
            self.tweezer.qubit.rotate_mu(self.tweezer.qubit.raman_pi_mu)
        elif kind != ONE:
            self.entangle(t_ref_mu)
            if kind == PARITY:
                self.tweezer.qubit.set_phase(t_ref_mu, self.closing_pow + pow_)
                self.tweezer.qubit.rotate_mu(self.half_mu)
        self.tweezer.qubit.map_to_f2()
        self.tweezer.imaging.push_out()
        self.array.picture()
        self.core.wait_until_mu(now_mu())

    @kernel
    def prepare_one(self):
        """Bring both atoms to |1>: F = 2, m = 0 is where the microwave takes |1>."""
        with parallel:
            self.tweezer.pumping.pulse_mu(self.pump_mu)
            self.tweezer.repump.pulse_mu(self.pump_mu)
        delay_mu(self.tweezer.pumping.dark_mu)
        self.tweezer.qubit.map_to_f2()

    @kernel
    def entangle(self, t_ref_mu: TInt64):
        """Make the pair out of two atoms in |1>."""
        self.tweezer.qubit.rotate_mu(self.half_mu)
        self.tweezer.qubit.map_to_f2()
        if self.rydberg_light:
            self.rydberg.cz()
        else:
            delay_mu(self.rydberg.duration_mu)
        self.tweezer.qubit.map_to_f2()
        self.tweezer.qubit.set_phase(t_ref_mu, self.closing_pow)
        self.tweezer.qubit.rotate_mu(self.quarter_mu)
