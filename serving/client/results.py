"""The values that client methods return.

They are named tuples because there is one for each image, and a frozen dataclass takes
several times as long to create.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np


class PredictResult(NamedTuple):
    """The outputs of a signature.

    Attributes:
        outputs: Arrays by output name.
        model_version: Version of the model that computed them.
    """

    outputs: dict[str, np.ndarray]
    model_version: int


class ClassScore(NamedTuple):
    """A class and its probability.

    Attributes:
        label: Name of the class; None if the server does not report it.
        class_id: Index of the class, 0..K-1.
        probability: Probability of the class, 0..1.
    """

    label: str | None
    class_id: int
    probability: float


class Prediction(NamedTuple):
    """The predicted class of one image.

    Attributes:
        label: Name of the most probable class.
        class_id: Its index, 0..K-1.
        probability: Its probability, 0..1.
        top: The most probable classes in descending order.
        model_version: Version of the model that computed them.
    """

    label: str
    class_id: int
    probability: float
    top: tuple[ClassScore, ...]
    model_version: int


class Classification(NamedTuple):
    """The result of TensorFlow Serving's Classify for one example.

    Attributes:
        classes: Labels and scores in the server's order; a label is "" and a score 0
            if the signature has no such output.
        model_version: Version of the model that computed them.
    """

    classes: tuple[tuple[str, float], ...]
    model_version: int


class TensorSpec(NamedTuple):
    """Type and shape of an input or output of a signature.

    Attributes:
        name: Name of the tensor in the graph.
        dtype: Name of its type: "uint8", "float32", "string", ...
        shape: Sizes of its axes, None for an axis of any size; None instead of the
            tuple if even the rank is unknown.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None

    @property
    def shape_text(self) -> str:
        """The shape as text, such as "[?, 28, 28, 1]"; ? is an axis of any size."""
        if self.shape is None:
            return "any shape"
        return f"[{', '.join('?' if n is None else str(n) for n in self.shape)}]"


class Signature(NamedTuple):
    """A signature of a model: a function that can be called.

    Attributes:
        inputs: Types and shapes of the inputs, by name.
        outputs: Types and shapes of the outputs, by name.
        method_name: The RPC that it is made for: "tensorflow/serving/predict", ...
    """

    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]
    method_name: str


class ModelMetadata(NamedTuple):
    """The metadata of a version of a model.

    Attributes:
        name: Name of the model.
        version: Number of the version.
        signatures: The signatures by name.
    """

    name: str
    version: int
    signatures: dict[str, Signature]

    @property
    def callable_signatures(self) -> dict[str, Signature]:
        """The signatures but TensorFlow's internal ones, which cannot be called."""
        return {
            name: signature
            for name, signature in self.signatures.items()
            if not name.startswith("__")
        }


class VersionStatus(NamedTuple):
    """The state of a version of a model.

    Attributes:
        version: Number of the version.
        state: "START", "LOADING", "AVAILABLE", "UNLOADING" or "END".
        error_code: "OK", or the name of the gRPC status code that loading ended with.
        error_message: Message of the load error, "" if there is none.
    """

    version: int
    state: str
    error_code: str
    error_message: str
