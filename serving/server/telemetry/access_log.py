"""The access log: one JSON object a line for each request that was answered.

A request only leaves a record in a queue; a thread writes what has gathered, a few
times a second. So a slow disk slows no request down, a full one fails none: records
that cannot be kept are dropped, and the next line that can be written counts them.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import orjson

from fovea.serving.server.errors import ServingError
from fovea.serving.server.rest import messages as rest_messages

log = logging.getLogger(__name__)

PAUSE_SECONDS = 0.2
MAX_RECORDS = 100_000

_TRACE_ID = slice(3, 35)  # of a traceparent: 00-<32 digits>-<16 digits>-<2 digits>


class Record(NamedTuple):
    """What is told of one request; None for what is not known."""

    time: float
    entrypoint: str
    method: str
    model: str
    version: int | None
    signature: str | None
    code: str
    duration_ms: float
    peer: str
    request_bytes: int | None
    trace_id: str | None


class AccessLog:
    """Writes records, on a thread of its own, until ``close``.

    Args:
        path: A file, which is opened again when it was moved away; "-" is stderr.

    Raises:
        ServingError: The file cannot be written.
    """

    def __init__(self, path: str) -> None:
        try:
            self._file = _File(path)
        except OSError as error:
            raise ServingError(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"--access_log={path} cannot be written: {error.strerror}",
            ) from None
        self._records: deque[Record] = deque()
        self._dropped = 0
        self._failing = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._write_until_closed, daemon=True)
        self._thread.start()

    def add(self, record: Record) -> None:
        """Have a record written soon; never blocks."""
        if len(self._records) < MAX_RECORDS:
            self._records.append(record)
        else:
            self._dropped += 1

    def close(self) -> None:
        """Write what has gathered, and end."""
        self._closed.set()
        self._thread.join(2)
        if not self._thread.is_alive():
            self._file.close()

    def _write_until_closed(self) -> None:
        while not self._closed.wait(PAUSE_SECONDS):
            self._write()
        self._write()

    def _write(self) -> None:
        records = [self._records.popleft() for _ in range(len(self._records))]
        dropped, self._dropped = self._dropped, 0
        if not records and not dropped:
            return
        lines = [_line(record) for record in records]
        if dropped:
            lines.append(orjson.dumps({"dropped": dropped}).decode() + "\n")
        try:
            self._file.write("".join(lines).encode())
            self._failing = False
        except OSError as error:
            self._dropped += len(records) + dropped
            if not self._failing:  # once, not five times a second
                log.error("The access log cannot be written: %s", error)
            self._failing = True


class _File:
    """A file without a buffer, begun anew when it was moved away; "-" is stderr."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = self._open()

    def _open(self) -> io.FileIO:
        if self._path == "-":
            return io.FileIO(2, "wb", closefd=False)
        return io.FileIO(self._path, "ab")

    def write(self, lines: bytes) -> None:
        """Write all of it."""
        if self._path != "-" and self._moved():
            self._file.close()
            self._file = self._open()
        rest = memoryview(lines)
        while rest:
            rest = rest[self._file.write(rest) :]

    def _moved(self) -> bool:
        try:
            now = Path(self._path).stat()
        except FileNotFoundError:
            return True
        return not os.path.samestat(now, os.fstat(self._file.fileno()))

    def close(self) -> None:
        """Leave it."""
        self._file.close()


def _line(record: Record) -> str:
    fields = record._asdict()
    moment = datetime.fromtimestamp(record.time, timezone.utc)
    text = moment.isoformat(timespec="milliseconds")
    fields["time"] = text.replace("+00:00", "Z")
    fields["duration_ms"] = round(record.duration_ms, 3)
    return orjson.dumps(fields).decode() + "\n"


_current: AccessLog | None = None


@contextlib.contextmanager
def writing(path: str) -> Iterator[None]:
    """Log the requests of this process inside a ``with`` block; none without a path."""
    global _current
    if not path:
        yield
        return
    _current = AccessLog(path)
    try:
        yield
    finally:
        _current.close()
        _current = None


def call(
    method: str,
    request: Any,
    reply: Any,
    code: grpc.StatusCode,
    seconds: float,
    context: grpc.ServicerContext,
) -> None:
    """Leave a record of a gRPC call that has just ended and took so long."""
    if _current is not None:
        began = time.time() - seconds
        _current.add(_record(began, method, request, reply, code, seconds, context))


def _record(
    began: float,
    method: str,
    request: Any,
    reply: Any,
    code: grpc.StatusCode,
    seconds: float,
    context: grpc.ServicerContext,
) -> Record:
    asked = _spec(request)
    told = _spec(reply) or asked
    version = signature = None
    if told is not None:
        version = told.version.value if told.HasField("version") else None
        signature = told.signature_name or None
    metadata = dict(context.invocation_metadata())
    return Record(
        began,
        "GRPC",
        method,
        asked.name if asked is not None else "",
        version,
        signature,
        code.name,
        1000 * seconds,
        context.peer(),
        None,  # to count them would be to serialise the request once more
        trace_id(metadata.get("traceparent", "")),
    )


def _spec(message: Any) -> Any:
    """The first ModelSpec in a message, None without one."""
    for field in ("tasks", "results"):  # of MultiInference
        several = getattr(message, field, None)
        if several:
            message = several[0]
    return getattr(message, "model_spec", None)


def rest(
    method: str, spec: Any, request: rest_messages.Request, code: grpc.StatusCode
) -> None:
    """Leave a record of a REST request, its wait for a thread included."""
    if _current is None:
        return
    seconds = time.monotonic() - request.arrived
    _current.add(
        Record(
            time.time() - seconds,
            "REST",
            method,
            spec.name,
            spec.version.value if spec.HasField("version") else None,
            None,
            code.name,
            1000 * seconds,
            request.peer,
            len(request.body),
            trace_id(request.headers.get("traceparent", "")),
        )
    )


def trace_id(traceparent: str | bytes) -> str | None:
    """The id of the trace that a W3C ``traceparent`` names."""
    text = traceparent if isinstance(traceparent, str) else ""
    return text[_TRACE_ID] if len(text) >= 55 else None
