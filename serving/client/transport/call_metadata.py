"""Send keys and values as metadata with every call of a channel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import grpc
import grpc.aio


class _Details(NamedTuple):
    """grpc.ClientCallDetails, for which gRPC has no class that can be instantiated."""

    method: str
    timeout: float | None
    metadata: Any
    credentials: Any
    wait_for_ready: bool | None
    compression: Any


class AddMetadata(grpc.UnaryUnaryClientInterceptor):
    """Interceptor that adds the metadata to the calls of a grpc.Channel."""

    def __init__(self, metadata: Mapping[str, str | bytes]):
        self._pairs = tuple(metadata.items())

    def intercept_unary_unary(
        self, continuation: Callable[..., Any], details: Any, request: Any
    ) -> Any:
        """Continue the call with the metadata added."""
        metadata = (*(details.metadata or ()), *self._pairs)
        return continuation(
            _Details(
                details.method,
                details.timeout,
                metadata,
                details.credentials,
                details.wait_for_ready,
                details.compression,
            ),
            request,
        )


class AddAioMetadata(grpc.aio.UnaryUnaryClientInterceptor):
    """Interceptor that adds the metadata to the calls of a grpc.aio.Channel."""

    def __init__(self, metadata: Mapping[str, str | bytes]):
        self._pairs = tuple(metadata.items())

    async def intercept_unary_unary(
        self, continuation: Callable[..., Any], details: Any, request: Any
    ) -> Any:
        """Continue the call with the metadata added."""
        metadata = grpc.aio.Metadata(*(details.metadata or ()), *self._pairs)
        return await continuation(details._replace(metadata=metadata), request)
