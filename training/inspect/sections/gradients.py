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
        "In backpropagation the gradient is multiplied by every layer's weights and by "
        "the slope of every activation, which for a sigmoid is at most 1/4. The first "
        f"plot has two networks with {analysis.HIDDEN} hidden layers that differ only "
        "in their activation, on these images. With sigmoid the gradient of the first "
        f"layer is {_times(lost['sigmoid'])} smaller than that of the last one; with "
        f"ReLU, whose slope is 1, it is {_times(lost['relu'])} smaller. In "
        f"{analysis.STEPS} steps of gradient descent the loss goes from "
        f"{losses['sigmoid'][0]:.2f} to {losses['sigmoid'][1]:.2f} with sigmoid, and "
        f"from {losses['relu'][0]:.2f} to {losses['relu'][1]:.2f} with ReLU.",
    ]
    if norms:
        text.append(
            f"The second plot has {subject.model.name} as trained: its gradient comes "
            "from the few mistakes that remain."
        )
    source = (
        "Hochreiter: “Untersuchungen zu dynamischen neuronalen Netzen”, 1991; Glorot, "
        "Bengio, 2010, section 4.2; Glorot, Bordes, Bengio, 2011. The plots show "
        "the root mean square of the gradient of the cross-entropy with respect to a "
        f"layer's weights, for {analysis.BATCH_SIZE} images."
    )
    blocks = [Block(svg=plots.vanishing(shown))]
    if norms:
        blocks.append(Block(svg=plots.gradients(norms, subject.model.name)))
    title = "Gradient by layer"
    return Section("gradients", title, text, source, blocks)


def _times(ratio: float) -> str:
    return f"{ratio:,.0f} times" if ratio >= 10 else f"{ratio:.1f} times"
