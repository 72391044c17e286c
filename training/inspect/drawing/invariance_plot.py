"""Curves of invariance, of one or several models, as one figure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fovea.training.inspect.analysis.invariance import UNITS, Curves
from fovea.training.rendering import figures
from fovea.training.rendering.figures import BLUE, FAINT, INK, ORANGE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# By Okabe and Ito, as in fovea.training.rendering.figures; lines also differ in dashes
# and markers.
GREEN, PURPLE, SKY = "#009e73", "#cc79a7", "#56b4e9"
LINES = (
    (BLUE, "-", "o"),
    (ORANGE, "--", "s"),
    (GREEN, "-.", "^"),
    (PURPLE, ":", "D"),
    (SKY, (0, (5, 1, 1, 1, 1, 1)), "v"),
    (FAINT, (0, (8, 2)), "x"),
)
SIZE = (8.8, 4.4)  # inches


def svg(results: Mapping[str, Curves]) -> str:
    """Draw accuracy and probability against the strength of every change.

    Args:
        results: What `fovea.training.inspect.analysis.invariance.curves` returned, by
            the models' names; at most six.

    Returns:
        An SVG element for a page.

    Raises:
        ValueError: If there are more models than distinguishable lines.
    """
    with figures.new(*SIZE) as figure:
        _draw(figure, results)
        return figures.svg(figure, "invariance", _description(results))


def png(path: Path, results: Mapping[str, Curves]) -> None:
    """Write the same figure as a PNG file on white.

    Raises:
        ValueError: If there are more models than distinguishable lines.
        OSError: If it cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with figures.new(*SIZE) as figure:
        _draw(figure, results)
        figure.set_facecolor("white")
        figure.set_dpi(150)
        FigureCanvasAgg(figure).print_png(path)


def _draw(figure: Figure, results: Mapping[str, Curves]) -> None:
    if not 1 <= len(results) <= len(LINES):
        raise ValueError(
            f"One to {len(LINES)} models are drawn in one figure. "
            f"Received: {len(results)} models"
        )
    axes = figure.subplots(2, len(UNITS), sharex="col", sharey=True)
    for column, (change, unit) in enumerate(UNITS.items()):
        for row, value in enumerate(("accuracy", "probability")):
            ax = axes[row, column]
            for (name, found), line in zip(results.items(), LINES, strict=False):
                colour, dashes, mark = line
                ax.plot(
                    [point["strength"] for point in found[change]],
                    [point[value] for point in found[change]],
                    color=colour,
                    linestyle=dashes,
                    marker=mark,
                    markersize=3,
                    linewidth=1.3,
                    label=name,
                )
            ax.set_ylim(0, 1.03)
        if change == "scaling":
            ax.set_xscale("log")
            ax.set_xticks([0.5, 0.7, 1, 1.4, 2], ["0.5", "0.7", "1", "1.4", "2"])
            ax.set_xticks([], minor=True)
        axes[0, column].set_title(change.capitalize())
        ax.set_xlabel(unit)
    axes[0, 0].set_ylabel("accuracy")
    axes[1, 0].set_ylabel("probability\nof the true class")
    if len(results) > 1:
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(
            handles,
            labels,
            loc="outside lower center",
            ncols=min(3, len(results)),
            labelcolor=INK,
        )


def _description(results: Mapping[str, Curves]) -> str:
    """Return the figure's alternative text."""
    sentences = []
    for name, found in results.items():
        ends = ", ".join(
            f"{found[change][-1]['accuracy']:.0%} at {change} of "
            f"{found[change][-1]['strength']:g} {unit}"
            for change, unit in UNITS.items()
        )
        start = found["shift"][0]["accuracy"]
        sentences.append(f"{name}: accuracy {start:.0%} on unchanged images, {ends}.")
    return "Invariance. " + " ".join(sentences)
