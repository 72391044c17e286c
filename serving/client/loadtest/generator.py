"""The load generator of `fovea load`, benchmarks and tests.

Requests are serialised in advance and responses are not parsed, so that the generator
takes as little as possible of CPUs that it may share with the server. It should run in
a process of its own: `python -m fovea.serving.client.loadtest.generator` reads jobs
from standard input, a JSON object per line, and prints an outcome for each.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from fovea.serving.client.transport.channel import open_aio_channel

PREDICT = "/tensorflow.serving.PredictionService/Predict"
PERCENTILES = (50, 90, 99, 99.9)
# Different error texts that are counted; texts with a port or an id have no bound.
_MAX_TEXTS = 100
# A generator that is late yields to the event loop after so many requests.
_REQUESTS_PER_YIELD = 16
# The longest sleep between two checks whether the generator was stopped.
_MAX_SLEEP_SECONDS = 0.1


@dataclass(frozen=True)
class Load:
    """What to send, and how.

    Attributes:
        requests: Serialised requests, which are sent in turn.
        seconds: Duration of the measurement.
        rate: Requests per second of an open loop: they are sent at the random times of
            a Poisson process, however many are still under way. 0 for a closed loop.
        clients: Clients of a closed loop, each of which sends its next request after
            the response to the last one.
        warm_up: Seconds of the same load before the measurement.
        timeout: Timeout of a request in seconds.
        deadline: Latency in seconds up to which a response counts as in time.
        method: Path of the gRPC method.
        output: Name of a float32 output; responses are counted by model version and
            its first value. Costs CPU time, since responses are parsed then.
    """

    requests: Sequence[bytes]
    seconds: float
    rate: float = 0.0
    clients: int = 1
    warm_up: float = 0.0
    timeout: float = 60.0
    deadline: float = math.inf
    method: str = PREDICT
    output: str | None = None

    @property
    def name(self) -> str:
        """The rate or the number of clients, such as "20/s" or "4 clients"."""
        if self.rate:
            return f"{self.rate:,g}/s"
        return f"{self.clients} client{'s' if self.clients > 1 else ''}"


@dataclass
class Outcome:
    """The measurements of a load.

    Attributes:
        seconds: Duration of the measurement.
        lasted: Seconds from its start until the last response.
        sent: Requests that were scheduled within the measurement and were sent.
        unsent: Requests that were scheduled within it but not sent before its end.
        codes: Counts of the requests in `sent` by status code.
        details: Counts of the failed ones by status message.
        answered: Successful responses within the measurement, also to earlier requests.
        in_time: Those of them within the deadline.
        rate: Successful responses per second.
        goodput: Successful responses within the deadline per second.
        milliseconds: Percentiles of the latencies of the successful requests in `sent`,
            from the time at which each was scheduled (nan if there are none).
        longest: The longest of these latencies, in milliseconds.
        late: 99th percentile of the delay in milliseconds with which requests were
            sent. If it is of the size of the latencies, the generator distorts them.
        cpus: CPUs that the generator kept busy.
        answers: Triples of model version, value of `Load.output` and count.
        latencies: Pairs of the scheduled time since the start of the measurement and
            the latency, in seconds, of each successful request in `sent`.
    """

    seconds: float = 0.0
    lasted: float = 0.0
    sent: int = 0
    unsent: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    details: Counter[str] = field(default_factory=Counter)
    answered: int = 0
    in_time: int = 0
    rate: float = 0.0
    goodput: float = 0.0
    milliseconds: dict[str, float] = field(default_factory=dict)
    longest: float = math.nan
    late: float = 0.0
    cpus: float = 0.0
    answers: list[tuple[int, float, int]] = field(default_factory=list)
    latencies: list[tuple[float, float]] = field(default_factory=list, repr=False)

    def summary(self) -> dict[str, Any]:
        """Return all but the single latencies as values for JSON, with None for nan."""
        values = {
            name: value for name, value in vars(self).items() if name != "latencies"
        }
        values["milliseconds"] = {p: _finite(ms) for p, ms in self.milliseconds.items()}
        return {**values, "longest": _finite(self.longest), "late": _finite(self.late)}


class Generator:
    """Sends one load over one channel and measures it."""

    def __init__(self, load: Load, channel: grpc.aio.Channel) -> None:
        self._load = load
        self._call = channel.unary_unary(load.method)
        self._outcome = Outcome()
        self._late: list[float] = []
        self._answers: Counter[tuple[int, float]] = Counter()
        self._next = 0  # index of the next request
        self._begin = self._end = 0.0

    async def run(self) -> Outcome:
        """Send the load, wait for the last responses, and return the measurements."""
        load, outcome = self._load, self._outcome
        self._begin = time.perf_counter() + load.warm_up
        self._end = self._begin + load.seconds
        cpu = time.process_time()

        def begin() -> None:
            nonlocal cpu
            cpu = time.process_time()

        asyncio.get_running_loop().call_later(load.warm_up, begin)
        under_way = await (self._open_loop() if load.rate else self._closed_loop())
        while (remaining := self._end - time.perf_counter()) > 0:
            await asyncio.sleep(min(remaining, _MAX_SLEEP_SECONDS))
        lasted = time.perf_counter() - self._begin
        outcome.cpus = (time.process_time() - cpu) / max(lasted, 1e-3)
        await asyncio.gather(*under_way)
        outcome.lasted = time.perf_counter() - self._begin
        outcome.seconds = max(self._end - self._begin, 0.0)
        outcome.rate = outcome.answered / max(outcome.seconds, 1e-3)
        outcome.goodput = outcome.in_time / max(outcome.seconds, 1e-3)
        outcome.milliseconds, outcome.longest = _percentiles(
            [1000 * latency for _, latency in outcome.latencies]
        )
        outcome.late = _percentiles([1000 * late for late in self._late])[0]["99"]
        outcome.answers = [(*answer, n) for answer, n in self._answers.items()]
        return outcome

    def stop(self) -> None:
        """Send no further requests; `run` returns after the last responses."""
        self._end = min(self._end, time.perf_counter())

    async def _closed_loop(self) -> set[asyncio.Task[None]]:
        async def client() -> None:
            while (now := time.perf_counter()) < self._end:
                await self._send(now)

        return {asyncio.create_task(client()) for _ in range(self._load.clients)}

    async def _open_loop(self) -> set[asyncio.Task[None]]:
        arrivals = random.Random(0)
        intended = time.perf_counter()
        under_way: set[asyncio.Task[None]] = set()
        late = 0
        while intended < self._end:
            now = time.perf_counter()
            if now < intended:
                late = 0
                await asyncio.sleep(min(intended - now, _MAX_SLEEP_SECONDS))
                continue
            if now < self._end:
                late += 1
                if late % _REQUESTS_PER_YIELD == 0:
                    await asyncio.sleep(0)
                task = asyncio.create_task(self._send(intended))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
            elif intended >= self._begin:
                self._outcome.unsent += 1
            intended += arrivals.expovariate(self._load.rate)
        return under_way

    async def _send(self, intended: float) -> None:
        outcome, load = self._outcome, self._load
        request = load.requests[self._next % len(load.requests)]
        self._next += 1
        counted = self._begin <= intended
        if counted:
            outcome.sent += 1
            self._late.append(time.perf_counter() - intended)
        try:
            response = await self._call(request, timeout=load.timeout)
        except grpc.aio.AioRpcError as error:
            if counted:
                self._count_failure(error)
            return
        now = time.perf_counter()
        if self._begin <= now < self._end:
            outcome.answered += 1
            outcome.in_time += now - intended <= load.deadline
        if counted:
            outcome.codes["OK"] += 1
            outcome.latencies.append((intended - self._begin, now - intended))
            if load.output is not None:
                self._answers[_first_value(response, load.output)] += 1

    def _count_failure(self, error: grpc.aio.AioRpcError) -> None:
        code, details = error.code().name, self._outcome.details
        self._outcome.codes[code] += 1
        text = f"{code}: {error.details()}"
        if text not in details and len(details) >= _MAX_TEXTS:
            text = f"{code}: ..."
        details[text] += 1


def _percentiles(values: list[float]) -> tuple[dict[str, float], float]:
    """Return percentiles by name, and the maximum; nan if there are no values."""
    import numpy as np

    percentiles = (
        np.percentile(values, PERCENTILES) if values else [math.nan] * len(PERCENTILES)
    )
    named = zip(PERCENTILES, percentiles, strict=True)
    return {f"{p:g}": float(v) for p, v in named}, max(values, default=math.nan)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _first_value(response: bytes, output: str) -> tuple[int, float]:
    from fovea.serving.protocol import wire_pb2

    parsed = wire_pb2.PredictResponse.FromString(response)
    values = parsed.outputs[output].float_val
    return parsed.model_spec.version.value, values[0] if values else 0.0


async def _run_job(target: str, request: str, **load: Any) -> dict[str, Any]:
    async with open_aio_channel(target, max_attempts=1) as channel:
        await channel.channel_ready()
        generator = Generator(Load([Path(request).read_bytes()], **load), channel)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, generator.stop)
        print("started", file=sys.stderr, flush=True)
        return (await generator.run()).summary()


def main() -> None:
    """Run the jobs from standard input until it ends.

    A job has the server's address as `target`, a file with the serialised request as
    `request`, and any other field of `Load`. SIGTERM ends the current job early.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    for line in sys.stdin:
        print(json.dumps(asyncio.run(_run_job(**json.loads(line)))), flush=True)


if __name__ == "__main__":
    main()
