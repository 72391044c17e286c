"""The requests of a load test: images, the rows of an array, or random inputs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fovea.serving.client import image_sources
from fovea.serving.client.calls.requests import model_spec, predict_request
from fovea.serving.client.errors import ClientError
from fovea.serving.client.images import encode_image

if TYPE_CHECKING:
    from fovea.serving.client.client import Client
    from fovea.serving.client.results import Signature, TensorSpec

# Images or rows beyond this size are not sent.
MAX_BYTES = 256 * 2**20


def make_requests(
    client: Client,
    *,
    model: str,
    version: int | None = None,
    label: str | None = None,
    signature: str | None = None,
    images: Sequence[str] = (),
    npy: str | None = None,
    array: str | None = None,
    batch_size: int = 1,
) -> list[bytes]:
    """Make the requests, and send the first one as a check.

    Args:
        client: The client that reads the metadata and sends the check.
        model: Name of the model.
        version: Version to call; the newest that is ready if None.
        label: Version label to call instead.
        signature: Name of the signature; None for `encoded` with `images`, otherwise
            for `serving_default`.
        images: Image files, folders or patterns to send to a signature with one
            input, which takes image files.
        npy: Path of a .npy or .npz file whose rows are sent instead.
        array: Name of the array in a .npz file.
        batch_size: Images or rows in each request.

    Returns:
        Serialised requests.

    Raises:
        ClientError: If an image cannot be read, or the check fails.
        ValueError: If the signature cannot take what is to be sent.
    """
    name = signature or ("encoded" if images else "serving_default")
    metadata = client.metadata(model, version=version, label=label)
    found = metadata.signatures.get(name)
    if found is None:
        raise ValueError(
            f"Model {model!r} has the signatures "
            f"{', '.join(metadata.callable_signatures)}. Received: {name}"
        )
    if images or npy is not None:
        input_name, shape = _only_input(name, found)
        parts = (
            _image_batches(images, array, batch_size)
            if npy is None
            else _row_batches(npy, array, batch_size, shape)
        )
        inputs: list[dict[str, Any]] = [{input_name: part} for part in parts]
    else:
        inputs = [
            {
                key: _random_values(key, spec, batch_size)
                for key, spec in found.inputs.items()
            }
        ]
    client.predict(inputs[0], model=model, version=version, label=label, signature=name)
    spec = model_spec(model, version, label, name)
    return [predict_request(spec, each, ()).SerializeToString() for each in inputs]


def _only_input(
    name: str, signature: Signature
) -> tuple[str, tuple[int | None, ...] | None]:
    (input_name, *others) = signature.inputs
    if others:
        raise ValueError(
            "Images and arrays are for signatures with one input. Received: "
            f"{name} with {', '.join(signature.inputs)}"
        )
    return input_name, signature.inputs[input_name].shape


def _image_batches(
    sources: Sequence[str], array: str | None, batch_size: int
) -> list[list[bytes]]:
    encoded: list[bytes] = []
    total = 0
    for named in image_sources.find_images(sources, array):
        if isinstance(named.image, ClientError):
            raise named.image
        encoded.append(encode_image(named.image, name=named.name))
        total += len(encoded[-1])
        if total > MAX_BYTES:
            break
    repeated = itertools.cycle(encoded)
    return [
        list(itertools.islice(repeated, batch_size))
        for _ in range(0, len(encoded), batch_size)
    ]


def _row_batches(
    path: str,
    array: str | None,
    batch_size: int,
    shape: tuple[int | None, ...] | None,
) -> list[np.ndarray]:
    rows = image_sources.read_array(path, array)
    if shape is not None and shape[-1:] == (1,) and rows.ndim == len(shape) - 1:
        rows = rows[..., None]  # grey images without an axis of channels
    if rows.ndim == 0 or not len(rows) or not rows[0].nbytes:
        raise ValueError(
            f"An array to send must have rows. Received: shape={list(rows.shape)}"
        )
    rows = rows[: max(MAX_BYTES // rows[0].nbytes, 1)]
    indices = np.arange(-(-len(rows) // batch_size) * batch_size) % len(rows)
    return [rows[part] for part in indices.reshape(-1, batch_size)]


def _random_values(name: str, spec: TensorSpec, batch_size: int) -> np.ndarray:
    shape = spec.shape
    if shape is None or spec.dtype == "string" or None in shape[1:]:
        raise ValueError(
            f"No values can be generated for input {name!r}, which takes {spec.dtype} "
            f"{spec.shape_text}; choose what to send with --images or --npy."
        )
    # A first axis of any size is the batch
    sizes = [batch_size if size is None else size for size in shape]
    random = np.random.default_rng(0)
    if spec.dtype == "uint8":
        return random.integers(0, 256, sizes, np.uint8)
    if spec.dtype.startswith("float"):
        return random.random(sizes).astype(spec.dtype)
    return np.zeros(sizes, spec.dtype)
