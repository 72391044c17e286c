"""The page's sections about layers: their filters, and their maps of given images."""

import numpy as np

from fovea.training.inspect.analysis.subject import Subject
from fovea.training.inspect.drawing import pictures
from fovea.training.inspect.sections.section import Album, Block, Section
from fovea.training.inspect.units import activations, filters, selection

TILE = 44  # pixels of a map's side
MOST_CHANNELS = 16
MOST_FILTERS = 64


def first_filters(subject: Subject, album: Album) -> Section:
    """Show the first layer's weights."""
    found = filters.first_layer(subject.model, subject.parts)
    title, source = "Filters of the first layer", _FILTERS_SOURCE
    if found is None:
        reason = (
            "The first layer with weights does not share them over the positions of "
            "the image, or has none for pixels: there are no filters to show."
        )
        return Section("filters", title, [reason], source)
    count, height, width, channels = found.weights.shape
    tiles = [pictures.signed_image(each) for each in found.weights[:MOST_FILTERS]]
    columns, side = (8, 80) if len(tiles) <= 32 else (16, TILE)
    sheet = pictures.montage(
        [pictures.fit(tile, side) for tile in tiles], columns, gap=6
    )
    colour = (
        "The weights are shown as colours; grey is a weight of 0."
        if channels == 3
        else "Orange weights are positive, blue ones negative, pale ones near 0."
    )
    text = [_what_filters_are(found), f"{colour} Each filter has its own scale."]
    if len(tiles) < count:
        text.append(f"The first {len(tiles)} of {count} are shown.")
    picture = album.add(
        f"filters-{found.layer}",
        sheet,
        f"{len(tiles)} filters of {height}x{width} pixels of the layer {found.layer}",
        sheet.shape[1],
    )
    return Section("filters", title, text, source, [Block(found.layer, "", picture)])


_FILTERS_SOURCE = (
    "Krizhevsky, Sutskever, Hinton: “ImageNet Classification with Deep Convolutional "
    "Neural Networks”, 2012, figure 3."
)


def _what_filters_are(found: filters.Filters) -> str:
    count, height, width, channels = found.weights.shape
    if found.is_whitening:
        return (
            f"These {count} filters were not learned. They are the principal "
            f"directions of the training images' {height}×{width} patches, scaled to "
            "variance one, and their negatives; training kept them fixed. Coarse "
            "patterns have a large variance in images, fine ones a small one: "
            "whitening gives all of them the same weight."
        )
    if not found.is_convolution:
        return (
            f"The network does not start with a convolution: each of the {count} units "
            f"of {found.layer} compares the whole image with one template."
        )
    text = (
        f"Each of the {count} filters is compared with every {height}×{width} patch of "
        f"the image. The weights of {found.cancelling} of them nearly sum to 0: such a "
        "filter responds to edges, lines or dots, not to a uniform area."
    )
    if channels == 3:
        text += (
            f" {found.colourless} respond to brightness alone, "
            f"{count - found.colourless} also to colour."
        )
    return text


def feature_maps(subject: Subject, album: Album) -> Section:
    """Show the maps of every convolution for the given images."""
    layers = [each for each in subject.every if each.is_convolution]
    title = "Feature maps"
    if not layers:
        reason = (
            "The network has no convolution, so that its layers have no spatial "
            "positions: there are no maps to show. Its fully connected units are below."
        )
        return Section("maps", title, [reason], _MAPS_SOURCE)
    part = selection.outputs(subject.model, layers)
    maps = part.predict(subject.shown, verbose=0)
    maps = maps if isinstance(maps, list) else [maps]
    blocks = [
        _maps_of(subject, album, layer, np.asarray(values))
        for layer, values in zip(layers, maps, strict=True)
    ]
    text = [
        "A row for each image, a column for each channel: the channels with the "
        f"strongest responses, at most {MOST_CHANNELS}. Orange is a positive response, "
        "blue a negative one, transparent none; each layer has its own scale. "
        "Deeper layers have fewer positions, and their maps resemble the image less: "
        "they show whether a feature is present, and roughly where.",
    ]
    return Section("maps", title, text, _MAPS_SOURCE, blocks)


_MAPS_SOURCE = (
    "LeCun, Bottou, Bengio, Haffner: “Gradient-Based Learning Applied to Document "
    "Recognition”, 1998, figure 2 and section III."
)


def _maps_of(
    subject: Subject, album: Album, layer: selection.Units, values: np.ndarray
) -> Block:
    strength = np.abs(values).mean(axis=(0, 1, 2))
    channels = np.sort(np.argsort(-strength, kind="stable")[:MOST_CHANNELS])
    largest = float(np.quantile(np.abs(values[..., channels]), 0.995))
    tiles = []
    for image, maps in zip(subject.shown, values, strict=True):
        tiles.append(pictures.fit(pictures.pixels(image), TILE))
        tiles += [
            pictures.fit(pictures.signed(maps[..., channel], largest), TILE)
            for channel in channels
        ]
    sheet = pictures.montage(tiles, len(channels) + 1, gap=4)
    function = activations.of_layer(subject.model.get_layer(layer.response))
    rows, columns, count = layer.shape
    active = (values > 0).mean()
    text = f"{count} maps of {rows}×{columns}"
    if layer.response != layer.layer:
        text += f", after {layer.response}"
    text += f"; {active:.0%} of these images' responses are positive"
    text += f" ({function})." if function != "linear" else " (linear)."
    return Block(
        layer.layer,
        text,
        album.add(
            f"maps-{layer.layer}",
            sheet,
            f"{len(channels)} feature maps of {layer.layer} for each of "
            f"{len(subject.shown)} images: {', '.join(subject.titles)}",
            sheet.shape[1],
        ),
    )
