"""Which Pythons and which libraries the suite is tried with: read from pyproject.toml, and nowhere else."""

import runpy
from importlib.metadata import distributions, version
from pathlib import Path

import pytest

TOOL = runpy.run_path(str(Path(__file__).parents[1] / "pythons.py"))
lowest, number, plan, project = TOOL["lowest"], TOOL["number"], TOOL["plan"], TOOL["project"]


def table(*dependencies: str, **extras: list[str]) -> dict[str, object]:
    return {"name": "lab", "dependencies": list(dependencies), "optional-dependencies": extras}


def test_the_lowest_versions_are_the_bounds_of_every_extra_but_artiqs() -> None:
    found = lowest(table("numpy>=2.1", test=["pytest>=8.3"], dev=["lab[test]"], artiq=["llvmlite==0.44.0"]))
    assert found == ["numpy==2.1", "pytest==8.3"]


@pytest.mark.parametrize("need", ["numpy", "numpy<3", "numpy>=2,<3", "numpy~=2.1"])
def test_a_requirement_without_a_bound_that_was_tried_is_refused(need: str) -> None:
    with pytest.raises(ValueError, match="must be `name>=version`"):
        lowest(table(need))


def test_nothing_installed_here_is_older_than_its_bound() -> None:
    """What an extra that is not installed here would bring is passed over."""
    installed = {distribution.name.lower().replace("_", "-") for distribution in distributions()}
    bounds = [constraint.split("==") for constraint in lowest(project())]
    here = [(name, bound) for name, bound in bounds if name.lower().replace("_", "-") in installed]
    assert len(here) > 20
    assert {name: version(name) for name, bound in here if number(version(name)) < number(bound)} == {}


def test_each_python_is_tried_and_both_ends_of_the_libraries() -> None:
    pythons = [(3, 11), (3, 12), (3, 13)]
    assert plan(pythons, ends=True) == [((3, 11), "lowest"), ((3, 13), "newest")]
    assert plan(pythons, ends=False) == [*((minor, "newest") for minor in pythons), ((3, 11), "lowest"),
                                         ((3, 13), "lowest")]  # fmt: skip
    assert plan([(3, 12)], ends=True) == [((3, 12), "lowest"), ((3, 12), "newest")]


def test_a_shim_that_does_not_run_is_passed_over_and_the_newest_patch_taken(tmp_path, monkeypatch) -> None:
    scripts = {"shims/python3.12": "exit 127", "versions/3.12.1/bin/python3": "echo 3.12.1",
               "versions/3.12.10/bin/python3": "echo 3.12.10", "versions/3.9.1/bin/python3": "echo 3.9.1"}
    for name, line in scripts.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "shims"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert TOOL["found"]([(3, 11), (3, 12)]) == {(3, 12): str(tmp_path / "versions/3.12.10/bin/python3")}
