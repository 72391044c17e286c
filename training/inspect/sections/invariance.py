"""The page's section about invariance: what a change of the image does to answers."""

from fovea.training.inspect import invariance_plot
from fovea.training.inspect.sections.section import Block, Section
from fovea.training.inspect.subject import MOST_CHANGED, Subject

SOURCE = (
    "Zeiler, Fergus: “Visualizing and Understanding Convolutional Networks”, 2014, "
    "section 4.1 and figure 5; LeCun, Bottou, Bengio, Haffner, 1998, section III.D."
)


def invariance(subject: Subject) -> Section:
    """Show how answers change as images are shifted, turned, scaled, made noisy."""
    found = subject.invariance
    plain = found["shift"][0]["accuracy"]
    told = []
    for change, unit in (("shift", "pixels"), ("rotation", "degrees")):
        # Where one answer in ten of the right ones is lost.
        lost = [row for row in found[change] if row["accuracy"] < 0.9 * plain]
        told.append(
            f"a {change} by {lost[0]['strength']:g} {unit} costs more than a tenth of "
            f"the right answers (accuracy {lost[0]['accuracy']:.0%})"
            if lost
            else f"a {change} by {found[change][-1]['strength']:g} {unit} costs less "
            "than a tenth of the right answers"
        )
    count = min(len(subject.images), MOST_CHANGED)
    text = [
        f"{count} images, changed more and more; {plain:.1%} are answered rightly as "
        f"they are. Here {', and '.join(told)}. A convolution moves its maps along "
        "with the image and pooling forgets small moves, so shifts are what a network "
        "bears by its structure; what it bears of the rest it has from its training "
        "images and their augmentation.",
    ]
    svg = invariance_plot.svg({subject.model.name: found})
    title = "What it does not mind"
    return Section("invariance", title, text, SOURCE, [Block(svg=svg)])
