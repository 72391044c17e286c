"""Asks a model server on behalf of the page, and remembers what its models are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fovea.serving.client.aio import AsyncClient
from fovea.serving.client.results import PredictResult
from fovea.serving.client.errors import ClientError, InvalidRequest
from fovea.serving.web.inputs import Question
from fovea.serving.web.servable import Servable, picture_shape

# A version may be replaced between two questions, but hardly twice.
_ATTEMPTS = 3


@dataclass(frozen=True)
class Answer:
    """What a model says about one picture.

    Attributes:
        version: the version that answered.
        probabilities: float32 (classes,).
        heatmap: float32 (height, width), 0..1: what speaks for a class; None if the
            model does not explain itself.
        heat_class: that class.
        maps: float32 (height, width, channels) of its first convolution; None if it
            does not show them.
        layer: name of that convolution, "" without maps.
        seconds: what the call for the probabilities took.
    """

    version: int
    probabilities: np.ndarray
    heatmap: np.ndarray | None
    heat_class: int
    maps: np.ndarray | None
    layer: str
    seconds: float


class Asker:
    """Asks through one client.

    Args:
        client: of the server that has the models.
    """

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._known: dict[str, Servable] = {}

    async def describe(self, model: str) -> Servable:
        """Ask what a model is.

        Raises:
            ClientError: if there is no such model, or none that takes pictures.
        """
        metadata = await self._client.metadata(model)
        shape = picture_shape(metadata)
        try:
            labels = await self._client.labels(model, metadata.version)
        except InvalidRequest:
            labels = ()  # no signature `classify`: its classes have numbers alone
        servable = Servable(
            model, metadata.version, shape, labels, frozenset(metadata.signatures)
        )
        self._known[model] = servable
        return servable

    async def answer(
        self,
        model: str,
        prepare: Callable[[bytes, Servable], Question],
        data: bytes,
        why: int | None = None,
    ) -> tuple[Servable, Question, Answer]:
        """Ask a model about a picture.

        Args:
            model: its name.
            prepare: turns the bytes of an image file into what the model takes.
            data: these bytes.
            why: the class that the heat map is to speak of, if the model can be asked
                that; the most probable one if None.

        Raises:
            ClientError: if there is no usable answer.
        """
        servable = self._known.get(model) or await self.describe(model)
        for _ in range(_ATTEMPTS):
            question = await asyncio.to_thread(prepare, data, servable)
            try:
                answer = await self._ask(servable, question, why)
            except InvalidRequest:
                latest = await self.describe(model)
                if latest == servable:
                    raise
                servable = latest
                continue
            if answer is not None:
                return servable, question, answer
            servable = await self.describe(model)
        raise ClientError(
            f"Model {model!r} changes its version with every question; ask again later."
        )

    async def _ask(
        self, servable: Servable, question: Question, why: int | None
    ) -> Answer | None:
        """Ask about one picture.

        Returns:
            the answer; None if another version of the model has answered, to which
            the question may have to be put another way.
        """
        images = {"images": question.pixels[np.newaxis]}

        async def predict(signature: str, inputs: dict[str, Any]) -> PredictResult:
            return await self._client.predict(
                inputs, model=servable.name, signature=signature
            )

        async def classes() -> tuple[PredictResult, float]:
            signature = servable.first_of("explain_encoded", "encoded")
            inputs: dict[str, Any] = {"image_bytes": [question.encoded]}
            if question.encoded is None or signature is None:
                signature = servable.first_of("explain") or "serving_default"
                inputs = images
            started = time.perf_counter()
            result = await predict(signature, inputs)
            return result, time.perf_counter() - started

        async def heat() -> PredictResult | None:
            if why is None or not servable.first_of("explain_class"):
                return None  # what it has comes with the classes
            return await predict("explain_class", {**images, "class_id": [why]})

        async def maps() -> PredictResult | None:
            signature = servable.first_of("feature_maps")
            return await predict(signature, images) if signature else None

        (main, seconds), explained, shown = await asyncio.gather(
            classes(), heat(), maps()
        )
        results = (main, explained, shown)
        if any(each and each.model_version != servable.version for each in results):
            return None
        explained = explained or main
        heatmap = explained.outputs.get("heatmap")
        probabilities = _only(main, "probabilities")
        return Answer(
            version=servable.version,
            probabilities=probabilities,
            heatmap=None if heatmap is None else _only(explained, "heatmap"),
            heat_class=int(probabilities.argmax())
            if explained is main
            else int(_only(explained, "class_id")),
            maps=_only(shown, "maps") if shown else None,
            layer=_only(shown, "layer").decode() if shown else "",
            seconds=seconds,
        )


def _only(result: PredictResult, output: str) -> Any:
    """Return what an output holds about the only picture."""
    values = result.outputs.get(output)
    if values is None or values.ndim < 1 or len(values) != 1:
        raise InvalidRequest(
            f"The model's answer must hold `{output}` of one picture. Received: "
            f"{'no such output' if values is None else list(values.shape)}"
        )
    return values[0]
