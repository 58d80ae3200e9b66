"""The exception tree that every room of the repository shares.

A message says what it was, what it must be and what to do, in one line: the command prints it as it is.
"""


class LabError(Exception):
    """Base of every error that atomlink raises on purpose."""


class DeviceError(LabError):
    """A device refused, misbehaved, or was asked for what it cannot do."""


class TimingError(LabError):
    """A sequence cannot be played as written: a register too narrow, a gate before its light."""


class DataError(LabError):
    """A file or dataset is missing, damaged or of the wrong shape."""


class ScenarioError(LabError):
    """A scenario (the hidden truth of a simulated lab) is not valid."""


class UsageError(LabError):
    """A command or an argument names something that does not exist or is out of range."""


def brief(value: object, most: int = 80) -> str:
    """Return a value as a message shows it: on one line, and cut where it is long or cannot be written at all."""
    try:
        text = " ".join(repr(value).split())
    except (ValueError, RecursionError):  # an integer of thousands of digits, lists within lists without end
        return f"of {type(value).__name__}, too long to be shown"
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"
