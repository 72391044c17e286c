"""The signatures of an exported model: preprocessing and predictions in the graph.

| signature | inputs | outputs |
|---|---|---|
| serving_default | images uint8 [N,H,W,C] | probabilities, label, class_id |
| encoded | image_bytes string [N] | the same |
| classify | inputs string [N], serialised tf.Example | classes, scores |

and, on request,

| signature | inputs | outputs |
|---|---|---|
| explain | images uint8 [N,H,W,C] | probabilities, label, class_id, heatmap [N,H,W] |
| explain_encoded | image_bytes string [N] | the same |
| explain_class | images uint8 [N,H,W,C], class_id int64 [N] | the same |
| feature_maps | images uint8 [N,H,W,C] | see `fovea.training.exporting.feature_maps` |

The heat map of `explain` shows the evidence for the predicted class, which label and
class_id name as always. That of `explain_class` shows the evidence for the class that
the request names, and label is that one's. It is a signature of its own, since
TensorFlow Serving rejects a request that leaves out an input.

Images of another depth than 1 or 3 channels have no file format: such a model has none
of the signatures that take files.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

from fovea.training.attribution import explainers
from fovea.training.datasets import image_ops
from fovea.training.exporting import feature_maps

CLASSIFY_METHOD = "tensorflow/serving/classify"
# The feature of a tf.Example that holds a JPEG, PNG, BMP or GIF.
FEATURE = "image/encoded"

Outputs = dict[str, tf.Tensor]


def servable(
    model: keras.Model, class_names: list[str], *, with_explain: str | None = None
) -> tuple[tf.Module, dict[str, Callable]]:
    """Return what `tf.saved_model.save` saves: an object and its signatures.

    Args:
        model: A Keras model: uint8 images (N, H, W, C) -> logits (N, K).
        class_names: K strings.
        with_explain: A method of `fovea.training.attribution.explainers`: adds the
            signatures that explain predictions with it. The gradient is part of
            their graphs, made of ordinary operations.

    Returns:
        A `tf.Module` that holds the model's variables, and a dict of signature
        names to `tf.function`s.
    """
    image_shape = tuple(model.input_shape[1:])
    names = list(class_names)

    def outputs(logits: tf.Tensor, class_id: tf.Tensor | None = None) -> Outputs:
        probabilities = tf.nn.softmax(logits)
        if class_id is None:
            class_id = tf.argmax(probabilities, axis=1)
        return {
            "probabilities": probabilities,
            "label": tf.gather(tf.constant(names), class_id),
            "class_id": class_id,
        }

    def predict(images: tf.Tensor) -> Outputs:
        return outputs(model(images, training=False))

    def predict_encoded(image_bytes: tf.Tensor) -> Outputs:
        return predict(image_ops.decode_images(image_bytes, image_shape))

    def classify(inputs: tf.Tensor) -> Outputs:
        features = tf.io.parse_example(
            inputs, {FEATURE: tf.io.FixedLenFeature([], tf.string)}
        )
        scores = predict_encoded(features[FEATURE])["probabilities"]
        classes = tf.broadcast_to(tf.constant(names), tf.shape(scores))
        return {"classes": classes, "scores": scores}

    images = tf.TensorSpec((None, *image_shape), tf.uint8, "images")
    image_bytes = tf.TensorSpec([None], tf.string, "image_bytes")
    functions = {"serving_default": _function(predict, images)}
    if image_shape[2] in image_ops.PICTURE_CHANNELS:
        functions["encoded"] = _function(predict_encoded, image_bytes)
        inputs = tf.TensorSpec([None], tf.string, "inputs")
        functions["classify"] = _function(classify, inputs)
    if with_explain:
        heat_map, _ = explainers.explainer(model, with_explain)

        def explain(images: tf.Tensor) -> Outputs:
            logits, class_id, heat = heat_map(images)
            return {**outputs(logits, class_id), "heatmap": heat}

        def explain_class(images: tf.Tensor, class_id: tf.Tensor) -> Outputs:
            logits, _, heat = heat_map(images, class_id)
            return {**outputs(logits, class_id), "heatmap": heat}

        def explain_encoded(image_bytes: tf.Tensor) -> Outputs:
            return explain(image_ops.decode_images(image_bytes, image_shape))

        class_id = tf.TensorSpec([None], tf.int64, "class_id")
        functions["explain"] = _function(explain, images)
        functions["explain_class"] = _function(explain_class, images, class_id)
        if image_shape[2] in image_ops.PICTURE_CHANNELS:
            functions["explain_encoded"] = _function(explain_encoded, image_bytes)
        maps_function = feature_maps.maps_function(model)
        if maps_function is not None:
            functions[feature_maps.SIGNATURE] = _function(maps_function, images)
    module = tf.Module(name="servable")
    # Only the variables themselves are saved: Keras' own bookkeeping would add
    # objects that no server needs.
    module.variables_of_model = [variable.value for variable in model.variables]
    return module, functions


def _function(function: Callable[..., Outputs], *specs: tf.TensorSpec) -> Callable:
    return tf.function(function, input_signature=specs, autograph=False)


def example_of(encoded: bytes) -> bytes:
    """Return a serialised tf.Example that holds one encoded image."""
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded]))
    features = tf.train.Features(feature={FEATURE: feature})
    return tf.train.Example(features=features).SerializeToString()
