"""The page's section about dead and saturated units."""

from fovea.training.inspect.analysis.subject import Subject
from fovea.training.inspect.sections.section import Block, Row, Section
from fovea.training.inspect.units.dead_units import Usage, usage
from fovea.training.inspect.units.survey import Survey

MOST_NUMBERS = 8
HEAD = ("Layer", "Activation", "Units", "Dead", "Off", "Saturated")


def dead_units(subject: Subject, surveys: list[Survey]) -> Section:
    """Show how many units are dead, off or saturated.

    Args:
        subject: What is inspected.
        surveys: The surveys of the layers `subject.every`.
    """
    found = [usage(subject.model, each) for each in surveys]
    dead = sum(len(layer.dead) for layer in found)
    units = sum(layer.units for layer in found)
    images = f"{len(subject.images):,} {subject.origin}"
    text = [
        (
            f"{dead} of {units:,} units {'does' if dead == 1 else 'do'} not respond to "
            f"any of {images}. A dead unit costs time and carries no information; a "
            "ReLU that is never on gets no gradient and cannot recover."
            if dead
            else f"Each of the {units:,} units responds to at least one of {images}."
        ),
        "Off: the share of all responses that are not above 0; for ReLU this is the "
        "sparsity of the network. Saturated: the share within 0.05 of a limit of tanh "
        "or sigmoid, where the gradient almost vanishes.",
    ]
    squashed = [layer for layer in found if layer.saturated is not None]
    if squashed:
        most = max(squashed, key=lambda layer: layer.saturated or 0)
        text.append(
            f"The most saturated layer is {most.layer}, with {most.saturated:.0%} of "
            "its responses: its units act almost as binary switches."
            if (most.saturated or 0) > 0.2
            else f"Even in {most.layer}, the most saturated layer, only "
            f"{most.saturated:.1%} of the responses are near a limit."
        )
    source = (
        "Glorot, Bengio: “Understanding the difficulty of training deep feedforward "
        "neural networks”, 2010, section 3 (saturation); Glorot, Bordes, Bengio: "
        "“Deep Sparse Rectifier Neural Networks”, 2011 (units that are off)."
    )
    block = Block(head=HEAD, rows=[_row(layer) for layer in found])
    return Section("dead", "Dead and saturated units", text, source, [block])


def _row(layer: Usage) -> Row:
    dead = f"{len(layer.dead)}"
    if layer.dead:
        numbers = ", ".join(map(str, layer.dead[:MOST_NUMBERS]))
        more = ", …" if len(layer.dead) > MOST_NUMBERS else ""
        dead += f" ({numbers}{more})"
    saturated = "–" if layer.saturated is None else f"{layer.saturated:.1%}"
    cells = [layer.activation, str(layer.units), dead, f"{layer.off:.0%}", saturated]
    return Row(layer.layer, cells)
