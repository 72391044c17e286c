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
        "Integrated gradients: each pixel's share in the predicted class's logit, "
        "compared with a black image; a black pixel has none. Occlusion: how far the "
        "class's probability falls when a square there is painted over; it is "
        "measured, not derived, and finds only what one square can hide. Orange is "
        "evidence for the class, blue against it. Where the methods agree, the "
        "prediction depends on that place. Where they disagree, their definitions "
        "explain why.",
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
                "Maps of tanh are not zero on an empty background, so that Grad-CAM "
                "can mark it as strongly as a stroke. Maps of rectifiers can be zero "
                "there."
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
                f"predicted {name} with {confidence:.0%}; hiding a square costs up to "
                f"{max(0.0, fall):.0%}",
            )
        )
    head = ("Image", "As it is", *heat)
    source = "; ".join(SOURCES[way] for way in heat) + "."
    blocks = [Block(head=head, rows=rows)]
    return Section("attributions", "Evidence for the predictions", text, source, blocks)


def _responds_to_background(subject: Subject, layer: str) -> bool:
    name = activations.of_layer(subject.model.get_layer(layer))
    return activations.SQUASHING.get(name, (0, 1))[0] < 0
