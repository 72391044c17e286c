"""The values that a client hands back.

Named tuples, for a frozen dataclass takes several times as long to make: there is one
for each image, and one of these classes for each import of the client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np


class PredictResult(NamedTuple):
    """What a signature returned.

    Attributes:
        outputs: one array per output of the signature, by name.
        model_version: the version that answered.
    """

    outputs: dict[str, np.ndarray]
    model_version: int


class ClassScore(NamedTuple):
    """One class and how probable the model finds it.

    Attributes:
        label: the class's name; None if the server does not tell it.
        class_id: index of the class, 0..K-1.
        probability: 0..1.
    """

    label: str | None
    class_id: int
    probability: float


class Prediction(NamedTuple):
    """The classification of one image.

    Attributes:
        label: name of the most probable class.
        class_id: its index, 0..K-1.
        probability: its probability, 0..1.
        top: the most probable classes, the most probable first.
        model_version: the version that answered.
    """

    label: str
    class_id: int
    probability: float
    top: tuple[ClassScore, ...]
    model_version: int


class Classification(NamedTuple):
    """What TF Serving's Classify says of one example.

    Attributes:
        classes: labels and scores, in the server's order; a label is "" and a score 0
            if the model's signature has none.
        model_version: the version that answered.
    """

    classes: tuple[tuple[str, float], ...]
    model_version: int


class TensorSpec(NamedTuple):
    """Type and shape of one input or output of a signature.

    Attributes:
        name: the tensor's name inside the graph.
        dtype: "uint8", "float32", "string", ...
        shape: None for a dimension of any size; None instead of the tuple if even
            the rank is unknown.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None


class Signature(NamedTuple):
    """One way of asking a model.

    Attributes:
        inputs: what it needs, by name.
        outputs: what it returns, by name.
        method_name: such as "tensorflow/serving/predict".
    """

    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]
    method_name: str


class ModelMetadata(NamedTuple):
    """What a model says about itself.

    Attributes:
        name: the model's name.
        version: the version that answered.
        signatures: by signature name.
    """

    name: str
    version: int
    signatures: dict[str, Signature]


class VersionStatus(NamedTuple):
    """Where one version of a model stands.

    Attributes:
        version: its number.
        state: "START", "LOADING", "AVAILABLE", "UNLOADING" or "END".
        error_code: "OK", or the gRPC status code's name that loading ended with.
        error_message: the load error's text, "" if there is none.
    """

    version: int
    state: str
    error_code: str
    error_message: str
