"""inspect.html: what a network looks for, on one page that needs nothing but itself."""

from collections.abc import Callable
from pathlib import Path

from fovea.training.inspect.sections import (
    answers,
    health,
    images,
    invariance,
    layers,
    units,
)
from fovea.training.inspect.sections.section import Album, Section
from fovea.training.inspect.subject import Subject
from fovea.training.inspect.units.survey import survey
from fovea.training.rendering import html as pages
from fovea.training.runs import directory as runs

FILE = "inspect.html"
DIRECTORY = "inspect"


def check_target(directory: Path) -> None:
    """Refuse a directory that holds anything but an earlier page.

    Raises:
        ValueError: If it does.
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
    facts: "list[str]",
    tell: Callable[[str], None] = lambda what: None,
) -> Path:
    """Write the page and its pictures into a directory.

    Args:
        directory: Replaced as a whole when everything is there.
        subject: What is inspected.
        title: Of the page: "lenet5 on mnist".
        facts: Sentences below it.
        tell: Called with the name of each section before it is made.

    Returns:
        The page's path.

    Raises:
        ValueError: If the directory holds something else.
        OSError: If it cannot be written; an earlier page is still there then.
    """
    check_target(directory)
    with runs.replacing_directory(directory) as partial:
        album = Album(partial)
        html = pages.render(
            "inspect.html",
            title=title,
            facts=facts,
            sections=_sections(subject, album, tell),
            warnings=[note for note in subject.parts.warnings if "whole map" in note],
        )
        (partial / FILE).write_text(html, encoding="utf-8")
    return directory / FILE


def _sections(
    subject: Subject, album: Album, tell: Callable[[str], None]
) -> "list[Section]":
    tell("filters and feature maps")
    sections = [
        layers.first_filters(subject, album),
        layers.feature_maps(subject, album),
    ]
    tell(f"every unit's response to {len(subject.images):,} images")
    chosen = [each for each in subject.chosen if each not in subject.every]
    surveys = survey(subject.model, [*subject.every, *chosen], subject.images)
    of = {found.units: found for found in surveys}
    tell(f"units of {', '.join(each.layer for each in subject.chosen)}")
    sections.append(
        units.of_layers(subject, album, [of[each] for each in subject.chosen])
    )
    sections.append(health.idle_units(subject, [of[each] for each in subject.every]))
    tell("why it answers so")
    sections.insert(2, answers.why(subject, album))
    tell("classes and images")
    sections.append(images.confusions(subject, album))
    sections.append(images.alike(subject))
    tell("shifts, rotations, sizes, noise")
    sections.append(invariance.invariance(subject))
    tell("gradients")
    sections.append(health.gradients(subject))
    return sections
