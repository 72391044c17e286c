"""The diagram of a network: boxes, rows, connections, labels.

Every box is the output tensor of a layer: its height and depth represent those of the
map, its width the channels. Rows are read like text.
"""

from typing import Any

from fovea.models.anatomy.formatting import format_count, format_shape
from fovea.models.anatomy.layout import Cell, Node, cells
from fovea.models.anatomy.measures import GAP, LEAD, LETTER, TEXT, Measures, Row, label
from fovea.models.anatomy.parts import Anatomy, LayerAnatomy

# Okabe and Ito's palette, which is distinct with every type of colour vision.
COLOURS = {
    "image": "#E5E5E5",
    "convolution": "#56B4E9",
    "pooling": "#E69F00",
    "fully connected": "#009E73",
    "merge": "#CC79A7",
    "other": "#F0E442",
}
LINE = "#555555"

MARGIN = 0.3  # inches


class Diagram:
    """Lays out the cells of a network in rows and draws them on `figure`.

    Args:
        parts: Anatomy of the network.
    """

    def __init__(self, parts: Anatomy) -> None:
        from matplotlib.figure import Figure

        self.cells = cells(parts)
        self.measures = Measures(self.cells)
        rows = self.measures.rows()
        reaches = [[row.reach(cell) for cell in row.cells] for row in rows]
        above = [max(up for up, _ in reach) + 0.1 for reach in reaches]
        below = [max(down for _, down in reach) + 0.1 for reach in reaches]
        self.width = 2 * MARGIN + max(
            5.2, *(sum(self.measures.width(cell) for cell in row.cells) for row in rows)
        )
        self.height = sum(above) + sum(below) + 1.15
        self.figure = Figure(figsize=(self.width, self.height), facecolor="white")
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set_xlim(0, self.width)
        self.axes.set_ylim(0, self.height)
        self.axes.set_axis_off()
        # Left, right and middle of every box.
        self.places: dict[int, tuple[float, float, float]] = {}
        self._title(parts)
        top = self.height - 0.65
        previous: Node | None = None
        for row, up, down in zip(rows, above, below, strict=True):
            if previous is not None:
                self._wrap(previous, top, top - up)
            previous = self._row(row, top - up, previous)
            top -= up + down
        self._legend(parts)

    def _row(self, row: Row, middle: float, previous: Node | None) -> Node:
        """Draw a row and return its last node."""
        left = MARGIN
        for cell in row.cells:
            self._cell(cell, row, left, middle, previous)
            left += self.measures.width(cell)
            previous = cell.last
        assert previous is not None
        return previous

    def _wrap(self, previous: Node, top: float, middle: float) -> None:
        """Draw the connection from the end of a row to the start of the next."""
        _, right, y = self.places[id(previous)]
        start = MARGIN - 0.14
        end = self.width - MARGIN + 0.14
        self.axes.plot(
            [right, end, end, start, start],
            [y, y, top, top, middle],
            color=LINE,
            linewidth=0.8,
            solid_joinstyle="round",
            zorder=0,
        )
        self.places[id(previous)] = (start, start, middle)

    def _cell(
        self, cell: Cell, row: Row, left: float, middle: float, previous: Node | None
    ) -> None:
        lead = LEAD * (cell.lanes > 1)
        columns = self.measures.columns(cell)
        starts = [left + lead + sum(columns[:i]) for i in range(len(columns))]
        starts[-1] += lead
        lanes = [middle + y for y in row.lanes(cell)]
        for node in cell.inner:
            x, y = starts[node.column], lanes[node.lane]
            self._node(node, x, columns[node.column], y, row.inner)
        self._node(cell.last, starts[-1], columns[-1], middle, row.tallest)
        if cell.times > 1:
            self._repeat(cell, row, left, middle)
        inside = {id(node) for node in cell.inner}
        for node in [*cell.inner, cell.last]:
            start = starts[-1] if node is cell.last else starts[node.column]
            for source in node.inputs:
                # Inputs from outside the cell come from the cell before, which may
                # stand for several.
                outside = id(source) not in inside
                origin = previous if outside else source
                assert origin is not None
                stops = [(start, self.places[id(node)][2])]
                if inside and outside and node is cell.last:
                    stops.insert(0, (starts[0], lanes[0]))
                self._arrow(origin, node, stops, lead)

    def _node(
        self, node: Node, x: float, column: float, y: float, tallest: float
    ) -> None:
        width, height, slant = self.measures.box(node)
        left = x + GAP / 2 + (column - GAP - width - slant) / 2
        bottom = y - (height + slant) / 2
        colour = COLOURS[_role(node.layer)]
        faces = (
            ([(0, 0), (width, 0), (width, height), (0, height)], 0),
            (
                [
                    (0, height),
                    (width, height),
                    (width + slant, height + slant),
                    (slant, height + slant),
                ],
                0.35,
            ),
            (
                [
                    (width, 0),
                    (width + slant, slant),
                    (width + slant, height + slant),
                    (width, height),
                ],
                -0.18,
            ),
        )
        for corners, light in faces:
            points = [(left + dx, bottom + dy) for dx, dy in corners]
            self.axes.fill(
                *zip(*points, strict=True),
                facecolor=_shade(colour, light),
                edgecolor="#333333",
                linewidth=0.6,
                joinstyle="round",
                zorder=2,
            )
        self.places[id(node)] = (left, left + width + slant / 2, y)
        label_top = y - tallest / 2 - 0.05
        for i, line in enumerate(label(node)):
            self.axes.text(
                x + column / 2,
                label_top - i * TEXT,
                line,
                ha="center",
                va="top",
                fontsize=7,
                fontweight="bold" if i == 0 else "normal",
                color="black" if i < 2 else "#444444",
            )

    def _arrow(
        self, source: Node, node: Node, stops: list[tuple[float, float]], lead: float
    ) -> None:
        """Draw a connection between two boxes.

        Args:
            source: Box at its start.
            node: Box at its end.
            stops: (x, y): before the column at x it changes to height y, at which it
                crosses no label.
            lead: Additional space before that column.
        """
        from matplotlib.patches import FancyArrowPatch
        from matplotlib.path import Path as Curve

        _, x, y = self.places[id(source)]
        points, codes = [(x, y)], [Curve.MOVETO]
        for column, height in stops:
            if height != y:
                begin, end = max(x, column - GAP / 2 - lead), column + GAP / 2
                half = (begin + end) / 2
                points += [(begin, y), (half, y), (half, height), (end, height)]
                codes += [Curve.LINETO, *[Curve.CURVE4] * 3]
                y = height
        points.append((self.places[id(node)][0], y))
        codes.append(Curve.LINETO)
        self.axes.add_patch(
            FancyArrowPatch(
                path=Curve(points, codes),
                arrowstyle="-|>",
                mutation_scale=6,
                color=LINE,
                linewidth=0.8,
                shrinkA=0,
                shrinkB=0,
                zorder=1,
            )
        )

    def _repeat(self, cell: Cell, row: Row, left: float, middle: float) -> None:
        """Draw the frame and the count of a repeated cell."""
        from matplotlib.patches import FancyBboxPatch

        above, below = row.reach(cell)
        width, height, bottom = self.measures.width(cell), above + below, middle - below
        self.axes.add_patch(
            FancyBboxPatch(
                (left + 0.06, bottom),
                width - 0.08,
                height,
                boxstyle="round,pad=0,rounding_size=0.08",
                facecolor="#F6F6F6",
                edgecolor="#999999",
                linestyle=(0, (3, 2)),
                linewidth=0.8,
                zorder=-1,
            )
        )
        self.axes.text(
            left + width - 0.1,
            bottom + height - 0.06,
            f"× {cell.times}",
            ha="right",
            va="top",
            fontsize=10,
            fontweight="bold",
        )

    def _title(self, parts: Anatomy) -> None:
        """Draw the title."""
        top = self.height - 0.18
        self.axes.text(
            MARGIN, top, parts.name, fontsize=13, fontweight="bold", va="top"
        )
        work = format_count(parts.multiply_adds) + (
            " and more" if parts.unknown else ""
        )
        self.axes.text(
            MARGIN,
            top - 0.26,
            f"{format_shape(parts.input_shape)} images, "
            f"{parts.parameters:,} parameters, {work} multiply-adds",
            fontsize=8,
            va="top",
        )

    def _legend(self, parts: Anatomy) -> None:
        """Draw the legend and the caption."""
        nodes = [node for cell in self.cells for node in [*cell.inner, cell.last]]
        used = {_role(node.layer) for node in nodes}
        x, y = MARGIN, 0.34
        for role, colour in COLOURS.items():
            if role in used:
                self.axes.fill(
                    [x, x + 0.12, x + 0.12, x],
                    [y, y, y + 0.12, y + 0.12],
                    facecolor=colour,
                    edgecolor="#333333",
                    linewidth=0.6,
                )
                self.axes.text(x + 0.18, y + 0.01, role, fontsize=7)
                x += 0.4 + len(role) * LETTER
        caption = (
            "Sides follow the square root of height, width and channels. s stride, "
            "p padding, d dilation; the last line counts parameters.\nNormalisation, "
            "activation and dropout belong to the box before them."
        )
        if any(cell.times > 1 for cell in self.cells):
            caption += " × n: n equal blocks in a row, named after the first."
        if len(parts.trunk) < len(parts.layers):
            caption += " Side heads are not drawn."
        self.axes.text(MARGIN, 0.24, caption, fontsize=6, color="#444444", va="top")


def _role(layer: LayerAnatomy) -> str:
    """Return the key of a layer's colour."""
    if not layer.inputs:
        return "image"
    if layer.fully_connected is not None:
        return "convolution" if layer.kernel else "fully connected"
    if layer.kernel or "Pooling" in layer.kind:
        return "pooling"
    if len(layer.inputs) > 1 and layer.kind != "SpatialTransformer":
        return "merge"
    return "other"


def _shade(colour: str, light: float) -> Any:
    """Return the colour mixed with white (light > 0) or black (light < 0)."""
    from matplotlib.colors import to_rgb

    other = 1.0 if light > 0 else 0.0
    share = abs(light)
    return tuple((1 - share) * part + share * other for part in to_rgb(colour))
