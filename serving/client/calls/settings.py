"""What both clients are told when they are made, and how they read a failed call."""

from __future__ import annotations

from collections.abc import Sequence

import grpc

from fovea.serving.client.calls.effects import Call
from fovea.serving.client.calls.requests import asked
from fovea.serving.client.calls.status_errors import explain
from fovea.serving.client.errors import ClientError


class Settings:
    """How to ask; see Client for the meaning of each.

    Raises:
        ValueError: if `timeout` or `in_flight` is not positive.
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
                f"At least one request is under way. Received: in_flight={in_flight}"
            )

    @property
    def address(self) -> str:
        """The target, as errors name it."""
        return self.target if isinstance(self.target, str) else ", ".join(self.target)

    def seconds(self, timeout: float | None) -> float:
        """The time that each request of a call may take."""
        seconds = self.timeout if timeout is None else timeout
        if not seconds > 0:
            raise ValueError(f"A timeout is above 0 s. Received: timeout={seconds}")
        return seconds

    def explain(
        self, failed: grpc.RpcError, call: Call, timeout: float | None
    ) -> ClientError:
        """Say in words why a call has failed."""
        spec = getattr(call.request, "model_spec", None)
        return explain(
            failed,
            target=self.address,
            timeout=self.seconds(timeout),
            model=spec.name if spec else "",
            asked=asked(spec) if spec else "",
        )
