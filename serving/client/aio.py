"""The asyncio client of a model server; its operations are those of `Client`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, overload

from fovea.serving.client.calls import model_info
from fovea.serving.client.calls.async_driver import AsyncDriver
from fovea.serving.client.calls.call_options import CallOptions
from fovea.serving.client.calls.predict import (
    ImageResult,
    has_single_result,
    image_operations,
    predict_operations,
)
from fovea.serving.client.calls.requests import model_spec
from fovea.serving.client.results import (
    Classification,
    ModelMetadata,
    Prediction,
    PredictResult,
    VersionStatus,
)
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
    """A connection to a model server whose methods are coroutines.

    The methods take the arguments, return the values and raise the errors of those of
    `Client`. Cancelling a task cancels its calls. Several event loops may use a client
    one after another, but not at the same time: each gets a channel of its own.

    Args:
        target: Address of the server or servers, as in `Client`.
        timeout: Timeout of each request in seconds; methods take another one.
        wait_for_ready: Wait for a server that is not up yet, as long as the timeout.
        in_flight: The most requests of one method call under way at the same time.
        check: Request a model's metadata before its first request, as in `Client`.
        **connection: The fields of
            fovea.serving.client.transport.connection.Connection.

    Raises:
        ValueError: If an argument is out of its range. An invalid `target` or
            `connection` raises it on first use.

    Example:
        >>> async with AsyncClient("127.0.0.1:8500") as client:
        ...     prediction = await client.predict("seven.png", model="mnist")
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
        self._options = CallOptions(target, timeout, wait_for_ready, in_flight, check)
        self._cache = model_info.ModelCache()
        self._driver = AsyncDriver(
            self._options, lambda: open_aio_channel(target, **connection)
        )

    async def __aenter__(self) -> AsyncClient:
        self._driver.open()
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
        await self._driver.close()

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
        """Classify images, or call any signature with arrays; see `Client.predict`."""
        results = await self._driver.collect(
            predict_operations(
                self._cache,
                self._options,
                inputs,
                model_spec(model, version, label, signature),
                top=top,
                batch_size=batch_size,
                output_filter=output_filter,
            ),
            timeout,
        )
        return results[0] if has_single_result(inputs) else results

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
        """Call TensorFlow Serving's Classify with examples; see `Client.classify`."""
        from fovea.serving.client.calls.classify import classify_operations

        spec = model_spec(model, version, label, signature)
        operations = classify_operations(
            self._cache, spec, examples, context, batch_size
        )
        return await self._driver.collect(operations, timeout)

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
    ) -> AsyncGenerator[ImageResult, None]:
        """Yield a result or an error for each image; see `Client.predict_each`.

        The images are read and encoded in a thread, one request at a time.
        """
        spec = model_spec(model, version, label, signature)
        operations = image_operations(
            self._cache, self._options, images, spec, top, batch_size
        )
        return self._driver.stream(operations, timeout)

    async def labels(
        self, model: str, version: int | None = None, *, timeout: float | None = None
    ) -> tuple[str, ...]:
        """Return the names of a model's classes; see `Client.labels`."""
        return await self._driver.run(model_info.labels(model, version), timeout)

    async def metadata(
        self,
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float | None = None,
    ) -> ModelMetadata:
        """Return the signatures of a model; see `Client.metadata`."""
        spec = model_spec(model, version, label)
        return await self._driver.run(model_info.metadata(self._cache, spec), timeout)

    async def status(
        self, model: str, *, version: int | None = None, timeout: float | None = None
    ) -> list[VersionStatus]:
        """Return the states of a model's versions; see `Client.status`."""
        return await self._driver.run(
            model_info.status(model_spec(model, version)), timeout
        )

    async def is_serving(self, *, timeout: float | None = None) -> bool:
        """Return whether the server is serving; see `Client.is_serving`."""
        return await self._driver.run(model_info.is_serving(), timeout)

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
        """Change the list of models of a server; see `Client.reload_config`."""
        from fovea.serving.client.calls.reload import reload_config

        target = self._options.target
        operation = reload_config(target, timeout, models, base, remove, replace, save)
        return await self._driver.run(operation, timeout)
