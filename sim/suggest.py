"""The known name that a mistyped one was meant to be."""

from collections.abc import Iterable


def closest(name: str, known: Iterable[str]) -> str:
    """Return ` (did you mean …?)` where a known name is close to the one given, else nothing."""
    import difflib  # only ever needed for an error

    match = difflib.get_close_matches(name, list(known), 1)
    return f" (did you mean `{match[0]}`?)" if match else ""
