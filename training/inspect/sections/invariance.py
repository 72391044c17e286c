"""The page's section about invariance: accuracy on changed images."""

from fovea.training.inspect.analysis.subject import MOST_CHANGED, Subject
from fovea.training.inspect.drawing import invariance_plot
from fovea.training.inspect.sections.section import Block, Section

SOURCE = (
    "Zeiler, Fergus: “Visualizing and Understanding Convolutional Networks”, 2014, "
    "section 4.1 and figure 5; LeCun, Bottou, Bengio, Haffner, 1998, section III.D."
)


def invariance(subject: Subject) -> Section:
    """Show accuracy as images are shifted, rotated, scaled and made noisy."""
    found = subject.invariance
    plain = found["shift"][0]["accuracy"]
    losses = []
    for change, unit in (("shift", "pixels"), ("rotation", "degrees")):
        # Where a tenth of the accuracy is lost.
        lost = [row for row in found[change] if row["accuracy"] < 0.9 * plain]
        losses.append(
            f"a {change} by {lost[0]['strength']:g} {unit} costs more than a tenth of "
            f"the accuracy (now {lost[0]['accuracy']:.0%})"
            if lost
            else f"a {change} by {found[change][-1]['strength']:g} {unit} costs less "
            "than a tenth of the accuracy"
        )
    count = min(len(subject.images), MOST_CHANGED)
    text = [
        f"{count} images, changed by increasing amounts; {plain:.1%} are classified "
        f"correctly without a change. Here {', and '.join(losses)}. Convolutions shift "
        "their maps with the image and pooling discards small shifts, so that a "
        "network is invariant to small shifts by its structure; any other invariance "
        "comes from its training images and their augmentation.",
    ]
    svg = invariance_plot.svg({subject.model.name: found})
    title = "Invariance"
    return Section("invariance", title, text, SOURCE, [Block(svg=svg)])
