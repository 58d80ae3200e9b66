"""Run the claims of a kind of instrument on each of its rows, and on each of its set points."""

import pytest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    kind = metafunc.cls
    if "row" in metafunc.fixturenames:
        metafunc.parametrize("row", kind.ROWS)
    if "point" in metafunc.fixturenames:
        metafunc.parametrize("point", kind.SET_POINTS, ids=[point.setter for point in kind.SET_POINTS])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out claims on set points for instruments that have none."""
    items[:] = [item for item in items
                if "point" not in getattr(item, "fixturenames", ()) or item.cls.SET_POINTS]  # type: ignore[attr-defined]
