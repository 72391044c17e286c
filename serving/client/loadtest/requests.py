"""What `fovea load` sends: images, the rows of an array, or what a signature takes."""

from __future__ import annotations

import argparse
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from fovea.serving.client import image_sources
from fovea.serving.client.calls.requests import model_spec, predict_request
from fovea.serving.client.client import Client
from fovea.serving.client.commands.metadata import askable, shape_text
from fovea.serving.client.errors import ClientError
from fovea.serving.client.images import encode_image

if TYPE_CHECKING:
    from fovea.serving.client.answers import Signature, TensorSpec

# What is kept of the images or rows; the rest is not sent.
MOST_BYTES = 256 * 2**20


def make(args: argparse.Namespace, connection: dict[str, Any]) -> list[bytes]:
    """Make the requests, and let the server answer the first one, as a check.

    Args:
        args: the command line of `fovea load`.
        connection: the settings of Client.

    Returns:
        serialised requests of `args.batch` images or rows each.

    Raises:
        ClientError: if the server does not answer the first request.
        ValueError: if there is nothing to send.
    """
    which = {"model": args.model, "version": args.version, "label": args.label}
    name = args.signature or ("encoded" if args.images else "serving_default")
    with Client(**connection, timeout=args.timeout) as client:
        metadata = client.metadata(**which)
        signature = metadata.signatures.get(name)
        if signature is None:
            raise ValueError(
                f"Model {args.model!r} has the signatures "
                f"{', '.join(askable(metadata))}. Received: {name}"
            )
        if args.images or args.npy:
            (input_name, *others) = signature.inputs
            if others:
                raise ValueError(
                    "Images and arrays are for signatures with one input. Received: "
                    f"{name} with {', '.join(signature.inputs)}"
                )
            shape = signature.inputs[input_name].shape
            parts = _pictures(args) if args.images else _rows(args, shape)
            inputs: list[dict[str, Any]] = [{input_name: part} for part in parts]
        else:
            inputs = [_made_up(signature, args.batch)]
        client.predict(inputs[0], signature=name, **which)
    spec = model_spec(signature=name, **which)
    return [predict_request(spec, each, ()).SerializeToString() for each in inputs]


def _pictures(args: argparse.Namespace) -> list[list[bytes]]:
    encoded: list[bytes] = []
    total = 0
    for named in image_sources.find_images(args.images, args.array):
        if isinstance(named.image, ClientError):
            raise named.image
        encoded.append(encode_image(named.image, name=named.name))
        total += len(encoded[-1])
        if total > MOST_BYTES:
            break
    endless = itertools.cycle(encoded)
    return [
        list(itertools.islice(endless, args.batch))
        for _ in range(0, len(encoded), args.batch)
    ]


def _rows(
    args: argparse.Namespace, shape: tuple[int | None, ...] | None
) -> list[np.ndarray]:
    rows = image_sources.read_array(args.npy, args.array)
    if shape is not None and shape[-1:] == (1,) and rows.ndim == len(shape) - 1:
        rows = rows[..., None]  # grey images without their axis of channels
    if rows.ndim == 0 or not len(rows) or not rows[0].nbytes:
        raise ValueError(
            f"An array whose rows are sent has rows. Received: shape={list(rows.shape)}"
        )
    rows = rows[: max(MOST_BYTES // rows[0].nbytes, 1)]
    places = np.arange(-(-len(rows) // args.batch) * args.batch) % len(rows)
    return [rows[part] for part in places.reshape(-1, args.batch)]


def _made_up(signature: Signature, batch: int) -> dict[str, np.ndarray]:
    return {name: _values(name, spec, batch) for name, spec in signature.inputs.items()}


def _values(name: str, spec: TensorSpec, batch: int) -> np.ndarray:
    shape = spec.shape
    if shape is None or spec.dtype == "string" or None in shape[1:]:
        raise ValueError(
            f"Say what to send by --images or --npy: input {name!r} takes {spec.dtype} "
            f"{shape_text(shape)}, which is not made up."
        )
    # A first axis of any size is the batch
    sizes = [batch if size is None else size for size in shape]
    random = np.random.default_rng(0)
    if spec.dtype == "uint8":
        return random.integers(0, 256, sizes, np.uint8)
    if spec.dtype.startswith("float"):
        return random.random(sizes).astype(spec.dtype)
    return np.zeros(sizes, spec.dtype)
