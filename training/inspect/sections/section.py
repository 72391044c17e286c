"""What the page is put together from: sections of text, pictures and tables."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fovea.training.inspect import draw
from fovea.training.rendering import html


@dataclass(frozen=True)
class Picture:
    """A picture in the page.

    Args:
        source: Of the <img>: the file itself.
        width: In CSS pixels.
        text: What it shows, for those who do not see it.
    """

    source: str
    width: int
    text: str


@dataclass(frozen=True)
class Row:
    """A row of a table: words and pictures."""

    head: str
    cells: "Sequence[str | Picture]"
    note: str = ""


@dataclass(frozen=True)
class Block:
    """A part of a section: a title, words, and at most one of what follows.

    Args:
        title: May be empty.
        text: What one sees.
        picture: A picture.
        svg: A plot.
        head, rows: A table.
    """

    title: str = ""
    text: str = ""
    picture: Picture | None = None
    svg: str = ""
    head: Sequence[str] = ()
    rows: Sequence[Row] = ()


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Args:
        name: Of its address; a word.
        title: Its heading.
        text: What is seen and how it was made, a paragraph each.
        source: Whose idea it is.
        blocks: What there is to see.
    """

    name: str
    title: str
    text: Sequence[str]
    source: str
    blocks: Sequence[Block] = field(default_factory=list)


@dataclass(frozen=True)
class Album:
    """Keeps the page's pictures as files, and gives them to the page.

    Args:
        directory: That the files are written to.
    """

    directory: Path

    def add(self, name: str, picture: np.ndarray, text: str, width: int) -> Picture:
        """Save a picture.

        Args:
            name: Of the file, without suffix.
            picture: uint8 RGBA (rows, columns, 4).
            text: What it shows.
            width: That it is shown with, in CSS pixels.
        """
        path = self.directory / (re.sub(r"[^\w.-]+", "-", name) + ".png")
        draw.save(draw.enlarge(picture, width), path)
        return Picture(html.inline(path), width, text)
