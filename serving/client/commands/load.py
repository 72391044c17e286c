"""`fovea load`: measure the latency and throughput of a server under load."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import signal
import sys
from typing import Any

from fovea.serving.client.commands import arguments
from fovea.serving.client.loadtest.generator import (
    PERCENTILES,
    Generator,
    Load,
    Outcome,
)
from fovea.serving.client.loadtest.requests import MAX_BYTES, make_requests

_EPILOG = f"""\
Requests are sent at the random times of a Poisson process, however many are
under way (--rate), or by clients that each wait for their responses (--closed).
Latencies count from the time at which a request was scheduled, so that a server
that stalls cannot hide the requests that wait for it. Failed requests are not
retried. Ctrl-C ends the load and prints the measurements so far.

The model's metadata and one request are sent first, as a check. A load can take
a server down: use this command on your own servers only. Images are sent again
and again; at most {MAX_BYTES // 2**20} MiB of them are used.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `fovea load`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("model", metavar="MODEL", help="name of the model")
    loop = parser.add_mutually_exclusive_group(required=True)
    loop.add_argument(
        "--rate",
        type=_rates,
        metavar="R[,...]",
        help="requests per second; several rates are measured one after the other",
    )
    loop.add_argument(
        "--closed",
        type=_counts,
        metavar="C[,...]",
        help="instead of a rate, the number of clients that wait for their responses",
    )
    add = parser.add_argument
    seconds = arguments.positive_float
    add(
        "--duration",
        type=seconds,
        default=10.0,
        metavar="S",
        help="seconds to measure each load (default: %(default)g)",
    )
    add(
        "--warm-up",
        type=_not_negative,
        default=1.0,
        metavar="S",
        help="seconds of the same load before each measurement (default: %(default)g)",
    )
    add(
        "--deadline",
        type=seconds,
        metavar="S",
        help="count the responses within this many seconds",
    )
    data = parser.add_mutually_exclusive_group()
    data.add_argument(
        "--images",
        nargs="+",
        metavar="IMAGE",
        help="send these image files, folders or patterns to the signature `encoded`",
    )
    data.add_argument(
        "--npy",
        metavar="FILE",
        help="send the rows of the array in this .npy or .npz file (default: values "
        "that fit the signature: random uint8 and floats, zeros of other types)",
    )
    add("--array", metavar="NAME", help="array to read from a .npz file")
    add("--signature", metavar="NAME", help="signature to call")
    add(
        "--batch",
        type=arguments.positive_int,
        default=1,
        metavar="N",
        help="images or rows per request (default: %(default)s)",
    )
    arguments.add_version(parser)
    add("--json", action="store_true", help="print a JSON object instead of a table")
    add("--plot", metavar="OUT", help="plot the latencies to a .png or .svg file")
    arguments.add_connection(parser)


def run(args: argparse.Namespace) -> int:
    """Send the loads one after the other, and print the measurements of each.

    Args:
        args: The parsed options of `add_arguments`.

    Returns:
        The exit code: 0, 1 if a load had no successful response, 130 if interrupted.

    Raises:
        ClientError: If the request that is sent as a check fails.
        ValueError: If an option is invalid, or the model cannot take the inputs.
        OSError: If a file cannot be read or written.
    """
    if args.plot:
        from fovea.serving.client.loadtest import plot

        plot.check_output(args.plot)
    connection = arguments.connection(args)
    requests = _requests(args, connection)
    loads = [
        Load(
            requests,
            seconds=args.duration,
            rate=rate,
            clients=clients,
            warm_up=args.warm_up,
            timeout=args.timeout,
            deadline=args.deadline or math.inf,
        )
        for rate, clients in _rates_and_clients(args)
    ]
    outcomes, interrupted = asyncio.run(_run_loads(loads, connection, args))
    if args.json:
        print(json.dumps(_as_json(args, outcomes), indent=2))
    if args.plot and outcomes:
        plot.draw(args.plot, f"{args.model} at {args.server}", outcomes)
    if interrupted:
        return 130
    return int(not all(outcome.answered for _, outcome in outcomes))


def _requests(args: argparse.Namespace, connection: dict[str, Any]) -> list[bytes]:
    from fovea.serving.client.client import Client

    with Client(**connection, timeout=args.timeout) as client:
        return make_requests(
            client,
            model=args.model,
            version=args.version,
            label=args.label,
            signature=args.signature,
            images=args.images or (),
            npy=args.npy,
            array=args.array,
            batch_size=args.batch,
        )


def _rates_and_clients(args: argparse.Namespace) -> list[tuple[float, int]]:
    if args.rate:
        return [(rate, 1) for rate in args.rate]
    return [(0.0, clients) for clients in args.closed]


async def _run_loads(
    loads: list[Load], connection: dict[str, Any], args: argparse.Namespace
) -> tuple[list[tuple[Load, Outcome]], bool]:
    """Return each load with its outcome, and whether a signal ended the last early."""
    from fovea.serving.client.transport.channel import open_aio_channel

    outcomes: list[tuple[Load, Outcome]] = []
    interrupted = False
    generator: Generator | None = None

    def stop() -> None:
        nonlocal interrupted
        interrupted = True
        if generator is not None:
            generator.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # on Windows
            asyncio.get_running_loop().add_signal_handler(number, stop)
    if not args.json:
        print(_header(args))
    for load in loads:
        # Failures are measured, so calls are not retried.
        async with open_aio_channel(**connection, max_attempts=1) as channel:
            await asyncio.wait_for(channel.channel_ready(), args.timeout)
            generator = Generator(load, channel)
            outcome = await generator.run()
        outcomes.append((load, outcome))
        if not args.json:
            print(_row(load, outcome), flush=True)
        for line in _remarks(load, outcome):
            print(line, file=sys.stderr)
        if interrupted:
            break
    return outcomes, interrupted


_COLUMNS = ("answered/s", "in time/s", "p50 ms", "p90 ms", "p99 ms", "p99.9", "max")


def _header(args: argparse.Namespace) -> str:
    images = "1 image" if args.batch == 1 else f"{args.batch} images"
    return (
        f"{args.model} at {args.server}, {images} per request, {args.duration:g} s "
        f"each after {args.warm_up:g} s\n{'load':<10}"
        + "".join(f"{name:>{_width(name)}}" for name in (*_COLUMNS, "failed"))
    )


def _width(column: str) -> int:
    return max(8, len(column) + 1)


def _row(load: Load, outcome: Outcome) -> str:
    cells = [
        f"{outcome.rate:,.1f}",
        f"{outcome.goodput:,.1f}" if math.isfinite(load.deadline) else "-",
        *(_ms(outcome.milliseconds[f"{p:g}"]) for p in PERCENTILES),
        _ms(outcome.longest),
    ]
    named = zip(_COLUMNS, cells, strict=True)
    row = "".join(f"{cell:>{_width(name)}}" for name, cell in named)
    failed = outcome.sent - outcome.codes["OK"]
    return f"{load.name:<10}{row}{failed:>8,}"


def _ms(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def _remarks(load: Load, outcome: Outcome) -> list[str]:
    """Return why requests failed, and whether the generator distorts the figures."""
    remarks = [
        f"fovea: {load.name}: {count:,} of {outcome.sent:,} failed with {text}"
        for text, count in outcome.details.most_common(3)
    ]
    if outcome.unsent or outcome.late > max(5, outcome.milliseconds["99"] / 2):
        remarks.append(
            f"fovea: {load.name}: the generator could not keep up, which "
            "distorts the figures: 1 % of the requests were sent "
            f"{outcome.late:.0f} ms late or more, {outcome.unsent:,} not at all"
        )
    return remarks


def _as_json(
    args: argparse.Namespace, outcomes: list[tuple[Load, Outcome]]
) -> dict[str, Any]:
    return {
        "model": args.model,
        "server": args.server,
        "batch": args.batch,
        "warm_up": args.warm_up,
        "deadline": args.deadline,
        "loads": [
            {"rate": load.rate or None, "clients": None if load.rate else load.clients}
            | outcome.summary()
            for load, outcome in outcomes
        ],
    }


def _rates(text: str) -> list[float]:
    return [arguments.positive_float(part) for part in text.split(",")]


def _counts(text: str) -> list[int]:
    return [arguments.positive_int(part) for part in text.split(",")]


def _not_negative(text: str) -> float:
    return 0.0 if float(text) == 0 else arguments.positive_float(text)
