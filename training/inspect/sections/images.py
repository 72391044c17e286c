"""The page's sections about images: which are confused, and which are alike."""

import numpy as np

from fovea.training.inspect import draw, embedding, plots
from fovea.training.inspect.confusions import confused
from fovea.training.inspect.sections.section import Album, Block, Row, Section
from fovea.training.inspect.subject import Subject

SIDE = 64  # of an example, in CSS pixels
MOST_POINTS = 1000
HEAD = ("Pair", "Images", "Back", "Surest mistakes", "How sure")


def confusions(subject: Subject, album: Album) -> Section:
    """Show which classes are taken for one another."""
    found = confused(subject.logits, subject.labels, subject.class_names)
    title, source = "Which classes are confused", "The answers to the same images."
    wrong = int((subject.logits.argmax(axis=1) != subject.labels).sum())
    text = [
        f"{wrong} of {len(subject.labels):,} {subject.origin} are answered wrongly."
        + (
            " The most frequent pairs, how often it happens the other way round, and "
            "the surest mistakes. What such pairs share is what the network goes by."
            if wrong
            else ""
        )
    ]
    rows = []
    for pair in found:
        tiles = [
            draw.fit(draw.pixels(subject.images[place]), SIDE)
            for place in pair.examples
        ]
        sheet = draw.montage(tiles, len(tiles), gap=4)
        told = f"{pair.true} taken for {pair.predicted}"
        rows.append(
            Row(
                told,
                [
                    str(pair.images),
                    str(pair.back),
                    album.add(
                        f"confused-{pair.true}-{pair.predicted}",
                        sheet,
                        f"{len(tiles)} images: {told}",
                        sheet.shape[1],
                    ),
                    ", ".join(f"{sureness:.0%}" for sureness in pair.probabilities),
                ],
            )
        )
    blocks = [Block(head=HEAD, rows=rows)] if rows else []
    return Section("confusions", title, text, source, blocks)


def alike(subject: Subject) -> Section:
    """Show which images the network finds alike."""
    images, labels = subject.images[:MOST_POINTS], subject.labels[:MOST_POINTS]
    title = "What the network finds alike"
    source = (
        "van der Maaten, Hinton: “Visualizing Data using t-SNE”, 2008; principal "
        "components and t-SNE by scikit-learn."
    )
    try:
        features = embedding.penultimate(subject.model, images)
        points = embedding.embed(features)
    except ValueError as error:
        return Section("alike", title, [f"Nothing is shown here. {error}."], source)
    raw = images.reshape(len(images), -1).astype(np.float32)
    text = [
        f"Each point is one of {len(images):,} images; near are those whose "
        f"{features.shape[1]} numbers in front of the last layer are alike. In these "
        f"numbers {embedding.agreement(features, labels):.1%} of the images have a "
        "nearest neighbour of their own class; in the pixels themselves "
        f"{embedding.agreement(raw, labels):.1%}. What the network has done is to pull "
        "the classes apart.",
        "Only who is near whom means something: sizes of clusters and distances "
        "between them are the method's.",
    ]
    svg = plots.plane(points, labels, subject.class_names)
    return Section("alike", title, text, source, [Block(svg=svg)])
