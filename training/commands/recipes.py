"""`fovea recipes`: the shipped recipes and their results."""

import argparse
import statistics
from typing import Any

from fovea.terminal import console, print_json, table
from fovea.training.recipes import files as recipe_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `fovea recipes`."""
    parser.add_argument(
        "--json", action="store_true", help="print JSON, with every hyper-parameter"
    )


def run(args: argparse.Namespace) -> int:
    """List the recipes; return the exit code."""
    files = recipe_file.shipped()
    if args.json:
        print_json([_as_dict(file) for file in files])
        return 0
    out = console()
    grid = table(out)
    grid.expand = True
    for name in ("model", "dataset", "recipe"):
        grid.add_column(name, no_wrap=True)
    for name in ("epochs", "accuracy", "time"):
        grid.add_column(name, justify="right", no_wrap=True)
    grid.add_column("description", ratio=1, overflow="ellipsis", no_wrap=True)
    for file in files:
        result = file.results[0] if file.results else {}
        grid.add_row(
            file.model,
            file.dataset,
            file.name,
            str(file.recipe.epochs),
            _accuracy(result.get("accuracy", [])),
            _time(result["seconds"]) if "seconds" in result else "",
            file.description,
        )
    out.print(grid)
    out.print(
        "\naccuracy: on the test split, mean and standard deviation over seeds. "
        "Other pairs of\nmodel and data set have a default recipe. "
        "fovea train MODEL --dataset D --recipe NAME"
    )
    return 0


def _as_dict(file: recipe_file.RecipeFile) -> dict[str, Any]:
    return {
        "model": file.model,
        "dataset": file.dataset,
        "name": file.name,
        "description": file.description,
        "source": file.source,
        "recipe": file.recipe.to_dict(),
        "results": list(file.results),
    }


def _accuracy(accuracies: list[float]) -> str:
    if not accuracies:
        return ""
    mean = f"{100 * statistics.mean(accuracies):.2f}%"
    if len(accuracies) == 1:
        return mean
    return f"{mean} ± {100 * statistics.stdev(accuracies):.2f} ({len(accuracies)})"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
