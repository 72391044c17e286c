"""Load on a server, from a process of its own: closed loops or an open one.

    python -m tests.server.reliability.load ADDRESS REQUEST --clients 6 --seconds 40
    python -m tests.server.reliability.load ADDRESS REQUEST --rate 300 --timeout 1

REQUEST is a file with a PredictRequest. It prints one JSON object: how many requests
were sent, the codes they ended with, quantiles of the latency in seconds, and which
(version, answer) pairs came back. SIGTERM ends closed loops early.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from serving.client import wire_pb2

PREDICT = "/tensorflow.serving.PredictionService/Predict"
OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.use_local_subchannel_pool", 1),
]


@dataclass
class Tally:
    """What became of the requests."""

    sent: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    details: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    answers: Counter[tuple[int, float]] = field(default_factory=Counter)

    def summary(self, lasted: float) -> dict[str, Any]:
        """As JSON holds it."""
        ordered = sorted(self.seconds) or [0.0]
        cuts = statistics.quantiles([*ordered, ordered[-1]], n=100)
        return {
            "sent": self.sent,
            "lasted": lasted,
            "codes": dict(self.codes),
            "details": dict(self.details),
            "p50": cuts[49],
            "p99": cuts[98],
            "longest": ordered[-1],
            "answers": [[*answer, n] for answer, n in self.answers.items()],
        }


async def ask(call: Any, args: argparse.Namespace, tally: Tally) -> None:
    """Send one request and count its end."""
    tally.sent += 1
    started = time.perf_counter()
    try:
        reply = await call(args.request, timeout=args.timeout)
    except grpc.aio.AioRpcError as error:
        tally.codes[error.code().name] += 1
        tally.details[f"{error.code().name}: {error.details()}"] += 1
        return
    tally.seconds.append(time.perf_counter() - started)
    tally.codes["OK"] += 1
    tally.answers[answer(reply, args.output)] += 1


def answer(reply: bytes, output: str) -> tuple[int, float]:
    """The version that a reply names, and the one that its graph told."""
    parsed = wire_pb2.PredictResponse.FromString(reply)
    told = parsed.outputs[output].float_val
    return parsed.model_spec.version.value, told[0] if told else 0.0


async def closed(call: Any, args: argparse.Namespace, tally: Tally) -> None:
    """Clients that each ask again as soon as they are answered."""
    end = time.monotonic() + args.seconds

    async def client() -> None:
        while time.monotonic() < end:
            await ask(call, args, tally)

    def stop() -> None:
        nonlocal end
        end = time.monotonic()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    await asyncio.gather(*(client() for _ in range(args.clients)))


async def open_loop(call: Any, args: argparse.Namespace, tally: Tally) -> None:
    """Requests at a fixed rate, whatever becomes of the earlier ones."""
    started = time.monotonic()
    tasks: set[asyncio.Task[None]] = set()
    for number in range(int(args.rate * args.seconds)):
        pause = started + number / args.rate - time.monotonic()
        if pause > 0:
            await asyncio.sleep(pause)
        elif number % 16 == 0:
            await asyncio.sleep(0)  # late: let the answers in
        task = asyncio.ensure_future(ask(call, args, tally))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    if tasks:
        await asyncio.wait(tasks)


async def run(args: argparse.Namespace) -> dict[str, Any]:
    """Ask, and tell what came of it."""
    tally = Tally()
    async with grpc.aio.insecure_channel(args.address, options=OPTIONS) as channel:
        await channel.channel_ready()
        call = channel.unary_unary(PREDICT)
        print("asking", file=sys.stderr, flush=True)
        started = time.monotonic()
        await (open_loop if args.rate else closed)(call, args, tally)
        return tally.summary(time.monotonic() - started)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address")
    parser.add_argument("request", type=lambda name: Path(name).read_bytes())
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--timeout", type=float, default=30.0)
    parser.add_argument("--output", default="version", help="tells the version")
    print(json.dumps(asyncio.run(run(parser.parse_args()))))


if __name__ == "__main__":
    main()
