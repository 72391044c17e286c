"""Predict: inputs or images -> calls -> results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from fovea.serving.client.answers import Prediction, PredictResult
from fovea.serving.client.calls.circuit_breaker import Outage
from fovea.serving.client.calls.effects import PREDICT, Call, Steps, ask
from fovea.serving.client.calls.model_info import Known, class_names
from fovea.serving.client.calls.predictions import name_classes, to_predictions
from fovea.serving.client.calls.request_validation import explained, refuse_misfit
from fovea.serving.client.calls.requests import (
    Form,
    Item,
    chunks,
    form_of,
    is_one_image,
    predict_request,
)
from fovea.serving.client.calls.settings import Settings
from fovea.serving.client.errors import (
    ClientError,
    DeadlineExceeded,
    InvalidRequest,
    ServerUnavailable,
)
from fovea.serving.protocol import wire_pb2

Answer: TypeAlias = Prediction | ClientError

# Images of a refused request that are asked alone at the same time
_ALONE = 8


def predict_parts(
    known: Known,
    settings: Settings,
    inputs: Any,
    spec: wire_pb2.ModelSpec,
    *,
    top: int,
    batch_size: int,
    output_filter: Sequence[str],
) -> tuple[bool, Iterator[Steps[list[Any]]]]:
    """Whatever `predict` takes -> questions, each of which brings a list of answers.

    Args:
        known, settings: the client's.
        inputs, top, batch_size, output_filter: as Client.predict has them.
        spec: what is asked; without a signature that of `inputs` is filled in.

    Returns:
        whether one answer is wanted, not a list of them; and the questions.

    Raises:
        BadImage: if `inputs` is an array, but not of images.
        ValueError: if a number is out of its range, or arguments exclude each other.
    """
    if isinstance(inputs, Mapping):
        spec.signature_name = spec.signature_name or "serving_default"
        return True, iter([_inputs(known, settings, spec, inputs, output_filter)])
    if output_filter:
        raise ValueError(
            "output_filter is for named arrays; images need all outputs. "
            f"Received: output_filter={list(output_filter)}"
        )
    one = is_one_image(inputs)
    images = [inputs] if one else inputs
    return one, image_parts(known, settings, images, spec, top, batch_size)


def image_parts(
    known: Known,
    settings: Settings,
    images: Iterable[Any],
    spec: wire_pb2.ModelSpec,
    top: int,
    batch_size: int,
) -> Iterator[Steps[list[Answer]]]:
    """Images -> questions of a sensible size, made as they are needed.

    Args and Raises: as `predict_parts`.
    """
    if top < 1 or batch_size < 1:
        raise ValueError(
            "top and batch_size are at least 1. "
            f"Received: top={top}, batch_size={batch_size}"
        )
    form = form_of(images)
    spec.signature_name = spec.signature_name or form.signature
    outage = Outage(settings.in_flight)
    question = _Images(known, spec, form, top, settings.check, outage)
    parts = chunks(images, form, batch_size, lambda: outage.error)
    return (question.answers(items) for items in parts)


def checked(answer: Any) -> Any:
    """Raise the answer if it is an error, otherwise return it."""
    if isinstance(answer, ClientError):
        raise answer
    return answer


def _inputs(
    known: Known,
    settings: Settings,
    spec: wire_pb2.ModelSpec,
    inputs: Mapping[str, Any],
    output_filter: Sequence[str],
) -> Steps[list[PredictResult]]:
    from fovea.serving.protocol.tensors import tensor_to_array

    request = predict_request(spec, inputs, output_filter)
    try:
        yield from refuse_misfit(known, request, settings.check)
        response = yield from ask(PREDICT, request)
    except ClientError as error:
        raise (yield from explained(known, error, request)) from None
    version = response.model_spec.version.value
    known.answered_by(spec, version)
    try:
        outputs = {
            name: tensor_to_array(tensor) for name, tensor in response.outputs.items()
        }
    except ValueError as error:
        raise ClientError(
            f"Model {spec.name!r} sent an answer that cannot be read: {error}"
        ) from error
    return [PredictResult(outputs, version)]


class _Images(NamedTuple):
    """How all images of one call are asked about.

    Attributes:
        form: how they are sent.
        top: how many classes of each image to list.
        check: whether to ask for the model's metadata first.
        outage: what the requests so far tell of the server.
    """

    known: Known
    spec: wire_pb2.ModelSpec
    form: Form
    top: int
    check: bool
    outage: Outage

    def answers(self, items: list[Item]) -> Steps[list[Answer]]:
        """One for each item; what cannot be sent is its own."""
        bad = [
            item.data if isinstance(item.data, ClientError) else None for item in items
        ]
        return (yield from self._without(bad, items))

    def _without(
        self, bad: Sequence[ClientError | None], items: list[Item]
    ) -> Steps[list[Answer]]:
        """Ask about the items that are not bad, and put the answers between those."""
        good = [item for item, error in zip(items, bad, strict=True) if error is None]
        answered = iter((yield from self._together(good)) if good else [])
        return [next(answered) if error is None else error for error in bad]

    def _together(self, items: list[Item]) -> Steps[list[Answer]]:
        request = self.form.request(self.spec, items)
        try:
            yield from refuse_misfit(self.known, request, self.check)
            response = yield from ask(PREDICT, request)
            self.outage.answered()
            return (yield from self._read(response, len(items)))
        except (ServerUnavailable, DeadlineExceeded) as error:
            self.outage.lost(error)
            return [error] * len(items)
        except ClientError as error:
            self.outage.answered()
            reason = yield from explained(self.known, error, request)
        if reason.code != "INVALID_ARGUMENT" or reason.mismatch:
            return [reason] * len(items)
        # One image that the model cannot decode fails its whole request
        damage = [self.form.damage(item) for item in items]
        if any(damage):
            return (yield from self._without(damage, items))
        if len(items) == 1:
            return [_named(reason, items[0])]
        return (yield from self._alone(items))

    def _alone(self, items: list[Item]) -> Steps[list[Answer]]:
        answers: list[Answer] = []
        for start in range(0, len(items), _ALONE):
            part = items[start : start + _ALONE]
            outcomes = yield [
                Call(PREDICT, self.form.request(self.spec, [item])) for item in part
            ]
            for item, outcome in zip(part, outcomes, strict=True):
                try:
                    answers += yield from self._read(checked(outcome), 1)
                except ClientError as error:
                    answers.append(_named(error, item))
        return answers

    def _read(
        self, response: wire_pb2.PredictResponse, count: int
    ) -> Steps[list[Answer]]:
        model, version = self.spec.name, response.model_spec.version.value
        self.known.answered_by(self.spec, version)
        predictions = to_predictions(response, count, self.top, model)
        if self.top > 1:
            names = yield from class_names(self.known, model, version)
            return [name_classes(each, names) for each in predictions]
        return [*predictions]


def _named(error: ClientError, item: Item) -> ClientError:
    if not isinstance(error, InvalidRequest):
        return error
    return InvalidRequest(
        f"{item.name}: {error}", code=error.code, details=error.details, item=item.name
    )
