"""Signatures: which one a request names, and the names of its tensors."""

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
class TensorNames:
    """The tensors of a signature by alias, the aliases in alphabetical order."""

    inputs: dict[str, str]
    outputs: dict[str, str]


class Signatures(dict[str, meta_graph_pb2.SignatureDef]):
    """The signatures of a graph by name.

    Every request looks up the names of tensors, which is slow in protobuf's maps. The
    messages are copies: one that belongs to a graph would keep all of it in memory.
    """

    def __init__(self, signatures: Mapping[str, meta_graph_pb2.SignatureDef]) -> None:
        super().__init__({name: _copy(s) for name, s in signatures.items()})
        self._tensor_names = {
            name: TensorNames(
                {alias: s.inputs[alias].name for alias in sorted(s.inputs)},
                {alias: s.outputs[alias].name for alias in sorted(s.outputs)},
            )
            for name, s in self.items()
        }

    def tensor_names(self, name: str) -> TensorNames:
        """Return the tensors of an existing signature."""
        return self._tensor_names[name]


def _copy(signature: meta_graph_pb2.SignatureDef) -> meta_graph_pb2.SignatureDef:
    copied = meta_graph_pb2.SignatureDef()
    copied.CopyFrom(signature)
    return copied


def signature_name(spec: model_pb2.ModelSpec) -> str:
    """Return the name of the signature that a ModelSpec means."""
    return spec.signature_name or DEFAULT_SIGNATURE


def find_signature(
    signatures: Mapping[str, meta_graph_pb2.SignatureDef], name: str
) -> meta_graph_pb2.SignatureDef:
    """Return the signature of a Classify or Regress request.

    Args:
        signatures: The model's signatures by name.
        name: The name in the request.

    Raises:
        ServingError: INVALID_ARGUMENT, the model does not have it.
    """
    if name not in signatures:
        raise invalid_argument(f"No signature was found with the name: {name}")
    return signatures[name]


def check_method_name(
    signature: meta_graph_pb2.SignatureDef, kind: str, method: str
) -> None:
    """Refuse a signature that was made for another method.

    Args:
        signature: The signature.
        kind: What the error calls signatures of the method.
        method: The method name that it must have.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    if signature.method_name != method:
        raise invalid_argument(
            f"Expected {kind} signature method_name to be {method}. "
            f"Was: {signature.method_name}"
        )


def fill_spec(
    spec: model_pb2.ModelSpec, requested: model_pb2.ModelSpec, version: int
) -> None:
    """Write into a response which model, version and signature computed it.

    Args:
        spec: The empty ModelSpec of the response.
        requested: The ModelSpec of the request.
        version: The version that was run.
    """
    spec.name = requested.name
    spec.version.value = version
    spec.signature_name = signature_name(requested)


def debug_string(signature: meta_graph_pb2.SignatureDef) -> str:
    """Return a signature as C++ prints it: text after a line that is not protobuf.

    That line ends in a varying number of blanks, so that nobody parses the rest.
    """
    text = text_format.MessageToString(signature, as_utf8=False)
    return f"goo.gle/debugproto    \n{text}"
