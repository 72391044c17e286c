"""The client: ask a model server about tensors, images, its models and their state."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

import grpc

from serving.client import wire_pb2
from serving.client.answers import (
    ClassScore,
    ModelMetadata,
    Prediction,
    PredictResult,
    VersionStatus,
)
from serving.client.channel import open_channel
from serving.client.classify import CLASSIFY, ENCODED, pixel_example, to_predictions
from serving.client.describe import to_metadata, to_version_status
from serving.client.errors import ClientError, InvalidRequest, ModelNotFound
from serving.client.explain import explain
from serving.client.requests import (
    array_requests,
    asked,
    encoded_requests,
    model_spec,
)

if TYPE_CHECKING:
    import numpy as np

    from serving.client.images import ImageSource

# The server computes one request while the next is under way.
_IN_FLIGHT = 2


class Client:
    """A connection to a model server: TensorFlow Serving or `fovea serve`.

    Safe to share between threads. Every call has a deadline; a call that finds the
    server unavailable is repeated three times within about a second.

    Args:
        target: HOST:PORT of the server's gRPC port, or unix:PATH.
        timeout: seconds that each request may take.
        wait_for_ready: wait for a server that does not answer yet, up to `timeout`,
            instead of failing after a second or two.

    Raises:
        ValueError: if `target` is not an address or `timeout` not positive.

    Example:
        >>> with Client("127.0.0.1:8500") as client:
        ...     for answer in client.classify_images(["seven.png"], model="mnist"):
        ...         print(answer.label, answer.probability)
    """

    def __init__(
        self, target: str, *, timeout: float = 10.0, wait_for_ready: bool = False
    ):
        if not timeout > 0:
            raise ValueError(f"A timeout is above 0 s. Received: timeout={timeout}")
        self.target = target
        self._timeout = timeout
        self._wait_for_ready = wait_for_ready
        self._label_names: dict[tuple[str, int], tuple[str, ...]] = {}
        self._channel = open_channel(target)
        self._predict = self._method("PredictionService/Predict", "Predict")
        self._metadata = self._method(
            "PredictionService/GetModelMetadata", "GetModelMetadata"
        )
        self._status = self._method("ModelService/GetModelStatus", "GetModelStatus")

    def _method(self, path: str, message: str) -> grpc.UnaryUnaryMultiCallable:
        return self._channel.unary_unary(
            f"/tensorflow.serving.{path}",
            request_serializer=getattr(wire_pb2, f"{message}Request").SerializeToString,
            response_deserializer=getattr(wire_pb2, f"{message}Response").FromString,
        )

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
        self._channel.close()

    def predict(
        self,
        inputs: Mapping[str, Any],
        *,
        model: str,
        version: int | None = None,
        label: str | None = None,
        signature: str = "serving_default",
    ) -> PredictResult:
        """Ask any signature of any model, in one request.

        Args:
            inputs: an array, or what numpy.asarray takes, per input of the signature.
            model: name of the model.
            version: the version to ask; the newest that is ready if None.
            label: a version label to ask instead.
            signature: name of the signature.

        Returns:
            all outputs of the signature, and the version that answered.

        Raises:
            ClientError: one of its subclasses says what went wrong.
            TypeError: if an input has a type that a tensor cannot hold.
            ValueError: if both `version` and `label` are given.
        """
        from serving.client.tensors import array_to_tensor, tensor_to_array

        request = wire_pb2.PredictRequest(
            model_spec=model_spec(model, version, label, signature)
        )
        for name, values in inputs.items():
            request.inputs[name].CopyFrom(array_to_tensor(values))
        (response,) = self._ask(self._predict, [request])
        try:
            outputs = {
                name: tensor_to_array(tensor)
                for name, tensor in response.outputs.items()
            }
        except ValueError as error:
            raise ClientError(
                f"Model {model!r} sent an answer that cannot be read: {error}"
            ) from error
        return PredictResult(outputs, response.model_spec.version.value)

    def classify_images(
        self,
        images: np.ndarray | Sequence[ImageSource],
        *,
        model: str,
        version: int | None = None,
        label: str | None = None,
        top: int = 1,
        batch_size: int = 64,
    ) -> list[Prediction]:
        """Classify images with a model that `fovea export` wrote.

        Args:
            images: a uint8 array of shape [N, H, W, C] with values 0..255 in the size
                and number of channels that the model was trained with; or a sequence
                of images of any size and mode: paths, bytes of image files, Pillow
                images, or uint8 arrays of shape [H, W] or [H, W, C].
            model: name of the model.
            version: the version to ask; the newest that is ready if None.
            label: a version label to ask instead.
            top: how many classes of each image to list; above 1, the labels of all
                classes are asked for once per model version.
            batch_size: most images in a request; large images travel in smaller
                requests.

        Returns:
            one Prediction an image, in the order of `images`.

        Raises:
            BadImage: if an image cannot be sent; nothing has been asked then.
            ClientError: one of its other subclasses says what went wrong.
            ValueError: if `top` or `batch_size` is below 1, or both `version` and
                `label` are given.
        """
        if top < 1 or batch_size < 1:
            raise ValueError(
                "top and batch_size are at least 1. "
                f"Received: top={top}, batch_size={batch_size}"
            )
        if hasattr(images, "__array_interface__"):
            spec = model_spec(model, version, label, "serving_default")
            requests = array_requests(spec, images, batch_size)
        else:
            spec = model_spec(model, version, label, ENCODED)
            requests = encoded_requests(spec, images, batch_size)
        predictions: list[Prediction] = []
        counts = [count for count, _ in requests]
        answers = self._ask(self._predict, (request for _, request in requests))
        for count, response in zip(counts, answers, strict=True):
            predictions += to_predictions(response, count, top, model)
        if top > 1:
            predictions = [self._name_classes(p, model) for p in predictions]
        return predictions

    def labels(self, model: str, version: int | None = None) -> tuple[str, ...]:
        """The names of a model's classes, which its signature `classify` tells.

        Args:
            model: name of the model.
            version: the version to ask; the newest that is ready if None.

        Returns:
            K names; the index is the class id.

        Raises:
            ClientError: one of its subclasses says what went wrong.
        """
        result = self.predict(
            {"inputs": [pixel_example()]},
            model=model,
            version=version,
            signature=CLASSIFY,
        )
        classes = result.outputs.get("classes")
        if classes is None or classes.ndim != 2 or len(classes) != 1:
            raise ClientError(
                f"Model {model!r} does not name its classes as `fovea export` does: "
                "its signature 'classify' must return `classes` of shape [N, K]."
            )
        return tuple(name.decode("utf-8", "replace") for name in classes[0])

    def metadata(
        self, model: str, *, version: int | None = None, label: str | None = None
    ) -> ModelMetadata:
        """What a model can be asked.

        Args:
            model: name of the model.
            version: the version to ask; the newest that is ready if None.
            label: a version label to ask instead.

        Returns:
            every signature with names, types and shapes of its inputs and outputs.

        Raises:
            ClientError: one of its subclasses says what went wrong.
        """
        request = wire_pb2.GetModelMetadataRequest(
            model_spec=model_spec(model, version, label),
            metadata_field=["signature_def"],
        )
        (response,) = self._ask(self._metadata, [request])
        return to_metadata(response)

    def status(self, model: str, *, version: int | None = None) -> list[VersionStatus]:
        """Where the versions of a model stand.

        Args:
            model: name of the model.
            version: only this version; all that the server knows of if None.

        Returns:
            one VersionStatus a version, the newest first.

        Raises:
            ClientError: one of its subclasses says what went wrong.
        """
        request = wire_pb2.GetModelStatusRequest(
            model_spec=model_spec(model, version, None)
        )
        (response,) = self._ask(self._status, [request])
        return [to_version_status(each) for each in response.model_version_status]

    def _ask(
        self, method: grpc.UnaryUnaryMultiCallable, requests: Iterable[Any]
    ) -> Iterator[Any]:
        """Send requests, a few at a time, and yield the answers in order."""
        under_way: collections.deque[tuple[Any, grpc.Future]] = collections.deque()
        try:
            for request in requests:
                if len(under_way) == _IN_FLIGHT:
                    yield self._result(*under_way.popleft())
                call = method.future(
                    request, timeout=self._timeout, wait_for_ready=self._wait_for_ready
                )
                under_way.append((request, call))
            while under_way:
                yield self._result(*under_way.popleft())
        finally:
            for _, call in under_way:
                call.cancel()

    def _result(self, request: Any, call: grpc.Future) -> Any:
        try:
            return call.result()
        except grpc.RpcError as failed:
            spec = request.model_spec
            error = explain(
                failed,
                target=self.target,
                timeout=self._timeout,
                model=spec.name,
                asked=asked(spec),
            )
        if isinstance(error, ModelNotFound) and spec.WhichOneof("version_choice"):
            ready = self._ready_versions(spec.name)
            if ready:
                error.args = (f"{error} Versions that are ready: {ready}.",)
        raise error

    def _ready_versions(self, model: str) -> str:
        try:
            status = self.status(model)
        except ClientError:
            return ""
        ready = [each.version for each in status if each.state == "AVAILABLE"]
        return ", ".join(map(str, sorted(ready)))

    def _name_classes(self, prediction: Prediction, model: str) -> Prediction:
        key = (model, prediction.model_version)
        if key not in self._label_names:
            try:
                self._label_names[key] = self.labels(*key)
            except (InvalidRequest, ModelNotFound):
                # no signature `classify`, or the version has just been replaced
                self._label_names[key] = ()
        names = self._label_names[key]
        top = tuple(
            score
            if score.label is not None or score.class_id >= len(names)
            else ClassScore(names[score.class_id], score.class_id, score.probability)
            for score in prediction.top
        )
        return Prediction(
            prediction.label,
            prediction.class_id,
            prediction.probability,
            top,
            prediction.model_version,
        )
