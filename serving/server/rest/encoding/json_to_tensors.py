"""A Predict request in JSON: `instances` row by row, `inputs` by column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fovea.serving.server.errors import ServingError, invalid_argument
from fovea.serving.server.rest.encoding.base64_objects import is_base64
from fovea.serving.server.rest.encoding.dense import TooDeep, convert, dense
from fovea.serving.server.rest.encoding.pretty import value_text
from fovea.serving.server.saved_model.arrays import shape_string

Arrays = dict[str, np.ndarray]
DataTypes = Mapping[str, int]


def requested_signature(document: dict[str, Any]) -> str:
    """Return the signature that a request names, "" if none.

    Raises:
        ServingError: INVALID_ARGUMENT, it is not a string.
    """
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid_argument(
            f"JSON Value: {value_text(document)} not formatted correctly. "
            "'signature_name' key must be a string value."
        )
    return name


def inputs(
    document: dict[str, Any], dtypes: DataTypes, booleans: bool
) -> tuple[Arrays, bool]:
    """Return the input tensors of a Predict request.

    Args:
        document: The request.
        dtypes: The DataType of every input of the signature, by its name.
        booleans: Whether `true` or `false` occurs in the request.

    Returns:
        The arrays by input name, and whether they were sent row by row.

    Raises:
        ServingError: INVALID_ARGUMENT, or UNIMPLEMENTED for a dtype that JSON lacks.
    """
    try:
        return _inputs(document, dtypes, booleans)
    except TooDeep as error:  # found last, when the tensor is made
        raise invalid_argument(f"tensor parsing error: {error}") from None


def _inputs(
    document: dict[str, Any], dtypes: DataTypes, booleans: bool
) -> tuple[Arrays, bool]:
    has_inputs = "inputs" in document
    if "instances" not in document:
        if not has_inputs:
            raise invalid_argument("Missing 'inputs' or 'instances' key")
        return _columns(document["inputs"], dtypes, booleans), False
    instances = document["instances"]
    mistake = ""
    if has_inputs:
        mistake = (
            "Not formatted correctly expecting only one of 'inputs' or 'instances' "
            "keys to exist "
        )
    elif not isinstance(instances, list):
        mistake = "Expecting 'instances' to be an list/array"
    elif not instances:
        mistake = "No values in 'instances' array"
    if mistake:
        raise invalid_argument(f"JSON Value: {value_text(document)} {mistake}")
    return _rows(instances, dtypes, booleans), True


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and not is_base64(value)


def _rows(instances: list[Any], dtypes: DataTypes, booleans: bool) -> Arrays:
    if not isinstance(instances[0], dict) and len(dtypes) > 1:
        raise invalid_argument(
            "instances is a plain list, but expecting list of objects as multiple "
            "input tensors required as per tensorinfo_map"
        )
    if _is_named(instances[0]):
        columns = _named_columns(instances, dtypes)
    else:
        columns = {next(iter(dtypes)): instances}
    if columns is not None:
        arrays = {}
        for name, column in columns.items():
            array = convert(column, dtypes[name], booleans)
            if array is None:
                break
            arrays[name] = array
        else:
            return arrays
    return _row_by_row(instances, dtypes)


def _named_columns(
    instances: list[Any], dtypes: DataTypes
) -> dict[str, list[Any]] | None:
    if all(isinstance(row, dict) and row.keys() == dtypes.keys() for row in instances):
        return {name: [row[name] for row in instances] for name in dtypes}
    return None


def _row_by_row(instances: list[Any], dtypes: DataTypes) -> Arrays:
    """Do what `_rows` does, finding mistakes in TensorFlow Serving's order."""
    named = _is_named(instances[0])
    rows: dict[str, list[np.ndarray]] = {}
    for index, row in enumerate(instances):
        if named != _is_named(row):
            expected, got = ("object", "list") if named else ("value/list", "object")
            raise invalid_argument(
                f"Expecting {expected} but got {got} at item {index} of input list"
            )
        items = row if named else {next(iter(dtypes)): row}
        for name, value in items.items():
            try:
                _add(rows, name, value, dtypes)
            except ServingError as error:
                key = f" key: {name}" if named else ""
                raise invalid_argument(
                    f"Failed to process element: {index}{key} of 'instances' list. "
                    f"Error: {error}"
                ) from None
        if named and row.keys() != dtypes.keys():
            raise invalid_argument(
                f"Failed to process element: {index} of 'instances' list. JSON object: "
                f"{value_text(row)} keys must be equal to: {','.join(sorted(dtypes))}"
            )
    return {name: np.stack(arrays) for name, arrays in rows.items()}


def _add(
    rows: dict[str, list[np.ndarray]], name: str, value: Any, dtypes: DataTypes
) -> None:
    if name not in dtypes:
        raise invalid_argument(f"JSON object: does not have named input: {name}")
    array = _dense(name, value, dtypes)
    before = rows.setdefault(name, [])
    if before and before[0].size != array.size:
        raise invalid_argument(
            f"Expecting tensor size: {before[0].size} but got: {array.size}"
        )
    if before and before[0].shape != array.shape:
        raise invalid_argument(
            f"Expecting shape {shape_string(before[0])} but got: {shape_string(array)}"
        )
    before.append(array)


def _columns(value: Any, dtypes: DataTypes, booleans: bool) -> Arrays:
    if _is_named(value):
        columns = value
        for name in dtypes:
            if name not in columns:
                raise invalid_argument(
                    f"Missing named input: {name} in 'inputs' object."
                )
    elif len(dtypes) > 1:
        raise invalid_argument(
            "inputs is a plain value/list, but expecting an object as multiple input "
            "tensors required as per tensorinfo_map"
        )
    else:
        columns = {next(iter(dtypes)): value}
    arrays = {}
    for name, dtype in dtypes.items():
        array = convert(columns[name], dtype, booleans)
        if array is None:
            array = _dense(name, columns[name], dtypes)
        arrays[name] = array
    return arrays


def _dense(name: str, value: Any, dtypes: DataTypes) -> np.ndarray:
    try:
        return dense(value, dtypes[name])
    except TooDeep:
        raise TooDeep(name) from None
