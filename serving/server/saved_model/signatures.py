"""Signatures: which one a request means, and whether it may be asked in that way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf import text_format
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import model_pb2

from fovea.serving.server.errors import invalid_argument

DEFAULT_SIGNATURE = "serving_default"

PREDICT_METHOD = "tensorflow/serving/predict"
CLASSIFY_METHOD = "tensorflow/serving/classify"
REGRESS_METHOD = "tensorflow/serving/regress"


@dataclass(frozen=True)
class Tensors:
    """A signature's aliases in alphabetical order, with the names of their tensors."""

    inputs: dict[str, str]
    outputs: dict[str, str]


class Signatures(dict[str, meta_graph_pb2.SignatureDef]):
    """The signatures of a graph by name.

    Every request asks for the names of tensors, which protobuf's maps are slow to give.
    """

    def __init__(self, signatures: Mapping[str, meta_graph_pb2.SignatureDef]) -> None:
        super().__init__(signatures)
        self._tensors = {
            name: Tensors(
                {alias: s.inputs[alias].name for alias in sorted(s.inputs)},
                {alias: s.outputs[alias].name for alias in sorted(s.outputs)},
            )
            for name, s in signatures.items()
        }

    def tensors(self, name: str) -> Tensors:
        """The tensors of a signature that there is."""
        return self._tensors[name]


def signature_name(spec: model_pb2.ModelSpec) -> str:
    """The signature that a ModelSpec names, or the one that is meant without a name."""
    return spec.signature_name or DEFAULT_SIGNATURE


def find_signature(
    signatures: Mapping[str, meta_graph_pb2.SignatureDef], spec: model_pb2.ModelSpec
) -> meta_graph_pb2.SignatureDef:
    """The signature that Classify and Regress mean.

    Args:
        signatures: Those of a model, by name.
        spec: The ModelSpec of the request.

    Raises:
        ServingError: The model does not have it.
    """
    name = signature_name(spec)
    if name not in signatures:
        raise invalid_argument(f"No signature was found with the name: {name}")
    return signatures[name]


def fill_spec(
    spec: model_pb2.ModelSpec, asked: model_pb2.ModelSpec, version: int
) -> None:
    """Write into an answer which model, version and signature gave it.

    Args:
        spec: The empty ModelSpec of the answer.
        asked: The one of the request.
        version: The version that answered.
    """
    spec.name = asked.name
    spec.version.value = version
    spec.signature_name = signature_name(asked)


def debug_string(signature: meta_graph_pb2.SignatureDef) -> str:
    """A signature as C++ prints it for people: text after a line that is no protobuf.

    That line ends in blanks whose number is not fixed, so that nobody parses the rest.
    """
    text = text_format.MessageToString(signature, as_utf8=False)
    return f"goo.gle/debugproto    \n{text}"
