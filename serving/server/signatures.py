"""Signatures: which one a request means, and whether it may be asked in that way."""

from __future__ import annotations

from google.protobuf import text_format
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import model_pb2

DEFAULT_SIGNATURE = "serving_default"

PREDICT_METHOD = "tensorflow/serving/predict"
CLASSIFY_METHOD = "tensorflow/serving/classify"
REGRESS_METHOD = "tensorflow/serving/regress"


def signature_name(spec: model_pb2.ModelSpec) -> str:
    """The signature that a ModelSpec names, or the one that is meant without a name."""
    return spec.signature_name or DEFAULT_SIGNATURE


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
