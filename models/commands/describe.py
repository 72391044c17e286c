"""`fovea describe`: one network's anatomy as a table, as JSON, as a picture."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from fovea.models import backend, registry
from fovea.models.anatomy.words import pair, short, times, window
from fovea.models.parse_options import parse_options
from fovea.terminal import console, print_json, table

if TYPE_CHECKING:
    from fovea.models.anatomy.parts import Anatomy, LayerAnatomy

# For the table: the names of Keras' layers without what every reader adds.
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
    parser.add_argument("--classes", type=int, default=10, help="default: 10")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="OPTION=VALUE",
        help="an option of the architecture; may be repeated",
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        default=128,
        help="for the memory estimate (default: 128)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw the network: .png or .svg"
    )


def run(args: argparse.Namespace) -> int:
    """Describe the model that the arguments name.

    Raises:
        ValueError: If an argument is unusable; nothing has been written then.
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
    name: str, input_shape: tuple[int, int, int], num_classes: int, options: dict
) -> "Anatomy":
    """Return the anatomy of an architecture, built without weights' values."""
    from fovea.models.anatomy.skeleton import skeleton
    from fovea.models.anatomy.walk import anatomy

    with skeleton():
        model = registry.build(name, input_shape, num_classes, **options)
    return anatomy(model)


def parse_input(text: str) -> tuple[int, int, int]:
    """Return (height, width, channels) of a text such as "32x32x3".

    Raises:
        ValueError: If the text is not of this form.
    """
    sizes = text.lower().replace("×", "x").split("x")
    if len(sizes) != 3 or not all(size.isdecimal() and int(size) for size in sizes):
        raise ValueError(
            "The input must be given as height x width x channels, three positive "
            f"integers such as 32x32x3. Received: input={text}"
        )
    height, width, channels = map(int, sizes)
    return height, width, channels


def _print(parts: "Anatomy", batch_size: int) -> None:
    out = console()
    grid = table(out)
    grid.add_column("layer", overflow="fold")
    grid.add_column("kind", overflow="fold")
    grid.add_column("window", no_wrap=True)
    for name in ("output", "params", "full", "local", "work", "sees", "jump"):
        grid.add_column(name, justify="right", no_wrap=True)
    for layer in parts.layers:
        grid.add_row(*_row(layer))
    out.print(f"{parts.name}, {times(parts.input_shape)} images", style="bold")
    out.print(grid)
    out.print()
    memory = parts.memory(batch_size)
    field = parts.receptive_field
    work = f"{parts.multiply_adds:,}" + (" and unknown ones" if parts.unknown else "")
    facts = {
        "parameters": f"{parts.parameters:,} ({parts.trainable_parameters:,} trained)",
        "full": f"{parts.fully_connected:,} if each output saw each input",
        "local": f"{parts.locally_connected:,} without shared weights",
        "work": f"{work} multiply-adds for an image",
        "sees": times(field) + " pixels, a unit of the last map"
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


def _row(layer: "LayerAnatomy") -> list[str]:
    def compact(count: int | None) -> str:
        return "" if count is None else short(count).replace(" ", "")

    kind = layer.kind
    for long, abbreviation in SHORT.items():
        kind = kind.replace(long, abbreviation)
    seen = layer.receptive_field
    work = "?" if layer.multiply_adds is None else compact(layer.multiply_adds)
    return [
        layer.name,
        kind,
        window(layer),
        times(layer.output_shape),
        f"{layer.parameters:,}" if layer.parameters else "",
        compact(layer.fully_connected),
        compact(layer.locally_connected),
        work if layer.multiply_adds != 0 else "",
        "?" if seen is None else times(seen.size) if seen.jump else "all",
        ("?" if seen is None else "") if not (seen and seen.jump) else pair(seen.jump),
    ]


def _mb(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
