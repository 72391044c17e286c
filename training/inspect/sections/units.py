"""The page's section about single units: patches, attributions, maximisation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from fovea.training.inspect.analysis.subject import Subject
from fovea.training.inspect.drawing import pictures
from fovea.training.inspect.sections.section import Album, Block, Row, Section
from fovea.training.inspect.units import activations, backpropagation, patches
from fovea.training.inspect.units.maximisation import maximise
from fovea.training.inspect.units.patches import Patch
from fovea.training.inspect.units.selection import Units
from fovea.training.inspect.units.survey import Survey, selectivity

# (image or map, bool array of where it is visible) -> RGBA
Paint: TypeAlias = Callable[[np.ndarray, np.ndarray], np.ndarray]

PATCHES = 9
UNITS = 4  # of each layer, unless the caller names some
WIDTH = 150  # of a picture, in CSS pixels
SOURCE = (
    "Zeiler, Fergus: “Visualizing and Understanding Convolutional Networks”, 2014 "
    "(patches, deconvolution); Springenberg, Dosovitskiy, Brox, Riedmiller: “Striving "
    "for Simplicity”, 2015 (guided backpropagation); Erhan, Bengio, Courville, "
    "Vincent: “Visualizing Higher-Layer Features of a Deep Network”, 2009, and "
    "Simonyan, Vedaldi, Zisserman: “Deep Inside Convolutional Networks”, 2014 "
    "(activation maximisation)."
)
# Layers, activations aside, whose gradient depends on the image.
DEPENDING = {
    "GlobalMaxPooling2D",
    "GroupNormalization",
    "LayerNormalization",
    "LocalResponseNormalization",
    "MaxPooling2D",
    "PReLU",
    "SpatialTransformer",
}
HEAD = (
    "Unit",
    "Strongest patches",
    "Deconvolution",
    "Guided backpropagation",
    "Maximising input",
)


def units(subject: Subject, album: Album, surveys: list[Survey]) -> Section:
    """Show what single units respond to.

    Args:
        subject: What is inspected.
        album: The page's pictures.
        surveys: The surveys of the layers `subject.chosen`.
    """
    text = [
        f"From left to right: the {PATCHES} patches of {len(subject.images):,} "
        f"{subject.origin} with the largest response, at most one per image, cropped "
        "to the unit's receptive field (transparent: outside the image). Then the "
        "pixels that the response comes from, by backpropagation through the "
        "transposed weights (deconvolution), and by backpropagation without negative "
        "gradients (guided backpropagation). Last the result of activation "
        "maximisation: a plain image changed by gradient ascent on the response; its "
        "contrast is stretched.",
        "If the patches have something in common, and the deconvolution shows the same "
        "strokes in each, the unit detects a feature.",
    ]
    if subject.numbers:
        text.append("These are the units that were chosen by number.")
    else:
        text.append(
            f"Each layer is shown by the {UNITS} units whose responses separate the "
            "classes best (share of the variance that is between classes), for "
            "different classes where possible."
        )
    if any(_is_two_sided(subject, found.units) for found in surveys):
        text.append(
            "Tanh and linear units respond with both signs. Their signal is not "
            "rectified: deconvolution is the transposed weights alone, guided "
            "backpropagation the plain gradient."
        )
    if _has_constant_deconvolution(subject):
        text.append(
            "This network has neither a rectifier nor max pooling, so that the "
            "deconvolution does not depend on the patch: it is the template that the "
            "weights below the unit form together."
        )
    blocks = [_layer(subject, album, found) for found in surveys]
    return Section("units", "What single units respond to", text, SOURCE, blocks)


def _is_two_sided(subject: Subject, layer: Units) -> bool:
    name = activations.of_layer(subject.model.get_layer(layer.response))
    return name not in activations.ONE_SIDED


def _has_constant_deconvolution(subject: Subject) -> bool:
    """Return whether the deconvolution is the same for all images."""
    kinds = {layer.kind for layer in subject.parts.layers}
    if kinds & DEPENDING:
        return False
    return all(_is_two_sided(subject, layer) for layer in subject.every)


def _layer(subject: Subject, album: Album, found: Survey) -> Block:
    layer, part = found.units, subject.parts.layer(found.units.response)
    numbers = list(dict.fromkeys(subject.numbers)) or _most_selective(subject, found)
    maximised, before, after = maximise(
        subject.model,
        layer.response,
        numbers,
        [_middle(layer)] * len(numbers),
        start=subject.images.mean(axis=(0, 1, 2)),
    )
    best = [patches.strongest(found, number, PATCHES) for number in numbers]
    sheets = _sheets(subject, layer, numbers, best)
    rows = []
    for place, number in enumerate(numbers):
        name = f"unit-{layer.layer}-{number}"
        unit = f"unit {number} of {layer.layer}"
        row = [
            album.add(f"{name}-{what}", sheet, f"{text} of {unit}", WIDTH)
            for (what, text), sheet in zip(_WHAT.items(), sheets[place], strict=True)
        ]
        piece, inside = _cut(subject, layer, maximised[place], _middle(layer))
        row.append(
            album.add(
                f"{name}-maximised",
                pictures.pixels(_stretched(piece, inside), inside),
                f"Image that raises the pre-activation of {unit} from "
                f"{before[place]:.2g} to {after[place]:.2g}",
                WIDTH,
            )
        )
        rows.append(Row(f"{number}", row, _about(subject, best[place])))
    seen = part.receptive_field
    text = f"{layer.count} units"
    if layer.is_map:
        text += f" at {layer.shape[0]}×{layer.shape[1]} positions each"
    if seen is not None and seen.jump is not None:
        height, width = (f"{size:g}" for size in seen.size)
        text += f"; the receptive field is {height}×{width} pixels"
    else:
        text += "; the receptive field is the whole image"
    if layer.response != layer.layer:
        text += f". The response is that of {layer.response}"
    return Block(layer.layer, f"{text}.", head=HEAD, rows=rows)


_WHAT = {
    "patches": "Strongest patches",
    "deconvolution": "Deconvolution of the strongest patches",
    "guided": "Guided backpropagation of the strongest patches",
}


def _most_selective(subject: Subject, found: Survey) -> list[int]:
    """Choose units that separate the classes, of different classes if possible."""
    share = selectivity(found, subject.labels)
    order = [int(unit) for unit in np.argsort(-share, kind="stable")]
    classes = np.unique(subject.labels)
    means = [found.peaks[subject.labels == each].mean(axis=0) for each in classes]
    favourite = np.argmax(means, axis=0)
    _, firsts = np.unique(favourite[order], return_index=True)
    best = [order[first] for first in sorted(firsts)]
    rest = [unit for unit in order if unit not in best]
    return sorted([*best, *rest][:UNITS])


def _sheets(
    subject: Subject, layer: Units, numbers: list[int], best: list[list[Patch]]
) -> list[list[np.ndarray]]:
    """Draw patches, deconvolution and guided backpropagation of each unit."""
    every = [patch for found in best for patch in found]
    images = subject.images[[patch.image for patch in every]]
    places = [(patch.row, patch.column) for patch in every]
    units_of = np.repeat(numbers, [len(found) for found in best]).tolist()
    shown: list[tuple[np.ndarray, Paint]] = [(images, pictures.pixels)]
    for method in ("deconvolution", "guided"):
        values = backpropagation.backpropagate(
            subject.model, layer.response, images, units_of, places, method
        )
        shown.append((values, _faint))
    ends = np.cumsum([len(found) for found in best])
    return [
        [
            _montage(subject, layer, values[part], places[part], paint)
            for values, paint in shown
        ]
        for part in (
            slice(end - len(b), end) for end, b in zip(ends, best, strict=True)
        )
    ]


def _stretched(piece: np.ndarray, inside: np.ndarray) -> np.ndarray:
    low, high = np.quantile(piece[inside], (0.005, 0.995))
    return 255 * (piece - low) / max(high - low, 1e-6)


def _faint(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    # Max pooling passes most of the signal to few pixels.
    return pictures.signed_image(values, inside, share=0.985)


def _montage(
    subject: Subject,
    layer: Units,
    images: np.ndarray,
    places: Sequence[tuple[int, int]],
    paint: Paint,
) -> np.ndarray:
    tiles = [
        paint(*_cut(subject, layer, image, place))
        for image, place in zip(images, places, strict=True)
    ]
    side = max(tiles[0].shape[:2])
    times = max(1, round(WIDTH / 3 / side))
    return pictures.montage(
        [pictures.enlarge(tile, times * side) for tile in tiles], 3, gap=3
    )


def _cut(
    subject: Subject, layer: Units, image: np.ndarray, place: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    part = subject.parts.layer(layer.response)
    size = image.shape[:2]
    rectangle = patches.field(part, *place, *size)
    return patches.cut(image, rectangle, patches.seen(part, *place, *size))


def _middle(layer: Units) -> tuple[int, int]:
    return (layer.shape[0] // 2, layer.shape[1] // 2) if layer.is_map else (0, 0)


def _about(subject: Subject, best: list[Patch]) -> str:
    """Describe the classes and responses of a unit's patches."""
    labels = subject.labels[[patch.image for patch in best]]
    classes, counts = np.unique(labels, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    parts = [f"{counts[i]} × {subject.class_names[classes[i]]}" for i in order[:3]]
    if len(order) > 3:
        parts.append("…")
    ends = [f"{best[place].response:.3g}" for place in (0, -1)]
    responses = " to ".join(dict.fromkeys(ends))
    return f"{', '.join(parts)}; response {responses}"
