"""The states of a job, what may follow what, and how others spell them."""

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

# Warden's own spelling is ours; QRMI's and Slurm's beside it.
QRMI = {PENDING: "Queued", RUNNING: "Running", DONE: "Completed", CANCELED: "Cancelled", ERROR: "Failed"}
SLURM = {PENDING: "PENDING", RUNNING: "RUNNING", DONE: "COMPLETED", CANCELED: "CANCELLED", ERROR: "FAILED"}


def may_follow(before: str, after: str) -> bool:
    """Say whether a job may go from one state to another."""
    return after in TRANSITIONS[before]
