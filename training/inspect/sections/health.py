"""The page's sections about a network's health: idle units, vanishing gradients."""

from fovea.training.inspect import plots, vanishing
from fovea.training.inspect.sections.section import Block, Row, Section
from fovea.training.inspect.subject import Subject
from fovea.training.inspect.units.dead_units import Idle, idle
from fovea.training.inspect.units.survey import Survey

# Images that the demonstration trains on.
IMAGES = 2000
MOST_NUMBERS = 8
HEAD = ("Layer", "Activation", "Units", "Dead", "Off", "Saturated")


def idle_units(subject: Subject, surveys: "list[Survey]") -> Section:
    """Show how many units do nothing.

    Args:
        subject: What is inspected.
        surveys: Of the layers `subject.every`.
    """
    found = [idle(subject.model, each) for each in surveys]
    dead = sum(len(layer.dead) for layer in found)
    units = sum(layer.units for layer in found)
    asked = f"{len(subject.images):,} {subject.origin}"
    text = [
        (
            f"{dead} of {units:,} units {'does' if dead == 1 else 'do'} not respond to "
            f"any of {asked}. Such a unit costs time and tells nothing; a ReLU that is "
            "never on gets no gradient either and cannot come back."
            if dead
            else f"Each of the {units:,} units responds to some of {asked}."
        ),
        "Off: the share of all responses that are not above 0, which for ReLU is what "
        "makes a network sparse. Saturated: the share within 0.05 of an end of tanh "
        "or sigmoid, where next to no gradient passes.",
    ]
    squashed = [layer for layer in found if layer.saturated is not None]
    if squashed:
        most = max(squashed, key=lambda layer: layer.saturated or 0)
        text.append(
            f"Most saturated is {most.layer}, with {most.saturated:.0%} of its "
            "responses: there the units work almost as switches."
            if (most.saturated or 0) > 0.2
            else f"Even in {most.layer}, the most saturated layer, only "
            f"{most.saturated:.1%} of the responses are at an end."
        )
    source = (
        "Glorot, Bengio: “Understanding the difficulty of training deep feedforward "
        "neural networks”, 2010, section 3 (saturation); Glorot, Bordes, Bengio: "
        "“Deep Sparse Rectifier Neural Networks”, 2011 (units that are off)."
    )
    block = Block(head=HEAD, rows=[_row(layer) for layer in found])
    return Section("idle", "Units that do nothing", text, source, [block])


def _row(layer: Idle) -> Row:
    dead = f"{len(layer.dead)}"
    if layer.dead:
        numbers = ", ".join(map(str, layer.dead[:MOST_NUMBERS]))
        more = ", …" if len(layer.dead) > MOST_NUMBERS else ""
        dead += f" ({numbers}{more})"
    saturated = "–" if layer.saturated is None else f"{layer.saturated:.1%}"
    cells = [layer.activation, str(layer.units), dead, f"{layer.off:.0%}", saturated]
    return Row(layer.layer, cells)


def gradients(subject: Subject) -> Section:
    """Show where the gradient goes, in the network and in two deep ones."""
    images, labels = subject.images[:IMAGES], subject.labels[:IMAGES]
    shown = vanishing.demonstrate(images, labels, len(subject.class_names))
    batch = slice(0, vanishing.BATCH_SIZE)
    norms = vanishing.gradient_norms(subject.model, images[batch], labels[batch])
    lost = {name: row["start"][-1] / row["start"][0] for name, row in shown.items()}
    losses = {name: row["loss"] for name, row in shown.items()}
    text = [
        "On its way back from the loss the gradient is multiplied by every layer's "
        "weights and by the slope of every activation, which for a sigmoid is at most "
        f"1/4. Two networks of {vanishing.HIDDEN} hidden layers, equal but for that, "
        f"on these images: with sigmoids the first layer's gradient is "
        f"{_times(lost['sigmoid'])} smaller than the last one's, with ReLU, whose "
        f"slope is 1, {_times(lost['relu'])}. After {vanishing.STEPS} steps of "
        f"gradient descent the loss has gone from {losses['sigmoid'][0]:.2f} to "
        f"{losses['sigmoid'][1]:.2f} and from {losses['relu'][0]:.2f} to "
        f"{losses['relu'][1]:.2f}.",
        f"Beside them {subject.model.name} as it was trained: here the gradient is "
        "what its few mistakes still ask for.",
    ]
    source = (
        "Hochreiter: “Untersuchungen zu dynamischen neuronalen Netzen”, 1991; Glorot, "
        "Bengio, 2010, section 4.2; Glorot, Bordes, Bengio, 2011. Root mean square of "
        f"the cross-entropy's gradient by a layer's weights, {vanishing.BATCH_SIZE} "
        "images."
    )
    plots_of = [Block(svg=plots.vanishing(shown))]
    if norms:
        plots_of.append(Block(svg=plots.gradients(norms, subject.model.name)))
    title = "Where the gradient goes"
    return Section("gradients", title, text, source, plots_of)


def _times(ratio: float) -> str:
    return f"{ratio:,.0f} times" if ratio >= 10 else f"{ratio:.1f} times"
