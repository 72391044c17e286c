"""The page's sections about images: which are confused, and which are similar."""

import numpy as np

from fovea.training.inspect.analysis import embedding
from fovea.training.inspect.analysis.confusions import confused
from fovea.training.inspect.analysis.subject import Subject
from fovea.training.inspect.drawing import pictures, plots
from fovea.training.inspect.sections.section import Album, Block, Row, Section

SIDE = 64  # of an example, in CSS pixels
MOST_POINTS = 1000
HEAD = ("Pair", "Images", "Reverse", "Most confident mistakes", "Confidence")


def confusions(subject: Subject, album: Album) -> Section:
    """Show the most frequent confusions."""
    found = confused(subject.logits, subject.labels, subject.class_names)
    title, source = "Confused classes", "From the predictions for the same images."
    wrong = int((subject.logits.argmax(axis=1) != subject.labels).sum())
    text = [
        f"{wrong} of {len(subject.labels):,} {subject.origin} are misclassified."
        + (
            " The table has the most frequent pairs, the number of confusions in the "
            "reverse direction, and the most confident mistakes. What such images have "
            "in common hints at the features that the network uses."
            if wrong
            else ""
        )
    ]
    rows = []
    for pair in found:
        tiles = [
            pictures.fit(pictures.pixels(subject.images[place]), SIDE)
            for place in pair.examples
        ]
        sheet = pictures.montage(tiles, len(tiles), gap=4)
        name = f"{pair.true} taken for {pair.predicted}"
        rows.append(
            Row(
                name,
                [
                    str(pair.images),
                    str(pair.back),
                    album.add(
                        f"confused-{pair.true}-{pair.predicted}",
                        sheet,
                        f"{len(tiles)} images: {name}",
                        sheet.shape[1],
                    ),
                    ", ".join(f"{confidence:.0%}" for confidence in pair.probabilities),
                ],
            )
        )
    blocks = [Block(head=HEAD, rows=rows)] if rows else []
    return Section("confusions", title, text, source, blocks)


def similar(subject: Subject) -> Section:
    """Show which images have similar features."""
    images, labels = subject.images[:MOST_POINTS], subject.labels[:MOST_POINTS]
    title = "Images with similar features"
    source = (
        "van der Maaten, Hinton: “Visualizing Data using t-SNE”, 2008; principal "
        "components and t-SNE by scikit-learn."
    )
    try:
        features = embedding.penultimate(subject.model, images)
        points = embedding.embed(features)
    except ValueError as error:
        return Section("similar", title, [f"There is no embedding. {error}."], source)
    raw = images.reshape(len(images), -1).astype(np.float32)
    text = [
        f"Each point is one of {len(images):,} images; close points have similar "
        f"values of the {features.shape[1]} features before the last layer. By these "
        f"features {embedding.agreement(features, labels):.1%} of the images have a "
        "nearest neighbour of their own class; by their pixels "
        f"{embedding.agreement(raw, labels):.1%}. The larger the first figure, the "
        "better the network separates the classes.",
        "Only neighbourhoods are meaningful: the sizes of clusters and the distances "
        "between them are artefacts of the method.",
    ]
    svg = plots.plane(points, labels, subject.class_names)
    return Section("similar", title, text, source, [Block(svg=svg)])
