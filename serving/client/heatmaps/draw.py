"""Draw explanations: each image beside its heat map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fovea.serving.client.heatmaps.overlay import overlay

if TYPE_CHECKING:
    from fovea.serving.client.heatmaps.explain_images import Explanation

# All in pixels.
SIDE = 224  # of the longer side of an image
GAP = 8  # between an image and its heat map
MARGIN = 10
CAPTION = 52
LEGEND = 36
PAPER, INK, FAINT = "#ffffff", "#202020", "#606060"


def draw(explanation: Explanation, image: Image.Image, name: str = "") -> Image.Image:
    """Draw an image, its heat map and its predicted class as a tile.

    Args:
        explanation: The explanation of the image.
        image: The image, of any size and mode.
        name: Caption of the image, such as the name of its file.

    Returns:
        An image of mode RGB; all tiles have the same size.
    """
    width = 2 * SIDE + GAP
    tile = Image.new("RGB", (width + 2 * MARGIN, MARGIN + SIDE + CAPTION), PAPER)
    scaled = _scaled(image)
    x = MARGIN + (SIDE - scaled.width) // 2
    y = MARGIN + (SIDE - scaled.height) // 2
    tile.paste(scaled, (x, y))
    tile.paste(overlay(scaled, explanation.heatmap), (x + SIDE + GAP, y))
    pen = ImageDraw.Draw(tile)
    prediction = f"{explanation.label}  {explanation.probability:.1%}"
    for text, size, colour, offset in (
        (prediction, 17, INK, 0),
        (name, 12, FAINT, 23),
    ):
        font = ImageFont.load_default(size)
        position = (MARGIN, MARGIN + SIDE + 6 + offset)
        pen.text(position, _shortened(text, font, width), colour, font=font)
    return tile


def sheet(tiles: Sequence[Image.Image]) -> Image.Image:
    """Arrange tiles in an approximate square above a legend of the colours.

    Args:
        tiles: At least one tile from `draw`.

    Returns:
        An image of mode RGB.
    """
    width, height = tiles[0].size
    columns = max(1, round(math.sqrt(len(tiles) * height / width)))
    rows = -(-len(tiles) // columns)
    size = (columns * width, rows * height + LEGEND)
    paper = Image.new("RGB", size, PAPER)
    for index, tile in enumerate(tiles):
        row, column = divmod(index, columns)
        paper.paste(tile, (column * width, row * height))
    _legend(paper, rows * height)
    return paper


def _legend(paper: Image.Image, top: int) -> None:
    pen, font = ImageDraw.Draw(paper), ImageFont.load_default(12)
    labels = ("little evidence for the class", "strong evidence")
    middle = top + LEGEND // 2 - 2
    pen.text((MARGIN, middle), labels[0], FAINT, font=font, anchor="lm")
    start = MARGIN + int(font.getlength(labels[0])) + GAP
    bar = overlay(Image.new("L", (100, 10), 160), np.linspace(0, 1, 100)[None])
    paper.paste(bar, (start, middle - 5))
    position = (start + bar.width + GAP, middle)
    pen.text(position, labels[1], FAINT, font=font, anchor="lm")


def _scaled(image: Image.Image) -> Image.Image:
    """Scale an image to SIDE pixels, with sharp pixels if it is small."""
    scale = SIDE / max(image.size)
    size = [max(1, round(length * scale)) for length in image.size]
    small = scale > 2
    resample = Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS
    return image.convert("RGB").resize((size[0], size[1]), resample)


def _shortened(
    text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int
) -> str:
    """Shorten a text in its middle if it is wider than `width` pixels."""
    kept = len(text)
    shown = text
    while font.getlength(shown) > width:
        kept -= 2
        shown = f"{text[: kept // 2]}…{text[-(kept // 2) :]}"
    return shown
