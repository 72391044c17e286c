"""`fovea describe`: the layers of a network as a table, as JSON, or as a diagram."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fovea.models import backend, registry
from fovea.models.anatomy.formatting import (
    format_count,
    format_pair,
    format_shape,
    format_window,
)
from fovea.models.parse_options import parse_options
from fovea.terminal import console, print_json, table

if TYPE_CHECKING:
    from fovea.models.anatomy.parts import Anatomy, LayerAnatomy

# Abbreviations in the names of layer classes.
SHORT = {
    "2D": "",
    "GlobalAveragePooling": "GlobalAvg",
    "GlobalMaxPooling": "GlobalMax",
    "AveragePooling": "AvgPool",
    "MaxPooling": "MaxPool",
    "LocalResponseNormalization": "LRN",
    "Normalization": "Norm",
    "Concatenate": "Concat",
    "InputLayer": "Input",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `fovea describe`."""
    parser.add_argument("model", help="name of an architecture; see `fovea models`")
    parser.add_argument(
        "--input",
        default="32x32x3",
        metavar="HxWxC",
        help="height, width and channels of the images (default: 32x32x3)",
    )
    parser.add_argument(
        "--classes", type=int, default=10, help="number of classes (default: 10)"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="OPTION=VALUE",
        help="option of the architecture; may be repeated",
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        default=128,
        help="batch size of the memory estimate (default: 128)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="write a diagram, .png or .svg"
    )


def run(args: argparse.Namespace) -> int:
    """Describe an architecture.

    Raises:
        ValueError: If an argument is invalid; nothing has been written in that case.
    """
    shape = parse_input(args.input)
    options = parse_options(args.set)
    registry.check(args.model)
    if args.plot:
        from fovea.models.anatomy.drawing import check_target

        check_target(args.plot)
    backend.prepare(args.debug)
    parts = anatomy_of(args.model, shape, args.classes, options)
    values = parts.as_dict(args.batch_size)
    if args.plot:
        from fovea.models.anatomy.drawing import draw

        draw(parts, args.plot)
    if args.json:
        print_json(values)
    else:
        _print(parts, args.batch_size)
    return 0


def anatomy_of(
    name: str,
    input_shape: tuple[int, int, int],
    num_classes: int,
    options: dict[str, Any],
) -> Anatomy:
    """Return the anatomy of an architecture, built without values of weights."""
    from fovea.models.anatomy.walk import anatomy
    from fovea.models.anatomy.without_weights import without_weights

    with without_weights():
        model = registry.build(name, input_shape, num_classes, **options)
    return anatomy(model)


def parse_input(text: str) -> tuple[int, int, int]:
    """Return (height, width, channels) from a string such as "32x32x3".

    Raises:
        ValueError: If the string is not of this form.
    """
    sizes = text.lower().replace("×", "x").split("x")
    if len(sizes) != 3 or not all(size.isdecimal() and int(size) for size in sizes):
        raise ValueError(
            "The input must be given as height x width x channels, three positive "
            f"integers such as 32x32x3. Received: input={text}"
        )
    height, width, channels = map(int, sizes)
    return height, width, channels


def _print(parts: Anatomy, batch_size: int) -> None:
    """Print the table, the totals and the warnings."""
    """Print the table, the totals and the warnings."""
    out = console()
    grid = table(out)
    grid.add_column("layer", overflow="fold")
    grid.add_column("type", overflow="fold")
    grid.add_column("window", no_wrap=True)
    for name in ("output", "params", "dense", "local", "MACs", "field", "jump"):
        grid.add_column(name, justify="right", no_wrap=True)
    for layer in parts.layers:
        grid.add_row(*_row(layer))
    out.print(f"{parts.name}, {format_shape(parts.input_shape)} images", style="bold")
    out.print(grid)
    out.print()
    memory = parts.memory(batch_size)
    field = parts.receptive_field
    macs = ("at least " if parts.unknown else "") + f"{parts.multiply_adds:,}"
    facts = {
        "parameters": f"{parts.parameters:,} ({parts.trainable_parameters:,} trained)",
        "dense": f"{parts.fully_connected:,} if all layers were fully connected",
        "local": f"{parts.locally_connected:,} without shared weights",
        "MACs": f"{macs} multiply-adds for an image",
        "field": f"{format_shape(field)} pixels, the receptive field of the last map"
        if field
        else "the whole image",
        f"memory at {batch_size}": f"{_mb(memory.inference)} inference, "
        f"{_mb(memory.training_momentum)} training (Adam {_mb(memory.training_adam)}), "
        "estimated",
    }
    for name, fact in facts.items():
        out.print(f"{name + ':':<16}{fact}")
    for warning in parts.warnings:
        out.print(f"! {warning}", style="yellow")


def _row(layer: LayerAnatomy) -> list[str]:
    """Return the cells of a layer's row."""
    """Return the cells of a layer's row."""

    def compact(count: int | None) -> str:
        return "" if count is None else format_count(count).replace(" ", "")

    kind = layer.kind
    for long, abbreviation in SHORT.items():
        kind = kind.replace(long, abbreviation)
    field = layer.receptive_field
    if field is None:
        size, jump = "?", "?"
    elif field.jump is None:
        size, jump = "all", ""
    else:
        size, jump = format_shape(field.size), format_pair(field.jump)
    work = "?" if layer.multiply_adds is None else compact(layer.multiply_adds)
    return [
        layer.name,
        kind,
        format_window(layer),
        format_shape(layer.output_shape),
        f"{layer.parameters:,}" if layer.parameters else "",
        compact(layer.fully_connected),
        compact(layer.locally_connected),
        work if layer.multiply_adds != 0 else "",
        size,
        jump,
    ]


def _mb(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
