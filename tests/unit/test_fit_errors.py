"""The error of what is made of fitted values."""

import numpy as np
import pytest

from analysis.estimates import Estimate
from analysis.fits import Fit
from analysis.models import LINEAR


@pytest.mark.parametrize("correlation", [-0.9, 0.0, 0.9])
def test_errors_of_functions_hold_the_covariance(correlation: float) -> None:
    """Of a sum: var a + var b + 2 cov; of a product: the same with each other's value."""
    names, errors = ("offset", "slope"), np.array([0.1, 0.2])
    covariance = np.outer(errors, errors) * np.array([[1.0, correlation], [correlation, 1.0]])
    known = {name: Estimate(value, error, 9) for name, value, error in zip(names, (3.0, 5.0), errors, strict=True)}
    fit = Fit(LINEAR, known, {}, covariance, chi2=5.0, dof=5, scale=1.0, p_constant=0.0, span=(0.0, 1.0))
    for function, slope in ((lambda v: v["offset"] + v["slope"], [1, 1]), (lambda v: v["offset"] * v["slope"], [5, 3])):
        assert fit.error_of(function) == pytest.approx(np.sqrt(slope @ covariance @ slope))
