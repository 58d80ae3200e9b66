"""Herald pairs and read them out, shot by shot: the loop that every experiment on pairs shares.

    cool --[ load until both atoms are there ]--( patterns that no pair makes, counted in a block )--+
      +----------------------------------------------------------------------------------------------+
      +--[ recool ]--( pump --[ excite ]--[ gate ])  x block, until a herald --+
      |  <---------------------------------------------------------------------+ none in a block; still there?
      +--[ wait ]--[ phases from the click times, pi on the second end for Psi- ]--[ Raman: axis -> z ]--
         --[ microwave: |1> -> F = 2 ]--[ push out F = 2 ]--[ image both ]--> next shot

`setup` says which settings; `take` takes so many pairs and hands each shot to a sink: `recorded_pairs.RecordedPairs`
keeps them one by one, `pair_counts.PairCounts` adds them up into a row of a scan. `set_wait` may be called between
two `take`.
"""

from collections.abc import Callable
from typing import Any

from artiq.coredevice.exceptions import RTIOOverflow, RTIOUnderflow
from artiq.experiment import HasEnvironment, TBool, TInt32, TInt64, at_mu, kernel, rpc
from numpy import int64

from analysis import budget
from atomlink.errors import DeviceError, TimingError, UsageError
from drivers import parameters
from drivers.rtio.phase_lock import phase_lock
from experiments.sequences import settings as axes
from experiments.sequences.backend import ask_heralder
from experiments.sequences.locks import Locks, Veto
from experiments.sequences.nodes import Nodes
from experiments.sequences.pair_arguments import ask_shots, ask_waiting, unlikely_wait
from experiments.sequences.pair_scheme import PairScheme
from experiments.sequences.readout import HALF_TURN_POW, Readout
from experiments.sequences.settings import Setting

DONE, PAUSE, NO_ATOM, TOO_TIGHT, LOCK_LOST = range(5)  # why the kernel came back
CHECK_SHOTS = 8  # shots between two looks at the scheduler
MAX_UNDERFLOWS = 20  # in succession
ORDER_SEED = 1  # of the shuffled order: the same in every run, so that runs can be repeated exactly
LONGEST_S = 7 * 86400.0  # of one `take`

Sink = Callable[[dict[str, Any], dict[str, Any]], None]


class Pairs(HasEnvironment):
    """Take heralded pairs. `wait` and `choose_feed_forward`: whether these two are arguments of the experiment."""

    def build(self, nodes: Nodes, wait: bool = True, choose_feed_forward: bool = True) -> None:
        self.core = self.get_device("core")
        self.scheduler = self.get_device("scheduler")
        self.nodes = nodes
        self.readout = Readout(self, nodes)
        self.wait = 30e-6
        self.feed_forward = "kernel"
        ask_shots(self)
        self.herald = ask_heralder(self, nodes)
        self.scheme = PairScheme(self, nodes, self.herald)
        self.phase = phase_lock(self, self.herald.station if self.herald else None, nodes.nodes[-1].excitation)
        ask_waiting(self, self.wait if wait else None, choose_feed_forward)
        self.locks = Locks(self, nodes)

    def prepare(self) -> None:
        """Read beliefs and compute every time in machine units; the nodes must be prepared before."""
        self.call_child_method("prepare")
        link = self.nodes.link
        for name in budget.beliefs(link):
            parameters.get(self, name)  # filed with the results: the report's budget rests on them
        self.herald.setup(self.scheme.timing(), self.herald.psi_plus + self.herald.psi_minus)
        self.block = int(parameters.get(self, link.of_station("n_recooling")))
        self.look_after = self.check_attempts or unlikely_wait(self, link, self.herald.station, self.scheme.bright)
        self.set_wait(self.known(self.wait))
        self.phase_rad = parameters.get(self, link.of_pairs("phase_rad"))  # the pairs' own: turns the second axes
        self.kernel_feeds_forward = self.feed_forward == "kernel"
        self.half_turns = [int(pattern in self.herald.psi_minus) for pattern in range(self.herald.n_patterns)]
        self.first_clicks, self.second_clicks = self.herald.click_masks()
        self.two_rounds = self.herald.rounds == 2
        self.one_photon = self.herald.station.scheme == "one_photon"
        self.shots_taken = 0  # every one, invalid ones too: the place in the order
        self.wanted = 0  # pairs of this `take`
        self.pairs = 0  # so far
        self.attempts = int64(0)  # since the last shot
        self.attempts_lost = int64(0)  # of these, those after which an atom was missing, or nobody looked
        self.since_look = 0  # attempts since both atoms were seen
        self.losses = 0  # looks that found an atom missing after attempts
        self.total_attempts = 0  # of this `take`
        self.pattern = 0  # that heralded the shot under way, 0 before
        self.underflows = 0
        self.t_start_mu = int64(-1)
        self.limit_mu = int64(self.core.seconds_to_mu(LONGEST_S))

    def setup(self, settings: tuple[Setting, ...]) -> None:
        """Choose the settings and lay out the order of the shots; after `prepare`."""
        self.settings = settings
        self.readout.setup(tuple(s.turned(1, self.phase_rad) for s in settings))
        setting, pushout = axes.schedule(len(settings), self.calibration_fraction, self.randomise, ORDER_SEED)
        self.setting_order = [int(k) for k in setting]
        self.pushout_order = [int(k) for k in pushout]

    def known(self, wait_s: float) -> float:
        """Return a wait in which the herald comes back to both nodes: this one, or, said in a line, the shortest."""
        back_s = int(self.herald.back_mu) * self.core.ref_period
        if wait_s < back_s:
            print(f"wait is {back_s * 1e6:.4g} us, not {wait_s * 1e6:g}: before, the nodes cannot know of a herald.")
        return max(wait_s, back_s)

    def set_wait(self, wait_s: float) -> None:
        """Choose the time from the herald to the analysis pulse, between two `take`; UsageError where it is so short
        that the nodes cannot know of the herald.
        """
        back_s = int(self.herald.back_mu) * self.core.ref_period
        if wait_s < back_s:
            raise UsageError(f"A pair is to wait {wait_s * 1e6:g} us, but the herald needs {back_s * 1e6:.4g} us back "
                             "to the nodes: wait longer.")
        self.wait = wait_s
        self.wait_mu = int64(self.core.seconds_to_mu(wait_s))

    def run_level(self) -> dict[str, Any]:
        """Return the datasets that hold for the whole run."""
        timing = self.herald.timing
        return {
            "link.settings": [[list(axis) for axis in setting.axes] for setting in self.settings],
            "link.setting_names": ",".join(setting.name for setting in self.settings),
            "link.nodes": ",".join(self.nodes.names),
            "link.name": self.nodes.link.name,
            "link.station": self.nodes.link.station,
            "link.detectors": ",".join(self.herald.station.roles),
            **self.scheme.run_level(timing),
            "link.herald": self.herald.BACKEND,
            "link.feed_forward": self.feed_forward,
            "link.wait_s": self.wait,
            "link.t_gate_s": (timing.gate_stop_mu - timing.gate_start_mu) * self.core.ref_period,
            "link.dark_rate_belief_hz": [self.of_station("dark_rate_hz")] * self.herald.n,
            "link.visibility_belief": self.of_station("visibility"),
            "link.image_threshold": self.nodes.thresholds(),
        }

    def of_station(self, key: str) -> float:
        """Return a belief of the link's station."""
        return parameters.get(self, self.nodes.link.of_station(key))

    def times(self) -> dict[str, Any]:
        """Return when the analysis pulse's light met the atoms, after the herald; nothing before the first pair."""
        if not self.readout.t_phases_mu:
            return {}
        latency_mu = self.nodes.nodes[0].raman_b.latency_mu
        after_mu = self.wait_mu + self.scheme.mapping_mu + self.readout.t_phases_mu + latency_mu
        found = {"link.t_analysis_s": int(after_mu) * self.core.ref_period}
        return found | self.phase.totals()

    def open(self, veto: Veto) -> None:
        """Open what is watched, before `nodes.init` and the first `take`; `veto` is told the times that are spoiled."""
        self.locks.open(veto)

    def take(self, wanted: int, sink: Sink) -> int:
        """Take shots until there are so many pairs; return DONE, NO_ATOM or TOO_TIGHT. `nodes.init` comes before.

        Gives way to other runs in between; TerminationRequested comes from here.
        """
        self.sink = sink
        self.wanted, self.pairs, self.total_attempts = wanted, 0, 0
        self.t_start_mu = int64(-1)
        while True:
            reason = int(self.take_shots())
            if reason not in (PAUSE, LOCK_LOST):
                return reason
            if reason == LOCK_LOST:
                self.locks.recover()
            else:
                self.nodes.close()
                self.core.comm.close()
                self.scheduler.pause()
            self.nodes.init()

    def explain(self, reason: int) -> None:
        """Say why the kernel gave up, if it did."""
        if reason == NO_ATOM:
            raise DeviceError(self.nodes.no_atom_message())
        if reason == TOO_TIGHT:
            raise TimingError(
                f"{MAX_UNDERFLOWS} shots in succession underflowed with wait = {self.wait * 1e6:g} us; it must give "
                "the kernel time to write the phases: raise `wait`."
            )

    @kernel
    def take_shots(self) -> TInt32:
        """Take shots; return why it ended. Underflows veto the shot, and the order of shots goes on regardless."""
        self.core.break_realtime()
        if self.t_start_mu < 0:
            self.t_start_mu = self.core.get_rtio_counter_mu()
        self.give_up_attempts()
        self.herald.arm()
        self.phase.forget()
        self.nodes.image()
        reason = -1
        underflows = 0
        while reason < 0:
            valid = True
            try:
                reason = self.take_shot()
                underflows = 0
            except RTIOUnderflow:
                valid = False
            except RTIOOverflow:
                valid = False
            if not valid:
                self.veto()
                underflows += 1
                if underflows >= MAX_UNDERFLOWS:
                    reason = TOO_TIGHT
            if reason < 0:
                reason = self.reason_to_stop()
        return reason

    @kernel
    def reason_to_stop(self) -> TInt32:
        """Return DONE, PAUSE, LOCK_LOST, or -1 to go on."""
        reason = -1
        if self.pairs >= self.wanted or self.core.get_rtio_counter_mu() - self.t_start_mu > self.limit_mu:
            reason = DONE
        elif self.shots_taken % CHECK_SHOTS == 0:
            if self.scheduler.check_pause():
                reason = PAUSE
            elif not self.locks.hold():
                reason = LOCK_LOST
            self.core.break_realtime()
        return reason

    @kernel
    def take_shot(self) -> TInt32:
        """Herald and read out one pair; return -1, or PAUSE, LOCK_LOST or NO_ATOM if there was none."""
        k = self.shots_taken % len(self.setting_order)
        setting = self.setting_order[k]
        push_out = self.pushout_order[k]
        self.pattern = 0
        if not self.nodes.load():
            return NO_ATOM
        self.nodes.cool()
        if self.herald.count_others(self.block) > 0:
            self.nodes.recool()
        if self.two_rounds:
            self.readout.rest()
        while self.pattern == 0:
            if self.since_look >= self.look_after:
                reason = self.reason_to_stop_waiting()
                if reason >= 0:
                    return reason
                self.look()
                if not self.nodes.load():
                    return NO_ATOM
                self.nodes.cool()
            elif self.since_look > 0:
                self.nodes.recool()
            self.phase.hold()
            self.pattern = self.herald.attempts(min(self.block, self.look_after - self.since_look))
            self.attempts += int64(self.herald.n_attempts)
            self.since_look += self.herald.n_attempts
        self.since_look = 0
        self.phase.note(self.herald.t_herald_mu)
        self.read_out(setting, push_out)
        return -1

    @kernel
    def look(self):
        """Image both nodes after attempts that were in vain; with an atom missing, nobody knows since when."""
        self.nodes.image()
        if self.nodes.all_there():
            self.since_look = 0
        else:
            self.losses += 1
            self.give_up_attempts()

    @kernel
    def give_up_attempts(self):
        """Count the attempts since the last look among those that may have had no pair of atoms."""
        self.attempts_lost += int64(self.since_look)
        self.since_look = 0

    @kernel
    def reason_to_stop_waiting(self) -> TInt32:
        """Return PAUSE or LOCK_LOST to give up a shot that has not heralded yet, or -1 to go on."""
        reason = -1
        if self.scheduler.check_pause() or self.core.get_rtio_counter_mu() - self.t_start_mu > self.limit_mu:
            reason = PAUSE
        elif not self.locks.hold():
            reason = LOCK_LOST
        self.core.break_realtime()
        return reason

    @kernel
    def read_out(self, setting: TInt32, push_out: TInt32):
        """Rotate, push out and image the heralded pair, and record it."""
        at_mu(self.herald.t_herald_mu + self.wait_mu)
        self.rotate(setting)
        self.readout.read_out(push_out)
        if push_out == 1:
            self.pairs += 1
        self.keep(True, setting, push_out)

    @kernel
    def rotate(self, setting: TInt32):
        """Turn the setting's axes to z; after one photon the atom that sent none is first brought from |2> to |1>."""
        if self.one_photon:
            self.nodes.map_to_f2()
        self.readout.rotate(setting, self.reference_mu(), self.second_pow())

    @kernel
    def reference_mu(self) -> TInt64:
        """Return the time from which both atoms' phases count: where the clicks' times tell it, their mean."""
        if self.two_rounds:
            return int64(0)  # that of the Raman pulse between the rounds
        if self.one_photon:
            return self.herald.edge_mu()
        return (self.t_first_mu() + self.t_second_mu()) >> 1

    @kernel
    def second_pow(self) -> TInt32:
        """Return what is added to the second end's phase offset so that Psi- is read out as Psi+."""
        pow_ = 0
        if self.kernel_feeds_forward and self.half_turns[self.pattern] == 1:
            pow_ = HALF_TURN_POW
        return pow_

    @kernel
    def t_first_mu(self) -> TInt64:
        """Return the time of the H click that heralded, of the early one, or of the only one."""
        return self.herald.click_mu(self.first_clicks, self.pattern)

    @kernel
    def t_second_mu(self) -> TInt64:
        """Return the time of the V click that heralded, of the late one, or of the only one."""
        return self.herald.click_mu(self.second_clicks, self.pattern)

    @kernel
    def veto(self):
        """Start afresh after an underflow: all off, both nodes imaged. A pair that was heralded counts as vetoed."""
        self.give_up_attempts()
        self.nodes.recover()
        self.herald.arm()
        self.nodes.image()
        self.underflows += 1
        if self.pattern != 0:
            k = self.shots_taken % len(self.setting_order)
            self.keep(False, self.setting_order[k], self.pushout_order[k])

    @kernel
    def keep(self, valid: TBool, setting: TInt32, push_out: TInt32):
        """Send one shot to the host."""
        self.shots_taken += 1
        self.record(
            valid,
            setting,
            push_out,
            self.pattern,
            self.herald.t_herald_mu,
            self.t_first_mu(),
            self.t_second_mu(),
            self.attempts,
            self.attempts_lost,
            self.losses,
            self.nodes.counts,
            self.nodes.there,
            self.core.get_rtio_counter_mu() - self.t_start_mu,
            self.herald.t_attempting_mu,
            self.nodes.t_loading_mu,
            self.nodes.loads,
            self.nodes.recoolings,
        )
        self.attempts = int64(0)
        self.attempts_lost = int64(0)
        self.pattern = 0

    @rpc(flags={"async"})
    def record(self, valid, setting, push_out, pattern, t_herald_mu, t_first_mu, t_second_mu, attempts, attempts_lost,
               losses, counts, there, t_lab_mu, t_attempting_mu, t_loading_mu, loads, recoolings):  # fmt: skip
        """Keep one shot: one call per shot, so that no part of it can come without the rest."""
        self.total_attempts += int(attempts)
        row = {
            "t_herald_mu": int(t_herald_mu),
            "pattern": int(pattern),
            "t_click_mu": [int(t_first_mu), int(t_second_mu)],
            "setting": int(setting),
            "attempts": int(attempts),
            "attempts_lost": int(attempts_lost),
            "counts": [int(n) for n in counts],
            "present": [int(here) for here in there],
            "pushout": int(push_out),
            "valid": int(valid),
        }
        totals = {
            "link.attempts": self.total_attempts,
            "link.losses": int(losses),
            "link.t_attempting_s": int(t_attempting_mu) * self.core.ref_period,
            "link.t_loading_s": int(t_loading_mu) * self.core.ref_period,
            "link.t_lab_s": int(t_lab_mu) * self.core.ref_period,
            "link.loads": int(loads),
            "link.recoolings": int(recoolings),
        }
        self.sink(row, totals)
