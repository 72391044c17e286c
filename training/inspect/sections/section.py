"""The parts of the page: sections of text, pictures and tables."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fovea.training.inspect.drawing import pictures
from fovea.training.rendering import html


@dataclass(frozen=True)
class Picture:
    """A picture in the page.

    Args:
        source: The `src` of the <img>: the file as a data URL.
        width: Width in CSS pixels.
        text: The alternative text.
    """

    source: str
    width: int
    text: str


@dataclass(frozen=True)
class Row:
    """A row of a table: words and pictures."""

    head: str
    cells: Sequence[str | Picture]
    note: str = ""


@dataclass(frozen=True)
class Block:
    """A part of a section: a title, words, and at most one of what follows.

    Args:
        title: May be empty.
        text: A description.
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
        name: The fragment of its address; a word.
        title: Its heading.
        text: Paragraphs: what is shown and how it was made.
        source: The papers that the method comes from.
        blocks: Its content.
    """

    name: str
    title: str
    text: Sequence[str]
    source: str
    blocks: Sequence[Block] = field(default_factory=list)


@dataclass(frozen=True)
class Album:
    """The page's pictures, which are also written as files.

    Args:
        directory: The directory of the files.
    """

    directory: Path

    def add(self, name: str, picture: np.ndarray, text: str, width: int) -> Picture:
        """Save a picture and return it for the page.

        Args:
            name: Name of the file, without suffix.
            picture: uint8 RGBA (rows, columns, 4).
            text: The alternative text.
            width: Width on the page, in CSS pixels.
        """
        path = self.directory / (re.sub(r"[^\w.-]+", "-", name) + ".png")
        pictures.save(pictures.enlarge(picture, width), path)
        return Picture(html.inline(path), width, text)
