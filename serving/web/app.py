"""The page's HTTP side: its files, and JSON about models and pictures.

| request | body | answer |
|---|---|---|
| GET / , GET /static/... | | the page |
| GET /api/models | | `server`, and the `models` that the command named |
| GET /api/models/NAME | | what the model takes |
| POST /api/models/NAME/drawing | an image, white on black | its answer |
| POST /api/models/NAME/file | an image file | its answer |
| POST /api/models/NAME/photo | an image file with one digit on it | its answer |

`?class=ID` after a POST asks for the heat map of another class than the answer.
What goes wrong is `{"error": SENTENCE}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from fovea.serving.client.aio import AsyncClient
from fovea.serving.client.errors import (
    BadImage,
    ClientError,
    DeadlineExceeded,
    InvalidRequest,
    ModelNotFound,
    ServerUnavailable,
)
from fovea.serving.web import inputs, json_values
from fovea.serving.web.guard import Guard
from fovea.serving.web.inputs import Question
from fovea.serving.web.model_calls import Asker
from fovea.serving.web.servable import Servable

T = TypeVar("T")

STATIC = Path(__file__).parent / "static"
# A photograph has a few MB.
LARGEST_UPLOAD = 20 * 2**20

_CLIENT_GONE = 499  # nginx's; nobody reads it
_STATUS: tuple[tuple[type[ClientError], int], ...] = (
    (BadImage, 422),
    (ModelNotFound, 404),
    (InvalidRequest, 422),
    (ServerUnavailable, 503),
    (DeadlineExceeded, 504),
)
PREPARE: dict[str, Callable[[bytes, Servable], Question]] = {
    "drawing": inputs.from_drawing,
    "file": inputs.from_file,
    "photo": inputs.from_photo_of_digit,
}


def make_app(connection: dict[str, Any], models: Sequence[str], host: str) -> Starlette:
    """Return the page as an ASGI application.

    Args:
        connection: keyword arguments of AsyncClient, for the server with the models.
        models: names to choose from; the page asks for one if there are none.
        host: the name that the page is served under.
    """
    client = AsyncClient(**connection)
    target = connection["target"]
    server = target if isinstance(target, str) else ", ".join(target)
    asker = Asker(client)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with client:
            yield

    async def list_models(request: Request) -> Response:
        return JSONResponse({"server": server, "models": list(models)})

    async def describe(request: Request) -> Response:
        servable = await asker.describe(request.path_params["model"])
        return JSONResponse(json_values.of_servable(servable))

    async def ask(request: Request) -> Response:
        model, kind = request.path_params["model"], request.path_params["kind"]
        if kind not in PREPARE:
            kinds = ", ".join(PREPARE)
            raise HTTPException(404, f"One asks by {kinds}. Received: {kind}")
        why = _class(request)
        data = await _read(request)
        answer = asker.answer(model, PREPARE[kind], data, why)
        found = await _unless_gone(request, answer)
        if found is None:
            return Response(status_code=_CLIENT_GONE)
        return JSONResponse(json_values.of_answer(*found))

    return Starlette(
        routes=[
            Route("/", _index),
            Route("/api/models", list_models),
            Route("/api/models/{model}", describe),
            Route("/api/models/{model}/{kind}", ask, methods=["POST"]),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        lifespan=lifespan,
        middleware=[Middleware(Guard, host=host)],
        exception_handlers={
            ClientError: _client_error,
            ClientDisconnect: _client_gone,
            HTTPException: _http_error,
            Exception: _unexpected,
        },
    )


async def _index(request: Request) -> Response:
    return FileResponse(STATIC / "index.html")


def _class(request: Request) -> int | None:
    text = request.query_params.get("class")
    if text is None:
        return None
    if not re.fullmatch("[0-9]{1,9}", text):
        raise HTTPException(422, f"A class is a whole number. Received: class={text}")
    return int(text)


async def _read(request: Request) -> bytes:
    """Return a request's body.

    Raises:
        HTTPException: if it is too large, as soon as that is known.
    """
    too_large = HTTPException(
        413,
        f"A picture may have up to {LARGEST_UPLOAD // 2**20} MB; this has more.",
    )
    if int(request.headers.get("content-length", "0")) > LARGEST_UPLOAD:
        raise too_large
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > LARGEST_UPLOAD:
            raise too_large
    return bytes(data)


async def _unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T | None:
    """Return what the work gives; None if nobody waits for it any more.

    While somebody draws, the page gives up each question for the next.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnect(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        gone.cancel()
        task.cancel()


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _client_error(request: Request, error: Exception) -> Response:
    status = next((s for kind, s in _STATUS if isinstance(error, kind)), 502)
    return JSONResponse({"error": str(error)}, status_code=status)


def _client_gone(request: Request, error: Exception) -> Response:
    return Response(status_code=_CLIENT_GONE)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, status_code=error.status_code)


def _unexpected(request: Request, error: Exception) -> Response:
    sentence = "The page failed; the terminal that `fovea web` runs in shows where."
    return JSONResponse({"error": sentence}, status_code=500)
