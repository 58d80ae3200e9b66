"""The page: whole, self-contained, escaped, the same for the same run, and honest about what it lacks."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic_runs import PSI_MINUS_PATTERNS, PSI_PLUS_PATTERNS, as_run, hom_datasets, link_datasets, werner

from analysis import archive, figures, hom, link
from analysis.load import load
from analysis.report import main_report, report
from atomlink.errors import DataError

STATES = {p: werner("psi+", 0.9) for p in PSI_PLUS_PATTERNS} | {p: werner("psi-", 0.9) for p in PSI_MINUS_PATTERNS}
HEADER = {
    "created": 1.7e9,
    "artiq_version": "8.9",
    "expid": {"file": "experiments/link/remote_entanglement.py", "arguments": {"pairs": 1400}},
}


class Balance(HTMLParser):
    """Collect every reference of a page and check that each tag is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.references += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def write(folder: Path, class_name: str, rid: int, datasets: dict[str, Any]) -> Path:
    path = folder / f"{rid:09}-{class_name}.h5"
    header = {**HEADER, "rid": rid, "class_name": class_name}
    header["expid"] = {**HEADER["expid"], "class_name": class_name}
    archive.write_results(path, header, datasets)
    return path


def link_data(**changes: Any) -> dict[str, Any]:
    return link_datasets(np.random.default_rng(1), STATES, 1400, (0.96, 0.94), 0.15) | changes


def page_of(path: Path) -> str:
    text = report(path).read_text(encoding="utf-8")
    parser = Balance()
    parser.feed(text)
    assert parser.open == []
    assert all(reference.startswith("data:image/svg+xml;base64,") for reference in parser.references)
    assert "@import" not in text and "url(" not in text and "<script" not in text
    return text


@pytest.fixture(scope="module")
def link_page(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    path = write(tmp_path_factory.mktemp("results"), "RemoteEntanglement", 7, link_data())
    return path, page_of(path)


def test_the_page_lies_beside_the_results_and_holds_the_headline_numbers(link_page: tuple[Path, str]) -> None:
    path, text = link_page
    assert (path.parent / "000000007-RemoteEntanglement.html").is_file()
    result = link.analyse(load(path))
    for number in (
        result.probability,
        result.total.raw.fidelity,
        result.total.corrected.fidelity,
        result.total.raw.chsh,
    ):
        assert number.number() in text
    assert f"{result.total.raw.chsh.sigmas_from(2.0):+.1f} σ from 2" in text
    for row in (*result.patterns, *result.states):
        assert row.corrected.fidelity.number() in text
    assert text.count("<img") == 3


def test_the_page_says_which_run_and_which_target(link_page: tuple[Path, str]) -> None:
    text = link_page[1]
    for fact in ("RID 7 RemoteEntanglement", "<b>simulation</b>", "scenario default, seed 1", "kasli_soc", "artiq 8.9",
                 "pairs = 1400", "2023-11-1"):  # fmt: skip
        assert fact in text
    assert "Published" not in text and "departures" not in text


def test_a_published_scenario_is_compared_and_what_is_special_is_said(tmp_path: Path) -> None:
    special = {"run.scenario": "hofmann2012", "run.complete": np.int32(0), "run.versions": "<script>alert(1)</script>"}
    text = page_of(write(tmp_path, "RemoteEntanglement", 8, link_data(**special)))
    assert "Hofmann et al., Science 337, 72 (2012)" in text and "Unknown that was fitted: " in text
    assert "2.190 ± 0.090" in text and "predicted" in text and "bookkeeping only" in text
    assert "&lt;script&gt;" in text
    assert "did not end regularly" in text and "Bell-state fidelity" in text


def test_a_run_without_a_pair_says_so(tmp_path: Path) -> None:
    data = {key: value[:0] if key.startswith("shots.") else value for key, value in link_data().items()}
    text = page_of(write(tmp_path, "RemoteEntanglement", 11, data))
    assert "heralded no pair" in text
    bare = {key: value for key, value in data.items() if not key.startswith("shots.")}  # killed before its first shot
    lines = main_report(write(tmp_path, "RemoteEntanglement", 15, bare))
    assert "has no `shots.t_herald_mu`" in lines[0] and lines[-1].startswith("report: ")


def test_an_unknown_kind_of_run_lists_its_datasets(tmp_path: Path) -> None:
    text = page_of(write(tmp_path, "Other", 12, {"photons": np.arange(5), "run.target": "hardware"}))
    assert "photons" in text and "int64, shape (5,)" in text and "<b>hardware</b>" in text


def test_the_hom_page_states_visibility_raw_and_subtracted(tmp_path: Path) -> None:
    path = write(tmp_path, "HomInterference", 13, hom_datasets(np.random.default_rng(1), 0.9, 300, 1e-3))
    text = page_of(path)
    assert page_of(path) == text  # the same run gives the same page
    result = hom.analyse(load(path))
    assert result.raw.fit.visibility.number() in text and result.subtracted.fit.visibility.number() in text
    central = result.at(0.0, 8e-9)
    first, second = main_report(path)[:2]
    assert central is not None and first.startswith(f"Visibility without delay: {central.number()}")
    assert second.startswith(f"Visibility of the dip: {result.subtracted.fit.visibility.number()}")


def test_nothing_is_written_for_an_unreadable_file(tmp_path: Path) -> None:
    bad = tmp_path / "000000014-Bad.h5"
    bad.write_bytes(b"junk")
    with pytest.raises(DataError):
        report(bad)
    assert [path.name for path in tmp_path.iterdir()] == [bad.name]


def test_figures_carry_the_run_id_and_axes_with_units() -> None:
    run = as_run(link_data())
    result = link.analyse(run)
    drawn = [make(run, result) for make in (figures.correlators, figures.waiting, figures.readout)]
    photons = as_run(hom_datasets(np.random.default_rng(1), 0.9, 300), class_name="HomInterference")
    drawn.append(figures.hom(photons, hom.analyse(photons)))
    for figure in drawn:
        assert any(re.match(r"RID 7 \w+", text.get_text()) for text in figure.texts)
        assert figure.axes[0].get_ylabel() and figure.axes[-1].get_xlabel() + "".join(
            label.get_text() for label in figure.axes[-1].get_xticklabels()
        )
    assert figures.as_png(drawn[1]).startswith(b"\x89PNG")
    assert "(ns)" in drawn[-1].axes[-1].get_xlabel()
