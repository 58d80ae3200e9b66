"""Arguments, experiments and scans of the pip-only `artiq`, with ARTIQ 8's values and failure modes."""

import artiq
import pytest
from artiq import experiment
from artiq.experiment import *
from artiq.language.environment import (
    ProcessArgumentManager,
    TraceArgumentManager,
    is_experiment,
    is_public_experiment,
)

pytestmark = pytest.mark.skipif(
    not getattr(artiq, "__host_runtime__", False), reason="a real ARTIQ is installed; these tests are of its stand-in"
)


class Beam(HasEnvironment):
    def build(self, default_power):
        self.setattr_argument("power", NumberValue(default_power))

    def prepare(self):
        self.prepared = True


class Spectroscopy(EnvExperiment):
    """Scan a beam."""

    kernel_invariants = {"fixed"}

    def build(self, note=None):
        self.setattr_argument("t_probe", NumberValue(2 * us, unit="us", min=0.0), "Probe", "duration of the probe")
        self.setattr_argument("cool", BooleanValue())
        self.beam = Beam(self, 7)
        self.note = note
        self.set_default_scheduling(priority=3, pipeline_name="second")


def built(arguments, **kwargs):
    manager = ProcessArgumentManager(arguments)
    defaults = {}
    instance = Spectroscopy((None, None, manager, defaults), **kwargs)
    manager.check_unprocessed_arguments()
    return instance, defaults


def test_star_import_gives_every_name_of_artiq_8():
    names = [
        "A", "BooleanValue", "CancelledArgsError", "CenterScan", "DefaultMissing", "EnumerationValue",
        "EnvExperiment", "Experiment", "ExplicitScan", "GHz", "HasEnvironment", "Hz", "MHz", "MultiScanManager",
        "NoDefault", "NoScan", "NumberValue", "PYONValue", "RTIOOverflow", "RTIOUnderflow", "RangeScan", "ScanObject",
        "Scannable", "StringValue", "TArray", "TBool", "TByteArray", "TBytes", "TFloat", "TInt32", "TInt64", "TList",
        "TNone", "TRange32", "TRange64", "TStr", "TTuple", "TVar", "TerminationRequested", "V", "W", "at_mu", "dB",
        "delay", "delay_mu", "host_only", "interleave", "kHz", "kV", "kernel", "kernel_from_string", "mA", "mHz",
        "mV", "mW", "ms", "nW", "now_mu", "ns", "parallel", "portable", "ps", "rpc", "s", "sequential",
        "set_time_manager", "set_watchdog_factory", "subkernel", "syscall", "uA", "uV", "uW", "us", "watchdog",
    ]  # fmt: skip
    assert sorted(experiment.__all__) == sorted(names)
    assert all(hasattr(experiment, name) for name in names)


def test_given_arguments_and_defaults_become_attributes_and_kernel_invariants():
    instance, defaults = built({"cool": True, "power": 3}, note="x")
    assert (instance.t_probe, instance.cool, instance.beam.power, instance.note) == (2e-6, True, 3.0, "x")
    assert instance.kernel_invariants == {"fixed", "t_probe", "cool"}
    assert Spectroscopy.kernel_invariants == {"fixed"}
    assert defaults == {"priority": 3, "pipeline_name": "second"}


def test_a_missing_argument_without_default_is_default_missing():
    with pytest.raises(DefaultMissing):
        built({})


def test_a_surplus_argument_is_an_attribute_error_that_names_it():
    with pytest.raises(AttributeError, match="not queried in experiment: t_prob"):
        built({"cool": True, "t_prob": 1.0})


def test_arguments_and_scheduling_are_for_build_only():
    instance, _ = built({"cool": True})
    with pytest.raises(TypeError, match="only be called from build"):
        instance.setattr_argument("late", BooleanValue(True))
    with pytest.raises(TypeError, match="only be called from build"):
        instance.set_default_scheduling(priority=1)


def test_prepare_reaches_the_children_that_have_one():
    instance, _ = built({"cool": True})
    instance.prepare()
    assert instance.beam.prepared
    instance.call_child_method("no_such_method")


def test_examination_records_what_is_asked_for_and_gives_none():
    manager = TraceArgumentManager()
    instance = Spectroscopy((None, None, manager, {}))
    assert instance.t_probe is None
    assert list(manager.requested_args) == ["t_probe", "cool", "power"]
    processor, group, tooltip = manager.requested_args["t_probe"]
    assert (group, tooltip) == ("Probe", "duration of the probe")
    assert processor.describe() == {
        "ty": "NumberValue", "default": 2e-6, "unit": "us", "scale": 1e-6, "step": 1e-7,
        "min": 0.0, "max": None, "precision": 2, "type": "auto",
    }  # fmt: skip


def test_experiments_are_recognised_and_underscores_hide_them():
    hidden = type("_Hidden", (EnvExperiment,), {})
    assert is_experiment(Spectroscopy)
    assert is_experiment(hidden)
    assert not is_public_experiment(hidden)
    assert not any(is_experiment(other) for other in (Experiment, EnvExperiment, Beam, 3))


def test_an_experiment_without_run_is_not_implemented():
    with pytest.raises(NotImplementedError):
        built({"cool": True})[0].run()


def test_a_number_is_an_int_only_with_precision_0_scale_1_and_an_integral_step():
    assert type(NumberValue(3, precision=0, step=1).default()) is int
    assert type(NumberValue(3, precision=0, step=1, type="float").default()) is float
    assert type(NumberValue(3, precision=0).default()) is float
    assert type(NumberValue(3, precision=0, step=1, scale=2.0).default()) is float
    with pytest.raises(ValueError, match="not compatible"):
        NumberValue(3, type="int")
    with pytest.raises(TypeError, match="'float', 'int' or 'auto'"):
        NumberValue(3, type="complex")


def test_an_integer_argument_truncates_and_limits_are_not_enforced_as_in_artiq():
    assert NumberValue(precision=0, step=1).process(2.9) == 2
    assert NumberValue(min=0, max=1).process(5) == 5.0


def test_an_unknown_unit_is_a_key_error_unless_a_scale_is_given():
    with pytest.raises(KeyError, match="Unit furlong is unknown"):
        NumberValue(unit="furlong")
    assert NumberValue(1, unit="furlong", scale=201.168).scale == 201.168
    with pytest.raises(KeyError, match="Unit furlong is unknown"):
        Scannable(unit="furlong")


def test_the_name_of_artiq_7_for_precision_works_with_a_notice(capsys):
    assert NumberValue(1, ndecimals=5).precision == 5
    assert "'ndecimals' is deprecated. Please use 'precision'" in capsys.readouterr().out


def test_choices_and_truth_values_are_strict():
    with pytest.raises(ValueError, match="EnumerationValue"):
        EnumerationValue(["a", "b"], "c")
    with pytest.raises(ValueError, match="BooleanValue"):
        BooleanValue(1)
    assert EnumerationValue(["a"]).describe() == {"ty": "EnumerationValue", "choices": ["a"], "quickstyle": False}


def test_a_pyon_argument_takes_text_and_describes_its_default_as_text():
    assert PYONValue([1, (2,)]).default() == [1, (2,)]
    assert PYONValue({"a": 1}).describe() == {"ty": "PYONValue", "default": '{"a":1}'}
    assert PYONValue().process('{"a": [1, 2.5]}') == {"a": [1, 2.5]}
    with pytest.raises(ValueError, match="not PYON"):
        PYONValue().process("open('x')")


class Asking(EnvExperiment):
    def build(self):
        pass

    def run(self):
        with self.interactive("more?") as self.answers:
            self.answers.setattr_argument("n", NumberValue(precision=0, step=1))


class Answering(ProcessArgumentManager):
    answer = {"n": 4}

    def get_interactive(self, interactive_arglist, title):
        assert (title, [entry[0] for entry in interactive_arglist]) == ("more?", ["n"])
        return self.answer


def test_interactive_arguments_arrive_in_the_namespace_or_are_cancelled():
    asking = Asking((None, None, Answering({}), {}))
    asking.run()
    assert vars(asking.answers) == {"n": 4}
    manager = Answering({})
    manager.answer = None
    with pytest.raises(CancelledArgsError):
        Asking((None, None, manager, {})).run()


# Scans. The sequences were computed with ARTIQ 8.


def test_a_range_scan_includes_both_ends():
    assert list(RangeScan(0.1, 0.3, 3)) == [0.1, 0.2, 0.3]
    assert list(RangeScan(2, 5, 1)) == [2]
    assert list(RangeScan(2, 5, 0)) == []


def test_a_centre_scan_runs_outwards_below_first_and_stays_within_its_span():
    assert list(CenterScan(1.5, 0.8, 0.25)) == [1.5, 1.25, 1.75]
    assert list(CenterScan(1, 1, 0.5)) == [1.0, 0.5, 1.5]
    assert list(CenterScan(1, 0, 0.5)) == [1.0]
    assert list(CenterScan(1, 1, 0.0)) == []
    assert list(CenterScan(1, -1, 0.1)) == []


def test_shuffled_scans_have_the_order_that_artiq_gives_for_the_seed():
    assert list(RangeScan(0, 4, 5, randomize=True, seed=5)) == [0.0, 1.0, 3.0, 2.0, 4.0]
    assert list(CenterScan(0, 4, 1, randomize=True, seed=5)) == [0, -1, -2, 1, 2]


def test_a_scan_gives_the_same_values_every_time_and_nested():
    scan = RangeScan(0, 1, 4, randomize=True)
    assert list(scan) == list(scan)
    assert [(a, b) for a in NoScan(1, 2) for b in NoScan(1, 2)] == [(1, 1)] * 4


@pytest.mark.parametrize(
    "scan", [NoScan(3.0, 2), RangeScan(0, 1, 5, True, 1), CenterScan(1, 2, 0.1, True, 2), ExplicitScan([3, 1, 2])]
)
def test_a_scan_survives_its_description(scan):
    again = Scannable().process(scan.describe() | {"of no": "interest"})
    assert (type(again), list(again), len(again)) == (type(scan), list(scan), len(scan))


def test_a_scannable_describes_all_its_defaults_and_uses_the_first():
    argument = Scannable([NoScan(1e6), RangeScan(0, 1e6, 3)], unit="MHz", global_min=0)
    assert argument.default().describe() == {"ty": "NoScan", "value": 1e6, "repetitions": 1}
    description = argument.describe()
    assert [scan["ty"] for scan in description["default"]] == ["NoScan", "RangeScan"]
    assert (description["scale"], description["global_step"], description["global_min"]) == (1e6, 1e5, 0)
    with pytest.raises(DefaultMissing):
        Scannable().default()
    with pytest.raises(KeyError):
        Scannable().process({"ty": "SpiralScan"})


def test_several_scans_together_run_through_every_combination():
    points = list(MultiScanManager(("a", RangeScan(0, 1, 2)), ("b", ExplicitScan([7, 8]))))
    assert [(point.a, point.b) for point in points] == [(0, 7), (0, 8), (1, 7), (1, 8)]
    assert repr(points[0]) == "<ScanPoint a=0.0 b=7>"
