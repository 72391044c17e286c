"""The style of all plots, and plots as SVG elements for a page.

Colours are Okabe and Ito's, distinguishable with any type of colour vision, and lines
differ in more than colour. In a page every colour is a variable of its style sheet,
so that one drawing serves light and dark pages.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, ORANGE = "#0072b2", "#d55e00"
INK, FAINT, RULE = "#202020", "#606060", "#d0d0d0"
# Their names in the style sheet.
VARIABLES = {
    BLUE: "var(--blue)",
    ORANGE: "var(--orange)",
    INK: "var(--ink)",
    FAINT: "var(--faint)",
    RULE: "var(--rule)",
}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.labelcolor": FAINT,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "xtick.color": RULE,
    "xtick.labelcolor": FAINT,
    "ytick.color": RULE,
    "ytick.labelcolor": FAINT,
}


@contextlib.contextmanager
def new(width: float, height: float) -> Iterator[Figure]:
    """Create a figure; the style is in effect within the context.

    Args:
        width: In inches.
        height: In inches.

    Yields:
        An empty figure.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"figure.figsize": (width, height), **_STYLE}):
        yield Figure()


def svg(figure: Figure, name: str, description: str) -> str:
    """Return a figure as an SVG element for a page.

    Args:
        figure: A figure that `new` created.
        name: A word, different for every figure of a page.
        description: The alternative text.
    """
    import matplotlib
    from markupsafe import escape

    written = io.StringIO()
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure.savefig(written, format="svg", metadata={"Date": None})
    text = written.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, count=1, flags=re.DOTALL)
    # Ids that are the same in every figure; those that are referred to differ.
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, variable)
    label = f'role="img" aria-label="{escape(description)}"'
    # Without a height, so that the page's style may make it narrower.
    text = re.sub(r' height="[^"]*pt"', "", text, count=1)
    return text.replace("<svg", f"<svg {label}", 1)
