"""`fovea load`: a server under load, and how long its answers take."""

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
from fovea.serving.client.loadtest import requests as load_requests
from fovea.serving.client.loadtest.generator import (
    PERCENTILES,
    Generator,
    Load,
    Outcome,
)

_MOST_MIB = load_requests.MOST_BYTES // 2**20
_EPILOG = f"""\
Requests are sent at the random moments of a Poisson process, whether earlier
ones have been answered or not (--rate), or by clients that each wait for their
answers (--closed). Latencies count from the moment at which a request should
have been sent, so that a server that stalls cannot hide how many wait. Failed
requests are not repeated. Ctrl-C ends the load and prints what was measured.

Nothing is sent but what you ask for, after the model's metadata and one request
as a check. A load can take a server down: use this on servers of your own.
Images are sent again and again; at most {_MOST_MIB} MiB of them are kept.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `fovea load`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("model", metavar="MODEL", help="the model's name")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument(
        "--rate",
        type=_rates,
        metavar="R[,...]",
        help="requests per second; several are tried one after the other",
    )
    how.add_argument(
        "--closed",
        type=_counts,
        metavar="C[,...]",
        help="in the place of a rate, so many clients that wait for their answers",
    )
    add = parser.add_argument
    seconds = arguments.positive_float
    add(
        "--duration",
        type=seconds,
        default=10.0,
        metavar="S",
        help="seconds to measure each (default: %(default)g)",
    )
    add(
        "--warm-up",
        type=_not_negative,
        default=1.0,
        metavar="S",
        help="seconds of the same load before, not counted (default: %(default)g)",
    )
    add(
        "--deadline",
        type=seconds,
        metavar="S",
        help="count the answers that come within so many seconds",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--images",
        nargs="+",
        metavar="IMAGE",
        help="send these image files, folders or patterns to the signature `encoded`",
    )
    what.add_argument(
        "--npy",
        metavar="FILE",
        help="send the rows of the array in this .npy or .npz file (default: what the "
        "signature takes: random bytes and floats, zeros of other types)",
    )
    add("--array", metavar="NAME", help="which array of an .npz file")
    add("--signature", metavar="NAME", help="ask this signature")
    add(
        "--batch",
        type=arguments.positive_int,
        default=1,
        metavar="N",
        help="images, or rows, in a request (default: %(default)s)",
    )
    arguments.add_version(parser)
    add("--json", action="store_true", help="print a JSON object instead of a table")
    add("--plot", metavar="OUT", help="draw the latencies into a .png or .svg file")
    arguments.add_connection(parser)


def run(args: argparse.Namespace) -> int:
    """Send the loads one after the other, and print what came of each.

    Args:
        args: as parsed by the options of `add_arguments`.

    Returns:
        the exit code: 0, 1 if a load got no answer at all, 130 if interrupted.

    Raises:
        ClientError: if the model does not answer a single request.
        ValueError, OSError: if the command line asks for what cannot be.
    """
    if args.plot:
        from fovea.serving.client.loadtest import plot

        plot.check(args.plot)
    settings = arguments.connection(args)
    requests = load_requests.make(args, settings)
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
        for rate, clients in _kinds(args)
    ]
    done, stopped = asyncio.run(_send(loads, settings, args))
    if args.json:
        print(json.dumps(_as_json(args, done), indent=2))
    if args.plot and done:
        plot.draw(args.plot, f"{args.model} at {args.server}", done)
    if stopped:
        return 130
    return int(not all(outcome.answered for _, outcome in done))


def _kinds(args: argparse.Namespace) -> list[tuple[float, int]]:
    if args.rate:
        return [(rate, 1) for rate in args.rate]
    return [(0.0, clients) for clients in args.closed]


async def _send(
    loads: list[Load], settings: dict[str, Any], args: argparse.Namespace
) -> tuple[list[tuple[Load, Outcome]], bool]:
    """Each load with its outcome, and whether a signal has ended the last early."""
    from fovea.serving.client.transport.channel import open_aio_channel

    done: list[tuple[Load, Outcome]] = []
    stopped = False
    generator: Generator | None = None

    def stop() -> None:
        nonlocal stopped
        stopped = True
        if generator is not None:
            generator.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # on Windows
            asyncio.get_running_loop().add_signal_handler(number, stop)
    if not args.json:
        print(_head(args))
    for load in loads:
        # Each failure counts, so that none is tried again.
        async with open_aio_channel(**settings, max_attempts=1) as channel:
            await asyncio.wait_for(channel.channel_ready(), args.timeout)
            generator = Generator(load, channel)
            outcome = await generator.run()
        done.append((load, outcome))
        if not args.json:
            print(_row(load, outcome), flush=True)
        for line in _remarks(load, outcome):
            print(line, file=sys.stderr)
        if stopped:
            break
    return done, stopped


_COLUMNS = ("answered/s", "in time/s", "p50 ms", "p90 ms", "p99 ms", "p99.9", "max")


def _head(args: argparse.Namespace) -> str:
    images = "1 image" if args.batch == 1 else f"{args.batch} images"
    return (
        f"{args.model} at {args.server}, {images} a request, {args.duration:g} s each "
        f"after {args.warm_up:g} s\n{'load':<10}"
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
    return f"{load_name(load):<10}{row}{_failed(outcome):>8,}"


def load_name(load: Load) -> str:
    """A load in a word or two: its rate, or its number of clients."""
    if load.rate:
        return f"{load.rate:,g}/s"
    return f"{load.clients} client{'s' if load.clients > 1 else ''}"


def _ms(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def _failed(outcome: Outcome) -> int:
    return outcome.sent - outcome.codes["OK"]


def _remarks(load: Load, outcome: Outcome) -> list[str]:
    """What the row does not show: why requests failed, and how far to trust it."""
    remarks = [
        f"fovea: {load_name(load)}: {count:,} of {outcome.sent:,} failed with {text}"
        for text, count in outcome.details.most_common(3)
    ]
    if outcome.unsent or outcome.late > max(5, outcome.milliseconds["99"] / 2):
        remarks.append(
            f"fovea: {load_name(load)}: the generator could not keep up, so that its "
            "figures tell of itself too: 1 % of the requests were sent "
            f"{outcome.late:.0f} ms late or more, {outcome.unsent:,} not at all"
        )
    return remarks


def _as_json(
    args: argparse.Namespace, done: list[tuple[Load, Outcome]]
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
            for load, outcome in done
        ],
    }


def _rates(text: str) -> list[float]:
    return [arguments.positive_float(part) for part in text.split(",")]


def _counts(text: str) -> list[int]:
    return [arguments.positive_int(part) for part in text.split(",")]


def _not_negative(text: str) -> float:
    return 0.0 if float(text) == 0 else arguments.positive_float(text)
