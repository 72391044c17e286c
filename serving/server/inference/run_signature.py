"""The inference core: arrays by input name in, arrays by output name out.

gRPC and REST are two encodings of it. The checks, their order and their texts are those
of TensorFlow Serving's `predict_util.cc`. Shapes are left to the graph to check.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
from tensorflow.core.protobuf import meta_graph_pb2

from fovea.serving.server.errors import ServingError, invalid_argument
from fovea.serving.server.inference.tensors import parse_tensor
from fovea.serving.server.saved_model.arrays import as_array
from fovea.serving.server.saved_model.interface import LoadedModel
from fovea.serving.server.saved_model.signatures import (
    CLASSIFY_METHOD,
    PREDICT_METHOD,
    REGRESS_METHOD,
    TensorNames,
)

Arrays = Mapping[str, np.ndarray]
# Measures how long the graph runs.
Timer = contextlib.AbstractContextManager[None]

_METHODS = (PREDICT_METHOD, CLASSIFY_METHOD, REGRESS_METHOD)


@dataclass(slots=True)
class SignatureRun:
    """A checked request: what to feed to the graph and what to fetch from it.

    Attributes:
        feeds: Arrays by the names of the tensors that they replace.
        outputs: The names of the tensors to compute, by output name.
    """

    feeds: dict[str, np.ndarray]
    outputs: dict[str, str]

    @property
    def fetches(self) -> list[str]:
        """The names of the tensors to compute."""
        return list(self.outputs.values())

    def arrays(self, values: Sequence[Any]) -> dict[str, np.ndarray]:
        """Return the values of `fetches` as arrays by output name."""
        return dict(zip(self.outputs, map(as_array, values), strict=True))


def run_signature(
    model: LoadedModel,
    signature: str,
    arrays: Arrays,
    output_filter: Iterable[str] = (),
    timeout: float | None = None,
    timer: Timer | None = None,
) -> dict[str, np.ndarray]:
    """Run one signature of a loaded model.

    Args:
        model: The loaded model.
        signature: The signature's name.
        arrays: The inputs by name. Only those that the signature has are read, and
            only after the names have been checked, so that a mapping may decode them
            as they are read.
        output_filter: The names of the wanted outputs; none for all of them.
        timeout: Seconds after which to give up; None for never.
        timer: Entered while the graph runs.

    Returns:
        The outputs by name, in the order of the filter or else of the alphabet.

    Raises:
        ServingError: The request does not match the signature, or the graph failed.
    """
    run = prepare_run(model, signature, arrays, output_filter)
    with timer or contextlib.nullcontext():
        values = model.run(run.feeds, run.fetches, timeout)
    return run.arrays(values)


def prepare_run(
    model: LoadedModel,
    signature: str,
    arrays: Arrays,
    output_filter: Iterable[str] = (),
) -> SignatureRun:
    """Check a request against a signature without running it.

    Takes the arguments of `run_signature`.

    Raises:
        ServingError: The request does not match the signature.
    """
    definition = model.signatures.get(signature)
    if definition is None:
        raise ServingError(
            grpc.StatusCode.FAILED_PRECONDITION,
            f'Serving signature key "{signature}" not found.',
        )
    if model.check_method_names and definition.method_name not in _METHODS:
        raise ServingError(
            grpc.StatusCode.INTERNAL,
            "Expected prediction signature method_name to be one of "
            f"{{{', '.join(_METHODS)}}}. Was: {definition.method_name}",
        )
    names = model.signatures.tensor_names(signature)
    feeds = _feeds(definition, names, arrays)
    if output_filter:
        return SignatureRun(feeds, _filtered(names.outputs, output_filter))
    return SignatureRun(feeds, names.outputs)


def run_together(
    model: LoadedModel,
    runs: Sequence[SignatureRun],
    timeout: float | None = None,
    timer: Timer | None = None,
) -> list[dict[str, np.ndarray]]:
    """Run several signatures in one run of the graph.

    Args:
        model: The loaded model.
        runs: The checked requests; those that feed the same tensor feed it the same
            array.
        timeout: Seconds after which to give up; None for never.
        timer: Entered while the graph runs.

    Returns:
        The outputs by name, for each request.

    Raises:
        ServingError: The graph failed.
    """
    feeds = {name: array for run in runs for name, array in run.feeds.items()}
    fetches = sorted({name for run in runs for name in run.fetches})
    with timer or contextlib.nullcontext():
        values = model.run(dict(sorted(feeds.items())), fetches, timeout)
    arrays = dict(zip(fetches, map(as_array, values), strict=True))
    return [
        {output: arrays[name] for output, name in run.outputs.items()} for run in runs
    ]


def _feeds(
    signature: meta_graph_pb2.SignatureDef, names: TensorNames, arrays: Arrays
) -> dict[str, np.ndarray]:
    required = names.inputs
    if len(arrays) != len(required) and (
        len(arrays) > len(required) or not signature.defaults
    ):
        raise invalid_argument(
            f"input size does not match signature: {len(arrays)}!={len(required)} "
            f"len({_set(arrays)}) != len({_set(required)}). "
            f"Sent extra: {_set(set(arrays) - set(required))}. "
            f"Missing but required: {_set(set(required) - set(arrays))}."
        )
    feeds = {}
    used = 0
    for alias, name in required.items():
        if alias in arrays:
            feeds[name] = arrays[alias]
            used += 1
        elif alias in signature.defaults:
            feeds[name] = parse_tensor(alias, signature.defaults[alias])
        else:
            defaults = ",".join(sorted(signature.defaults))
            raise invalid_argument(
                f"Signature input alias: {alias}(feed name: {name}) not found in "
                "request and no default value provided. Inputs expected to be in the "
                f"request {_set(arrays)}, or default input alias set: {defaults}"
            )
    if used != len(arrays):
        known = [alias for alias in sorted(arrays) if alias in required]
        raise invalid_argument(
            f"Inputs contains invalid name. Used request inputs: {','.join(known)}, "
            f"request input: {','.join(sorted(arrays))}"
        )
    return feeds


def _filtered(outputs: dict[str, str], aliases: Iterable[str]) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for alias in aliases:
        if alias not in outputs:
            raise invalid_argument(
                f"output tensor alias not found in signature: {alias} Outputs "
                f"expected to be in the set {_set(outputs)}."
            )
        if alias in chosen:
            raise invalid_argument(f"duplicate output tensor alias: {alias}")
        chosen[alias] = outputs[alias]
    return chosen


def _set(aliases: Iterable[str]) -> str:
    return f"{{{','.join(sorted(aliases))}}}"
