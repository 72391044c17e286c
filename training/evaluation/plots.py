"""The report's plots: learning curves, confusion matrix, reliability diagram."""

from typing import Any

import numpy as np

from fovea.training.rendering import figures
from fovea.training.rendering.figures import BLUE, FAINT, INK, ORANGE, RULE

# More epochs than these make marks a solid line.
MOST_MARKED = 30
# More classes than these: cells without numbers, axes without names, no plot.
MOST_NUMBERED, MOST_NAMED, MOST_CLASSES = 20, 60, 200


def learning_curves(history: list[dict[str, float]]) -> list[str]:
    """Draw loss, accuracy and learning rate over the epochs.

    Args:
        history: A row for each epoch: `epoch`, counted from 0, and any of `loss`,
            `val_loss`, `accuracy`, `val_accuracy`, `learning_rate`.

    Returns:
        SVG elements, one for each that the history has.
    """
    return [
        _curves(history, title, columns)
        for title, columns in (
            ("Loss", ("loss", "val_loss")),
            ("Accuracy", ("accuracy", "val_accuracy")),
            ("Learning rate", ("learning_rate",)),
        )
        if any(column in row for row in history for column in columns)
    ]


def _curves(
    history: list[dict[str, float]], title: str, columns: tuple[str, ...]
) -> str:
    from matplotlib.ticker import MaxNLocator

    ends = []
    with figures.new(3.15, 2.6) as figure:
        ax = figure.subplots()
        for column in columns:
            rows = [row for row in history if column in row]
            if not rows:
                continue
            held_out = column.startswith("val_")
            label = "held out" if held_out else "training"
            marker = "s" if held_out else "o"
            ax.plot(
                [row["epoch"] + 1 for row in rows],
                [row[column] for row in rows],
                color=ORANGE if held_out else BLUE,
                linestyle="--" if held_out else "-",
                marker=marker if len(rows) <= MOST_MARKED else "",
                markersize=3.5,
                label=label,
            )
            ends.append(f"{label} {rows[-1][column]:.4g}")
        ax.set_title(title)
        ax.set_xlabel("epoch")
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
        ax.margins(x=0.04)
        if len(ends) > 1:
            ax.legend(loc="best")
        return figures.svg(
            figure,
            columns[0],
            f"{title} over {len(history)} epochs, at the end: {', '.join(ends)}.",
        )


def confusion_matrix(result: dict[str, Any]) -> str | None:
    """Draw the confusion matrix.

    Correct predictions are blue, by their share of the class; wrong ones orange, by
    their number relative to the most frequent confusion.

    Args:
        result: What `fovea.training.evaluation.metrics.compute_metrics` returned.

    Returns:
        An SVG element, or None if there are too many classes to draw.
    """
    from matplotlib.collections import PatchCollection
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Rectangle

    counts = np.array(result["confusion"])
    names = [row["name"] for row in result["classes"]]
    classes = len(names)
    if classes > MOST_CLASSES:
        return None
    rows, columns = np.nonzero(counts)
    wrong = counts - np.diag(np.diag(counts))
    share = np.where(
        rows == columns,
        counts[rows, columns] / counts.sum(axis=1)[rows],
        counts[rows, columns] / max(1, wrong.max()),
    )
    colours = [
        # Pale enough for text to be readable on it.
        to_rgba(BLUE if row == column else ORANGE, 0.06 + 0.5 * depth)
        for row, column, depth in zip(rows, columns, share, strict=True)
    ]
    side = float(np.clip(0.42 * classes + 1.4, 2.6, 6.2))
    with figures.new(side + 0.4, side) as figure:
        ax = figure.subplots()
        cells = [
            Rectangle((column - 0.5, row - 0.5), 1, 1)
            for row, column in zip(rows, columns, strict=True)
        ]
        ax.add_collection(PatchCollection(cells, facecolors=colours, edgecolors="none"))
        ax.set(xlim=(-0.5, classes - 0.5), ylim=(classes - 0.5, -0.5), aspect="equal")
        ax.set_xlabel("predicted")
        ax.set_ylabel("true")
        ax.grid(False)
        ax.tick_params(length=0)
        for spine in ax.spines.values():
            spine.set_visible(True)
        ticks = range(classes) if classes <= MOST_NAMED else []
        size = 9 if classes <= MOST_NUMBERED else 5
        # Names such as digits need no rotation to stand side by side.
        rotation = 90 if max(map(len, names)) > 2 else 0
        ax.set_xticks(ticks, names if ticks else [], rotation=rotation, fontsize=size)
        ax.set_yticks(ticks, names if ticks else [], fontsize=size)
        if classes <= MOST_NUMBERED:
            for row, column in zip(rows, columns, strict=True):
                ax.text(
                    int(column),
                    int(row),
                    str(counts[row, column]),
                    ha="center",
                    va="center",
                    fontsize=8 if classes <= 10 else 7,
                    color=INK,
                )
        right = int(np.trace(counts))
        return figures.svg(
            figure,
            "confusion",
            f"Confusion matrix of {classes} classes: {right} of {counts.sum()} images "
            "on the diagonal. The most frequent confusions are listed beside it.",
        )


def reliability_diagram(result: dict[str, Any]) -> str:
    """Draw accuracy over confidence, and how many images have which confidence.

    Args:
        result: What `fovea.training.evaluation.metrics.compute_metrics` returned.

    Returns:
        An SVG element.
    """
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    bins = result["calibration"]["bins"]
    left = [row["low"] for row in bins]
    width = [row["high"] - row["low"] for row in bins]
    bar = {"align": "edge", "edgecolor": RULE, "linewidth": 0.6}
    with figures.new(4.4, 4.6) as figure:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        above.plot(
            (0, 1), (0, 1), color=FAINT, linestyle=":", label="perfectly calibrated"
        )
        above.bar(
            left,
            [row["accuracy"] for row in bins],
            width,
            color=BLUE,
            alpha=0.35,
            **bar,
        )
        above.plot(
            [row["confidence"] for row in bins],
            [row["accuracy"] for row in bins],
            color=BLUE,
            marker="o",
            markersize=4,
            linestyle="",
            label="predictions, by confidence",
        )
        above.set(xlim=(0, 1), ylim=(0, 1.02))
        above.set_ylabel("accuracy")
        above.legend(loc="upper left")
        below.bar(
            left,
            [row["images"] for row in bins],
            width,
            color=FAINT,
            alpha=0.5,
            **bar,
        )
        below.set_ylabel("images")
        below.set_xlabel("confidence")
        below.yaxis.set_major_locator(MaxNLocator(3, integer=True))
        for axis in (above.yaxis, below.xaxis):
            axis.set_major_formatter(PercentFormatter(1))
        top = bins[-1]
        return figures.svg(
            figure,
            "reliability",
            "Reliability diagram. The expected calibration error is "
            f"{result['calibration']['error']:.4f}. {top['images']} predictions have "
            f"a "
            f"confidence above {top['low']:.0%}, on average {top['confidence']:.1%}, "
            f"and {top['accuracy']:.1%} of them are correct.",
        )
