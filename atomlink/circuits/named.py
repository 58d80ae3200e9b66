"""Circuits that come along, by name, or a file's: OpenQASM text."""

from pathlib import Path

from atomlink.circuits.circuit import CircuitError
from atomlink.errors import brief

FOLDER = Path(__file__).parent / "examples"


def names() -> list[str]:
    """Return the names of the circuits that come along."""
    return sorted(path.stem for path in FOLDER.glob("*.qasm"))


def source(text: str) -> str:
    """Return the OpenQASM of a circuit by name or file; a run is in results/DATE/HOUR of where it was started.

    Raises CircuitError where there is neither.
    """
    paths = (FOLDER / f"{text}.qasm", Path(text), Path("../../..") / text)
    try:
        return next((path for path in paths if _there(path)), Path(text)).read_text()
    except (OSError, ValueError) as error:
        raise CircuitError(f"Argument circuit={brief(text)} is no OpenQASM file ({type(error).__name__}), and none of "
                           f"{', '.join(names())}.") from None  # fmt: skip


def _there(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False
