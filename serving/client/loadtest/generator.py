"""Load on a model server, and what came of it: the engine of `fovea load`.

Requests are serialised beforehand and answers are not read, so that the generator takes
as little as it can of CPUs that it may share with the server. It belongs into a process
of its own; `python -m fovea.serving.client.loadtest.generator` is one that takes
orders, for benchmarks and
tests: each line that comes in is a job in JSON, each line that goes out is its outcome.
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
# Error texts that are told apart; a text that names a port or an id never ends.
_MOST_TEXTS = 100
# A generator that is late lets answers in after so many requests.
_REQUESTS_AT_A_TIME = 16
# The longest that it sleeps without looking whether it was stopped.
_NAP_SECONDS = 0.1


@dataclass(frozen=True)
class Load:
    """What to send.

    Attributes:
        requests: serialised requests, sent in turn.
        seconds: how long to measure.
        rate: requests per second, at the random moments of a Poisson process, whether
            the earlier ones have been answered or not: an open loop.
        clients: in the place of a rate, so many clients that each wait for an answer
            before they ask again: a closed loop.
        warm_up: seconds before, in which nothing is counted.
        timeout: seconds that a request may take.
        deadline: seconds within which an answer is of use.
        method: path of the gRPC method.
        output: counts answers by their model version and the first value of this
            output, which must be float32. Takes time: answers are read then.
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


@dataclass
class Outcome:
    """What came of it, in the time that was measured.

    Attributes:
        seconds: how long that was.
        lasted: seconds from its beginning until the last answer was read.
        sent: requests that were sent, and whose moment to be sent was in that time.
        unsent: those that the generator had not come to at the end of that time.
        codes: how they ended, by the name of the status.
        details: the texts of those that failed.
        answered: good answers that came in that time, which may be to earlier requests.
        in_time: those of them that came within the deadline.
        rate: good answers per second.
        goodput: good answers within the deadline per second.
        milliseconds: latencies of the good answers to `sent`, by percentile, from the
            moment at which each request should have been sent (nan if there are none).
        longest: the longest of them.
        late: milliseconds by which requests were sent late, 99th percentile. Where it
            is a good part of the latencies, they tell of the generator.
        cpus: how many CPUs the generator kept busy.
        answers: (model version, value of `Load.output`, how often).
        latencies: (seconds since the measurement began, latency in seconds) of each.
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
        """All but the single latencies, as JSON holds it (null for nan)."""
        told = {
            name: value for name, value in vars(self).items() if name != "latencies"
        }
        told["milliseconds"] = {p: _finite(ms) for p, ms in self.milliseconds.items()}
        return {**told, "longest": _finite(self.longest), "late": _finite(self.late)}


class Generator:
    """Sends one load over one channel."""

    def __init__(self, load: Load, channel: grpc.aio.Channel) -> None:
        self._load = load
        self._call = channel.unary_unary(load.method)
        self._outcome = Outcome()
        self._late: list[float] = []
        self._answers: Counter[tuple[int, float]] = Counter()
        self._number = 0
        self._begin = self._end = 0.0

    async def run(self) -> Outcome:
        """Send for the time of the load, and wait for the last answers."""
        load, found = self._load, self._outcome
        self._begin = time.perf_counter() + load.warm_up
        self._end = self._begin + load.seconds
        cpu = time.process_time()

        def begin() -> None:
            nonlocal cpu
            cpu = time.process_time()

        asyncio.get_running_loop().call_later(load.warm_up, begin)
        under_way = await (self._open_loop() if load.rate else self._closed_loop())
        while (pause := self._end - time.perf_counter()) > 0:
            await asyncio.sleep(min(pause, _NAP_SECONDS))
        lasted = time.perf_counter() - self._begin
        found.cpus = (time.process_time() - cpu) / max(lasted, 1e-3)
        await asyncio.gather(*under_way)
        found.lasted = time.perf_counter() - self._begin
        found.seconds = max(self._end - self._begin, 0.0)
        found.rate = found.answered / max(found.seconds, 1e-3)
        found.goodput = found.in_time / max(found.seconds, 1e-3)
        found.milliseconds, found.longest = _percentiles(
            [1000 * latency for _, latency in found.latencies]
        )
        found.late = _percentiles([1000 * late for late in self._late])[0]["99"]
        found.answers = [(*answer, n) for answer, n in self._answers.items()]
        return found

    def stop(self) -> None:
        """Send nothing more; `run` returns after the last answers."""
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
                await asyncio.sleep(min(intended - now, _NAP_SECONDS))
                continue
            if now < self._end:
                late += 1
                if late % _REQUESTS_AT_A_TIME == 0:
                    await asyncio.sleep(0)
                task = asyncio.create_task(self._send(intended))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
            elif intended >= self._begin:
                self._outcome.unsent += 1
            intended += arrivals.expovariate(self._load.rate)
        return under_way

    async def _send(self, intended: float) -> None:
        found, load = self._outcome, self._load
        request = load.requests[self._number % len(load.requests)]
        self._number += 1
        counted = self._begin <= intended
        if counted:
            found.sent += 1
            self._late.append(time.perf_counter() - intended)
        try:
            reply = await self._call(request, timeout=load.timeout)
        except grpc.aio.AioRpcError as error:
            if counted:
                self._count_failure(error)
            return
        now = time.perf_counter()
        if self._begin <= now < self._end:
            found.answered += 1
            found.in_time += now - intended <= load.deadline
        if counted:
            found.codes["OK"] += 1
            found.latencies.append((intended - self._begin, now - intended))
            if load.output is not None:
                self._answers[_read(reply, load.output)] += 1

    def _count_failure(self, error: grpc.aio.AioRpcError) -> None:
        code, details = error.code().name, self._outcome.details
        self._outcome.codes[code] += 1
        text = f"{code}: {error.details()}"
        if text not in details and len(details) >= _MOST_TEXTS:
            text = f"{code}: ..."
        details[text] += 1


def _percentiles(values: list[float]) -> tuple[dict[str, float], float]:
    """Percentiles by name, and the largest; nan where there are no values."""
    import numpy as np

    found = (
        np.percentile(values, PERCENTILES) if values else [math.nan] * len(PERCENTILES)
    )
    named = zip(PERCENTILES, found, strict=True)
    return {f"{p:g}": float(v) for p, v in named}, max(values, default=math.nan)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _read(reply: bytes, output: str) -> tuple[int, float]:
    from fovea.serving.protocol import wire_pb2

    parsed = wire_pb2.PredictResponse.FromString(reply)
    values = parsed.outputs[output].float_val
    return parsed.model_spec.version.value, values[0] if values else 0.0


async def _work(target: str, request: str, **load: Any) -> dict[str, Any]:
    async with open_aio_channel(target, max_attempts=1) as channel:
        await channel.channel_ready()
        generator = Generator(Load([Path(request).read_bytes()], **load), channel)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, generator.stop)
        print("asking", file=sys.stderr, flush=True)
        return (await generator.run()).summary()


def main() -> None:
    """Do one job after the other, until there are no more lines.

    A job has the server's address as `target`, a file with the serialised request as
    `request`, and whatever else a Load has. SIGTERM ends the one under way.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    for line in sys.stdin:
        print(json.dumps(asyncio.run(_work(**json.loads(line)))), flush=True)


if __name__ == "__main__":
    main()
