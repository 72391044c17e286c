"""The page's section about gradients: their size in each layer."""

from fovea.training.inspect.analysis import gradients as analysis
from fovea.training.inspect.analysis.subject import Subject
from fovea.training.inspect.drawing import plots
from fovea.training.inspect.sections.section import Block, Section

# Images that the demonstration trains on.
IMAGES = 2000


def gradients(subject: Subject) -> Section:
    """Show the gradient by layer, in the network and in two deep ones."""
    images, labels = subject.images[:IMAGES], subject.labels[:IMAGES]
    shown = analysis.demonstrate(images, labels, len(subject.class_names))
    batch = slice(0, analysis.BATCH_SIZE)
    norms = analysis.gradient_norms(subject.model, images[batch], labels[batch])
    lost = {name: row["start"][-1] / row["start"][0] for name, row in shown.items()}
    losses = {name: row["loss"] for name, row in shown.items()}
    text = [
        "In backpropagation the gradient is multiplied by every layer's "
        "weights and by the slope of every activation, which for a sigmoid is at most "
        f"1/4. Two networks of {analysis.HIDDEN} hidden layers, equal but for that, "
        f"on these images: with sigmoids the first layer's gradient is "
        f"{_times(lost['sigmoid'])} smaller than the last one's, with ReLU, whose "
        f"slope is 1, {_times(lost['relu'])}. After {analysis.STEPS} steps of "
        f"gradient descent the loss has gone from {losses['sigmoid'][0]:.2f} to "
        f"{losses['sigmoid'][1]:.2f} and from {losses['relu'][0]:.2f} to "
        f"{losses['relu'][1]:.2f}.",
        f"Beside them {subject.model.name} as it was trained: its few remaining "
        "mistakes cause this gradient.",
    ]
    source = (
        "Hochreiter: “Untersuchungen zu dynamischen neuronalen Netzen”, 1991; Glorot, "
        "Bengio, 2010, section 4.2; Glorot, Bordes, Bengio, 2011. Root mean square of "
        f"the cross-entropy's gradient by a layer's weights, {analysis.BATCH_SIZE} "
        "images."
    )
    blocks = [Block(svg=plots.vanishing(shown))]
    if norms:
        blocks.append(Block(svg=plots.gradients(norms, subject.model.name)))
    title = "Gradient by layer"
    return Section("gradients", title, text, source, blocks)


def _times(ratio: float) -> str:
    return f"{ratio:,.0f} times" if ratio >= 10 else f"{ratio:.1f} times"
