"""The blocking client of a model server."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, overload

from fovea.serving.client.calls import model_info
from fovea.serving.client.calls.call_options import CallOptions
from fovea.serving.client.calls.predict import (
    ImageResult,
    has_single_result,
    image_operations,
    predict_operations,
)
from fovea.serving.client.calls.requests import model_spec
from fovea.serving.client.calls.sync_driver import SyncDriver
from fovea.serving.client.results import (
    Classification,
    ModelMetadata,
    Prediction,
    PredictResult,
    VersionStatus,
)
from fovea.serving.client.transport.channel import open_channel

if TYPE_CHECKING:
    from fovea.serving.client.images import (
        ImageArray,
        ImageArrays,
        ImageSource,
        OneImage,
    )
    from fovea.serving.client.model_config import Base, ModelConfig
    from fovea.serving.client.named_image import NamedImage


class Client:
    """A connection to a model server: TensorFlow Serving or `fovea serve`.

    It is safe to share between threads. Every call has a deadline; a call that finds
    the server unavailable is retried three times within about a second.

    Args:
        target: HOST:PORT of the server's gRPC port, or unix:PATH; dns:///NAME:PORT
            or a sequence of HOST:PORT to balance the calls over several servers.
        timeout: Timeout of each request in seconds; methods take another one.
        wait_for_ready: Wait for a server that is not up yet, as long as the timeout,
            instead of failing after a few seconds.
        in_flight: The most requests of one method call under way at the same time.
        check: Request a model's metadata before its first request, and reject inputs
            that do not fit without sending them. Otherwise metadata is requested only
            to explain why the server rejected a request. Metadata that is at most a
            minute old is used in either case.
        **connection: The fields of
            fovea.serving.client.transport.connection.Connection: encryption, tokens,
            compression, keep-alive and others.

    Raises:
        ValueError: If `target` is not an address, or an argument is out of its range.
        OSError: If a certificate or a key cannot be read.

    Example:
        >>> with Client("127.0.0.1:8500") as client:
        ...     for prediction in client.predict(["seven.png"], model="mnist"):
        ...         print(prediction.label, prediction.probability)
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
        self._driver = SyncDriver(self._options, open_channel(target, **connection))

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; calls under way are cancelled."""
        self._driver.close()

    @overload
    def predict(
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
    def predict(  # type: ignore[overload-overlap]  # a str is a sequence of str too
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
    def predict(
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

    def predict(
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
        """Classify one or several images, or call any signature with arrays.

        Images need a model that `fovea export` wrote. A mapping of arrays calls any
        signature of any model in a single request, whatever its size, since not every
        signature treats the rows of its inputs independently.

        Args:
            inputs: One image: a path, the bytes of an image file, a Pillow image, or a
                uint8 array of shape [H, W] or [H, W, C] with values 0..255, of any
                size and mode. Or a sequence of such images. Or a uint8 array of shape
                [N, H, W, C] in the size and number of channels that the model was
                trained with. Or a mapping of input names to arrays, or to what
                numpy.asarray takes.
            model: Name of the model.
            version: Version to call; the newest that is ready if None.
            label: Version label to call instead.
            signature: Name of the signature; None for the one that `fovea export`
                writes for images, and for `serving_default` with a mapping.
            top: How many classes of each image to list. Above 1, the labels of all
                classes are requested once per model version.
            batch_size: The most images in a request; requests with large images are
                smaller.
            output_filter: Names of the outputs to return, for a mapping; empty for all.
            timeout: Timeout of each request in seconds; None for the client's.

        Returns:
            A Prediction for one image; a list of predictions, in order, for several
            images; a PredictResult with the outputs and the model's version for a
            mapping.

        Raises:
            BadImage: If an image cannot be sent.
            ClientError: If a request fails; its subclass is the reason. Of several
                errors the first is raised; `predict_each` reports all of them.
            TypeError: If an input has a type that a tensor cannot hold.
            ValueError: If `top` or `batch_size` is below 1, or both `version` and
                `label` are given.

        Example:
            >>> client.predict("seven.png", model="mnist").label
            '7'
            >>> pixels = np.zeros((2, 28, 28, 1), np.uint8)
            >>> result = client.predict({"images": pixels}, model="mnist")
            >>> result.outputs["probabilities"].shape
            (2, 10)
        """
        results = self._driver.collect(
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
    ) -> Generator[ImageResult, None, None]:
        """Classify any number of images, and yield a result or an error for each.

        An image that cannot be sent, or that the model rejects, does not affect the
        others. After as many consecutive requests as are `in_flight` find the server
        unavailable or too slow, the images that follow get the same error without
        being sent; once per second one request probes whether the server is back.

        Args:
            images: Images of any size and mode, as `predict` takes them, or a uint8
                array [N, H, W, C]. They are read a few requests ahead of the results,
                so that there may be more of them than fit into memory. A NamedImage
                gives an image the name that its errors show.
            model: Name of the model.
            version: Version to call; the newest that is ready if None.
            label: Version label to call instead.
            signature: Name of the signature; None for the one that `fovea export`
                writes for images.
            top: How many classes of each image to list.
            batch_size: The most images in a request; requests with large images are
                smaller.
            timeout: Timeout of each request in seconds; None for the client's.

        Yields:
            For each image, in order, its Prediction or the ClientError that explains
            why there is none; the error's `item` is the name of the image, or None if
            the whole request failed.

        Raises:
            BadImage: If `images` is an array of another type.
            ValueError: If `top` or `batch_size` is below 1, or both `version` and
                `label` are given.

        Example:
            >>> for result in client.predict_each(paths, model="mnist"):
            ...     print(result if isinstance(result, Exception) else result.label)
        """
        spec = model_spec(model, version, label, signature)
        operations = image_operations(
            self._cache, self._options, images, spec, top, batch_size
        )
        return self._driver.stream(operations, timeout)

    def classify(
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
        """Call TensorFlow Serving's Classify with examples.

        This is for models with a signature whose input is serialised tf.Examples; for
        images `predict` returns more.

        Args:
            examples: For each example its features by name, each a str, bytes, int or
                float, or a sequence or array of one of these types; or an image as
                `predict` takes it, which is sent as the feature `image/encoded`.
            model: Name of the model.
            version: Version to call; the newest that is ready if None.
            label: Version label to call instead.
            signature: Name of the signature; by default that of `fovea export`.
            context: Features that all examples share.
            batch_size: The most examples in a request.
            timeout: Timeout of each request in seconds; None for the client's.

        Returns:
            The classes and scores of each example, in order.

        Raises:
            BadImage: If an image cannot be sent.
            ClientError: If a request fails; its subclass is the reason.
            TypeError: If a feature has a type that an example cannot hold.
            ValueError: If there is a single example only.

        Example:
            >>> (result,) = client.classify([{"width": 3.5}], model="iris")
            >>> result.classes
            (('setosa', 0.98), ('versicolor', 0.02))
        """
        from fovea.serving.client.calls.classify import classify_operations

        spec = model_spec(model, version, label, signature)
        operations = classify_operations(
            self._cache, spec, examples, context, batch_size
        )
        return self._driver.collect(operations, timeout)

    def labels(
        self, model: str, version: int | None = None, *, timeout: float | None = None
    ) -> tuple[str, ...]:
        """Return the names of a model's classes, from its signature `classify`.

        Args:
            model: Name of the model.
            version: Version to call; the newest that is ready if None.
            timeout: Timeout of the request in seconds; None for the client's.

        Returns:
            K names by class id.

        Raises:
            ClientError: If the request fails; its subclass is the reason.
        """
        return self._driver.run(model_info.labels(model, version), timeout)

    def metadata(
        self,
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float | None = None,
    ) -> ModelMetadata:
        """Return the signatures of a model.

        For a minute after this, `predict` rejects inputs that do not fit the model
        without sending them.

        Args:
            model: Name of the model.
            version: Version to call; the newest that is ready if None.
            label: Version label to call instead.
            timeout: Timeout of the request in seconds; None for the client's.

        Returns:
            Every signature with the names, types and shapes of its inputs and outputs.

        Raises:
            ClientError: If the request fails; its subclass is the reason.
            ValueError: If both `version` and `label` are given.
        """
        spec = model_spec(model, version, label)
        return self._driver.run(model_info.metadata(self._cache, spec), timeout)

    def status(
        self, model: str, *, version: int | None = None, timeout: float | None = None
    ) -> list[VersionStatus]:
        """Return the states of a model's versions.

        Args:
            model: Name of the model.
            version: Only this version; None for all that the server knows.
            timeout: Timeout of the request in seconds; None for the client's.

        Returns:
            A VersionStatus for each version, the newest first.

        Raises:
            ClientError: If the request fails; its subclass is the reason.
        """
        return self._driver.run(model_info.status(model_spec(model, version)), timeout)

    def is_serving(self, *, timeout: float | None = None) -> bool:
        """Return whether the server is serving, from gRPC's standard health service.

        Args:
            timeout: Timeout of the request in seconds; None for the client's.

        Raises:
            ClientError: If the request fails; the code is "UNIMPLEMENTED" if the
                server has no health service.
        """
        return self._driver.run(model_info.is_serving(), timeout)

    def reload_config(
        self,
        models: Iterable[ModelConfig] = (),
        *,
        base: Base | None = None,
        remove: Iterable[str] = (),
        replace: bool = False,
        save: bool = False,
        timeout: float = 300.0,
    ) -> list[ModelConfig]:
        """Change the list of models that a server serves.

        A server replaces its whole list by the one that it receives, unloads what is
        not in it, and has no method that returns the list. Therefore the current list
        is read from `base`, changed by name and sent as a whole. A label of a version
        that is not loaded yet is set in a second request, when the version is
        available.

        Limits: changes by others since `base` was written are undone; a server that
        restarts reads its own file again, see `save`; only one server is reached.

        Args:
            models: Models to add or change.
            base: The config file that the server was started with, or its models.
            remove: Names of models to unload.
            replace: Send the list even if there is no `base`, or if it is empty.
            save: Write the new list to the file `base` when the server has accepted
                it; comments in the file are lost.
            timeout: Timeout of each request in seconds: the server responds when all
                new models are loaded. Also how long to wait for the versions that
                labels need.

        Returns:
            The models that the server now has.

        Raises:
            ClientError: If a request fails; its subclass is the reason.
            OSError: If the file cannot be read or written.
            ValueError: If models would be lost, or the file is not a config file.

        Example:
            >>> client.reload_config(
            ...     [ModelConfig("mnist", "/models/mnist", labels={"stable": 3})],
            ...     base="models.config",
            ... )
        """
        from fovea.serving.client.calls.reload import reload_config

        target = self._options.target
        operation = reload_config(target, timeout, models, base, remove, replace, save)
        return self._driver.run(operation, timeout)
