"""The HTTP application: the files of the page, and JSON about models and images.

| request | body | response |
|---|---|---|
| GET / , GET /static/... | | the page |
| GET /api/models | | `server`, and the `models` of the command line |
| GET /api/models/NAME | | the properties of a model |
| POST /api/models/NAME/drawing | a drawing, white on black | its analysis |
| POST /api/models/NAME/file | an image file | its analysis |
| POST /api/models/NAME/photo | an image file with one digit on it | its analysis |

`?class=ID` after a POST selects the class of the heat map; it is the predicted class by
default. The body of an error response is `{"error": SENTENCE}`.
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
from fovea.serving.web.inputs import ModelInput
from fovea.serving.web.model_calls import ModelCalls
from fovea.serving.web.servable import Servable

T = TypeVar("T")

STATIC = Path(__file__).parent / "static"
# Photographs have a few MB.
MAX_UPLOAD_BYTES = 20 * 2**20

_CLIENT_CLOSED_REQUEST = 499  # nginx's code, which no client reads
_STATUS: tuple[tuple[type[ClientError], int], ...] = (
    (BadImage, 422),
    (ModelNotFound, 404),
    (InvalidRequest, 422),
    (ServerUnavailable, 503),
    (DeadlineExceeded, 504),
)
PREPARE: dict[str, Callable[[bytes, Servable], ModelInput]] = {
    "drawing": inputs.from_drawing,
    "file": inputs.from_file,
    "photo": inputs.from_photo_of_digit,
}


def make_app(connection: dict[str, Any], models: Sequence[str], host: str) -> Starlette:
    """Return the page as an ASGI application.

    Args:
        connection: Keyword arguments of AsyncClient for the server with the models.
        models: Names of models to choose from; without any the page has a text field.
        host: Host name of the page.
    """
    client = AsyncClient(**connection)
    target = connection["target"]
    server = target if isinstance(target, str) else ", ".join(target)
    calls = ModelCalls(client)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with client:
            yield

    async def list_models(request: Request) -> Response:
        return JSONResponse({"server": server, "models": list(models)})

    async def describe(request: Request) -> Response:
        servable = await calls.describe(request.path_params["model"])
        return JSONResponse(json_values.describe_servable(servable))

    async def analyse(request: Request) -> Response:
        model, kind = request.path_params["model"], request.path_params["kind"]
        if kind not in PREPARE:
            kinds = ", ".join(PREPARE)
            raise HTTPException(
                404, f"An image is sent as one of {kinds}. Received: {kind}"
            )
        class_id = _class_id(request)
        data = await _read(request)
        analysis = calls.analyse(model, PREPARE[kind], data, class_id)
        result = await _unless_disconnected(request, analysis)
        if result is None:
            return Response(status_code=_CLIENT_CLOSED_REQUEST)
        return JSONResponse(json_values.describe_analysis(*result))

    return Starlette(
        routes=[
            Route("/", _index),
            Route("/api/models", list_models),
            Route("/api/models/{model}", describe),
            Route("/api/models/{model}/{kind}", analyse, methods=["POST"]),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        lifespan=lifespan,
        middleware=[Middleware(Guard, host=host)],
        exception_handlers={
            ClientError: _client_error,
            ClientDisconnect: _disconnected,
            HTTPException: _http_error,
            Exception: _unexpected,
        },
    )


async def _index(request: Request) -> Response:
    return FileResponse(STATIC / "index.html")


def _class_id(request: Request) -> int | None:
    text = request.query_params.get("class")
    if text is None:
        return None
    if not re.fullmatch("[0-9]{1,9}", text):
        raise HTTPException(422, f"A class must be an integer. Received: class={text}")
    return int(text)


async def _read(request: Request) -> bytes:
    """Return the body of a request.

    Raises:
        HTTPException: As soon as it is known to be too large.
    """
    too_large = HTTPException(
        413,
        f"An image may have up to {MAX_UPLOAD_BYTES // 2**20} MB; this has more.",
    )
    if int(request.headers.get("content-length", "0")) > MAX_UPLOAD_BYTES:
        raise too_large
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > MAX_UPLOAD_BYTES:
            raise too_large
    return bytes(data)


async def _unless_disconnected(
    request: Request, work: Coroutine[Any, Any, T]
) -> T | None:
    """Return the result of the work; None if the browser drops the request before.

    While a user draws, the page drops each request for the next.
    """
    task = asyncio.ensure_future(work)
    disconnect = asyncio.ensure_future(_disconnect(request))
    try:
        await asyncio.wait({task, disconnect}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        disconnect.cancel()
        task.cancel()


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _client_error(request: Request, error: Exception) -> Response:
    status = next((s for cls, s in _STATUS if isinstance(error, cls)), 502)
    return JSONResponse({"error": str(error)}, status_code=status)


def _disconnected(request: Request, error: Exception) -> Response:
    return Response(status_code=_CLIENT_CLOSED_REQUEST)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, status_code=error.status_code)


def _unexpected(request: Request, error: Exception) -> Response:
    sentence = "The page failed; the terminal of `fovea web` shows the error."
    return JSONResponse({"error": sentence}, status_code=500)
