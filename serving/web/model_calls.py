"""Call a model server for the page, and cache what its models are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fovea.serving.client.aio import AsyncClient
from fovea.serving.client.errors import ClientError, InvalidRequest
from fovea.serving.client.results import PredictResult
from fovea.serving.web.inputs import ModelInput
from fovea.serving.web.servable import Servable, picture_shape

# A version may be replaced between two calls, but hardly twice in a row.
_ATTEMPTS = 3


@dataclass(frozen=True)
class Analysis:
    """The predictions of a model for one image, with explanation and feature maps.

    Attributes:
        version: Version of the model that computed them.
        probabilities: Probabilities of the classes, float32 (classes,).
        heatmap: Evidence for a class, float32 (height, width) with values 0..1; None
            if the model has no signature for it.
        heat_class: Id of that class.
        maps: Feature maps of the first convolution, float32 (height, width, channels);
            None if the model has no signature for them.
        layer: Name of that convolution, "" without maps.
        seconds: Duration of the call for the probabilities.
    """

    version: int
    probabilities: np.ndarray
    heatmap: np.ndarray | None
    heat_class: int
    maps: np.ndarray | None
    layer: str
    seconds: float


class ModelCalls:
    """The calls of the page through one client.

    Args:
        client: The client of the server with the models.
    """

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._servables: dict[str, Servable] = {}

    async def describe(self, model: str) -> Servable:
        """Request the properties of a model, and cache them.

        Raises:
            ClientError: If there is no such model, or it does not take images.
        """
        metadata = await self._client.metadata(model)
        shape = picture_shape(metadata)
        try:
            labels = await self._client.labels(model, metadata.version)
        except InvalidRequest:
            labels = ()  # no signature `classify`: its classes have no names
        servable = Servable(
            model, metadata.version, shape, labels, frozenset(metadata.signatures)
        )
        self._servables[model] = servable
        return servable

    async def analyse(
        self,
        model: str,
        prepare: Callable[[bytes, Servable], ModelInput],
        data: bytes,
        class_id: int | None = None,
    ) -> tuple[Servable, ModelInput, Analysis]:
        """Classify an image, with a heat map and feature maps if the model has them.

        Args:
            model: Name of the model.
            prepare: Converts the bytes of an image file to the input of the model.
            data: Bytes of the image file.
            class_id: The class to explain, if the model can explain any class; None
                for the most probable one.

        Returns:
            The model, its input and the analysis.

        Raises:
            ClientError: If there is no usable response.
        """
        servable = self._servables.get(model) or await self.describe(model)
        for _ in range(_ATTEMPTS):
            model_input = await asyncio.to_thread(prepare, data, servable)
            try:
                analysis = await self._analyse(servable, model_input, class_id)
            except InvalidRequest:
                latest = await self.describe(model)
                if latest == servable:
                    raise
                servable = latest
                continue
            if analysis is not None:
                return servable, model_input, analysis
            servable = await self.describe(model)
        raise ClientError(
            f"Model {model!r} changes its version with every call; try again later."
        )

    async def _analyse(
        self, servable: Servable, model_input: ModelInput, class_id: int | None
    ) -> Analysis | None:
        """Make the calls for one image.

        Returns:
            The analysis; None if another version of the model has responded, which
            may have another input and other signatures.
        """
        images = {"images": model_input.pixels[np.newaxis]}

        async def predict(signature: str, inputs: dict[str, Any]) -> PredictResult:
            return await self._client.predict(
                inputs, model=servable.name, signature=signature
            )

        async def classes() -> tuple[PredictResult, float]:
            signature = servable.first_of("explain_encoded", "encoded")
            inputs: dict[str, Any] = {"image_bytes": [model_input.encoded]}
            if model_input.encoded is None or signature is None:
                signature = servable.first_of("explain") or "serving_default"
                inputs = images
            started = time.perf_counter()
            result = await predict(signature, inputs)
            return result, time.perf_counter() - started

        async def heat() -> PredictResult | None:
            if class_id is None or not servable.first_of("explain_class"):
                return None  # `classes` returns the heat map of the most probable one
            return await predict("explain_class", {**images, "class_id": [class_id]})

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
        return Analysis(
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
    """Return the value of an output for the only image of the batch."""
    values = result.outputs.get(output)
    if values is None or values.ndim < 1 or len(values) != 1:
        raise InvalidRequest(
            f"The model must return `{output}` for one image. Received: "
            f"{'no such output' if values is None else list(values.shape)}"
        )
    return values[0]
