"""What the service says when it cannot answer: RFC 9457, one visible table of types.

The types are stable, for programs to act on; titles and details are for people. Never in there: a
stack trace, or what was asked.
"""

import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

LOG = logging.getLogger("honeyguide.serve")
PREFIX = "urn:honeyguide:problem:"
MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of problem: the end of its URI, its HTTP status, its title."""

    name: str
    status: int
    title: str


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("not-json", 400, "The body is not JSON"),
        Kind("not-found", 404, "There is nothing at this address"),
        Kind("method-not-allowed", 405, "This address does not take this method"),
        Kind("body-too-large", 413, "The body is larger than 1 MiB"),
        Kind("invalid-request", 422, "The request does not have the shape that was described"),
        Kind("k-too-large", 422, "More items were asked for than there are"),
        Kind("no-known-item", 422, "No item of the session is known"),
        Kind("internal", 500, "Something went wrong here"),
    )
}
_BY_STATUS = {404: "not-found", 405: "method-not-allowed"}


class Problem(Exception):
    """An answer that is a problem. detail: this case in words; more: further members."""

    def __init__(self, name: str, detail: str, **more: Any) -> None:
        super().__init__(name)
        self.kind, self.detail, self.more = KINDS[name], detail, more

    def response(self, headers: dict[str, str] | None = None) -> Response:
        """As it goes over the wire."""
        told = {
            "type": PREFIX + self.kind.name,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            **self.more,
        }
        return JSONResponse(told, self.kind.status, headers, MEDIA_TYPE)


def invalid(error: ValidationError) -> Problem:
    """What pydantic refused, field by field, without the values."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if found[0]["type"] == "json_invalid":
        return Problem("not-json", "The body could not be read as JSON in UTF-8.")
    errors = [{"field": _field(one["loc"]), "problem": one["msg"]} for one in found[:20]]
    first = errors[0]
    return Problem("invalid-request", f"{first['field']}: {first['problem']}.", errors=errors)


def _field(place: tuple[int | str, ...]) -> str:
    # pydantic names the branch of a union too (user_id.str), which nobody sent
    named = [str(part) for part in place if part not in ("int", "str", "constrained-str")]
    return ".".join(named) or "body"


def unforeseen(error: Exception) -> Problem:
    """Logs where it happened, but not the message, which may hold ids; the caller gets neither."""
    where = "".join(traceback.format_tb(error.__traceback__))
    LOG.error("%s while answering\n%s", type(error).__name__, where)
    return Problem("internal", "The request was in order; the service has logged what happened.")


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response()


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    name = _BY_STATUS.get(error.status_code, "invalid-request")
    headers = dict(error.headers or {})
    return Problem(name, f"{request.method} is not answered here.").response(headers)


async def _unforeseen(request: Request, error: Exception) -> Response:
    return unforeseen(error).response()


HANDLERS: dict[int | type[Exception], Callable[[Request, Any], Any]] = {
    Problem: _problem,
    HTTPException: _http,
    Exception: _unforeseen,
}
