"""Arrays of many tasks into those of one run, and its outputs back into theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
import numpy as np

from fovea.serving.server.batching.parameters import QueueOptions
from fovea.serving.server.batching.tasks import Task
from fovea.serving.server.errors import ServingError, invalid_argument

# What the original can pad.
_MAX_RANK = 6


def alike(tasks: Sequence[Task], options: QueueOptions) -> list[list[Task]]:
    """Tasks whose arrays can be put together, in groups.

    The original fails all tasks of a batch when two of them do not go together.

    Args:
        tasks: All with the same names of feeds.
        options: Whether other shapes, of the same rank, go together too.
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


def merged(
    tasks: Sequence[Task], options: QueueOptions, names: Sequence[str], size: int
) -> dict[str, np.ndarray]:
    """What to feed to one run.

    Args:
        tasks: They go together.
        options: Whether their shapes may differ.
        names: The tensors to feed.
        size: The rows that the run shall have: what the tasks lack is filled with the
            first row of the last one, which is as good as any.

    Raises:
        ServingError: INVALID_ARGUMENT, they cannot be padded.
    """
    rows = sum(task.rows for task in tasks)
    feeds = {}
    for name in names:
        arrays = [task.feeds[name] for task in tasks]
        if options.pad_variable_length_inputs:
            arrays = _of_one_shape(arrays)
        if size > rows:
            row = arrays[-1][:1]
            arrays.append(np.broadcast_to(row, (size - rows, *row.shape[1:])))
        feeds[name] = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    return feeds


def _of_one_shape(arrays: list[np.ndarray]) -> list[np.ndarray]:
    if arrays[0].ndim > _MAX_RANK:
        raise invalid_argument("Only tensors with rank from 1 to 6 can be padded.")
    shape = np.max([array.shape[1:] for array in arrays], axis=0, initial=0).astype(int)
    return [_filled_up(array, tuple(shape)) for array in arrays]


def _filled_up(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if array.shape[1:] == shape:
        return array
    if array.size == 0:
        raise invalid_argument("Got empty tensor in batch of non-empty tensors.")
    larger = np.full((len(array), *shape), array.flat[0], array.dtype)
    larger[tuple(slice(length) for length in array.shape)] = array
    return larger


def parted(
    tasks: Sequence[Task], names: Sequence[str], values: Sequence[Any], size: int
) -> list[list[Any]]:
    """Each task's share of the outputs, as views.

    Args:
        tasks: In the order in which they were merged.
        names: The tensors that were computed, each once.
        values: Their values.
        size: The rows of the run.

    Raises:
        ServingError: FAILED_PRECONDITION, an output has not a row for each one fed.
    """
    for value in values:
        if np.ndim(value) == 0:
            raise _unfit("Batched output tensor has 0 dimensions")
        if len(value) != size:
            raise _unfit(
                "Batched output tensor's 0th dimension does not equal the sum of the "
                "0th dimension sizes of the input tensors"
            )
    outputs = dict(zip(names, values, strict=True))
    answers, start = [], 0
    for task in tasks:
        end = start + task.rows
        answers.append([outputs[name][start:end] for name in task.fetches])
        start = end
    return answers


def _unfit(message: str) -> ServingError:
    return ServingError(grpc.StatusCode.FAILED_PRECONDITION, message)
