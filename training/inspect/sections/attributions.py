"""The page's section about answers: which pixels of the given images they rest on."""

from fovea.training.attribution import grad_cam, integrated_gradients, maps, occlusion
from fovea.training.inspect import draw
from fovea.training.inspect.confusions import answers
from fovea.training.inspect.sections.section import Album, Block, Row, Section
from fovea.training.inspect.subject import Subject
from fovea.training.inspect.units import activations

WIDTH = 140  # of a picture, in CSS pixels
CAM = "Grad-CAM"
SHARES = "Integrated gradients"
FALLS = "Occlusion"
SOURCES = {
    CAM: "Selvaraju et al.: “Grad-CAM”, 2017",
    SHARES: "Sundararajan, Taly, Yan: “Axiomatic Attribution for Deep Networks”, 2017",
    FALLS: "Zeiler, Fergus: “Visualizing and Understanding Convolutional Networks”, "
    "2014, section 4.2",
}


def why(subject: Subject, album: Album) -> Section:
    """Show what speaks for the class that was answered, in three ways.

    Networks without convolutions have no maps for Grad-CAM: the other two are left.
    """
    model, images = subject.model, subject.shown
    probabilities = answers(model, images)
    ids = probabilities.argmax(axis=1)
    shares = integrated_gradients.integrated_gradients(model, images, ids)
    heat = {
        SHARES: shares.sum(axis=-1),
        FALLS: occlusion.occlusion(model, images, ids),
    }
    text = [
        "Integrated gradients: each pixel's share in the answer's logit, compared with "
        "a black image; a black pixel has none. Occlusion: how far the answer's "
        "probability falls when a square there is painted over; it is measured, not "
        "derived, and sees only what one square can hide. Orange speaks for the "
        "answer, blue against it. Where they agree, the answer rests on that place. "
        "Where they do not, one has to know what each of them asks.",
    ]
    if maps.layer_of(model) is not None:
        heat = {CAM: grad_cam.grad_cam(model, images, ids), **heat}
        text.insert(
            0,
            f"{grad_cam.method(model)}: the deepest maps that still have places, added "
            "up by how much each speaks for the answer; coarse, and never negative.",
        )
        if any(
            _has_loud_background(subject, layer.response) for layer in subject.every
        ):
            text.append(
                "The maps of tanh are not zero where there is nothing: to Grad-CAM an "
                "empty background speaks as loudly as a stroke. Rectifiers do not have "
                "that."
            )
    rows = []
    for place, (title, image) in enumerate(zip(subject.titles, images, strict=True)):
        name = subject.class_names[ids[place]]
        sureness = probabilities[place, ids[place]]
        pictures = {
            "The image": draw.pixels(image),
            **{way: draw.over(image, each[place]) for way, each in heat.items()},
        }
        fall = heat[FALLS][place].max()
        rows.append(
            Row(
                title,
                [
                    album.add(
                        f"why-{place}-{what}".lower(),
                        picture,
                        f"{what}: {title}",
                        WIDTH,
                    )
                    for what, picture in pictures.items()
                ],
                f"answered {name}, {sureness:.0%} sure; hiding a square costs up to "
                f"{max(0.0, fall):.0%}",
            )
        )
    head = ("Image", "As it is", *heat)
    source = "; ".join(SOURCES[way] for way in heat) + "."
    blocks = [Block(head=head, rows=rows)]
    return Section("why", "Why it answers so", text, source, blocks)


def _has_loud_background(subject: Subject, layer: str) -> bool:
    name = activations.of_layer(subject.model.get_layer(layer))
    return activations.SQUASHING.get(name, (0, 1))[0] < 0
