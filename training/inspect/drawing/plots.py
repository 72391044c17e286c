"""Plots: points in a plane, gradients by layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fovea.training.rendering import figures
from fovea.training.rendering.figures import BLUE, FAINT, INK, ORANGE

# Okabe and Ito's colours that are visible on light and dark pages; classes of the same
# colour differ in their marker.
COLOURS = (BLUE, ORANGE, "#009e73", "#cc79a7", "#e69f00", "#56b4e9", FAINT)
MARKS = "os^DvP*X<>"
# With more classes than these the plane has no names.
MOST_NAMED = 20


def plane(points: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> str:
    """Draw points in a plane, with the name of each class at its median.

    Args:
        points: float (n, 2).
        labels: Integers (n,).
        class_names: K strings.

    Returns:
        An SVG element.
    """
    with figures.new(6.4, 5.2) as figure:
        ax = figure.subplots()
        present = np.unique(labels)
        for label in present:
            mine = points[labels == label]
            ax.scatter(
                mine[:, 0],
                mine[:, 1],
                s=9,
                color=COLOURS[label % len(COLOURS)],
                marker=MARKS[label % len(MARKS)],
                linewidths=0,
                alpha=0.65,
            )
        if len(present) <= MOST_NAMED:
            for label in present:
                x, y = np.median(points[labels == label], axis=0)
                ax.text(
                    x,
                    y,
                    class_names[label],
                    ha="center",
                    va="center",
                    fontsize=10,
                    fontweight="bold",
                    color=INK,
                )
        ax.set_xticks([])
        ax.set_yticks([])
        ax.grid(False)
        for side in ("left", "bottom"):
            ax.spines[side].set_visible(False)
        return figures.svg(
            figure,
            "plane",
            f"{len(points)} images as points in a plane, of {len(present)} classes. "
            "The text beside it has a measure of their separation.",
        )


def vanishing(shown: dict[str, dict[str, list[float]]]) -> str:
    """Draw the gradient's size in each layer of two deep networks.

    Args:
        shown: What `fovea.training.inspect.analysis.gradients.demonstrate` returned.

    Returns:
        An SVG element.
    """
    descriptions = []
    with figures.new(4.6, 3.2) as figure:
        ax = figure.subplots()
        for name, colour, mark in (("sigmoid", ORANGE, "s"), ("relu", BLUE, "o")):
            for moment, when, style in (
                ("start", "before", "-"),
                ("end", "after", ":"),
            ):
                norms = shown[name][moment]
                ax.semilogy(
                    range(1, len(norms) + 1),
                    np.maximum(norms, 1e-30),
                    color=colour,
                    marker=mark,
                    markersize=3.5,
                    linestyle=style,
                    label=f"{name}, {when} training",
                )
            descriptions.append(
                f"{name} {shown[name]['start'][0]:.1e} in the first and "
                f"{shown[name]['start'][-1]:.1e} in the last layer"
            )
        ax.set_title("Gradient by layer, ten hidden layers")
        ax.set_xlabel("layer")
        ax.set_ylabel("RMS gradient")
        ax.legend(loc="best", fontsize=8)
        return figures.svg(
            figure,
            "vanishing",
            f"Root mean square gradient: {'; '.join(descriptions)}.",
        )


def gradients(norms: dict[str, float], name: str) -> str:
    """Draw the gradient's size in each layer of a network.

    Args:
        norms: Layer -> root mean square of its kernel's gradient.
        name: Name of the network.

    Returns:
        An SVG element.
    """
    values = np.maximum(list(norms.values()), 1e-30)
    places = np.arange(len(values))
    with figures.new(4.6, float(np.clip(0.2 * len(values) + 1, 2.2, 8))) as figure:
        ax = figure.subplots()
        # Points: bars cannot start at 0 on a logarithmic scale.
        ax.plot(values, places, color=BLUE, marker="o", markersize=4, linestyle="")
        ax.hlines(places, values.min() / 3, values, color=BLUE, alpha=0.35)
        ax.set_xscale("log")
        ax.set_xlim(values.min() / 3, values.max() * 2)
        ax.set_ylim(len(values) - 0.5, -0.5)
        ax.set_yticks(places, list(norms), fontsize=8 if len(values) <= 24 else 5)
        ax.set_title(f"Gradient by layer, {name} as trained")
        ax.set_xlabel("RMS gradient")
        return figures.svg(
            figure,
            "gradients",
            f"Root mean square gradient in the {len(values)} layers of {name}, from "
            f"{values.min():.1e} to {values.max():.1e}.",
        )
