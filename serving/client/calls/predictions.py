"""Read the responses of a classifier: one Prediction for each image.

NumPy is imported only where arrays are read: importing it takes longer than everything
else in the client, and predicting files does not need it.
"""

from __future__ import annotations

import heapq
from typing import Any

from fovea.serving.client.errors import ClientError
from fovea.serving.client.results import ClassScore, Prediction
from fovea.serving.protocol import wire_pb2

CLASSIFY = "classify"

# A white pixel, the smallest image that `classify` takes.
PIXEL_PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010800000000"
    "3a7e9b550000000a49444154789c63f80f0001010100b138f614000000"
    "0049454e44ae426082"
)


def pixel_example() -> bytes:
    """Return the smallest serialised tf.Example that `classify` decodes."""
    example = wire_pb2.Example()
    feature = example.features.feature["image/encoded"]
    feature.bytes_list.value.append(PIXEL_PNG)
    return example.SerializeToString()


def to_predictions(
    response: wire_pb2.PredictResponse, count: int, top: int, model: str
) -> list[Prediction]:
    """Read the response of `serving_default` or `encoded`.

    Args:
        response: The response with the outputs `probabilities` float32 [N, K], `label`
            string [N] and `class_id` int64 [N].
        count: N, the number of images in the request.
        top: How many classes of each image to list.
        model: Name of the model, for the error.

    Returns:
        The predictions in the order of the images. Only the first class of `top` has
        a label: the response has no others.

    Raises:
        ClientError: If the response has another form.
    """
    expected = ("probabilities", "label", "class_id")
    outputs = response.outputs
    shape = (
        outputs["probabilities"].tensor_shape if "probabilities" in outputs else None
    )
    sizes = [dim.size for dim in shape.dim] if shape else []
    if any(name not in outputs for name in expected) or sizes[:1] != [count]:
        raise ClientError(
            f"Model {model!r} does not respond as a classifier exported with "
            f"`fovea export`, whose outputs are {', '.join(expected)} with N={count} "
            f"rows. Received: {', '.join(sorted(outputs)) or 'no outputs'}"
        )
    version = response.model_spec.version.value
    try:
        probabilities = flat_values(outputs["probabilities"], "float_val")
        labels = flat_values(outputs["label"], "string_val")
        class_ids = flat_values(outputs["class_id"], "int64_val")
        classes = len(probabilities) // count
        rows = [probabilities[n * classes : (n + 1) * classes] for n in range(count)]
        return [
            _prediction(row, label.decode("utf-8", "replace"), class_id, top, version)
            for row, label, class_id in zip(rows, labels, class_ids, strict=True)
        ]
    except (ValueError, IndexError, AttributeError) as error:
        raise ClientError(
            f"Model {model!r} sent a response that cannot be read: {error}"
        ) from error


def _prediction(
    row: list[float], label: str, class_id: int, top: int, version: int
) -> Prediction:
    best = [class_id]
    if top > 1:
        best = heapq.nlargest(top, range(len(row)), key=row.__getitem__)
    scores = tuple(
        ClassScore(label if index == class_id else None, index, row[index])
        for index in best
    )
    return Prediction(label, class_id, row[class_id], scores, version)


def name_classes(prediction: Prediction, names: tuple[str, ...]) -> Prediction:
    """Fill in the labels of the classes beyond the first.

    Args:
        prediction: A prediction from `to_predictions`.
        names: Names of the classes by class id; classes beyond them stay unnamed.

    Returns:
        The prediction with the labels.
    """
    return prediction._replace(
        top=tuple(
            score
            if score.label is not None or score.class_id >= len(names)
            else score._replace(label=names[score.class_id])
            for score in prediction.top
        ),
    )


def flat_values(tensor: wire_pb2.TensorProto, field: str) -> list[Any]:
    """Return a tensor's values in C order, as Python values.

    Args:
        tensor: A tensor of any shape.
        field: The field in which servers send values of this type by default.
    """
    count = 1
    for dim in tensor.tensor_shape.dim:
        count *= dim.size
    values = getattr(tensor, field)
    if len(values) == count:
        return list(values)
    from fovea.serving.protocol.tensors import tensor_to_array

    return tensor_to_array(tensor).ravel().tolist()
