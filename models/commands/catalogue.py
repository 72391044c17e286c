"""`fovea models`: the zoo, each network at its paper's size."""

import argparse
from typing import Any

from fovea.models import backend, registry
from fovea.models.anatomy.words import short, times
from fovea.models.commands.describe import anatomy_of
from fovea.terminal import console, print_json, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `fovea models`."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """List the zoo."""
    backend.prepare(args.debug)
    rows = [_row(architecture) for architecture in registry.ARCHITECTURES.values()]
    if args.json:
        print_json(rows)
        return 0
    out = console()
    grid = table(out)
    grid.expand = True  # so that the paper takes what the numbers leave
    grid.add_column("model", no_wrap=True)
    grid.add_column("year")
    for name in ("input", "params", "work", "sees", "accuracy"):
        grid.add_column(name, justify="right", no_wrap=True)
    grid.add_column("paper", ratio=1, overflow="ellipsis", no_wrap=True)
    for row in rows:
        field = row["receptive_field"]
        grid.add_row(
            row["name"],
            str(row["year"]),
            times(row["input_shape"]),
            f"{row['parameters']:,}",
            short(row["multiply_adds"]) + ("?" if row["unknown_multiply_adds"] else ""),
            times(field) if field else "all",
            row["accuracy"],
            row["paper"].partition(":")[0],
        )
    out.print(grid)
    out.print(
        "\nAt each paper's size. work: multiply-adds for an image. sees: pixels that "
        "a unit of the\nlast feature map sees. More: fovea describe MODEL"
    )
    return 0


def _row(architecture: Any) -> dict[str, Any]:
    parts = anatomy_of(
        architecture.name,
        architecture.input_shape,
        architecture.num_classes,
        architecture.options,
    )
    return {
        "name": architecture.name,
        "year": architecture.year,
        "paper": architecture.paper,
        "idea": architecture.idea,
        "input_shape": architecture.input_shape,
        "classes": architecture.num_classes,
        "parameters": parts.parameters,
        "multiply_adds": parts.multiply_adds,
        "unknown_multiply_adds": parts.unknown,
        "receptive_field": parts.receptive_field,
        "accuracy": architecture.accuracy,
    }
