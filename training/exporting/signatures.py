"""The functions of an exported model: preprocessing and answers inside the graph.

| signature | inputs | outputs |
|---|---|---|
| serving_default | images uint8 [N,H,W,C] | probabilities, label, class_id |
| encoded | image_bytes string [N] | the same |
| classify | inputs string [N], serialised tf.Example | classes, scores |

and, where they are asked for,

| signature | inputs | outputs |
|---|---|---|
| explain | images uint8 [N,H,W,C] | probabilities, label, class_id, heatmap [N,H,W] |
| explain_encoded | image_bytes string [N] | the same |
| explain_class | images uint8 [N,H,W,C], class_id int64 [N] | the same |
| feature_maps | images uint8 [N,H,W,C] | see `fovea.training.exporting.feature_maps` |

`explain` tells why the model answers what it does; label and class_id are the
predicted class's, as always. `explain_class` tells what speaks for a class that the
caller names, and gives that one's label. It is a signature of its own, since TF
Serving refuses a request that leaves an input out.

Images of another depth than 1 or 3 channels are no pictures and have no file
format: such a model has none of those that take files.
"""

import numpy as np
import tensorflow as tf

from fovea.training.attribution import explainers
from fovea.training.exporting import feature_maps

CLASSIFY_METHOD = "tensorflow/serving/classify"
# The feature of a tf.Example that holds a JPEG, PNG, BMP or GIF.
FEATURE = "image/encoded"
# Grey and colour.
PICTURE_CHANNELS = (1, 3)


def servable(
    model, class_names: "list[str]", *, with_explain: "str | None" = None
) -> "tuple[tf.Module, dict]":
    """Return what `tf.saved_model.save` saves: an object and its signatures.

    Args:
        model: A Keras model: uint8 images (N, H, W, C) -> logits (N, K).
        class_names: K strings.
        with_explain: A method of `fovea.training.attribution.explainers`: there are the
            signatures that explain answers by it. The gradient is part of their
            graphs, made of ordinary operations.

    Returns:
        A `tf.Module` that holds the model's variables, and a dict of signature
        names to `tf.function`s.
    """
    image_shape = tuple(model.input_shape[1:])
    names = list(class_names)

    def answer(logits, class_id=None):
        probabilities = tf.nn.softmax(logits)
        if class_id is None:
            class_id = tf.argmax(probabilities, axis=1)
        return {
            "probabilities": probabilities,
            "label": tf.gather(tf.constant(names), class_id),
            "class_id": class_id,
        }

    def predict(images):
        return answer(model(images, training=False))

    def predict_encoded(image_bytes):
        return predict(decode_images(image_bytes, image_shape))

    def classify(inputs):
        features = tf.io.parse_example(
            inputs, {FEATURE: tf.io.FixedLenFeature([], tf.string)}
        )
        scores = predict_encoded(features[FEATURE])["probabilities"]
        classes = tf.broadcast_to(tf.constant(names), tf.shape(scores))
        return {"classes": classes, "scores": scores}

    images = tf.TensorSpec((None, *image_shape), tf.uint8, "images")
    image_bytes = tf.TensorSpec([None], tf.string, "image_bytes")
    functions = {"serving_default": _function(predict, images)}
    if image_shape[2] in PICTURE_CHANNELS:
        functions["encoded"] = _function(predict_encoded, image_bytes)
        inputs = tf.TensorSpec([None], tf.string, "inputs")
        functions["classify"] = _function(classify, inputs)
    if with_explain:
        heat_of, _ = explainers.explainer(model, with_explain)

        def explain(images):
            logits, class_id, heat = heat_of(images)
            return {**answer(logits, class_id), "heatmap": heat}

        def explain_class(images, class_id):
            logits, _, heat = heat_of(images, class_id)
            return {**answer(logits, class_id), "heatmap": heat}

        def explain_encoded(image_bytes):
            return explain(decode_images(image_bytes, image_shape))

        class_id = tf.TensorSpec([None], tf.int64, "class_id")
        functions["explain"] = _function(explain, images)
        functions["explain_class"] = _function(explain_class, images, class_id)
        if image_shape[2] in PICTURE_CHANNELS:
            functions["explain_encoded"] = _function(explain_encoded, image_bytes)
        show_maps = feature_maps.shower(model)
        if show_maps is not None:
            functions[feature_maps.SIGNATURE] = _function(show_maps, images)
    module = tf.Module(name="servable")
    # Only the variables themselves are saved: Keras' own bookkeeping would add
    # objects that no server needs.
    module.variables_of_model = [variable.value for variable in model.variables]
    return module, functions


def _function(function, *specs):
    return tf.function(function, input_signature=specs, autograph=False)


def decode_images(image_bytes, image_shape: "tuple[int, int, int]"):
    """Decode and fit encoded images, in the graph.

    Transparency is laid on white, colour becomes grey by ITU-R 601-2 (the
    integers that Pillow uses), another size is resampled by the antialiased
    triangle filter without keeping the aspect ratio, and the first frame of an
    animation counts.

    Args:
        image_bytes: string [N]: JPEG, PNG, BMP or GIF of any size.
        image_shape: (height, width, channels) to arrive at.

    Returns:
        uint8 [N, height, width, channels].
    """
    return tf.map_fn(
        lambda encoded: decode_image(encoded, image_shape),
        image_bytes,
        fn_output_signature=tf.TensorSpec(image_shape, tf.uint8),
    )


def decode_image(encoded, image_shape: "tuple[int, int, int]"):
    """Decode and fit one encoded image; see `decode_images`."""
    image = tf.io.decode_image(encoded, expand_animations=False)
    return fit_image(image, image_shape)


def fit_image(image, image_shape: "tuple[int, int, int]"):
    """Bring pixels, uint8 [h, w, 1..4], to an image shape; see `decode_images`."""
    height, width, channels = image_shape
    image.set_shape([None, None, None])
    depth = tf.shape(image)[2]
    # Grey counts as three equal colours; the weights below keep it unchanged.
    colour = tf.cond(
        depth < 3,
        lambda: tf.repeat(image[..., :1], 3, axis=2),
        lambda: image[..., :3],
    )
    colour = tf.cond(
        tf.equal(depth % 2, 0),
        lambda: _on_white(colour, alpha=image[..., -1:]),
        lambda: colour,
    )
    colour = tf.ensure_shape(colour, [None, None, 3])
    if channels == 1:
        red, green, blue = tf.unstack(tf.cast(colour, tf.int32), axis=-1)
        grey = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) // 0x10000
        colour = grey[..., tf.newaxis]
    colour = tf.cast(colour, tf.float32)
    colour = tf.image.resize(colour, (height, width), antialias=True)
    image = tf.cast(tf.clip_by_value(tf.round(colour), 0, 255), tf.uint8)
    return tf.ensure_shape(image, image_shape)


def _on_white(colour, alpha):
    """Lay colour, uint8 [h, w, 3], on white: c * alpha + white * (1 - alpha)."""
    colour, alpha = tf.cast(colour, tf.int32), tf.cast(alpha, tf.int32)
    # Integer arithmetic with rounding.
    blended = (colour * alpha + 255 * (255 - alpha) + 127) // 255
    return tf.cast(blended, tf.uint8)


def example_of(encoded: bytes) -> bytes:
    """Return a serialised tf.Example that holds one encoded image."""
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded]))
    features = tf.train.Features(feature={FEATURE: feature})
    return tf.train.Example(features=features).SerializeToString()


def encode_png(image: np.ndarray) -> bytes:
    """Return a uint8 image (height, width, 1 or 3) as PNG bytes."""
    return tf.io.encode_png(image).numpy()
