"""Plot the outcomes of load tests; needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fovea.serving.client.loadtest.generator import Load, Outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which are distinct with any kind of colour vision. Lines
# differ by their markers too.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
_MARKERS = "os^Dv<>"
_STYLE: dict[Any, Any] = {
    "axes.edgecolor": "#d0d0d0",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "figure.constrained_layout.use": True,
    "figure.figsize": (8, 3.4),
    "font.size": 9,
    "grid.color": "#d0d0d0",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "savefig.dpi": 120,
    "svg.fonttype": "none",
}
_SUFFIXES = (".png", ".svg")
# More points overlap to a blot.
_MAX_POINTS = 5000


def check_output(file: str) -> None:
    """Check before the load test that the plot can be written after it.

    Raises:
        ValueError: If the suffix of the file is not that of a supported format.
        OSError: If its directory does not exist.
        ModuleNotFoundError: If matplotlib is not installed.
    """
    import matplotlib  # noqa: F401 - fails here if it is missing

    if not file.lower().endswith(_SUFFIXES):
        raise ValueError(f"A plot is a .png or .svg file. Received: {file}")
    directory = Path(file).parent
    if not directory.is_dir():
        raise NotADirectoryError(f"{directory} is not a directory to write {file} to")


def draw(file: str, title: str, outcomes: Sequence[tuple[Load, Outcome]]) -> None:
    """Plot latency by percentile, and throughput by load or latency over time.

    Args:
        file: The file to write, .png or .svg.
        title: Title of the figure.
        outcomes: Each load with its outcome; several are compared by throughput.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        figure = Figure()
        figure.suptitle(title, x=0.01, ha="left", fontsize=10)
        left, right = figure.subplots(1, 2)
        _percentiles(left, outcomes)
        if len(outcomes) > 1:
            _throughput(right, outcomes)
        else:
            _over_time(right, outcomes[0][1])
        figure.savefig(file)


def _percentiles(ax: Axes, outcomes: Sequence[tuple[Load, Outcome]]) -> None:
    largest = 10.0
    for number, (load, outcome) in enumerate(outcomes):
        latencies = np.sort([1000 * seconds for _, seconds in outcome.latencies])
        if not len(latencies):
            continue
        # x is 1 / (1 - q) for the quantile q: each decade is one more nine
        largest = max(largest, float(len(latencies)))
        nines = np.geomspace(1, len(latencies), 100)
        ranks = np.ceil(len(latencies) * (1 - 1 / nines)).astype(int)
        ax.plot(
            nines,
            latencies[np.minimum(ranks, len(latencies) - 1)],
            color=_COLOURS[number % len(_COLOURS)],
            marker=_MARKERS[number % len(_MARKERS)],
            markevery=(number * 3, 20),
            markersize=4,
            label=load.name,
        )
    ticks = {2: "50 %", 10: "90 %", 100: "99 %", 1000: "99.9 %", 10**4: "99.99 %"}
    shown = [x for x in ticks if x <= largest]
    ax.set(xscale="log", yscale="log", title="Latency by percentile", ylabel="ms")
    ax.set_xticks(shown, [ticks[x] for x in shown])
    ax.set_xticks([], minor=True)
    _plain_numbers(ax)
    if ax.lines:
        ax.legend(title="load" if len(outcomes) > 1 else None)


def _throughput(ax: Axes, outcomes: Sequence[tuple[Load, Outcome]]) -> None:
    is_open = bool(outcomes[0][0].rate)
    offered = [load.rate if is_open else load.clients for load, _ in outcomes]
    lines: list[tuple[str, list[float], dict[str, Any]]] = [
        (
            "answered",
            [o.rate for _, o in outcomes],
            {"marker": "o", "color": _COLOURS[0]},
        )
    ]
    if np.isfinite(outcomes[0][0].deadline):
        label = f"within {outcomes[0][0].deadline:g} s"
        style: dict[str, Any] = {
            "marker": "s",
            "color": _COLOURS[1],
            "linestyle": "--",
        }
        lines.append((label, [o.goodput for _, o in outcomes], style))
    for label, values, style in lines:
        ax.plot(offered, values, label=label, markersize=4, **style)
    if is_open:
        ax.plot(offered, offered, color="#606060", linewidth=0.8, label="offered")
    ax.set(
        title="Throughput",
        xlabel="requests/s offered" if is_open else "clients",
        ylabel="requests/s",
        ylim=(0, None),
    )
    ax.legend()


def _over_time(ax: Axes, outcome: Outcome) -> None:
    points = np.array(outcome.latencies or [(np.nan, np.nan)])
    points = points[:: max(1, -(-len(points) // _MAX_POINTS))]
    ax.plot(points[:, 0], 1000 * points[:, 1], ".", color=_COLOURS[0], markersize=2)
    ax.set(title="Latency over time", xlabel="seconds", ylabel="ms", yscale="log")
    _plain_numbers(ax)


def _plain_numbers(ax: Axes) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
