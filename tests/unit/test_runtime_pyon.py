"""PYON: both dialects are written as sipyco writes them, read back with their types, and never evaluated."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sim.artiq_runtime import pyon

# (value, version 2, version 1), as written by sipyco 1.10 and its pyon_v1.
WRITTEN = [
    (None, "null", "null"),
    (True, "true", "true"),
    (-5, "-5", "-5"),
    (1.5, "1.5", "1.5"),
    ("é\"", '"\\u00e9\\""', '"\\u00e9\\""'),
    ((1,), '{"__jsonclass__":["tuple",[[1]]]}', "(1, )"),
    ({"a": (1, 2)}, '{"a":{"__jsonclass__":["tuple",[[1,2]]]}}', '{"a": (1, 2)}'),
    ({1: 2}, '{"__jsonclass__":["dict",[[[1,2]]]]}', "{1: 2}"),
    ({3}, '{"__jsonclass__":["set",[[3]]]}', "{3}"),
    (b"ab", '{"__jsonclass__":["bytes",["YWI="]]}', "b'ab'"),
    (1 + 2j, '{"__jsonclass__":["complex",[1.0,2.0]]}', "(1+2j)"),
    (Fraction(-1, 3), '{"__jsonclass__":["Fraction",[-1,3]]}', "Fraction(-1, 3)"),
    (np.int32(3), '{"__jsonclass__":["npscalar",["<i4","AwAAAA=="]]}', 'npscalar("<i4", b"AwAAAA==")'),
    (
        np.array([1, 2], dtype=">i4"),
        '{"__jsonclass__":["nparray",[[2],">i4","AAAAAQAAAAI="]]}',
        'nparray((2, ), ">i4", b"AAAAAQAAAAI=")',
    ),
    (np.array(3.0), '{"__jsonclass__":["nparray",[[],"<f8","AAAAAAAACEA="]]}', 'nparray((), "<f8", b"AAAAAAAACEA=")'),
]


def same(a, b) -> bool:
    """Return whether two values agree in type, dtype, shape and content."""
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and (a.dtype, a.shape) == (b.dtype, b.shape) and np.array_equal(a, b, True)
    if isinstance(a, tuple | list):
        return type(a) is type(b) and len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return type(a) is type(b) and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and (a == b or a != a)


@pytest.mark.parametrize(("value", "version_2", "version_1"), WRITTEN)
def test_both_dialects_are_written_as_sipyco_writes_them(value, version_2, version_1):
    assert pyon.encode(value) == version_2
    assert pyon.encode(value, version=1) == version_1


@pytest.mark.parametrize(("value", "version_2", "version_1"), WRITTEN)
def test_both_dialects_are_read_back_with_their_types(value, version_2, version_1):
    assert same(pyon.decode(version_2), value)
    assert same(pyon.decode(version_1), value)


leaves = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
    | st.complex_numbers(allow_nan=False, allow_infinity=False)
    | st.integers(-(2**31), 2**31 - 1).map(np.int32) | st.integers(-(2**63), 2**63 - 1).map(np.int64)
    | st.lists(st.floats(width=32)).map(lambda values: np.array(values, dtype=np.float32))
)  # fmt: skip
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=8,
)


@given(values)
def test_whatever_is_written_reads_back_equal(value):
    np.testing.assert_equal(pyon.decode(pyon.encode(value)), value)


@given(values)
@example(complex(0, -0.0))
def test_the_old_dialect_reads_back_equal_too(value):
    assert same(pyon.decode(pyon.encode(value, version=1)), value)


# As sipyco's pyon_v1 reads what it has written: -0j is minus 0j, as in Python.
@pytest.mark.parametrize(
    ("value", "text", "read"),
    [
        (complex(0, -0.0), "-0j", complex(-0.0, -0.0)),
        (complex(0, -2), "-2j", complex(-0.0, -2)),
        (complex(-0.0, 3), "(-0+3j)", complex(0, 3)),
    ],
)
def test_the_old_dialect_loses_signs_of_zeros_in_complex_numbers_as_sipyco_does(value, text, read):
    assert pyon.encode(value, version=1) == text
    np.testing.assert_equal(pyon.decode(text), read)
    np.testing.assert_equal(pyon.decode(pyon.encode(value)), value)


def test_not_a_number_and_infinity_survive_in_both_dialects():
    for version in (1, 2):
        assert math.isnan(pyon.decode(pyon.encode(math.nan, version=version)))
        assert pyon.decode(pyon.encode(-math.inf, version=version)) == -math.inf


def test_a_decoded_array_can_be_written_to():
    array = pyon.decode(pyon.encode(np.zeros(3)))
    array[1] = 5
    assert array.tolist() == [0, 5, 0]


def test_a_transposed_array_keeps_its_order():
    array = np.arange(6, dtype=np.int32).reshape(2, 3).T
    assert same(pyon.decode(pyon.encode(array)), array)


def test_slices_for_mutated_datasets_pass():
    for version in (1, 2):
        assert pyon.decode(pyon.encode(slice(1, None, 2), version=version)) == slice(1, None, 2)


@pytest.mark.parametrize(
    "text",
    [
        "", "foo", "1=2", "[1,", "1+1", "-'a'", "-true", "f(1)", "(lambda: 1)()", "[x for x in [1]]", "...", "{**{}}",
        '__import__("os").getcwd()', "().__class__", "Fraction(1, 0)", 'nparray((3, ), "O", b"AA==")',
        '{"__jsonclass__": 1}', '{"__jsonclass__": ["os.system", ["true"]]}', "(" * 5000, "[" * 100000,
    ],
)  # fmt: skip
def test_what_is_not_pyon_is_a_value_error_and_is_not_evaluated(text):
    with pytest.raises(ValueError, match="is not PYON"):
        pyon.decode(text)


@pytest.mark.parametrize("value", [range(3), object(), np.array([None]), {"__jsonclass__": 1}, frozenset()])
def test_what_pyon_cannot_write_is_refused(value):
    with pytest.raises(TypeError, match="PYON"):
        pyon.encode(value)
