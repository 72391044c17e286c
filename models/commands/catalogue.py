"""`fovea models`: list the architectures, each at the size of its paper."""

import argparse
from typing import Any

from fovea.models import backend, registry
from fovea.models.anatomy.formatting import format_count, format_shape
from fovea.models.commands.describe import anatomy_of
from fovea.terminal import console, print_json, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `fovea models`."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """List the architectures."""
    backend.prepare(args.debug)
    rows = [_row(architecture) for architecture in registry.ARCHITECTURES.values()]
    if args.json:
        print_json(rows)
        return 0
    out = console()
    grid = table(out)
    grid.expand = True  # the paper's column fills the line
    grid.add_column("model", no_wrap=True)
    grid.add_column("year")
    for name in ("input", "params", "MACs", "field", "accuracy"):
        grid.add_column(name, justify="right", no_wrap=True)
    grid.add_column("paper", ratio=1, overflow="ellipsis", no_wrap=True)
    for row in rows:
        field = row["receptive_field"]
        grid.add_row(
            row["name"],
            str(row["year"]),
            format_shape(row["input_shape"]),
            f"{row['parameters']:,}",
            format_count(row["multiply_adds"])
            + ("?" if row["unknown_multiply_adds"] else ""),
            format_shape(field) if field else "all",
            row["accuracy"],
            row["paper"].partition(":")[0],
        )
    out.print(grid)
    out.print(
        "\nAt the size of each paper. MACs: multiply-adds for an image. field: the "
        "receptive field\nof the last feature map. Details: fovea describe MODEL"
    )
    return 0


def _row(architecture: registry.Architecture) -> dict[str, Any]:
    """Return the values of an architecture's row."""
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
