"""The outputs of a Predict request as JSON, row by row or column by column."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence

import numpy as np

from fovea.serving.server.errors import invalid_argument
from fovea.serving.server.rest.encoding.numerals import decimals
from fovea.serving.server.rest.encoding.pretty import indent, quote, to_bytes
from fovea.serving.server.saved_model.arrays import data_type, data_type_name

# Outputs whose names end so are bytes, written in base64.
BYTES_SUFFIX = "_bytes"

_INTEGERS = {"int8", "uint8", "int16", "int32", "uint32", "int64", "uint64"}


def predictions(outputs: Mapping[str, np.ndarray]) -> bytes:
    """Encode row by row: `{"predictions": [...]}`, a value or an object for each row.

    Args:
        outputs: Arrays by output name, at least one; all have the rows as their
            first dimension.

    Raises:
        ServingError: They do not, or JSON cannot hold their dtype.
    """
    rows = _rows(outputs)
    start = f'{{{indent(1)}"predictions": ['
    if rows == 0:
        return to_bytes(f"{start}]\n}}")
    end = f"{indent(1)}]\n}}"
    if len(outputs) == 1:
        ((name, array),) = outputs.items()
        values = _values(name, array, array.shape[1:], 2, one_line=True)
        return to_bytes(start + ", ".join(values) + end)
    members = []
    for name, array in outputs.items():
        key = f"{indent(3)}{quote(name)}: "
        values = _values(name, array, array.shape[1:], 3, one_line=True)
        members.append([key + value for value in values])
    objects = (
        f"{indent(2)}{{{','.join(row)}{indent(2)}}}"
        for row in zip(*members, strict=True)
    )
    return to_bytes(start + ",".join(objects) + end)


def _rows(outputs: Mapping[str, np.ndarray]) -> int:
    rows = -1
    for name, array in outputs.items():
        if array.ndim == 0:
            raise invalid_argument(f"Tensor name: {name} has no shape information ")
        if rows not in (-1, array.shape[0]):
            raise invalid_argument(
                f"Tensor name: {name} has inconsistent batch size: {array.shape[0]} "
                f"expecting: {rows}"
            )
        rows = array.shape[0]
    return rows


def columns(outputs: Mapping[str, np.ndarray]) -> bytes:
    """Encode column by column: `{"outputs": ...}`, each tensor as a whole.

    Raises:
        ServingError: JSON cannot hold a tensor's dtype.
    """
    start = f'{{{indent(1)}"outputs": '
    several = len(outputs) > 1
    level = 2 if several else 1
    texts = []
    for name, array in outputs.items():
        key = f"{indent(2)}{quote(name)}: " if several else ""
        (value,) = _values(name, array, array.shape, level, one_line=False)
        texts.append(key + value)
    body = f"{{{','.join(texts)}{indent(1)}}}" if several else texts[0]
    return to_bytes(f"{start}{body}\n}}")


def _values(
    name: str, array: np.ndarray, shape: Sequence[int], level: int, *, one_line: bool
) -> list[str]:
    """Return the texts of the sub-tensors of a shape, in order.

    Args:
        name: The output's name.
        array: The whole tensor.
        shape: Its last dimensions.
        level: The number of objects and arrays around each text.
        one_line: Whether arrays are written without line breaks.
    """
    texts = _leaves(name, array, level + len(shape))
    outer = array.ndim - len(shape)
    for depth in range(len(shape) - 1, -1, -1):
        size = shape[depth]
        around = level + depth
        count = math.prod(array.shape[: outer + depth])
        if size == 0:
            texts = ["[]"] * count
            continue
        if one_line:
            left, between, right = "[", ", ", "]"
        else:
            between = f",{indent(around + 1)}"
            left, right = f"[{indent(around + 1)}", f"{indent(around)}]"
        texts = [
            left + between.join(texts[at : at + size]) + right
            for at in range(0, count * size, size)
        ]
    return texts


def _leaves(name: str, array: np.ndarray, level: int) -> list[str]:
    if array.dtype == object:
        if name.endswith(BYTES_SUFFIX):
            key, end = f'{{{indent(level + 1)}"b64": "', f'"{indent(level)}}}'
            return [
                key + base64.b64encode(value).decode("ascii") + end
                for value in array.ravel().tolist()
            ]
        return [
            quote(value.decode("utf-8", "surrogateescape"))
            for value in array.ravel().tolist()
        ]
    kind = array.dtype.name
    if kind in ("float32", "float64"):
        return decimals(array)
    if kind == "bool":
        return ["true" if value else "false" for value in array.ravel().tolist()]
    if kind in _INTEGERS:
        return list(map(str, array.ravel().tolist()))
    if array.size == 0:
        return []
    raise invalid_argument(
        "Failed to write JSON value for tensor type: "
        f"{data_type_name(data_type(array))}"
    )
