"""Decorators, timeline functions, types and units of the pip-only `artiq`."""

import inspect

import artiq
import pytest
from artiq.coredevice import exceptions, rtio
from artiq.experiment import *
from artiq.language import core, units

pytestmark = pytest.mark.skipif(
    not getattr(artiq, "__host_runtime__", False), reason="a real ARTIQ is installed; these tests are of its stand-in"
)

FIELDS = ("core_name", "portable", "function", "syscall", "forbidden", "destination", "flags")


class RecordingCore:
    def run(self, function, args, kwargs):
        return function, args, kwargs


class Sequence:
    core = RecordingCore()
    other = RecordingCore()

    @kernel
    def plain(self, x, y=1):
        """Say something."""

    @kernel("other", flags={"fast-math"})
    def elsewhere(self):
        pass

    @kernel(flags={"fast-math"})
    def fast(self):
        pass

    @portable
    def anywhere(self, x):
        return 2 * x

    @rpc(flags={"async"})
    def host(self, x):
        return x

    @host_only
    def never(self):
        return "host"

    @subkernel(destination=3)
    def far(self):
        pass


@syscall
def by_name() -> TNone: ...


@syscall("other_name", flags={"nowrite"})
def by_other_name() -> TNone: ...


def embedded(function, **expected):
    info = function.artiq_embedded
    assert info._fields == FIELDS
    normal = {"core_name": None, "portable": False, "syscall": None, "forbidden": False, "destination": None}
    normal |= {"flags": set()}
    assert {name: getattr(info, name) for name in normal} == normal | expected
    return info.function


def test_a_kernel_goes_to_its_core_device_with_the_marked_function():
    sequence = Sequence()
    function, args, kwargs = sequence.plain(1, y=2)
    assert function is Sequence.plain
    assert (args, kwargs) == ((sequence, 1), {"y": 2})
    assert function.__doc__ == "Say something."
    plain = embedded(function, core_name="core")
    assert list(inspect.signature(plain).parameters) == ["self", "x", "y"]
    assert not hasattr(plain, "artiq_embedded")


def test_decorators_attach_the_fields_that_artiq_attaches():
    embedded(Sequence.elsewhere, core_name="other", flags={"fast-math"})
    embedded(Sequence.fast, core_name="core", flags={"fast-math"})
    assert embedded(Sequence.anywhere, portable=True) is Sequence.anywhere
    assert embedded(Sequence.host, flags={"async"}) is Sequence.host
    assert embedded(Sequence.never, forbidden=True) is None
    embedded(Sequence.far, core_name="core", destination=3)
    assert embedded(by_name, syscall="by_name") is None
    assert embedded(by_other_name, syscall="other_name", flags={"nowrite"}) is None


def test_portable_rpc_and_host_only_functions_run_on_the_host_as_they_are():
    sequence = Sequence()
    assert (sequence.anywhere(4), sequence.host(5), sequence.never()) == (8, 5, "host")


def test_a_subkernel_is_refused_when_it_is_called():
    with pytest.raises(NotImplementedError, match="Sequence.far is a subkernel for satellite 3"):
        Sequence().far()


def test_a_kernel_from_text_is_refused():
    with pytest.raises(NotImplementedError, match="executes no text"):
        kernel_from_string(["self"], "delay(1*us)")


def test_time_does_not_move_without_a_time_manager():
    for call in (now_mu, lambda: delay(1.0), lambda: delay_mu(1), lambda: at_mu(1), parallel.__enter__):
        with pytest.raises(NotImplementedError, match="without a time manager"):
            call()


def test_timeline_functions_go_to_the_time_manager_in_order(monkeypatch):
    calls = []

    class Recorder:
        def __getattr__(self, name):
            return lambda *args: calls.append((name, *args))

    monkeypatch.setattr(core, "_time_manager", core._time_manager)
    set_time_manager(Recorder())
    with parallel:
        with sequential:
            delay(1e-6)
        with interleave:
            delay_mu(5)
    at_mu(7)
    now_mu()
    assert calls == [
        ("enter_parallel",), ("enter_sequential",), ("take_time", 1e-6), ("exit",), ("enter_parallel",),
        ("take_time_mu", 5), ("exit",), ("exit",), ("set_time_mu", 7), ("get_time_mu",),
    ]  # fmt: skip


def test_units_have_the_bits_of_artiqs_powers_of_ten():
    prefixes = dict(zip("pnum_kMG", (10.0**e for e in range(-12, 10, 3)), strict=True))
    for name in units.__all__:
        prefix = name[0] if len(name) > 1 and name[0] in prefixes and name not in ("ms", "mW", "dB") else "_"
        expected = {"ms": 10.0**-3, "mW": 10.0**-3}.get(name, prefixes[prefix])
        assert getattr(units, name) == expected, name


def test_types_compare_by_what_they_are_and_print_as_artiq_prints_them():
    assert type(TInt32)(32) == TInt32 != TInt64
    assert TList(TInt32) == TList(TInt32) != TList(TInt64)
    assert TTuple([TInt64, TInt32]) == TTuple([TInt64, TInt32]) != TTuple([TInt64])
    assert TVar() != TVar()
    assert hash(TArray(TFloat, 2)) == hash(TArray(TFloat, 2))
    texts = [str(ty) for ty in (TInt32, TFloat, TNone, TTuple([TInt64]), TList(TStr))]
    assert texts == ["numpy.int32", "float", "NoneType", "(numpy.int64,)", "list(elt=str)"]
    assert [ty.tag for ty in (TInt32, TInt64, TRange32, TByteArray)] == ["i", "I", "r", "A"]


def test_rtio_system_calls_refuse_to_run_outside_an_engine():
    calls = {
        rtio.rtio_output: (256, 1), rtio.rtio_output_wide: (256, [1]), rtio.rtio_input_timestamp: (0, 1),
        rtio.rtio_input_data: (1,), rtio.rtio_input_timestamped_data: (0, 1),
    }  # fmt: skip
    for function, args in calls.items():
        embedded(function, syscall=function.__name__, flags={"nowrite"})
        with pytest.raises(NotImplementedError, match="syscall not simulated"):
            function(*args)


def test_core_exceptions_are_marked_as_the_devices_own():
    builtin = [name for name, value in vars(exceptions).items() if getattr(value, "artiq_builtin", False)]
    assert sorted(builtin) == [
        "CacheError", "ClockFailure", "DMAError", "I2CError", "InternalError", "RTIODestinationUnreachable",
        "RTIOOverflow", "RTIOUnderflow", "SPIError", "SubkernelError", "UnwrapNoneError",
    ]  # fmt: skip
    assert exceptions.ValueError is ValueError


def test_a_core_exception_tells_name_place_and_formatted_message():
    raised = ("0:RTIOUnderflow", "at {0} mu, channel {1}", [5, 7], __file__, 1, -1, "pulse")
    report = exceptions.CoreException([raised], [(0, 0)], [(__file__, 3, 4, "run", 0x10, [])], [0])
    assert (report.id, report.name) == (0, "RTIOUnderflow")
    text = str(report)
    assert text.startswith("Core Device Traceback:\nTraceback (most recent call first):")
    assert "RTIOUnderflow(0): at 5 mu, channel 7" in text
    assert f'File "{__file__}", line 3, column 5, in run' in text
