"""Explanations as a picture: each image beside what in it speaks for the answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fovea.serving.client.heatmaps.overlay import overlay

if TYPE_CHECKING:
    from fovea.serving.client.heatmaps.explain_images import Explanation

SIDE = 224  # pixels that a picture's longer side is drawn with
GAP = 8  # between a picture and its heat map
MARGIN = 10
CAPTION = 52
LEGEND = 36
PAPER, INK, FAINT = "#ffffff", "#202020", "#606060"


def draw(explanation: Explanation, image: Image.Image, name: str = "") -> Image.Image:
    """Draw a picture, the heat map over it, and the answer.

    Args:
        explanation: what the model answered about the picture.
        image: the picture, of any size and mode.
        name: what the picture is called, such as its file's name.

    Returns:
        mode RGB, of the same size whatever the picture's.
    """
    width = 2 * SIDE + GAP
    tile = Image.new("RGB", (width + 2 * MARGIN, MARGIN + SIDE + CAPTION), PAPER)
    picture = _fitted(image)
    x = MARGIN + (SIDE - picture.width) // 2
    y = MARGIN + (SIDE - picture.height) // 2
    tile.paste(picture, (x, y))
    tile.paste(overlay(picture, explanation.heatmap), (x + SIDE + GAP, y))
    pen = ImageDraw.Draw(tile)
    answer = f"{explanation.label}  {explanation.probability:.1%}"
    for text, size, colour, below in ((answer, 17, INK, 0), (name, 12, FAINT, 23)):
        font = ImageFont.load_default(size)
        place = (MARGIN, MARGIN + SIDE + 6 + below)
        pen.text(place, _shortened(text, font, width), colour, font=font)
    return tile


def sheet(tiles: Sequence[Image.Image]) -> Image.Image:
    """Lay out what `draw` made, in about a square, and say what the colours mean."""
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
    words = ("says little for the answer", "says most")
    middle = top + LEGEND // 2 - 2
    pen.text((MARGIN, middle), words[0], FAINT, font=font, anchor="lm")
    start = MARGIN + int(font.getlength(words[0])) + GAP
    bar = overlay(Image.new("L", (100, 10), 160), np.linspace(0, 1, 100)[None])
    paper.paste(bar, (start, middle - 5))
    place = (start + bar.width + GAP, middle)
    pen.text(place, words[1], FAINT, font=font, anchor="lm")


def _fitted(image: Image.Image) -> Image.Image:
    """Scale a picture to SIDE pixels, its own pixels visible if they are few."""
    scale = SIDE / max(image.size)
    size = [max(1, round(length * scale)) for length in image.size]
    small = scale > 2
    how = Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS
    return image.convert("RGB").resize((size[0], size[1]), how)


def _shortened(
    text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int
) -> str:
    """Cut a text in its middle where it is too long for a line."""
    kept = len(text)
    shown = text
    while font.getlength(shown) > width:
        kept -= 2
        shown = f"{text[: kept // 2]}…{text[-(kept // 2) :]}"
    return shown
