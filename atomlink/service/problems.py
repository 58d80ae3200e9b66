"""What a refused request is answered with: a JSON problem with its remedy.  Source: RFC 9457."""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

TYPE = "tag:atomlink,2026:problem/"  # a name, not a page to be fetched
MEDIA_TYPE = "application/problem+json"


@dataclass
class Problem(Exception):  # noqa: N818 - RFC 9457's word
    """A request that cannot be served: what it was, and what to do."""

    status: int
    kind: str        # the end of the problem's `type`: "not-found"
    detail: str
    remedy: str
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.detail}: {self.remedy}"

    def body(self) -> dict[str, Any]:
        """Return the members of the problem."""
        return {"type": TYPE + self.kind, "title": HTTPStatus(self.status).phrase, "status": self.status,
                "detail": self.detail, "remedy": self.remedy}  # fmt: skip


def bad_request(detail: str, remedy: str) -> Problem:
    """Return the problem of a request that says something wrong."""
    return Problem(400, "bad-request", detail, remedy)


def not_found(what: str) -> Problem:
    """Return the problem of what is not there, or is another's: the two must look the same."""
    return Problem(404, "not-found", f"there is no {what} of yours", "see what there is with GET on the collection")
