"""The page's section about attributions: which pixels the predictions depend on."""

from fovea.training.attribution import grad_cam, integrated_gradients, maps, occlusion
from fovea.training.inspect.analysis.confusions import predict_probabilities
from fovea.training.inspect.analysis.subject import Subject
from fovea.training.inspect.drawing import pictures
from fovea.training.inspect.sections.section import Album, Block, Row, Section
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


def attributions(subject: Subject, album: Album) -> Section:
    """Show the evidence for the predicted class, by three methods.

    For networks without convolutions Grad-CAM is left out.
    """
    model, images = subject.model, subject.shown
    probabilities = predict_probabilities(model, images)
    ids = probabilities.argmax(axis=1)
    shares = integrated_gradients.integrated_gradients(model, images, ids)
    heat = {
        SHARES: shares.sum(axis=-1),
        FALLS: occlusion.occlusion(model, images, ids),
    }
    text = [
        "Integrated gradients: each pixel's contribution to the logit of the predicted "
        "class, relative to a black image; black pixels contribute nothing. Occlusion: "
        "how far the probability of the class falls when a square at that position is "
        "painted over; a direct measurement, which finds only evidence that one square "
        "can cover. Orange is evidence for the class, blue evidence against it. Where "
        "the methods agree, the prediction depends on those pixels. Where they "
        "disagree, the cause is in their definitions.",
    ]
    if maps.layer_of(model) is not None:
        heat = {CAM: grad_cam.grad_cam(model, images, ids), **heat}
        text.insert(
            0,
            f"{grad_cam.method(model)}: the sum of the deepest maps that have spatial "
            "positions, weighted by their effect on the class; coarse, and never "
            "negative.",
        )
        if any(
            _responds_to_background(subject, layer.response) for layer in subject.every
        ):
            text.append(
                "Feature maps after tanh are not zero on an empty background, so that "
                "Grad-CAM can mark it as strongly as a stroke. After a rectifier they "
                "can be zero there."
            )
    rows = []
    for place, (title, image) in enumerate(zip(subject.titles, images, strict=True)):
        name = subject.class_names[ids[place]]
        confidence = probabilities[place, ids[place]]
        drawn = {
            "The image": pictures.pixels(image),
            **{way: pictures.overlay(image, each[place]) for way, each in heat.items()},
        }
        fall = heat[FALLS][place].max()
        rows.append(
            Row(
                title,
                [
                    album.add(
                        f"attribution-{place}-{what}".lower(),
                        picture,
                        f"{what}: {title}",
                        WIDTH,
                    )
                    for what, picture in drawn.items()
                ],
                f"predicted {name} with {confidence:.0%}; occlusion lowers it by up to "
                f"{max(0.0, fall):.0%}",
            )
        )
    head = ("Image", "Input", *heat)
    source = "; ".join(SOURCES[way] for way in heat) + "."
    blocks = [Block(head=head, rows=rows)]
    return Section("attributions", "Evidence for the predictions", text, source, blocks)


def _responds_to_background(subject: Subject, layer: str) -> bool:
    name = activations.of_layer(subject.model.get_layer(layer))
    return activations.SQUASHING.get(name, (0, 1))[0] < 0
