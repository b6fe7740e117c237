"""The service: a saved recommender over HTTP, first version.

POST /v1/recommendations and GET /livez. The work of the model runs in as many threads as there are
cores, so that /livez answers meanwhile. Not here: an event log, keys, metrics.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Request
from pydantic import ValidationError

from honeyguide import __version__
from honeyguide.errors import CallError, InputError
from honeyguide.recommender import Recommender
from honeyguide.serve.answers import reply
from honeyguide.serve.problems import HANDLERS, KINDS, MEDIA_TYPE, Problem, invalid, unforeseen
from honeyguide.serve.wire import MOST_BODY, Question, Reply


def create_app(rec: Recommender, version: str) -> FastAPI:
    """The service of a recommender. version: what answers call the model."""
    threads = CapacityLimiter(os.cpu_count() or 1)

    @asynccontextmanager
    async def warm(app: FastAPI) -> AsyncIterator[None]:
        await to_thread.run_sync(warm_up, rec)
        yield

    app = FastAPI(
        title="Honeyguide",
        version=__version__,
        lifespan=warm,
        exception_handlers=HANDLERS,
        docs_url=None,  # both pages would fetch their scripts from elsewhere
        redoc_url=None,
    )

    @app.get("/livez")
    async def livez() -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "ok"}

    @app.post("/v1/recommendations", openapi_extra=_described(), responses=_PROBLEMS)
    async def recommendations(request: Request) -> Reply:
        """The k best items for a user or a session."""
        try:
            question = Question.model_validate_json(await _body(request))
        except ValidationError as error:
            raise invalid(error) from None
        try:
            return await to_thread.run_sync(answer, rec, question, version, limiter=threads)
        except Problem:
            raise
        except Exception as error:
            raise unforeseen(error) from None

    return app


def answer(rec: Recommender, question: Question, version: str) -> Reply:
    """Ask a recommender. Raises Problem."""
    most = rec.state.scorable - 1
    if question.k > most:
        raise Problem("k-too-large", f"k = {question.k}, but there are {most} items.", most=most)
    session = question.session
    if session and not rec.state.items.vocab.numbers(session).any():
        raise Problem("no-known-item", "None of its items is in the catalogue.")
    asked = [question.user_id] if session is None else [session]
    try:
        told = rec.answer(
            asked, question.k, candidates=question.candidates, exclude_seen=question.exclude_seen
        )
    except (CallError, InputError) as error:  # any other is no fault of the question
        raise Problem("invalid-request", error.wrong) from None
    return reply(rec, told, version, question.candidates)


def warm_up(rec: Recommender) -> None:
    """One answer to nobody and one to a history, so that no caller waits for what starts once."""
    first = rec.state.items.vocab.names[0]
    rec.answer([[], [first]], min(10, rec.state.scorable - 1))


async def _body(request: Request) -> bytes:
    announced = request.headers.get("content-length", "")
    parts, size = [], 0
    if announced.isdigit() and int(announced) > MOST_BODY:
        raise Problem("body-too-large", f"{announced} bytes were announced.", most=MOST_BODY)
    async for part in request.stream():
        size += len(part)
        if size > MOST_BODY:
            raise Problem("body-too-large", "Reading stopped there.", most=MOST_BODY)
        parts.append(part)
    return b"".join(parts)


_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": "; ".join(kind.title for kind in KINDS.values() if kind.status == status),
        "content": {MEDIA_TYPE: {}},
    }
    for status in (400, 413, 422, 500)
}


def _described() -> dict[str, Any]:
    """The body, for /openapi.json; it is read by hand, so that every refusal is ours."""
    schema = Question.model_json_schema()
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
