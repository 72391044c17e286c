"""The options of calls that both clients share."""

from __future__ import annotations

from collections.abc import Sequence

import grpc

from fovea.serving.client.calls.effects import Call
from fovea.serving.client.calls.requests import version_text
from fovea.serving.client.calls.status_errors import to_client_error
from fovea.serving.client.errors import ClientError


class CallOptions:
    """How calls are made; see `Client` for the arguments.

    Raises:
        ValueError: If `timeout` or `in_flight` is not positive.
    """

    def __init__(
        self,
        target: str | Sequence[str],
        timeout: float,
        wait_for_ready: bool,
        in_flight: int,
        check: bool,
    ):
        self.target = target
        self.timeout = timeout
        self.wait_for_ready = wait_for_ready
        self.in_flight = in_flight
        self.check = check
        self.seconds(timeout)
        if in_flight < 1:
            raise ValueError(
                f"in_flight is at least 1. Received: in_flight={in_flight}"
            )

    @property
    def address(self) -> str:
        """The target as one string, for error messages."""
        return self.target if isinstance(self.target, str) else ", ".join(self.target)

    def seconds(self, timeout: float | None) -> float:
        """Return the timeout of each request in seconds; None takes the default."""
        seconds = self.timeout if timeout is None else timeout
        if not seconds > 0:
            raise ValueError(f"A timeout is above 0 s. Received: timeout={seconds}")
        return seconds

    def to_error(
        self, error: grpc.RpcError, call: Call, timeout: float | None
    ) -> ClientError:
        """Convert the gRPC error of a call to an error for the user."""
        spec = getattr(call.request, "model_spec", None)
        return to_client_error(
            error,
            target=self.address,
            timeout=self.seconds(timeout),
            model=spec.name if spec else "",
            version=version_text(spec) if spec else "",
        )
