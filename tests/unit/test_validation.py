"""`atomlink validate`: no required row can be left out, and no verdict says more than was tested."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from atomlink.errors import DataError, UsageError
from sim import cli
from sim.physics.heralding import TwoPhoton, two_photon_polarisation
from sim.validation import links, run
from sim.validation.gates import teleported_gate_fidelity
from sim.validation.outcome import Finding, Outcome, judged
from sim.validation.page import lines, page, simulated
from sim.validation.table import Quantity, required_rows

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    return run.evaluate(required_rows(), 1)


def verdicts(outcomes: list[Outcome]) -> dict[tuple[str, str], str]:
    return {(result.row.id, finding.published.name): finding.verdict
            for result in outcomes for finding in result.findings}


def test_every_output_of_every_required_row_has_a_finding(outcomes: list[Outcome]) -> None:
    wanted = {(row.id, quantity.name) for row in required_rows() for quantity in row.outputs}
    assert set(verdicts(outcomes)) == wanted and len(wanted) == 21


def test_what_was_fitted_or_circular_is_not_called_reproduced(outcomes: list[Outcome]) -> None:
    found = verdicts(outcomes)
    for key in (("V01", "bell_fidelity"), ("V08", "bell_fidelity"), ("V08", "pair_rate"), ("V22", "atoms"),
                ("V12", "success_probability"), ("V16", "teleported_cz_fidelity_published")):
        assert found[key] == "fitted"
    for key in (("V01", "pair_rate_while_attempting"), ("V06", "pair_rate")):
        assert found[key] == "circular"
    assert found["V12", "teleportation_fidelity"] == "not reproduced"


def test_fits_and_circular_rates_do_come_out(outcomes: list[Outcome]) -> None:
    """Four standard errors of the click-level simulation, one per cent for the step that fits a scenario by sampling.
    """
    for result in outcomes:
        for finding in result.findings:
            if finding.verdict in ("fitted", "circular") and isinstance(finding.published.value, float):
                published = finding.published.value
                assert abs(finding.simulated - published) < 4 * finding.error + 0.01 * published, finding


def test_a_required_row_without_an_evaluator_is_an_error() -> None:
    rows = [replace(required_rows()[0], id="V98"), *required_rows()]
    with pytest.raises(DataError, match="required rows V98 of the validation table have no evaluator"):
        run.evaluate(rows, 1)


def test_an_output_that_the_evaluator_leaves_out_is_an_error() -> None:
    row = next(row for row in required_rows() if row.id == "V11")
    more = replace(row, outputs=(*row.outputs, Quantity("linewidth", 1.0, "Hz", "certain")))
    with pytest.raises(DataError, match="row V11: the evaluator gives nothing for linewidth"):
        run.evaluate([more], 1)


def test_a_damaged_table_is_refused(tmp_path: Path) -> None:
    damaged = tmp_path / "table.json"
    damaged.write_text(json.dumps({"required": [{"id": "V01"}]}))
    with pytest.raises(DataError, match="is damaged"):
        required_rows(damaged)


def test_a_difference_beyond_two_sigma_is_stated() -> None:
    published = Quantity("fidelity", 0.90, "", "certain", 0.01)
    assert judged(published, 0.917, 0.005).verdict == "reproduced"
    far = judged(published, 0.95, 0.005)
    assert far.verdict == "not reproduced" and "difference +0.05, allowed 0.022" in far.remark


def test_numbers_are_printed_to_two_digits_of_their_error() -> None:
    published = Quantity("rate", 182.0, "1/s", "certain")
    assert simulated(Finding(published, 181.2515, 0.4053, "")) == "181.25 ± 0.41 1/s"
    assert simulated(Finding(published, 6034.0, 54.8, "")) == "6034 ± 55 1/s"
    assert simulated(Finding(published, 6.434e-6, 0.0, "")) == "6.434e-06 1/s"


def test_plain_link_agrees_with_the_closed_form_where_dark_clicks_matter() -> None:
    """4 sigma of 50,000 heralds in probability and fidelity."""
    dark_hz, n = 2e3, 50_000
    p, error, found = links.heralds(links.plain_link(0.01, dark_hz, 0.9), np.random.default_rng(2), n)
    expected = two_photon_polarisation(TwoPhoton(0.01, 0.01, -math.expm1(-dark_hz * 250e-9), 0.9))
    f = links.fidelities(found)
    assert abs(p - expected.probability) < 4 * error
    assert abs(f.mean() - expected.fidelity) < 4 * f.std() / math.sqrt(n)


def test_correlators_and_chsh_of_perfect_pairs() -> None:
    _, _, found = links.heralds(links.plain_link(0.5, 0.0, 1.0), np.random.default_rng(3), 2000)
    assert links.correlators(found) == pytest.approx({"xx": 1.0, "yy": 1.0, "zz": -1.0}, abs=1e-9)
    assert links.chsh(found)[0] == pytest.approx(2 * math.sqrt(2), abs=1e-9)
    assert links.stored_fidelity(links.correlators(found), 1.0, 2.0) == pytest.approx((1 + math.exp(-1)) / 2)


def test_ceiling_of_a_teleported_cnot_equals_an_average_over_input_states() -> None:
    """Teleported CNOT with a Bell-diagonal pair: each wrong Bell state leaves a Pauli error after the gate.

    With alice's and bob's halves measured in Z and X, a flipped pair flips the target (X), a phase-flipped one turns
    the control (Z). 20,000 Haar states; 4 sigma.
    """
    rng, fidelity = np.random.default_rng(4), 0.9
    x, z, one = np.array([[0, 1], [1, 0]]), np.diag([1, -1]), np.eye(2)
    errors = [np.kron(one, one), np.kron(one, x), np.kron(z, one), np.kron(z, x)]
    weights = [fidelity, *3 * [(1 - fidelity) / 3]]
    psi = rng.normal(size=(20_000, 4)) + 1j * rng.normal(size=(20_000, 4))
    psi /= np.linalg.norm(psi, axis=1)[:, None]
    kept = sum(w * np.abs(np.einsum("ni,ij,nj->n", psi.conj(), e, psi)) ** 2
               for w, e in zip(weights, errors, strict=True))
    assert abs(kept.mean() - teleported_gate_fidelity(fidelity)) < 4 * kept.std() / math.sqrt(len(psi))


def test_one_seed_gives_one_page() -> None:
    rows = [row for row in required_rows() if row.id in ("V01", "V17")]
    assert page(run.evaluate(rows, 5), 5) == page(run.evaluate(rows[::-1], 5), 5)


def test_the_page_in_docs_has_todays_rows_and_verdicts(outcomes: list[Outcome]) -> None:
    """Run `atomlink validate` when this fails: numbers may have moved a little, verdicts may not without notice."""
    text = (ROOT / "docs" / "validation.md").read_text(encoding="utf-8")
    assert lines(outcomes)[-1] in text
    for (row, name), verdict in verdicts(outcomes).items():
        line = next(line for line in text.splitlines() if line.startswith(f"| {row} | {name.replace('_', ' ')} |"))
        assert line.endswith(f"| {verdict} |")


def test_the_command_writes_the_page_where_it_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "new" / "page.md"
    assert cli.main(["validate", "V11", "--output", str(output)]) == 0
    assert "1 rows, 3 outputs: 3 reproduced" in capsys.readouterr().out
    assert output.read_text(encoding="utf-8").startswith("# Validation")


@pytest.mark.parametrize(("words", "message"), [(["V99"], "no row V99 is required; must be one of V01"),
                                                (["V11", "--seed", "-1"], "--seed is -1, but must be 0 or more")])
def test_bad_arguments_are_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["validate", *words]) == 2
    assert message in capsys.readouterr().err


def test_unknown_ids_are_refused() -> None:
    with pytest.raises(UsageError, match="no row V99"):
        run.chosen(required_rows(), ["V11", "V99"])
