"""Tables and JSON on the terminal, in one style for all commands.

It imports nothing of fovea, and only the `commands` packages import it. What
`fovea predict` and its sisters print row by row, while responses arrive, has modules
of its own: `fovea.serving.client.commands.output`, `progress` and `json_values`.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def console() -> Console:
    """Return the console that tables are printed on: 100 columns when piped."""
    from rich.console import Console

    out = Console(highlight=False, soft_wrap=False)
    return out if out.is_terminal else Console(highlight=False, width=100)


def table(out: Console) -> Table:
    """Return an empty table: ruled on a terminal, plain when piped."""
    from rich import box
    from rich.table import Table

    style = box.SIMPLE_HEAD if out.is_terminal else None
    return Table(box=style, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")


def print_json(value: Any) -> None:
    """Print a JSON document, indented."""
    json.dump(value, sys.stdout, indent=2)
    print()
