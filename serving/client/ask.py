"""Predict: inputs or images -> calls -> results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from serving.client import wire_pb2
from serving.client.about import Known, class_names
from serving.client.answers import Prediction, PredictResult
from serving.client.errors import (
    ClientError,
    DeadlineExceeded,
    InvalidRequest,
    ServerUnavailable,
)
from serving.client.outage import Outage
from serving.client.predictions import name_classes, to_predictions
from serving.client.refusals import explained, refuse_misfit
from serving.client.requests import Form, Item, chunks, form_of, predict_request
from serving.client.steps import PREDICT, Call, Steps, ask

Answer: TypeAlias = Prediction | ClientError

# Images of a refused request that are asked alone at the same time
_ALONE = 8


def predict_inputs(
    known: Known,
    spec: wire_pb2.ModelSpec,
    inputs: Mapping[str, Any],
    output_filter: Sequence[str],
    check: bool,
) -> Steps[PredictResult]:
    """Ask any signature, in one request."""
    from serving.client.tensors import tensor_to_array

    request = predict_request(spec, inputs, output_filter)
    yield from refuse_misfit(known, request, check)
    try:
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
    return PredictResult(outputs, version)


def image_question(
    images: Any,
    spec: wire_pb2.ModelSpec,
    signature: str | None,
    top: int,
    in_flight: int,
    check: bool,
) -> ImageQuestion:
    """Choose how the images of one call are asked about.

    Args:
        images: as the caller gave them.
        spec: the model that is asked; its signature is filled in.
        signature: the one to ask instead of that which fits `images`.
        top: how many classes of each image to list.
        in_flight: requests under way at the same time.
        check: whether to ask for the model's metadata first.

    Raises:
        BadImage: if `images` is an array, but not of images.
        ValueError: if `top` is below 1.
    """
    if top < 1:
        raise ValueError(f"At least one class is listed. Received: top={top}")
    form = form_of(images)
    spec.signature_name = signature or form.signature
    return ImageQuestion(spec, form, top, check, Outage(in_flight))


@dataclass(frozen=True)
class ImageQuestion:
    """How all images of one call of predict are asked about.

    Attributes:
        spec: the model and its signature.
        form: how images are sent.
        top: how many classes of each image to list.
        check: whether to ask for the model's metadata first.
        outage: what the requests so far tell of the server.
    """

    spec: wire_pb2.ModelSpec
    form: Form
    top: int
    check: bool
    outage: Outage

    def chunks(
        self, known: Known, images: Any, batch_size: int
    ) -> Iterator[Steps[list[Answer]]]:
        """The images in requests of a sensible size, read as they are needed.

        Raises:
            ValueError: if `batch_size`, the most images in a request, is below 1.
        """
        if batch_size < 1:
            raise ValueError(
                f"A request has at least one image. Received: batch_size={batch_size}"
            )
        parts = chunks(images, self.form, batch_size, lambda: self.outage.error)
        return (self._chunk(known, items) for items in parts)

    def _chunk(self, known: Known, items: list[Item]) -> Steps[list[Answer]]:
        good = [item for item in items if not isinstance(item.data, ClientError)]
        answered = iter((yield from self._together(known, good)) if good else [])
        return [
            item.data if isinstance(item.data, ClientError) else next(answered)
            for item in items
        ]

    def _together(self, known: Known, items: list[Item]) -> Steps[list[Answer]]:
        request = self.form.request(self.spec, items)
        try:
            yield from refuse_misfit(known, request, self.check)
            response = yield from ask(PREDICT, request)
            self.outage.answered()
            return (yield from self._read(known, response, len(items)))
        except (ServerUnavailable, DeadlineExceeded) as error:
            self.outage.lost(error)
            return [error] * len(items)
        except ClientError as error:
            self.outage.answered()
            reason = yield from explained(known, error, request)
        if reason.code != "INVALID_ARGUMENT" or reason.mismatch:
            return [reason] * len(items)
        if len(items) == 1:
            return [_named(reason, items[0])]
        # One image that the model cannot decode fails its whole request
        return (yield from self._alone(known, items))

    def _alone(self, known: Known, items: list[Item]) -> Steps[list[Answer]]:
        answers: list[Answer] = []
        for start in range(0, len(items), _ALONE):
            part = items[start : start + _ALONE]
            outcomes = yield [
                Call(PREDICT, self.form.request(self.spec, [item])) for item in part
            ]
            for item, outcome in zip(part, outcomes, strict=True):
                if isinstance(outcome, ClientError):
                    answers.append(_named(outcome, item))
                else:
                    answers += yield from self._read(known, outcome, 1)
        return answers

    def _read(
        self, known: Known, response: wire_pb2.PredictResponse, count: int
    ) -> Steps[list[Answer]]:
        model, version = self.spec.name, response.model_spec.version.value
        known.answered_by(self.spec, version)
        predictions = to_predictions(response, count, self.top, model)
        if self.top > 1:
            names = yield from class_names(known, model, version)
            return [name_classes(each, names) for each in predictions]
        return [*predictions]


def _named(error: ClientError, item: Item) -> ClientError:
    if not isinstance(error, InvalidRequest):
        return error
    return InvalidRequest(
        f"{item.name}: {error}", code=error.code, details=error.details
    )
