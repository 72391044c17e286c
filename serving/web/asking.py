"""Asks a model server on behalf of the page, and remembers what its models are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.client import Client, ClientError, InvalidRequest, PredictResult
from serving.web.question import Question
from serving.web.servable import Servable, picture_shape

FEATURE_MAPS = "feature_maps"
EXPLAIN = "explain"
# A version may be replaced between two questions, but hardly twice.
_ATTEMPTS = 3


@dataclass(frozen=True)
class Answer:
    """What a model says about one picture.

    Attributes:
        version: the version that answered.
        probabilities: float32 (classes,).
        heatmap: float32 (height, width), 0..1; None if the model does not explain.
        maps: float32 (height, width, channels) of its first convolution; None if it
            does not show them.
        layer: name of that convolution, "" without maps.
        seconds: what the call for the probabilities took.
    """

    version: int
    probabilities: np.ndarray
    heatmap: np.ndarray | None
    maps: np.ndarray | None
    layer: str
    seconds: float


class Asker:
    """Asks through one client.

    Args:
        client: of the server that has the models.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[str, Servable] = {}

    async def describe(self, model: str) -> Servable:
        """Ask what a model is.

        Raises:
            ClientError: if there is no such model, or none that takes pictures.
        """
        metadata = await asyncio.to_thread(self._client.metadata, model)
        shape = picture_shape(metadata)
        try:
            labels = await asyncio.to_thread(
                self._client.labels, model, metadata.version
            )
        except InvalidRequest:
            labels = ()  # no signature `classify`: its classes have numbers alone
        servable = Servable(
            model, metadata.version, shape, labels, frozenset(metadata.signatures)
        )
        self._known[model] = servable
        return servable

    async def answer(
        self, model: str, prepare: Callable[[bytes, Servable], Question], data: bytes
    ) -> tuple[Servable, Question, Answer]:
        """Ask a model about a picture.

        Args:
            model: its name.
            prepare: turns the bytes of an image file into what the model takes.
            data: these bytes.

        Raises:
            ClientError: if there is no usable answer.
        """
        servable = self._known.get(model) or await self.describe(model)
        for _ in range(_ATTEMPTS):
            question = await asyncio.to_thread(prepare, data, servable)
            try:
                answer = await self._ask(servable, question)
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

    async def _ask(self, servable: Servable, question: Question) -> Answer | None:
        """Ask about one picture.

        Returns:
            the answer; None if another version of the model has answered, to which
            the question may have to be put another way.
        """
        maps, main = await asyncio.gather(
            self._maps(servable, question), self._main(servable, question)
        )
        result, seconds = main
        versions = {result.model_version}
        if maps is not None:
            versions.add(maps.model_version)
        if versions != {servable.version}:
            return None
        return Answer(
            version=result.model_version,
            probabilities=_only(result, "probabilities"),
            heatmap=_only(result, "heatmap") if "heatmap" in result.outputs else None,
            maps=_only(maps, "maps") if maps else None,
            layer=_only(maps, "layer").decode() if maps else "",
            seconds=seconds,
        )

    async def _main(
        self, servable: Servable, question: Question
    ) -> tuple[PredictResult, float]:
        """Ask for probabilities and, if the model has it, the heat map with them."""
        signature = servable.first_of(f"{EXPLAIN}_encoded", "encoded")
        if question.encoded is not None and signature is not None:
            inputs: dict[str, Any] = {"image_bytes": [question.encoded]}
        else:
            signature = servable.first_of(EXPLAIN) or "serving_default"
            inputs = {"images": question.pixels[np.newaxis]}
        return await self._timed(servable, signature, inputs)

    async def _maps(
        self, servable: Servable, question: Question
    ) -> PredictResult | None:
        signature = servable.first_of(FEATURE_MAPS)
        if signature is None:
            return None
        inputs = {"images": question.pixels[np.newaxis]}
        return (await self._timed(servable, signature, inputs))[0]

    async def _timed(
        self, servable: Servable, signature: str, inputs: dict[str, Any]
    ) -> tuple[PredictResult, float]:
        def call() -> tuple[PredictResult, float]:
            started = time.perf_counter()
            result = self._client.predict(
                inputs, model=servable.name, signature=signature
            )
            return result, time.perf_counter() - started

        return await asyncio.to_thread(call)


def _only(result: PredictResult, output: str) -> Any:
    """Return what an output holds about the only picture."""
    values = result.outputs.get(output)
    if values is None or values.ndim < 1 or len(values) != 1:
        raise InvalidRequest(
            f"The model's answer must hold `{output}` of one picture. Received: "
            f"{'no such output' if values is None else list(values.shape)}"
        )
    return values[0]
