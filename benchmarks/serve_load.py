"""The load generator of benchmarks/serve.py: a process that sends what it is told to.

    python benchmarks/serve_load.py < JOBS

Each line that comes in is a job in JSON, each line that goes out is what came of it.
Requests are serialised beforehand and sent as bytes, so that the generator takes as
little as it can of the CPUs that it shares with the server. Imports no TensorFlow.
"""

import asyncio
import json
import os
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import grpc
import numpy as np

PERCENTILES = (50, 90, 99, 99.9)
DEADLINE_SECONDS = 60


@dataclass(frozen=True)
class Job:
    """What to send.

    Attributes:
        target: The server's address.
        method: The full path of the method.
        request: A file with the serialised request.
        seconds: How long to measure.
        concurrency: Requests in flight; each answer is followed by the next request.
        rate: Requests per second, sent at random moments (a Poisson process) whether
            the earlier ones have been answered or not; in the place of `concurrency`.
        warm_up: Seconds before, in which nothing is counted.
    """

    target: str
    method: str
    request: str
    seconds: float
    concurrency: int = 1
    rate: float = 0.0
    warm_up: float = 1.0


@dataclass
class Outcome:
    """What came of a job.

    Attributes:
        answered: Requests with a good answer within the time that was measured.
        failed: Requests with a status other than OK, by the status' name.
        rate: Good answers per second.
        milliseconds: Latencies by percentile; in an open loop from the moment at
            which a request should have been sent.
        longest: The longest latency.
        cpus: How many CPUs the generator itself kept busy.
    """

    answered: int
    rate: float
    milliseconds: dict[str, float]
    longest: float
    cpus: float
    failed: dict[str, int] = field(default_factory=dict)


class Load:
    """Requests of one job on one channel."""

    def __init__(self, job: Job, channel: grpc.aio.Channel) -> None:
        self._request = Path(job.request).read_bytes()
        self._job = job
        self._call = channel.unary_unary(job.method)
        self._latencies: list[float] = []
        self._failed: dict[str, int] = {}
        self._begin = self._end = 0.0

    async def run(self) -> Outcome:
        """Send for the time of the job; wait for the last answers."""
        self._begin = time.perf_counter() + self._job.warm_up
        self._end = self._begin + self._job.seconds
        sending = asyncio.create_task(
            self._open_loop() if self._job.rate else self._closed_loop()
        )
        await asyncio.sleep(self._job.warm_up)
        cpu = time.process_time()
        await asyncio.sleep(max(0.0, self._end - time.perf_counter()))
        cpu = time.process_time() - cpu
        await sending
        return self._outcome(cpu / self._job.seconds)

    async def _closed_loop(self) -> None:
        async def client() -> None:
            while (now := time.perf_counter()) < self._end:
                await self._send(now)

        await asyncio.gather(*(client() for _ in range(self._job.concurrency)))

    async def _open_loop(self) -> None:
        pauses = np.random.default_rng(0)
        intended = time.perf_counter()
        under_way = set()
        while intended < self._end:
            await asyncio.sleep(max(0.0, intended - time.perf_counter()))
            task = asyncio.create_task(self._send(intended))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            intended += pauses.exponential(1 / self._job.rate)
        await asyncio.gather(*under_way)

    async def _send(self, intended: float) -> None:
        try:
            await self._call(self._request, timeout=DEADLINE_SECONDS)
        except grpc.aio.AioRpcError as error:
            code = error.code().name
            self._failed[code] = self._failed.get(code, 0) + 1
            return
        now = time.perf_counter()
        # An open loop counts what was to be sent in the time, a closed one what came.
        if self._begin <= (intended if self._job.rate else now) < self._end:
            self._latencies.append(now - intended)

    def _outcome(self, cpus: float) -> Outcome:
        latencies = np.array(self._latencies or [np.nan]) * 1000
        return Outcome(
            answered=len(self._latencies),
            rate=len(self._latencies) / self._job.seconds,
            milliseconds={
                f"{p:g}": float(np.percentile(latencies, p)) for p in PERCENTILES
            },
            longest=float(latencies.max()),
            cpus=cpus,
            failed=self._failed,
        )


async def _run(job: Job) -> Outcome:
    options = [
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1),
    ]
    async with grpc.aio.insecure_channel(job.target, options) as channel:
        return await Load(job, channel).run()


def main() -> None:
    """Do one job after the other, until there are no more lines."""
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    for line in sys.stdin:
        outcome = asyncio.run(_run(Job(**json.loads(line))))
        print(json.dumps(asdict(outcome)), flush=True)


if __name__ == "__main__":
    main()
