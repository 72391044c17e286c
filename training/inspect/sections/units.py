"""The page's section about single units: patches, what they came from, the ideal."""

import numpy as np

from fovea.training.inspect import draw
from fovea.training.inspect.sections.section import Album, Block, Row, Section
from fovea.training.inspect.subject import Subject
from fovea.training.inspect.units import activations, backward, patches
from fovea.training.inspect.units.maximisation import maximise
from fovea.training.inspect.units.patches import Patch
from fovea.training.inspect.units.selection import Units
from fovea.training.inspect.units.survey import Survey, selectivity

PATCHES = 9
UNITS = 4  # of each layer, where the reader asked for none
WIDTH = 150  # of a picture, in CSS pixels
SOURCE = (
    "Zeiler, Fergus: “Visualizing and Understanding Convolutional Networks”, 2014 "
    "(patches, deconvolution); Springenberg, Dosovitskiy, Brox, Riedmiller: “Striving "
    "for Simplicity”, 2015 (guided backpropagation); Erhan, Bengio, Courville, "
    "Vincent: “Visualizing Higher-Layer Features of a Deep Network”, 2009, and "
    "Simonyan, Vedaldi, Zisserman: “Deep Inside Convolutional Networks”, 2014 "
    "(climbing)."
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
HEAD = ("Unit", "Strongest patches", "Deconvolution", "Guided", "Climbed")


def of_layers(subject: Subject, album: Album, surveys: "list[Survey]") -> Section:
    """Show what single units look for.

    Args:
        subject: What is inspected.
        album: For the pictures.
        surveys: Of the layers `subject.chosen`.
    """
    text = [
        f"From left to right: the {PATCHES} patches of {len(subject.images):,} "
        f"{subject.origin} with the largest response, at most one of an image, cut to "
        "exactly what the unit sees (clear: beyond the image's edge). Then which of "
        "their pixels the response comes from: led back through the transposed "
        "weights (deconvolution), and along the gradient without whatever speaks "
        "against it (guided backpropagation). Last an image climbed to from a plain "
        "one, by following the gradient of the response; its contrast is stretched.",
        "Where the nine patches have something in common, and the deconvolution "
        "draws the same strokes in each, the unit has found a feature.",
    ]
    if subject.numbers:
        text.append("Shown are the units asked for.")
    else:
        text.append(
            f"Of each layer the {UNITS} units are shown whose responses tell the "
            "classes apart best (share of their variance between classes), each for "
            "another class where there are such."
        )
    if any(_is_two_sided(subject, found.units) for found in surveys):
        text.append(
            "Tanh and linear units respond with both signs. Nothing is cut from their "
            "signal: deconvolution is the transposed weights alone, guided "
            "backpropagation the plain gradient."
        )
    if _deconvolves_alike(subject):
        text.append(
            "This network has neither a rectifier nor max pooling, so what the "
            "deconvolution shows does not depend on the patch: it is the one template "
            "that the weights below the unit make together."
        )
    blocks = [_layer(subject, album, found) for found in surveys]
    return Section("units", "What single units look for", text, SOURCE, blocks)


def _is_two_sided(subject: Subject, layer: Units) -> bool:
    name = activations.of_layer(subject.model.get_layer(layer.response))
    return name not in activations.ONE_SIDED


def _deconvolves_alike(subject: Subject) -> bool:
    """Return whether nothing on the way back depends on the image."""
    kinds = {layer.kind for layer in subject.parts.layers}
    if kinds & DEPENDING:
        return False
    return all(_is_two_sided(subject, layer) for layer in subject.every)


def _layer(subject: Subject, album: Album, found: Survey) -> Block:
    layer, part = found.units, subject.parts.layer(found.units.response)
    numbers = list(dict.fromkeys(subject.numbers)) or _most_selective(subject, found)
    climbed, before, after = maximise(
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
        told = f"unit {number} of {layer.layer}"
        pictures = [
            album.add(f"{name}-{what}", sheet, f"{text} of {told}", WIDTH)
            for (what, text), sheet in zip(_WHAT.items(), sheets[place], strict=True)
        ]
        piece, inside = _cut(subject, layer, climbed[place], _middle(layer))
        pictures.append(
            album.add(
                f"{name}-climbed",
                draw.pixels(_stretched(piece, inside), inside),
                f"Image that raises {told} before its activation from "
                f"{before[place]:.2g} to {after[place]:.2g}",
                WIDTH,
            )
        )
        rows.append(Row(f"{number}", pictures, _about(subject, best[place])))
    seen = part.receptive_field
    text = f"{layer.count} units"
    if layer.is_map:
        text += f" at {layer.shape[0]}×{layer.shape[1]} places each"
    if seen is not None and seen.jump is not None:
        height, width = (f"{size:g}" for size in seen.size)
        text += f"; a unit sees {height}×{width} pixels"
    else:
        text += "; every unit sees the whole image"
    if layer.response != layer.layer:
        text += f". The response is that of {layer.response}"
    return Block(layer.layer, f"{text}.", head=HEAD, rows=rows)


_WHAT = {
    "patches": "Strongest patches",
    "deconvolution": "Deconvolution of the strongest patches",
    "guided": "Guided backpropagation of the strongest patches",
}


def _most_selective(subject: Subject, found: Survey) -> list[int]:
    """Choose units that tell classes apart, each for another class if possible."""
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
    subject: Subject, layer: Units, numbers: "list[int]", best: "list[list[Patch]]"
) -> "list[list[np.ndarray]]":
    """Draw patches, deconvolution and guided backpropagation of each unit."""
    every = [patch for of_unit in best for patch in of_unit]
    images = subject.images[[patch.image for patch in every]]
    places = [(patch.row, patch.column) for patch in every]
    units = np.repeat(numbers, [len(of_unit) for of_unit in best])
    shown = [(images, draw.pixels)]
    for method in ("deconvolution", "guided"):
        led = backward.project(
            subject.model, layer.response, images, units, places, method
        )
        shown.append((led, _faint))
    ends = np.cumsum([len(of_unit) for of_unit in best])
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
    # Where maxima pooled, few pixels got most of the signal.
    return draw.signed_image(values, inside, share=0.985)


def _montage(subject: Subject, layer: Units, images, places, paint) -> np.ndarray:
    tiles = [
        paint(*_cut(subject, layer, image, place))
        for image, place in zip(images, places, strict=True)
    ]
    side = max(tiles[0].shape[:2])
    times = max(1, round(WIDTH / 3 / side))
    return draw.montage([draw.enlarge(tile, times * side) for tile in tiles], 3, gap=3)


def _cut(subject: Subject, layer: Units, image: np.ndarray, place: tuple[int, int]):
    part = subject.parts.layer(layer.response)
    size = image.shape[:2]
    rectangle = patches.field(part, *place, *size)
    return patches.cut(image, rectangle, patches.seen(part, *place, *size))


def _middle(layer: Units) -> tuple[int, int]:
    return (layer.shape[0] // 2, layer.shape[1] // 2) if layer.is_map else (0, 0)


def _about(subject: Subject, best: "list[Patch]") -> str:
    """Say what is common to the images of a unit's patches."""
    labels = subject.labels[[patch.image for patch in best]]
    classes, counts = np.unique(labels, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    told = [f"{counts[i]} × {subject.class_names[classes[i]]}" for i in order[:3]]
    if len(order) > 3:
        told.append("…")
    ends = [f"{best[place].response:.3g}" for place in (0, -1)]
    responses = " to ".join(dict.fromkeys(ends))
    return f"{', '.join(told)}; response {responses}"
