"""The client: ask a model server about tensors, images, its models and their state."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Mapping, Sequence
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
from fovea.serving.client.calls.predict import (
    Answer,
    checked,
    image_parts,
    predict_parts,
)
from fovea.serving.client.calls.requests import model_spec
from fovea.serving.client.calls.settings import Settings
from fovea.serving.client.calls.sync_driver import SyncCalls
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

    Safe to share between threads. Every call has a deadline; a call that finds the
    server unavailable is repeated three times within about a second.

    Args:
        target: HOST:PORT of the server's gRPC port, or unix:PATH; dns:///NAME:PORT
            or a sequence of HOST:PORT to spread the calls over several servers.
        timeout: seconds that each request may take; each method takes another.
        wait_for_ready: wait for a server that does not answer yet, up to the time-out,
            instead of failing after a few seconds.
        in_flight: most requests of one call under way at the same time.
        check: ask for a model's metadata before its first request, to refuse what does
            not fit without sending it. Otherwise metadata is asked for only to explain
            a refusal; what is known for a minute or less is used either way.
        **connection: the fields of
            fovea.serving.client.transport.connection.Connection: encryption, tokens,
            compression, keep-alive and the like.

    Raises:
        ValueError: if `target` is not an address, or a setting is out of its range.
        OSError: if a certificate or a key cannot be read.

    Example:
        >>> with Client("127.0.0.1:8500") as client:
        ...     for answer in client.predict(["seven.png"], model="mnist"):
        ...         print(answer.label, answer.probability)
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
        self._calls = SyncCalls(self._settings, open_channel(target, **connection))

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
        self._calls.close()

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
        """Ask a model about one image, several images, or named arrays.

        Args:
            inputs: one image: a path, the bytes of an image file, a Pillow image, or a
                uint8 array of shape [H, W] or [H, W, C] with values 0..255, of any
                size and mode; or a sequence of such images; or a uint8 array of shape
                [N, H, W, C] in the size and number of channels that the model was
                trained with. These ask a model that `fovea export` wrote. Or a mapping
                of input names to arrays, or what numpy.asarray takes: that asks any
                signature of any model, in one request, whatever the size, for not all
                signatures treat the rows of their inputs one by one.
            model: name of the model.
            version: the version to ask; the newest that is ready if None.
            label: a version label to ask instead.
            signature: name of the signature; if None, for images the one that
                `fovea export` writes for them, for a mapping `serving_default`.
            top: how many classes of each image to list; above 1, the labels of all
                classes are asked for once per model version.
            batch_size: most images in a request; large images travel in smaller
                requests.
            output_filter: only these outputs, for a mapping; empty: all.
            timeout: seconds that each request may take, instead of the client's.

        Returns:
            a Prediction for one image; a list of them, in order, for several; for a
            mapping a PredictResult with all outputs and the version that answered.

        Raises:
            BadImage: if an image cannot be sent.
            ClientError: one of its other subclasses says what went wrong. Of several
                images the first that failed is told; `predict_each` tells all.
            TypeError: if an input has a type that a tensor cannot hold.
            ValueError: if `top` or `batch_size` is below 1, or both `version` and
                `label` are given.
        """
        one, parts = predict_parts(
            self._known,
            self._settings,
            inputs,
            model_spec(model, version, label, signature),
            top=top,
            batch_size=batch_size,
            output_filter=output_filter,
        )
        with contextlib.closing(self._calls.answers(parts, timeout)) as each:
            answers = [checked(answer) for answer in each]
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
    ) -> Generator[Answer, None, None]:
        """Ask about any number of images, each answered or with its own error.

        An image that cannot be sent, or that the model refuses, keeps no other from
        its answer. When as many requests in a row as are `in_flight` find no server, or
        one that is not able to answer or not in time, the images that follow are
        reported with the same error without being asked; once a second one request
        tells whether the server is back.

        Args:
            images: images of any size and mode, as `predict` takes them, or a uint8
                array [N, H, W, C]. Read as the answers are taken, a few requests ahead,
                so that there may be more of them than memory holds.
            model, version, label, signature, top, batch_size, timeout: as `predict`.

        Yields:
            for each image, in order, its Prediction or the ClientError that says why
            there is none.

        Raises:
            BadImage: if `images` is an array of another type.
            ValueError: as `predict`.
        """
        spec = model_spec(model, version, label, signature)
        parts = image_parts(self._known, self._settings, images, spec, top, batch_size)
        return self._calls.answers(parts, timeout)

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
        """Ask TF Serving's Classify about examples, a few requests at a time.

        This is for models with a signature for it, whose input is serialised
        tf.Examples; images have more from `predict`.

        Args:
            examples: for each example its features by name, each a str, bytes, int or
                float, or a sequence or array of one of these; or an image as `predict`
                takes it, which is sent as the feature `image/encoded`.
            model: name of the model.
            version: the version to ask; the newest that is ready if None.
            label: a version label to ask instead.
            signature: name of the signature; the one that `fovea export` writes.
            context: features that all examples share.
            batch_size: most examples in a request.
            timeout: seconds that each request may take, instead of the client's.

        Returns:
            the classes and scores of each example, in order.

        Raises:
            BadImage: if an image cannot be sent.
            ClientError: one of its other subclasses says what went wrong.
            TypeError: if a feature has a type that an example cannot hold.
            ValueError: if there is a single example only.
        """
        from fovea.serving.client.calls.classify import classify_parts

        spec = model_spec(model, version, label, signature)
        parts = classify_parts(self._known, spec, examples, context, batch_size)
        with contextlib.closing(self._calls.answers(parts, timeout)) as each:
            return list(each)

    def labels(
        self, model: str, version: int | None = None, *, timeout: float | None = None
    ) -> tuple[str, ...]:
        """The names of a model's classes, which its signature `classify` tells.

        Args:
            model: name of the model.
            version: the version to ask; the newest that is ready if None.
            timeout: seconds that the request may take, instead of the client's.

        Returns:
            K names; the index is the class id.

        Raises:
            ClientError: one of its subclasses says what went wrong.
        """
        return self._calls.run(model_info.labels(model, version), timeout)

    def metadata(
        self,
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float | None = None,
    ) -> ModelMetadata:
        """What a model can be asked.

        For a minute after this, `predict` refuses what the model cannot take without
        sending it.

        Args:
            model: name of the model.
            version: the version to ask; the newest that is ready if None.
            label: a version label to ask instead.
            timeout: seconds that the request may take, instead of the client's.

        Returns:
            every signature with names, types and shapes of its inputs and outputs.

        Raises:
            ClientError: one of its subclasses says what went wrong.
        """
        spec = model_spec(model, version, label)
        return self._calls.run(model_info.metadata(self._known, spec), timeout)

    def status(
        self, model: str, *, version: int | None = None, timeout: float | None = None
    ) -> list[VersionStatus]:
        """Where the versions of a model stand.

        Args:
            model: name of the model.
            version: only this version; all that the server knows of if None.
            timeout: seconds that the request may take, instead of the client's.

        Returns:
            one VersionStatus a version, the newest first.

        Raises:
            ClientError: one of its subclasses says what went wrong.
        """
        return self._calls.run(model_info.status(model_spec(model, version)), timeout)

    def is_serving(self, *, timeout: float | None = None) -> bool:
        """Whether the server says that it serves, by gRPC's standard health service.

        Args:
            timeout: seconds that the request may take, instead of the client's.

        Raises:
            ClientError: one of its subclasses says what went wrong; its code is
                "UNIMPLEMENTED" if the server has no health service.
        """
        return self._calls.run(model_info.is_serving(), timeout)

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

        A server replaces its whole list by the one that it is sent, unloads what is
        not in it, and has no call that tells the list. So the list that it has is read
        from `base`, changed by name, and sent as a whole. A label of a version that is
        yet to be loaded is set in a second request, when the version is available.

        Limits: what others have changed since `base` was written is undone; a server
        that restarts reads its file again, see `save`; only one server is told.

        Args:
            models: models to add, or to serve in another way than before.
            base: the config file that the server was started with, or its models.
            remove: names of models to unload.
            replace: send the list even if nothing is known of the one before, or if
                it is empty.
            save: write the new list to the file `base` when the server has taken it;
                comments in the file are lost.
            timeout: seconds that each request may take: the server answers when all
                models that it did not have before are loaded. Also how long to wait
                for versions that labels need.

        Returns:
            the models that the server now has.

        Raises:
            ClientError: one of its subclasses says what went wrong.
            OSError: if the file cannot be read or written.
            ValueError: if models would be lost, or the file is no config file.

        Example:
            >>> client.reload_config(
            ...     [ModelConfig("mnist", "/models/mnist", labels={"stable": 3})],
            ...     base="models.config",
            ... )
        """
        from fovea.serving.client.calls.reload import reload_config

        target = self._settings.target
        steps = reload_config(target, timeout, models, base, remove, replace, save)
        return self._calls.run(steps, timeout)
