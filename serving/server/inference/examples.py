"""tf.Examples: the input of Classify, Regress and MultiInference."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from tensorflow_serving.apis import input_pb2

from fovea.serving.server.errors import invalid_argument
from fovea.serving.server.inference.tensors import as_array
from fovea.serving.server.saved_model.interface import LoadedModel


def serialized_examples(examples: input_pb2.Input) -> np.ndarray:
    """The examples as the graph takes them: serialised, one string each.

    A context that all of them share is put before each: concatenated messages are
    merged when they are parsed, and what the example says itself comes last and wins.

    Args:
        examples: A list of tf.Examples, perhaps with a context.

    Returns:
        ``bytes`` in an object array of rank 1.

    Raises:
        ServingError: There are none.
    """
    if examples.WhichOneof("kind") == "example_list_with_context":
        listed = examples.example_list_with_context
        context = listed.context.SerializeToString()
        raw = [context + example.SerializeToString() for example in listed.examples]
    else:
        raw = [
            example.SerializeToString() for example in examples.example_list.examples
        ]
    if not raw:
        raise invalid_argument("Input is empty.")
    return np.array(raw, object)


def run_examples(
    runner: LoadedModel,
    examples: input_pb2.Input,
    input_names: Collection[str],
    output_names: Sequence[str],
    timeout: float | None,
) -> tuple[int, dict[str, np.ndarray]]:
    """Run a graph once over all examples of a request.

    Args:
        runner: The loaded model.
        examples: What the client sent.
        input_names: The tensors that take them, each of them all.
        output_names: The tensors to compute.
        timeout: Seconds that are left for it.

    Returns:
        How many examples there were, and arrays by the names of their tensors.

    Raises:
        ServingError: There are no examples, or the graph failed.
    """
    serialized = serialized_examples(examples)
    feeds = dict.fromkeys(input_names, serialized)
    values = runner.run(feeds, output_names, timeout)
    outputs = dict(zip(output_names, map(as_array, values), strict=True))
    return len(serialized), outputs
