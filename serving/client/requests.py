"""Images -> prediction requests of a sensible size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from serving.client import wire_pb2
from serving.client.errors import BadImage
from serving.client.wire_pb2 import DataType

if TYPE_CHECKING:
    pass

# Many gRPC servers and proxies refuse messages above their default of 4 MiB.
MAX_REQUEST_BYTES = 2 * 2**20


def encoded_requests(
    spec: wire_pb2.ModelSpec, images: Any, batch_size: int
) -> list[tuple[int, wire_pb2.PredictRequest]]:
    """Image files and the like, for the signature `encoded`.

    Returns:
        the number of images and the request, for each request.
    """
    from serving.client.images import encode_image

    if isinstance(images, str | bytes):
        raise BadImage("classify_images takes a sequence of images, not a single one.")
    encoded = [encode_image(image) for image in images]
    requests = []
    for part in slices([len(data) for data in encoded], batch_size):
        request = wire_pb2.PredictRequest(model_spec=spec)
        request.inputs["image_bytes"].CopyFrom(strings_to_tensor(encoded[part]))
        requests.append((part.stop - part.start, request))
    return requests


def array_requests(
    spec: wire_pb2.ModelSpec, images: Any, batch_size: int
) -> list[tuple[int, wire_pb2.PredictRequest]]:
    """A uint8 array [N, H, W, C], for the signature `serving_default`.

    Returns:
        the number of images and the request, for each request.
    """
    from serving.client.tensors import array_to_tensor

    if images.dtype != "uint8" or images.ndim != 4:
        raise BadImage(
            "An array of images is uint8 of shape [N, H, W, C] with values 0..255. "
            f"Received: dtype={images.dtype}, shape={list(images.shape)}"
        )
    requests = []
    sizes = [image.nbytes for image in images]
    for part in slices(sizes, batch_size):
        request = wire_pb2.PredictRequest(model_spec=spec)
        request.inputs["images"].CopyFrom(array_to_tensor(images[part]))
        requests.append((part.stop - part.start, request))
    return requests


def model_spec(
    model: str, version: int | None, label: str | None, signature: str = ""
) -> wire_pb2.ModelSpec:
    """Which model is asked, by which signature; see Client for the arguments."""
    if version is not None and label is not None:
        raise ValueError(
            "A model is asked by version or by label, not both. "
            f"Received: version={version}, label={label!r}"
        )
    spec = wire_pb2.ModelSpec(name=model, signature_name=signature)
    if version is not None:
        spec.version.value = version
    if label is not None:
        spec.version_label = label
    return spec


def asked(spec: wire_pb2.ModelSpec) -> str:
    """The version that a ModelSpec wants, in words."""
    if spec.HasField("version"):
        return f" version {spec.version.value}"
    if spec.HasField("version_label"):
        return f" version labelled {spec.version_label!r}"
    return ""


def slices(sizes: Sequence[int], batch_size: int) -> Iterator[slice]:
    """Cut a sequence of images into requests.

    Args:
        sizes: bytes of each image.
        batch_size: most images in a request.

    Yields:
        slices in order, each with at most `batch_size` images and, unless a single
        image is larger, at most MAX_REQUEST_BYTES.
    """
    start = total = 0
    for index, size in enumerate(sizes):
        full = index - start == batch_size or total + size > MAX_REQUEST_BYTES
        if index > start and full:
            yield slice(start, index)
            start, total = index, 0
        total += size
    if start < len(sizes):
        yield slice(start, len(sizes))


def strings_to_tensor(values: Sequence[bytes]) -> wire_pb2.TensorProto:
    """A string tensor of shape [N]."""
    tensor = wire_pb2.TensorProto(dtype=DataType.DT_STRING, string_val=values)
    tensor.tensor_shape.dim.add(size=len(values))
    return tensor
