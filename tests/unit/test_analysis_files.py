"""Files, datasets and numbers: what analysis reads, what it refuses, and how a number is told."""

import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from analysis import published, schema
from analysis.estimates import Estimate, binomial, rate, ratio
from analysis.load import load
from atomlink.errors import DataError

# Written by the master's worker of ARTIQ 8.9 from an experiment with these datasets.
REAL_ARTIQ = Path(__file__).parents[1] / "data" / "000000042-LinkLikeFile.h5"


def test_a_file_of_real_artiq_is_read_whole() -> None:
    run = load(REAL_ARTIQ)
    assert (run.rid, run.class_name, run.artiq_version) == (42, "LinkLikeFile", "8.9")
    assert run.run_time >= run.start_time > 1.7e9
    assert run.expid["arguments"] == {"pairs": 5, "span": "1"}
    assert run.expid["repo_msg"] == (1, 2.5) and run.expid["wave"].tolist() == [1, 2]  # PYON tuple and array
    assert run.datasets["shots.pattern"].tolist() == [3, 12, 9, 6, 3]
    assert run.datasets["link.nodes"] == "alice,bob" and run.datasets["group/inner"].tolist() == [1.0, 2.0]
    assert run.metadata["link.t_lab_s"] == {"unit": "s", "scale": 1.0, "precision": 3}
    assert run.belief("param.midpoint.t_gate_s") == 9e-7  # archived, because the experiment read it
    assert run.belief("param.midpoint.unheard_of") is None


def test_a_file_without_header_takes_rid_and_class_from_its_name(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "000000012-Bare.h5", "w") as file:
        file["datasets/link.attempts"] = 5
    with h5py.File(tmp_path / "out.h5", "w") as file:
        file["datasets/link.attempts"] = 5
    named, bare = load(tmp_path / "000000012-Bare.h5"), load(tmp_path / "out.h5")
    assert (named.rid, named.class_name, named.date) == (12, "Bare", "unknown")
    assert (bare.rid, bare.class_name) == (0, "out")


def refuse(tmp_path: Path, content: bytes | dict[str, Any] | None) -> str:
    path = tmp_path / "000000001-Bad.h5"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        with h5py.File(path, "w") as file:
            for key, value in content.items():
                file[key] = value
    with pytest.raises(DataError) as caught:
        load(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    return str(caught.value)


def test_what_is_no_results_file_is_refused_in_one_line(tmp_path: Path) -> None:
    assert "does not exist" in refuse(tmp_path, None)
    assert "not readable HDF5" in refuse(tmp_path, b"hello")
    whole = REAL_ARTIQ.read_bytes()
    assert "not readable HDF5" in refuse(tmp_path, whole[: len(whole) // 2])
    assert "must have a group `datasets`" in refuse(tmp_path, {"other": 1})
    assert "must have a group `datasets`" in refuse(tmp_path, {"datasets": 1})
    assert "expid must be PYON" in refuse(tmp_path, {"datasets/a": 1, "expid": "{not json"})
    assert "not laid out as ARTIQ" in refuse(tmp_path, {"datasets/a": 1, "rid": [1, 2]})


def test_arrays_take_the_dtype_of_the_schema() -> None:
    assert schema.array("shots.pattern", [3, 12]).dtype == np.int32
    assert schema.array("shots.attempts", np.array([3], dtype=np.int32)).dtype == np.int64
    assert schema.array("shots.counts", []).shape == (0, 2)
    assert schema.array("link.attempts", 7) == 7 and np.ndim(schema.array("link.attempts", 7)) == 0
    assert schema.array("not.of.the.schema", ["ä", "b"]).tolist() == ["ä".encode(), b"b"]


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("shots.pattern", [2**31]),
        ("shots.pattern", [0.5]),
        ("shots.pattern", [math.nan]),
        ("shots.pattern", ["3"]),
        ("shots.pattern", [[1, 2]]),
        ("shots.counts", [1, 2]),
        ("shots.counts", [[1, 2, 3]]),
        ("shots.counts", [[1, 2], [3]]),
        ("link.attempts", [1]),
        ("other.key", {"a": 1}),
    ],
)
def test_values_that_do_not_fit_are_refused_and_never_wrapped(key: str, values: Any) -> None:
    with pytest.raises(DataError, match=key):
        schema.array(key, values)


def test_the_schema_names_what_is_missing_unknown_or_of_the_wrong_shape() -> None:
    datasets = {
        "shots.pattern": np.zeros(3, dtype=np.int32),
        "shots.present": np.zeros((4, 2), dtype=np.int32),
        "shots.valid": np.zeros(3),
        "link.nodes": 5,
        "run.typo": 1,
        "param.free": 1.0,
    }
    found = "\n".join(schema.problems(datasets))
    assert "`run.typo` is not in the schema" in found and "param.free" not in found
    assert "`shots.attempts` is missing" in found and "`hom.delay_s`" not in found
    assert "`shots.present` must be int32 of shape (n, 2) with {'n': 3}, but its shape is (4, 2)" in found
    assert "`shots.valid` must be int32 of shape (n), but its dtype is float64" in found
    assert "`link.nodes` must be a str" in found
    with pytest.raises(DataError, match="more\\)$"):
        schema.check(datasets)
    schema.check({"param.free": 1.0})


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(0.87123, 0.01234, 812), "0.871 ± 0.012 (n = 812)"),
        (Estimate(0.87123, 0.0996), "0.87 ± 0.10"),
        (Estimate(677.3, 13.8), "677 ± 14"),
        (Estimate(-0.5, 2.04), "-0.5 ± 2.0"),
        (Estimate(0.0040642, 0.000083), "(4.064 ± 0.083) × 10⁻³"),
        (Estimate(5.4e-7, 3e-9), "(5.400 ± 0.030) × 10⁻⁷"),
        (Estimate(2.5e7, 1e5), "(2.500 ± 0.010) × 10⁷"),
        (Estimate(1.0, 0.0), "1 ± 0"),
        (Estimate(math.nan, 1.0), "–"),
    ],
)
def test_a_number_is_told_with_its_error_to_two_digits(estimate: Estimate, text: str) -> None:
    assert str(estimate) == text


def test_arithmetic_propagates_independent_errors() -> None:
    a, b = Estimate(6.0, 0.3, 10, "a"), Estimate(2.0, 0.4, 5)
    assert (a + b) == Estimate(8.0, 0.5, 15, "a")
    assert (a - b).value == 4.0 and (a - b).error == pytest.approx(0.5)
    assert (a * b).error == pytest.approx(math.hypot(0.3 * 2, 0.4 * 6))
    assert (a / b).error == pytest.approx(3.0 * math.hypot(0.3 / 6, 0.4 / 2))
    assert (1 - 2 * a).value == -11.0 and (1 - 2 * a).error == pytest.approx(0.6)
    assert a.sigmas_from(5.7) == pytest.approx(1.0)
    with pytest.raises(DataError, match="divided by 0"):
        a / Estimate(0.0, 1.0)


def test_counts_have_an_error_even_at_the_edges() -> None:
    assert binomial(0, 10).error > 0.03 and binomial(10, 10).error == binomial(0, 10).error
    assert binomial(5000, 10_000).error == pytest.approx(0.005, rel=1e-3)
    assert rate(0, 2.0).error > 0.3 and rate(400, 2.0).value == 200.0
    assert ratio(0, 100).error > 0.005 and ratio(400, 100).error == pytest.approx(math.sqrt(20) / 10, rel=0.01)
    for bad in (lambda: binomial(3, 2), lambda: binomial(0, 0), lambda: rate(1, 0.0), lambda: ratio(1, 0)):
        with pytest.raises(DataError):
            bad()


def test_the_binomial_error_covers_68_percent() -> None:
    draws = np.random.default_rng(3).binomial(400, 0.9, 4000)
    inside = [abs(k / 400 - 0.9) < binomial(int(k), 400).error for k in draws]
    assert abs(np.mean(inside) - 0.683) < 0.05  # discreteness moves it by one step of the binomial, 0.066 of a sigma


def test_published_values_name_the_fitted_unknown() -> None:
    for name in ("nolleke2013", "hofmann2012"):
        known = published.publication(name)
        assert known is not None and known.fitted and {"fitted", "predicted"} <= {value.role for value in known.values}
    assert published.publication("default") is None and published.compare("default", {}) == ()
    found = {
        "fidelity_psi_minus": Estimate(0.85, 0.02),
        "herald_probability_psi_minus": Estimate(1e-3, 1e-5),
        "chsh": None,
    }
    fitted, predicted = published.compare("nolleke2013", found)
    assert math.isnan(fitted.sigmas) and fitted.published.role == "fitted"
    assert predicted.sigmas == pytest.approx(0.03 / math.hypot(0.02, 0.0225))
