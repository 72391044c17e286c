"""inspect.html: what a network looks for, on one self-contained page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fovea.training.inspect.analysis.subject import Subject
from fovea.training.inspect.sections.attributions import attributions
from fovea.training.inspect.sections.dead_units import dead_units
from fovea.training.inspect.sections.gradients import gradients
from fovea.training.inspect.sections.images import confusions, similar
from fovea.training.inspect.sections.invariance import invariance
from fovea.training.inspect.sections.layers import feature_maps, first_filters
from fovea.training.inspect.sections.section import Album, Section
from fovea.training.inspect.sections.units import units
from fovea.training.inspect.units.survey import survey
from fovea.training.rendering import html as pages
from fovea.training.runs import directory as runs

FILE = "inspect.html"
DIRECTORY = "inspect"


def check_target(directory: Path) -> None:
    """Refuse a directory that holds anything but an earlier page.

    Raises:
        ValueError: If it holds something else.
    """
    if not directory.exists():
        return
    if not directory.is_dir() or any(
        path.name != FILE and path.suffix != ".png" for path in directory.iterdir()
    ):
        raise ValueError(
            "The page's directory must be new, empty or hold an earlier page, which "
            f"is replaced. Received: --to {directory}"
        )


def write(
    directory: Path,
    subject: Subject,
    title: str,
    facts: list[str],
    on_progress: Callable[[str], None] = lambda section: None,
) -> Path:
    """Write the page and its pictures into a directory.

    Args:
        directory: The page's directory, replaced when the new one is complete.
        subject: What is inspected.
        title: Title of the page: "lenet5 on mnist".
        facts: Sentences below the title.
        on_progress: Called with a description of each step before it starts.

    Returns:
        The page's path.

    Raises:
        ValueError: If the directory holds something else.
        OSError: If it cannot be written; an earlier page is kept then.
    """
    check_target(directory)
    with runs.replacing_directory(directory) as partial:
        album = Album(partial)
        html = pages.render(
            "inspect.html",
            title=title,
            facts=facts,
            sections=_sections(subject, album, on_progress),
            warnings=[note for note in subject.parts.warnings if "whole map" in note],
        )
        (partial / FILE).write_text(html, encoding="utf-8")
    return directory / FILE


def _sections(
    subject: Subject, album: Album, on_progress: Callable[[str], None]
) -> list[Section]:
    on_progress("filters and feature maps")
    filters, maps = first_filters(subject, album), feature_maps(subject, album)
    on_progress(f"responses of all units to {len(subject.images):,} images")
    others = [layer for layer in subject.chosen if layer not in subject.every]
    surveys = {
        found.units: found
        for found in survey(subject.model, [*subject.every, *others], subject.images)
    }
    on_progress(f"units of {', '.join(layer.layer for layer in subject.chosen)}")
    chosen = units(subject, album, [surveys[layer] for layer in subject.chosen])
    dead = dead_units(subject, [surveys[layer] for layer in subject.every])
    on_progress("evidence for the predictions")
    evidence = attributions(subject, album)
    on_progress("classes and images")
    confused, neighbours = confusions(subject, album), similar(subject)
    on_progress("shifts, rotations, sizes, noise")
    changed = invariance(subject)
    on_progress("gradients")
    return [
        filters,
        maps,
        evidence,
        chosen,
        dead,
        confused,
        neighbours,
        changed,
        gradients(subject),
    ]
