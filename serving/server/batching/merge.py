"""The arrays of many tasks to those of one run, and its outputs back to theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
import numpy as np

from fovea.serving.server.batching.parameters import QueueOptions
from fovea.serving.server.batching.tasks import Task
from fovea.serving.server.errors import ServingError, invalid_argument

# What TensorFlow Serving can pad.
_MAX_RANK = 6


def grouped(tasks: Sequence[Task], options: QueueOptions) -> list[list[Task]]:
    """Group the tasks whose arrays can be concatenated.

    TensorFlow Serving fails all tasks of a batch when two of them cannot.

    Args:
        tasks: They all feed the same tensors.
        options: Whether shapes that differ, of the same rank, may be padded.
    """
    if len(tasks) < 2:
        return [list(tasks)]
    groups: dict[tuple[Any, ...], list[Task]] = {}
    for task in tasks:
        arrays = task.feeds.values()
        if options.pad_variable_length_inputs:
            key: tuple[Any, ...] = tuple((a.dtype, a.ndim) for a in arrays)
        else:
            key = tuple((a.dtype, a.shape[1:]) for a in arrays)
        groups.setdefault(key, []).append(task)
    return list(groups.values())


def concatenated(
    tasks: Sequence[Task], options: QueueOptions, names: Sequence[str], size: int
) -> dict[str, np.ndarray]:
    """Concatenate the feeds of tasks to those of one run.

    Args:
        tasks: A group of `grouped`.
        options: Whether shapes that differ are padded.
        names: The tensors to feed.
        size: The rows of the run; missing ones repeat the first row of the last task.

    Raises:
        ServingError: INVALID_ARGUMENT, the arrays cannot be padded.
    """
    rows = sum(task.rows for task in tasks)
    feeds = {}
    for name in names:
        arrays = [task.feeds[name] for task in tasks]
        if options.pad_variable_length_inputs:
            arrays = _padded(arrays)
        if size > rows:
            row = arrays[-1][:1]
            arrays.append(np.broadcast_to(row, (size - rows, *row.shape[1:])))
        feeds[name] = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    return feeds


def _padded(arrays: list[np.ndarray]) -> list[np.ndarray]:
    if arrays[0].ndim > _MAX_RANK:
        raise invalid_argument("Only tensors with rank from 1 to 6 can be padded.")
    shape = np.max([array.shape[1:] for array in arrays], axis=0, initial=0).astype(int)
    return [_padded_to(array, tuple(shape)) for array in arrays]


def _padded_to(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if array.shape[1:] == shape:
        return array
    if array.size == 0:
        raise invalid_argument("Got empty tensor in batch of non-empty tensors.")
    larger = np.full((len(array), *shape), array.flat[0], array.dtype)
    larger[tuple(slice(length) for length in array.shape)] = array
    return larger


def split_outputs(
    tasks: Sequence[Task], names: Sequence[str], values: Sequence[Any], size: int
) -> list[list[Any]]:
    """Split the outputs of a run into those of its tasks.

    Args:
        tasks: The tasks, in the order of their rows.
        names: The tensors that were computed, each once.
        values: Their values.
        size: The rows of the run.

    Returns:
        For each task its outputs in the order of its `fetches`, as views.

    Raises:
        ServingError: FAILED_PRECONDITION, an output does not have `size` rows.
    """
    for value in values:
        if np.ndim(value) == 0:
            raise _unsplittable("Batched output tensor has 0 dimensions")
        if len(value) != size:
            raise _unsplittable(
                "Batched output tensor's 0th dimension does not equal the sum of the "
                "0th dimension sizes of the input tensors"
            )
    outputs = dict(zip(names, values, strict=True))
    results, start = [], 0
    for task in tasks:
        end = start + task.rows
        results.append([outputs[name][start:end] for name in task.fetches])
        start = end
    return results


def _unsplittable(message: str) -> ServingError:
    return ServingError(grpc.StatusCode.FAILED_PRECONDITION, message)
