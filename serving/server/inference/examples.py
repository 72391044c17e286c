"""tf.Examples: the input of Classify, Regress and MultiInference."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
from tensorflow_serving.apis import input_pb2

from fovea.serving.server.errors import invalid_argument
from fovea.serving.server.inference.run_signature import Timer, run_signature
from fovea.serving.server.saved_model.interface import LoadedModel
from fovea.serving.server.telemetry import metrics

# The input that takes the examples, in every signature of these methods.
INPUTS = "inputs"


def serialized_examples(examples: input_pb2.Input) -> np.ndarray:
    """Serialize the examples of a request, one string each, as graphs take them.

    A context that all of them share is put before each: concatenated messages are
    merged when they are parsed, and a feature that the example has itself comes last
    and overrides the context's.

    Args:
        examples: A list of tf.Examples, perhaps with a context.

    Returns:
        `bytes` in an object array of rank 1.
    """
    if examples.WhichOneof("kind") == "example_list_with_context":
        listed = examples.example_list_with_context
        context = listed.context.SerializeToString()
        raw = [context + example.SerializeToString() for example in listed.examples]
    else:
        raw = [
            example.SerializeToString() for example in examples.example_list.examples
        ]
    return np.array(raw, object)


@contextlib.contextmanager
def measured(method: str, model: str, examples: np.ndarray) -> Iterator[None]:
    """Count the examples of a request and the time of its run, if that succeeds.

    Args:
        method: The RPC's name.
        model: The model's name.
        examples: The serialized examples.
    """
    with metrics.runtime(method, model):
        yield
    metrics.examples(model, len(examples))


def run_examples(
    model: LoadedModel,
    signature: str,
    examples: np.ndarray,
    outputs: Sequence[str],
    timeout: float | None,
    timer: Timer,
) -> dict[str, np.ndarray]:
    """Run a signature over examples.

    Args:
        model: The loaded model.
        signature: The name of a signature with the one input `inputs`.
        examples: The serialized examples.
        outputs: The names of the wanted outputs.
        timeout: Seconds after which to give up; None for never.
        timer: Entered while the graph runs.

    Returns:
        Arrays by output name.

    Raises:
        ServingError: There are no examples, or the graph failed.
    """
    check_not_empty(examples)
    return run_signature(model, signature, {INPUTS: examples}, outputs, timeout, timer)


def check_not_empty(examples: np.ndarray) -> None:
    """Refuse a request without examples.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    if not len(examples):
        raise invalid_argument("Input is empty.")
