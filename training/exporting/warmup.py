"""Requests that a server replays before it reports a version as available."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    model_pb2,
    predict_pb2,
    prediction_log_pb2,
)

from fovea.training.datasets import image_ops
from fovea.training.exporting import signatures

FILE = "assets.extra/tf_serving_warmup_requests"
# A single image and a batch: they run through different kernels.
BATCH_SIZES = (1, 32)


def write(
    version: Path,
    model_name: str,
    image: np.ndarray,
    *,
    with_explain: bool = False,
    with_maps: bool = False,
) -> None:
    """Write warm-up requests for every signature of an exported version.

    Args:
        version: The version's directory.
        model_name: Written into the requests for information; a server replays
            them on the version that holds them.
        image: uint8 (height, width, channels).
        with_explain: Whether the version has the `explain` signatures.
        with_maps: Whether the version has the signature `feature_maps`.
    """
    path = version / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as file:
        for record in _records(model_name, image, with_explain, with_maps):
            file.write(record.SerializeToString())


def _records(
    model_name: str, image: np.ndarray, with_explain: bool, with_maps: bool
) -> Iterator[prediction_log_pb2.PredictionLog]:
    def predict(signature: str, **inputs: Any) -> prediction_log_pb2.PredictionLog:
        return prediction_log_pb2.PredictionLog(
            predict_log=prediction_log_pb2.PredictLog(
                request=predict_pb2.PredictRequest(
                    model_spec=model_pb2.ModelSpec(
                        name=model_name, signature_name=signature
                    ),
                    inputs={
                        name: tf.make_tensor_proto(value)
                        for name, value in inputs.items()
                    },
                )
            )
        )

    for size in BATCH_SIZES:
        batch = np.repeat(image[np.newaxis], size, axis=0)
        yield predict("serving_default", images=batch)
    if with_explain:
        one = image[np.newaxis]
        yield predict("explain", images=one)
        yield predict("explain_class", images=one, class_id=np.zeros(1, np.int64))
    if with_maps:
        yield predict("feature_maps", images=image[np.newaxis])
    if image.shape[2] not in image_ops.PICTURE_CHANNELS:
        return
    encoded = tf.io.encode_png(image).numpy()
    for signature in ("encoded", *(["explain_encoded"] if with_explain else [])):
        yield predict(signature, image_bytes=np.array([encoded], object))
    request = classification_pb2.ClassificationRequest(
        model_spec=model_pb2.ModelSpec(name=model_name, signature_name="classify")
    )
    example = tf.train.Example.FromString(signatures.example_of(encoded))
    request.input.example_list.examples.append(example)
    yield prediction_log_pb2.PredictionLog(
        classify_log=prediction_log_pb2.ClassifyLog(request=request)
    )
