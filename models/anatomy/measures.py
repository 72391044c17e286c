"""The sizes of a diagram's elements, and its line breaks.

Independent of matplotlib: sizes are in inches, rows are lists of cells.
"""

import math
from dataclasses import dataclass

from fovea.models.anatomy.formatting import format_shape, format_window
from fovea.models.anatomy.layout import Cell, Node

# Inches.
ROW = 15.0  # largest length of a row
GAP = 0.34  # between two columns: the arrow
TEXT = 0.125  # height of a line of a label
LETTER = 0.066
BOLD_LETTER = 0.079
LEAD = 0.22  # space for the connections to separate before a block's lanes
BYPASS = 0.3  # height of the lane of a connection that skips a block
SLANT = 0.35  # of the depth, to the right and upwards


class _Scale:
    """Sizes of boxes in inches, proportional to the square roots of tensor sizes."""

    def __init__(self, found: list[Cell]) -> None:
        nodes = [node for cell in found for node in [*cell.inner, cell.last]]
        shapes = [node.layer.output_shape for node in nodes]
        maps = [shape for shape in shapes if len(shape) == 3]
        self.side = max((max(shape[:2]) for shape in maps), default=1)
        self.channels = max((shape[-1] for shape in maps), default=1)
        self.units = max((math.prod(s) for s in shapes if len(s) != 3), default=1)
        lanes = max(cell.lanes for cell in found)
        self.height = {1: 1.5, 2: 0.85}.get(lanes, 0.6)

    def box(self, shape: tuple[int, ...]) -> tuple[float, float, float]:
        """Return (width, height, slant) of a tensor's box."""
        if len(shape) != 3:
            return 0.1, 0.15 + self.height * _root(math.prod(shape), self.units), 0.04
        rows, columns, channels = shape
        return (
            0.05 + 0.6 * _root(channels, self.channels),
            0.04 + self.height * _root(rows, self.side),
            0.02 + SLANT * self.height * _root(columns, self.side),
        )


def _root(size: int, largest: int) -> float:
    return math.sqrt(size / largest)


@dataclass(frozen=True)
class Row:
    """Cells drawn side by side.

    Args:
        cells: The cells.
        tallest: Height of the tallest box outside of blocks.
        inner: Height of the tallest box inside of blocks.
        label: Height of the labels below the boxes.
    """

    cells: list[Cell]
    tallest: float
    inner: float
    label: float

    def lanes(self, cell: Cell) -> list[float]:
        """Return the heights of a cell's lanes above the middle of the row."""
        heights = [self.inner + self.label] * cell.lanes
        if cell.bypassed:
            heights[0] = BYPASS
        tops = [sum(heights) / 2 - sum(heights[:i]) for i in range(cell.lanes)]
        middles = [top - self.inner / 2 for top in tops]
        if cell.bypassed:
            middles[0] = tops[0] - BYPASS / 2
        return middles

    def reach(self, cell: Cell) -> tuple[float, float]:
        """Return the extent of a cell above and below the middle of the row."""
        lane = self.inner + self.label
        lanes = lane * (cell.lanes - cell.bypassed) + BYPASS * cell.bypassed
        half = lanes / 2 if cell.inner else 0
        above = self.tallest / 2
        if cell.times > 1 and not cell.inner:
            above += BYPASS  # for the count
        return max(half, above), max(half, self.tallest / 2 + self.label)


class Measures:
    """Sizes of boxes, columns, cells and rows of one network.

    Args:
        found: The network's cells, in order.
    """

    def __init__(self, found: list[Cell]) -> None:
        self._cells = found
        self._scale = _Scale(found)

    def _measured(self, row: list[Cell]) -> Row:
        """Return a row with its heights."""
        outer = [cell.last for cell in row]
        inner = [node for cell in row for node in cell.inner]
        lines = max(len(label(node)) for node in [*outer, *inner])
        return Row(
            row,
            max(self._height(node) for node in outer),
            max((self._height(node) for node in inner), default=0),
            lines * TEXT + 0.15,
        )

    def _height(self, node: Node) -> float:
        """Return the height of a node's box, its slanted top included."""
        _, height, slant = self.box(node)
        return height + slant

    def box(self, node: Node) -> tuple[float, float, float]:
        """Return (width, height, slant) of a node's box."""
        return self._scale.box(node.layer.output_shape)

    def _column(self, nodes: list[Node]) -> float:
        """Return the width of a column: that of its widest box or label."""
        wide = 0.0
        for node in nodes:
            width, _, slant = self.box(node)
            name, *lines = label(node)
            letters = max(map(len, lines)) * LETTER
            wide = max(wide, width + slant, len(name) * BOLD_LETTER, letters)
        return wide + GAP

    def columns(self, cell: Cell) -> list[float]:
        """Return the widths of a cell's columns, the last node's at the end."""
        count = 1 + max((node.column for node in cell.inner), default=-1)
        inner = [
            self._column([node for node in cell.inner if node.column == column])
            for column in range(count)
        ]
        return [*inner, self._column([cell.last])]

    def width(self, cell: Cell) -> float:
        """Return the width of a cell, including the space before its lanes."""
        return sum(self.columns(cell)) + 2 * LEAD * (cell.lanes > 1)

    def rows(self) -> list[Row]:
        """Return the cells in as few rows as possible, of similar lengths."""
        fewest = len(self._broken(ROW))
        inches = 1.0
        while len(self._broken(inches)) > fewest:
            inches += 0.1
        return [self._measured(row) for row in self._broken(inches)]

    def _broken(self, length: float) -> list[list[Cell]]:
        """Return the cells in rows of at most this length."""
        rows: list[list[Cell]] = [[]]
        space = length
        for cell in self._cells:
            width = self.width(cell)
            if rows[-1] and width > space:
                rows.append([])
                space = length
            rows[-1].append(cell)
            space -= width
        return rows


def label(node: Node) -> list[str]:
    """Return the lines below a box: name, shape, window, parameters."""
    layer = node.layer
    lines = [layer.name.rsplit("/", 1)[-1], format_shape(layer.output_shape)]
    if layer.kernel:
        lines.append(format_window(layer))
    if node.parameters:
        lines.append(f"{node.parameters:,}")
    return lines
