"""What a caller gives -> requests."""

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
    """One image on its way.

    Attributes:
        name: what an error calls it: its path, or its place such as "images[3]".
        data: what is sent: an image file's bytes or an array; or why it is not sent.
    """

    name: str
    data: bytes | np.ndarray | ClientError


class Form(NamedTuple):
    """How images are sent: to which signature, as which input.

    Attributes:
        signature: name of the signature.
        input: name of its input.
        encode: an image as the caller gave it, and its name -> what Item.data holds.
        pack: the data of several images -> the input's tensor.
        check: of Item.data and its name; raises BadImage if it is damaged, which
            encode may have missed.
    """

    signature: str
    input: str
    encode: Callable[[Any, str], bytes | np.ndarray]
    pack: Callable[[Sequence[Any]], wire_pb2.TensorProto]
    check: Callable[[Any, str], object] | None = None

    def request(
        self, spec: wire_pb2.ModelSpec, items: Sequence[Item]
    ) -> wire_pb2.PredictRequest:
        """Ask about these images."""
        request = wire_pb2.PredictRequest(model_spec=spec)
        tensor = self.pack([item.data for item in items])
        request.inputs[self.input].CopyFrom(tensor)
        return request

    def damage(self, item: Item) -> BadImage | None:
        """Why an image that was sent cannot be decoded, if it cannot."""
        try:
            if self.check is not None:
                self.check(item.data, item.name)
        except BadImage as bad:
            bad.item = item.name
            return bad
        return None


def form_of(images: Any) -> Form:
    """Choose how images are sent.

    Returns:
        for a uint8 array [N, H, W, C] the signature `serving_default`, which takes
        pixels; for all else `encoded`, which takes image files.
    """
    if getattr(images, "ndim", None) == 4:
        if images.dtype != "uint8":
            raise BadImage(
                "An array of images is uint8 of shape [N, H, W, C] with values 0..255. "
                f"Received: dtype={images.dtype}, shape={list(images.shape)}"
            )
        return Form(
            "serving_default", "images", lambda image, name: image, pixels_to_tensor
        )
    from fovea.serving.client.images import encode_image

    return Form(
        "encoded",
        "image_bytes",
        lambda image, name: encode_image(image, name=name, check=False),
        strings_to_tensor,
        lambda data, name: encode_image(data, name=name),
    )


def is_one_image(images: Any) -> bool:
    """Whether this is one image, not several."""
    one = str | bytes | bytearray | memoryview | os.PathLike | NamedImage
    if isinstance(images, one):
        return True
    if hasattr(images, "ndim"):
        return images.ndim < 4
    return hasattr(images, "__array_interface__")  # a Pillow image


def chunks(
    images: Iterable[Any],
    form: Form,
    batch_size: int,
    instead: Callable[[], ClientError | None],
) -> Iterator[list[Item]]:
    """Read images one by one and cut them into what a request carries.

    Args:
        images: read only as far as needed.
        form: how they are sent.
        batch_size: most images in a chunk.
        instead: asked before each image is prepared: an error to report in its place.

    Returns:
        lists of at most `batch_size` images and, unless a single one is larger, at most
        MAX_REQUEST_BYTES.
    """
    items = (_item(image, n, form, instead()) for n, image in enumerate(images))
    return cut(items, _size, batch_size)


def cut(
    items: Iterable[T], size: Callable[[T], int], batch_size: int
) -> Iterator[list[T]]:
    """Cut what is to be sent into what a request carries; see `chunks`.

    Args:
        items: read only as far as needed.
        size: bytes of an item.
        batch_size: most items in a request.
    """
    part: list[T] = []
    total = 0
    for item in items:
        more = size(item)
        if part and total + more > MAX_REQUEST_BYTES:
            yield part
            part, total = [], 0
        part.append(item)
        total += more
        if len(part) == batch_size:
            yield part
            part, total = [], 0
    if part:
        yield part


def _item(image: Any, index: int, form: Form, error: ClientError | None) -> Item:
    if isinstance(image, NamedImage):
        name, image = image.name, image.image
    else:
        name = item_name(image, index)
    try:
        if isinstance(image, ClientError):
            raise image
        return Item(name, form.encode(image, name) if error is None else error)
    except BadImage as bad:
        bad.item = name
        return Item(name, bad)


def item_name(image: Any, index: int, sequence: str = "images") -> str:
    """Return what errors call an image: its path, or its place in the sequence."""
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
    """Ask a signature about arrays, or what numpy.asarray takes, by name."""
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


def strings_to_tensor(values: Sequence[bytes]) -> wire_pb2.TensorProto:
    """A string tensor of shape [N]."""
    tensor = wire_pb2.TensorProto(dtype="DT_STRING", string_val=values)
    tensor.tensor_shape.dim.add(size=len(values))
    return tensor


def pixels_to_tensor(images: Sequence[np.ndarray]) -> wire_pb2.TensorProto:
    """A uint8 tensor [N, H, W, C] of images [H, W, C]."""
    content = b"".join([image.tobytes() for image in images])
    tensor = wire_pb2.TensorProto(dtype="DT_UINT8", tensor_content=content)
    for size in (len(images), *images[0].shape):
        tensor.tensor_shape.dim.add(size=size)
    return tensor
