"""The client for asyncio; everything but the waiting is shared with `Client`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, overload

from fovea.serving.client.answers import (
    Classification,
    ModelMetadata,
    Prediction,
    PredictResult,
    VersionStatus,
)
from fovea.serving.client.calls import model_info
from fovea.serving.client.calls.async_driver import AioCalls
from fovea.serving.client.calls.predict import (
    Answer,
    checked,
    image_parts,
    predict_parts,
)
from fovea.serving.client.calls.requests import model_spec
from fovea.serving.client.calls.settings import Settings
from fovea.serving.client.transport.channel import open_aio_channel

if TYPE_CHECKING:
    from fovea.serving.client.images import (
        ImageArray,
        ImageArrays,
        ImageSource,
        OneImage,
    )
    from fovea.serving.client.model_config import Base, ModelConfig
    from fovea.serving.client.named_image import NamedImage


class AsyncClient:
    """A connection to a model server, whose methods are coroutines.

    The arguments, the methods and their errors are those of `Client`. A task that is
    cancelled takes its calls with it. A client may be used by several event loops one
    after another, not by two at the same time: each gets a channel of its own.

    Raises:
        ValueError: if a setting is out of its range; if `target` is not an address,
            the first use says so.

    Example:
        >>> async with AsyncClient("127.0.0.1:8500") as client:
        ...     answer = await client.predict("seven.png", model="mnist")
    """

    def __init__(
        self,
        target: str | Sequence[str],
        *,
        timeout: float = 10.0,
        wait_for_ready: bool = False,
        in_flight: int = 4,
        check: bool = False,
        **connection: Any,
    ):
        self._settings = Settings(target, timeout, wait_for_ready, in_flight, check)
        self._known = model_info.Known()
        self._calls = AioCalls(
            self._settings, lambda: open_aio_channel(target, **connection)
        )

    async def __aenter__(self) -> AsyncClient:
        self._calls.open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls under way are cancelled."""
        await self._calls.close()

    @overload
    async def predict(
        self,
        inputs: Mapping[str, Any],
        *,
        model: str,
        version: int | None = None,
        label: str | None = None,
        signature: str | None = None,
        output_filter: Sequence[str] = (),
        timeout: float | None = None,
    ) -> PredictResult: ...

    @overload
    async def predict(  # type: ignore[overload-overlap]  # as in Client
        self,
        inputs: OneImage | ImageArray,
        *,
        model: str,
        version: int | None = None,
        label: str | None = None,
        signature: str | None = None,
        top: int = 1,
        timeout: float | None = None,
    ) -> Prediction: ...

    @overload
    async def predict(
        self,
        inputs: Sequence[ImageSource] | ImageArrays,
        *,
        model: str,
        version: int | None = None,
        label: str | None = None,
        signature: str | None = None,
        top: int = 1,
        batch_size: int = 64,
        timeout: float | None = None,
    ) -> list[Prediction]: ...

    async def predict(
        self,
        inputs: Any,
        *,
        model: str,
        version: int | None = None,
        label: str | None = None,
        signature: str | None = None,
        top: int = 1,
        batch_size: int = 64,
        output_filter: Sequence[str] = (),
        timeout: float | None = None,
    ) -> Any:
        """Ask about one image, several images, or named arrays: `Client.predict`."""
        one, parts = predict_parts(
            self._known,
            self._settings,
            inputs,
            model_spec(model, version, label, signature),
            top=top,
            batch_size=batch_size,
            output_filter=output_filter,
        )
        async with contextlib.aclosing(self._calls.answers(parts, timeout)) as each:
            answers = [checked(answer) async for answer in each]
        return answers[0] if one else answers

    def predict_each(
        self,
        images: Iterable[ImageSource | NamedImage],
        *,
        model: str,
        version: int | None = None,
        label: str | None = None,
        signature: str | None = None,
        top: int = 1,
        batch_size: int = 64,
        timeout: float | None = None,
    ) -> AsyncGenerator[Answer, None]:
        """Ask about any number of images: `Client.predict_each`.

        The images are read and prepared in a thread, one request at a time.
        """
        spec = model_spec(model, version, label, signature)
        parts = image_parts(self._known, self._settings, images, spec, top, batch_size)
        return self._calls.answers(parts, timeout)

    async def classify(
        self,
        examples: Iterable[Mapping[str, Any] | ImageSource],
        *,
        model: str,
        version: int | None = None,
        label: str | None = None,
        signature: str = "classify",
        context: Mapping[str, Any] | None = None,
        batch_size: int = 64,
        timeout: float | None = None,
    ) -> list[Classification]:
        """Ask TF Serving's Classify about examples: `Client.classify`."""
        from fovea.serving.client.calls.classify import classify_parts

        spec = model_spec(model, version, label, signature)
        parts = classify_parts(self._known, spec, examples, context, batch_size)
        async with contextlib.aclosing(self._calls.answers(parts, timeout)) as each:
            return [result async for result in each]

    async def labels(
        self, model: str, version: int | None = None, *, timeout: float | None = None
    ) -> tuple[str, ...]:
        """The names of a model's classes: `Client.labels`."""
        return await self._calls.run(model_info.labels(model, version), timeout)

    async def metadata(
        self,
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float | None = None,
    ) -> ModelMetadata:
        """What a model can be asked: `Client.metadata`."""
        spec = model_spec(model, version, label)
        return await self._calls.run(model_info.metadata(self._known, spec), timeout)

    async def status(
        self, model: str, *, version: int | None = None, timeout: float | None = None
    ) -> list[VersionStatus]:
        """Where the versions of a model stand: `Client.status`."""
        return await self._calls.run(
            model_info.status(model_spec(model, version)), timeout
        )

    async def is_serving(self, *, timeout: float | None = None) -> bool:
        """Whether the server says that it serves: `Client.is_serving`."""
        return await self._calls.run(model_info.is_serving(), timeout)

    async def reload_config(
        self,
        models: Iterable[ModelConfig] = (),
        *,
        base: Base | None = None,
        remove: Iterable[str] = (),
        replace: bool = False,
        save: bool = False,
        timeout: float = 300.0,
    ) -> list[ModelConfig]:
        """Change the list of models of a server: `Client.reload_config`."""
        from fovea.serving.client.calls.reload import reload_config

        target = self._settings.target
        steps = reload_config(target, timeout, models, base, remove, replace, save)
        return await self._calls.run(steps, timeout)
