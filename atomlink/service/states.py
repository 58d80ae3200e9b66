"""The states of a job, spelled as Warden does, and what may follow what."""

PENDING, RUNNING, DONE, CANCELED, ERROR = "PENDING", "RUNNING", "DONE", "CANCELED", "ERROR"

# From a state to those that may follow. RUNNING -> PENDING: its worker ended before it had begun (nothing was run).
TRANSITIONS: dict[str, frozenset[str]] = {
    PENDING: frozenset({RUNNING, CANCELED}),
    RUNNING: frozenset({DONE, ERROR, CANCELED, PENDING}),
    DONE: frozenset(),
    CANCELED: frozenset(),
    ERROR: frozenset(),
}
FINAL = frozenset(state for state, following in TRANSITIONS.items() if not following)


def may_follow(before: str, after: str) -> bool:
    """Say whether a job may go from one state to another."""
    return after in TRANSITIONS[before]
