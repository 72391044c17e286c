"""What `fovea evaluate` tells on the terminal."""

from fovea.terminal import console, table
from fovea.training.datasets.load import short_name
from fovea.training.evaluation.metrics import confusions

CONFUSIONS = 10


def show(model: str, split: str, result: dict, verbose: bool) -> None:
    """Print a judgement as a short table.

    Args:
        model: The architecture's name.
        split: "test" or "validation".
        result: What metrics.json holds of the split.
        verbose: Tell of every class and of the most frequent confusions, too.
    """
    out = console()
    what = "test" if split == "test" else "held-out training"
    out.print(
        f"{model} on the {result['images']:,} {what} images of "
        f"{short_name(result['dataset'])} ({result['source']})",
        style="bold",
        soft_wrap=True,
    )
    grid = table(out)
    grid.show_header = False
    grid.add_column()
    grid.add_column(justify="right")
    grid.add_column()
    for row in _rows(result):
        grid.add_row(*row)
    out.print(grid)
    if verbose:
        out.print(_classes(out, result))
        for row in confusions(result, CONFUSIONS):
            out.print(
                f"{row['images']:>5,} × {row['true']} taken for {row['predicted']}"
            )


def _rows(result: dict):
    low, high = result["accuracy_interval"]
    yield "accuracy", f"{result['accuracy']:.4f}", f"95%: {low:.4f} to {high:.4f}"
    if "test_time_augmentation" in result:
        augmented = result["test_time_augmentation"]
        yield (
            f"  with {augmented['policy']}",
            f"{augmented['accuracy']:.4f}",
            "averaged over views of an image; a served model answers without",
        )
    if "top_k" in result:
        top = result["top_k"]
        yield f"top {top['k']}", f"{top['accuracy']:.4f}", ""
    yield "macro F1", f"{result['macro']['f1']:.4f}", ""
    yield "loss", f"{result['loss']:.4f}", "mean cross-entropy, nats"
    yield (
        "calibration error",
        f"{result['calibration']['error']:.4f}",
        "how far confidence is from accuracy",
    )


def _classes(out, result: dict):
    grid = table(out)
    grid.add_column("class", overflow="fold")
    for name in ("precision", "recall", "F1", "images"):
        grid.add_column(name, justify="right", no_wrap=True)
    for row in result["classes"]:
        figures = (f"{row[name]:.4f}" for name in ("precision", "recall", "f1"))
        grid.add_row(row["name"], *figures, f"{row['support']:,}")
    return grid
