"""Operations that call Predict with arrays or images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from fovea.serving.client.calls.call_options import CallOptions
from fovea.serving.client.calls.circuit_breaker import CircuitBreaker
from fovea.serving.client.calls.effects import PREDICT, Call, Operation, call, unwrap
from fovea.serving.client.calls.model_info import ModelCache, class_names
from fovea.serving.client.calls.predictions import name_classes, to_predictions
from fovea.serving.client.calls.request_validation import add_reason, reject_mismatch
from fovea.serving.client.calls.requests import (
    InputFormat,
    Item,
    image_batches,
    input_format,
    is_one_image,
    predict_request,
)
from fovea.serving.client.errors import (
    ClientError,
    DeadlineExceeded,
    InvalidRequest,
    ServerUnavailable,
)
from fovea.serving.client.results import Prediction, PredictResult
from fovea.serving.protocol import wire_pb2

ImageResult: TypeAlias = Prediction | ClientError

# Images of a rejected request that are sent one by one at the same time
_PARALLEL_RETRIES = 8


def predict_operations(
    cache: ModelCache,
    options: CallOptions,
    inputs: Any,
    spec: wire_pb2.ModelSpec,
    *,
    top: int,
    batch_size: int,
    output_filter: Sequence[str],
) -> Iterator[Operation[list[Any]]]:
    """Convert the inputs of `Client.predict` to operations with lists of results.

    Args:
        cache: The cache of the client.
        options: The options of the client.
        inputs: One image, several images, or arrays by input name.
        spec: The model and its version; a missing signature is filled in.
        top: How many classes of each image to list.
        batch_size: The most images in a request.
        output_filter: Names of the outputs to return, for arrays; empty for all.

    Returns:
        Operations with a result for each image, or with a single one for arrays.

    Raises:
        BadImage: If `inputs` is an array, but not of images.
        ValueError: If a number is out of its range, or arguments exclude each other.
    """
    if isinstance(inputs, Mapping):
        spec.signature_name = spec.signature_name or "serving_default"
        return iter([_predict_arrays(cache, options, spec, inputs, output_filter)])
    if output_filter:
        raise ValueError(
            "output_filter is for named arrays; images need all outputs. "
            f"Received: output_filter={list(output_filter)}"
        )
    images = [inputs] if is_one_image(inputs) else inputs
    return image_operations(cache, options, images, spec, top, batch_size)


def image_operations(
    cache: ModelCache,
    options: CallOptions,
    images: Iterable[Any],
    spec: wire_pb2.ModelSpec,
    top: int,
    batch_size: int,
) -> Iterator[Operation[list[ImageResult]]]:
    """Convert images to operations, one for each batch, as they are needed.

    Args:
        cache: The cache of the client.
        options: The options of the client.
        images: Is read only as far as needed.
        spec: The model and its version; a missing signature is filled in.
        top: How many classes of each image to list.
        batch_size: The most images in a request.

    Returns:
        Operations with a result for each image of their batch.

    Raises:
        BadImage: If `images` is an array, but not of images.
        ValueError: If a number is out of its range.
    """
    if top < 1 or batch_size < 1:
        raise ValueError(
            "top and batch_size are at least 1. "
            f"Received: top={top}, batch_size={batch_size}"
        )
    sent_as = input_format(images)
    spec.signature_name = spec.signature_name or sent_as.signature
    breaker = CircuitBreaker(options.in_flight)
    predictor = _ImagePredictor(cache, spec, sent_as, top, options.check, breaker)
    batches = image_batches(images, sent_as, batch_size, lambda: breaker.error)
    return (predictor.predict(items) for items in batches)


def has_single_result(inputs: Any) -> bool:
    """Return whether `Client.predict` returns a single result for these inputs."""
    return isinstance(inputs, Mapping) or is_one_image(inputs)


def _predict_arrays(
    cache: ModelCache,
    options: CallOptions,
    spec: wire_pb2.ModelSpec,
    inputs: Mapping[str, Any],
    output_filter: Sequence[str],
) -> Operation[list[PredictResult]]:
    from fovea.serving.protocol.tensors import tensor_to_array

    request = predict_request(spec, inputs, output_filter)
    try:
        yield from reject_mismatch(cache, request, options.check)
        response = yield from call(PREDICT, request)
    except ClientError as error:
        raise (yield from add_reason(cache, error, request)) from None
    version = response.model_spec.version.value
    cache.note_version(spec, version)
    try:
        outputs = {
            name: tensor_to_array(tensor) for name, tensor in response.outputs.items()
        }
    except ValueError as error:
        raise ClientError(
            f"Model {spec.name!r} sent a response that cannot be read: {error}"
        ) from error
    return [PredictResult(outputs, version)]


class _ImagePredictor(NamedTuple):
    """Calls Predict with the batches of one `predict` or `predict_each`.

    Attributes:
        cache: The cache of the client.
        spec: The model, its version and the signature.
        sent_as: The form in which images are sent.
        top: How many classes of each image to list.
        check: Whether to request the model's metadata first.
        breaker: Opens while the server does not respond to batches.
    """

    cache: ModelCache
    spec: wire_pb2.ModelSpec
    sent_as: InputFormat
    top: int
    check: bool
    breaker: CircuitBreaker

    def predict(self, items: list[Item]) -> Operation[list[ImageResult]]:
        """Return a result for each item; an item with an error has it as its result."""
        errors = [
            item.data if isinstance(item.data, ClientError) else None for item in items
        ]
        return (yield from self._predict_others(errors, items))

    def _predict_others(
        self, errors: Sequence[ClientError | None], items: list[Item]
    ) -> Operation[list[ImageResult]]:
        """Predict the items without an error, and merge the results in order."""
        good = [
            item for item, error in zip(items, errors, strict=True) if error is None
        ]
        results = iter((yield from self._predict_batch(good)) if good else [])
        return [next(results) if error is None else error for error in errors]

    def _predict_batch(self, items: list[Item]) -> Operation[list[ImageResult]]:
        request = self.sent_as.request(self.spec, items)
        try:
            yield from reject_mismatch(self.cache, request, self.check)
            response = yield from call(PREDICT, request)
            self.breaker.record_response()
            return (yield from self._read(response, len(items)))
        except (ServerUnavailable, DeadlineExceeded) as error:
            self.breaker.record_failure(error)
            return [error] * len(items)
        except ClientError as error:
            self.breaker.record_response()
            reason = yield from add_reason(self.cache, error, request)
        if reason.code != "INVALID_ARGUMENT" or reason.mismatch:
            return [reason] * len(items)
        # One image that the model cannot decode fails its whole batch
        damage = [self.sent_as.find_damage(item) for item in items]
        if any(damage):
            return (yield from self._predict_others(damage, items))
        if len(items) == 1:
            return [_about_item(reason, items[0])]
        return (yield from self._predict_one_by_one(items))

    def _predict_one_by_one(self, items: list[Item]) -> Operation[list[ImageResult]]:
        results: list[ImageResult] = []
        for start in range(0, len(items), _PARALLEL_RETRIES):
            part = items[start : start + _PARALLEL_RETRIES]
            outcomes = yield [
                Call(PREDICT, self.sent_as.request(self.spec, [item])) for item in part
            ]
            for item, outcome in zip(part, outcomes, strict=True):
                try:
                    results += yield from self._read(unwrap(outcome), 1)
                except ClientError as error:
                    results.append(_about_item(error, item))
        return results

    def _read(
        self, response: wire_pb2.PredictResponse, count: int
    ) -> Operation[list[ImageResult]]:
        model, version = self.spec.name, response.model_spec.version.value
        self.cache.note_version(self.spec, version)
        predictions = to_predictions(response, count, self.top, model)
        if self.top > 1:
            names = yield from class_names(self.cache, model, version)
            return [name_classes(each, names) for each in predictions]
        return [*predictions]


def _about_item(error: ClientError, item: Item) -> ClientError:
    if not isinstance(error, InvalidRequest):
        return error
    return InvalidRequest(
        f"{item.name}: {error}", code=error.code, details=error.details, item=item.name
    )
