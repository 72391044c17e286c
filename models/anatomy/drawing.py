"""Write the diagram of a network to a file, for `fovea describe --plot`."""

import os
from pathlib import Path

from fovea.models.anatomy.diagram import Diagram
from fovea.models.anatomy.parts import Anatomy

SUFFIXES = (".png", ".svg")


def check_target(target: Path) -> None:
    """Check that `draw` can write a file, before anything is computed.

    Args:
        target: File to write.

    Raises:
        ValueError: If the suffix or the directory is unusable.
    """
    if target.suffix.lower() not in SUFFIXES:
        raise ValueError(
            f"A drawing's file name must end in .png or .svg. Received: plot={target}"
        )
    if not target.parent.is_dir():
        raise ValueError(f"The drawing's directory must exist. Received: plot={target}")
    if target.is_dir() or not os.access(target.parent, os.W_OK):
        raise ValueError(
            f"The drawing cannot be written there. Received: plot={target}"
        )


def draw(parts: Anatomy, target: Path) -> None:
    """Draw the diagram of a network.

    Args:
        parts: Anatomy of the network.
        target: File to write, ending in .png or .svg; it appears when complete.

    Raises:
        ValueError: If the file cannot be written.
    """
    check_target(target)
    figure = Diagram(parts).figure
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    kind = target.suffix.lower()[1:]
    # Without a date, equal networks have equal files.
    metadata = {"Date": None} if kind == "svg" else None
    try:
        import matplotlib as mpl

        with mpl.rc_context({"svg.hashsalt": parts.name}):
            figure.savefig(unfinished, format=kind, dpi=150, metadata=metadata)
        unfinished.replace(target)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise ValueError(
            f"The drawing cannot be written: {error.strerror}. Received: plot={target}"
        ) from error
