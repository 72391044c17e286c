"""Build requests from images and arrays."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from fovea.serving.client.errors import BadImage, ClientError
from fovea.serving.client.named_image import NamedImage
from fovea.serving.protocol import wire_pb2

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")

# Many gRPC servers and proxies refuse messages above their default of 4 MiB.
MAX_REQUEST_BYTES = 2 * 2**20


class Item(NamedTuple):
    """An image that is ready to be sent.

    Attributes:
        name: What errors call it: its path, or its position such as "images[3]".
        data: The bytes of an image file, an array, or the error that prevents sending.
    """

    name: str
    data: bytes | np.ndarray | ClientError


class InputFormat(NamedTuple):
    """The form in which images are sent: the signature, its input and the encoding.

    Attributes:
        signature: Name of the signature.
        input: Name of its input.
        encode: Converts an image from the caller, with its name, to `Item.data`.
        pack: Converts the data of several images to the tensor of the input.
        check: Raises BadImage if `Item.data`, with its name, is damaged in a way that
            `encode` may have missed; None if there is no such way.
    """

    signature: str
    input: str
    encode: Callable[[Any, str], bytes | np.ndarray]
    pack: Callable[[Sequence[Any]], wire_pb2.TensorProto]
    check: Callable[[Any, str], object] | None = None

    def request(
        self, spec: wire_pb2.ModelSpec, items: Sequence[Item]
    ) -> wire_pb2.PredictRequest:
        """Return the request for a batch of images."""
        request = wire_pb2.PredictRequest(model_spec=spec)
        tensor = self.pack([item.data for item in items])
        request.inputs[self.input].CopyFrom(tensor)
        return request

    def find_damage(self, item: Item) -> BadImage | None:
        """Return the reason why an image cannot be decoded, None if it can."""
        try:
            if self.check is not None:
                self.check(item.data, item.name)
        except BadImage as error:
            error.item = item.name
            return error
        return None


def input_format(images: Any) -> InputFormat:
    """Choose the form in which images are sent.

    Returns:
        For a uint8 array [N, H, W, C] the signature `serving_default`, which takes
        pixels; otherwise `encoded`, which takes image files.

    Raises:
        BadImage: If `images` is an array of four axes and another type.
    """
    if getattr(images, "ndim", None) == 4:
        if images.dtype != "uint8":
            raise BadImage(
                "An array of images is uint8 of shape [N, H, W, C] with values 0..255. "
                f"Received: dtype={images.dtype}, shape={list(images.shape)}"
            )
        return InputFormat(
            "serving_default", "images", lambda image, name: image, pixels_to_tensor
        )
    from fovea.serving.client.images import encode_image

    return InputFormat(
        "encoded",
        "image_bytes",
        lambda image, name: encode_image(image, name=name, check=False),
        strings_to_tensor,
        lambda data, name: encode_image(data, name=name),
    )


def is_one_image(images: Any) -> bool:
    """Return whether this is a single image rather than a sequence of images."""
    single = str | bytes | bytearray | memoryview | os.PathLike | NamedImage
    if isinstance(images, single):
        return True
    if hasattr(images, "ndim"):
        return images.ndim < 4
    return hasattr(images, "__array_interface__")  # a Pillow image


def image_batches(
    images: Iterable[Any],
    input_format: InputFormat,
    batch_size: int,
    current_error: Callable[[], ClientError | None],
) -> Iterator[list[Item]]:
    """Encode images and split them into batches for single requests.

    Args:
        images: Is read only as far as needed.
        input_format: The form in which they are sent.
        batch_size: The most images in a batch.
        current_error: Is called before each image is encoded; returns an error to
            report instead, or None.

    Returns:
        Lists of at most `batch_size` images and, unless a single one is larger, at most
        `MAX_REQUEST_BYTES`.
    """
    items = (
        _item(image, index, input_format, current_error())
        for index, image in enumerate(images)
    )
    return split(items, _size, batch_size)


def split(
    items: Iterable[T], size: Callable[[T], int], batch_size: int
) -> Iterator[list[T]]:
    """Split items into batches for single requests.

    Args:
        items: Is read only as far as needed.
        size: Returns the size of an item in bytes.
        batch_size: The most items in a batch.

    Yields:
        Lists of at most `batch_size` items and, unless a single one is larger, at most
        `MAX_REQUEST_BYTES`.
    """
    batch: list[T] = []
    total = 0
    for item in items:
        item_size = size(item)
        if batch and total + item_size > MAX_REQUEST_BYTES:
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += item_size
        if len(batch) == batch_size:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch


def _item(
    image: Any, index: int, input_format: InputFormat, error: ClientError | None
) -> Item:
    if isinstance(image, NamedImage):
        name, image = image.name, image.image
    else:
        name = item_name(image, index)
    try:
        if isinstance(image, ClientError):
            raise image
        return Item(name, input_format.encode(image, name) if error is None else error)
    except BadImage as bad:
        bad.item = name
        return Item(name, bad)


def item_name(image: Any, index: int, sequence: str = "images") -> str:
    """Return what errors call an image: its path, or its position in the sequence."""
    if isinstance(image, str | os.PathLike):
        return os.fsdecode(image)
    return f"{sequence}[{index}]"


def _size(item: Item) -> int:
    if isinstance(item.data, ClientError):
        return 0
    return len(item.data) if isinstance(item.data, bytes) else item.data.nbytes


def predict_request(
    spec: wire_pb2.ModelSpec, inputs: Mapping[str, Any], output_filter: Sequence[str]
) -> wire_pb2.PredictRequest:
    """Return the request that calls a signature with arrays.

    Args:
        spec: The model, its version and the signature.
        inputs: Arrays, or what numpy.asarray takes, by input name.
        output_filter: Names of the outputs to return; empty for all.
    """
    from fovea.serving.protocol.tensors import array_to_tensor

    request = wire_pb2.PredictRequest(model_spec=spec, output_filter=output_filter)
    for name, values in inputs.items():
        request.inputs[name].CopyFrom(array_to_tensor(values))
    return request


def model_spec(
    model: str,
    version: int | None = None,
    label: str | None = None,
    signature: str | None = None,
) -> wire_pb2.ModelSpec:
    """Return the part of a request that names the model and signature.

    Raises:
        ValueError: If both a version and a label are given.
    """
    if version is not None and label is not None:
        raise ValueError(
            "A model is called by version or by label, not both. "
            f"Received: version={version}, label={label!r}"
        )
    spec = wire_pb2.ModelSpec(name=model, signature_name=signature)
    if version is not None:
        spec.version.value = version
    if label is not None:
        spec.version_label = label
    return spec


def version_text(spec: wire_pb2.ModelSpec) -> str:
    """Return the version that is requested as words with a leading space, or ""."""
    if spec.HasField("version"):
        return f" version {spec.version.value}"
    if spec.HasField("version_label"):
        return f" version labelled {spec.version_label!r}"
    return ""


def strings_to_tensor(values: Sequence[bytes]) -> wire_pb2.TensorProto:
    """Return a string tensor of shape [N]."""
    tensor = wire_pb2.TensorProto(dtype="DT_STRING", string_val=values)
    tensor.tensor_shape.dim.add(size=len(values))
    return tensor


def pixels_to_tensor(images: Sequence[np.ndarray]) -> wire_pb2.TensorProto:
    """Return a uint8 tensor [N, H, W, C] of images [H, W, C]."""
    content = b"".join([image.tobytes() for image in images])
    tensor = wire_pb2.TensorProto(dtype="DT_UINT8", tensor_content=content)
    for size in (len(images), *images[0].shape):
        tensor.tensor_shape.dim.add(size=size)
    return tensor
