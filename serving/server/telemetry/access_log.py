"""The access log: one JSON object per line for each request that has ended.

A request only puts a record into a queue; a thread writes the queued records a few
times a second. So a slow disk delays no request and a full one fails none: records
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
from typing import NamedTuple

import grpc
import orjson

from fovea.serving.server.errors import ServingError

log = logging.getLogger(__name__)

PAUSE_SECONDS = 0.2
MAX_RECORDS = 100_000

_TRACE_ID = slice(3, 35)  # of a traceparent: 00-<32 digits>-<16 digits>-<2 digits>


class Record(NamedTuple):
    """The fields of one line, in their order; None for what is not known."""

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
    """A file of records with the thread that writes it, until `close`.

    Args:
        path: A file, which is created again when it has been moved away; "-" is stderr.

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
        """Queue a record; never block."""
        if len(self._records) < MAX_RECORDS:
            self._records.append(record)
        else:
            self._dropped += 1

    def close(self) -> None:
        """Write the queued records and close the file."""
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
    """A file without a buffer, created again when it was moved away; "-" is stderr."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = self._open()

    def _open(self) -> io.FileIO:
        if self._path == "-":
            return io.FileIO(2, "wb", closefd=False)
        return io.FileIO(self._path, "ab")

    def write(self, lines: bytes) -> None:
        """Write all of the lines."""
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
        """Close the file."""
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
    """Log the requests of this process inside a `with` block; none without a path."""
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


def is_on() -> bool:
    """Return whether requests are logged now."""
    return _current is not None


def add(
    entrypoint: str,
    method: str,
    *,
    model: str,
    version: int | None,
    signature: str | None = None,
    code: grpc.StatusCode,
    seconds: float,
    peer: str,
    request_bytes: int | None = None,
    traceparent: str | bytes = "",
) -> None:
    """Log a request that has just ended, if requests are logged.

    Args:
        entrypoint: "GRPC" or "REST".
        method: The gRPC method, or the one that a REST request stands for.
        model: The model's name, "" without one.
        version: The version that served the request, else the requested one.
        signature: The signature's name.
        code: The outcome.
        seconds: How long the request took.
        peer: The client's address.
        request_bytes: The size of the request's body.
        traceparent: W3C's header with the trace that the request belongs to.
    """
    if _current is None:
        return
    _current.add(
        Record(
            time.time() - seconds,
            entrypoint,
            method,
            model,
            version,
            signature,
            code.name,
            1000 * seconds,
            peer,
            request_bytes,
            _trace_id(traceparent),
        )
    )


def _trace_id(traceparent: str | bytes) -> str | None:
    text = traceparent if isinstance(traceparent, str) else ""
    return text[_TRACE_ID] if len(text) >= 55 else None
