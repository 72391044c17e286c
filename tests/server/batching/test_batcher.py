"""Which tasks are batched, which run separately, and their results and errors."""

import concurrent.futures
import gc
import threading
import time
import weakref

import grpc
import numpy as np
import pytest

from fovea.serving.server.errors import ServingError

SECONDS = 30


def floats(*values):
    return np.array(values, np.float32)


def submit(batcher, *values, fetches=("double",), timeout=None):
    return batcher.submit({"x": floats(*values)}, fetches, timeout)


def result(future):
    return future.result(SECONDS)[0].tolist()


def error(future):
    caught = future.exception(SECONDS)
    assert isinstance(caught, ServingError)
    return str(caught)


def test_tasks_that_wait_for_a_thread_are_batched(graph, batchers, busy):
    batcher = batchers.batcher(graph)
    with busy(batcher):
        pending = [submit(batcher, 1), submit(batcher, 2, 3), submit(batcher, 4)]
    assert [result(future) for future in pending] == [[2], [4, 6], [8]]
    assert graph.rows() == [4]


def test_run_returns_the_caller_s_part_of_a_batch(graph, batchers):
    batcher = batchers.batcher(graph, max_batch_size=4, batch_timeout=3600)
    with concurrent.futures.ThreadPoolExecutor(4) as callers:
        got = callers.map(
            lambda x: batcher.run({"x": floats(x)}, ["double"], None)[0].tolist(),
            range(4),
            timeout=SECONDS,
        )
        assert list(got) == [[0], [2], [4], [6]]
    assert graph.rows() == [4]


def test_outputs_are_in_the_order_of_the_fetches(graph, batchers, busy):
    batcher = batchers.batcher(graph)
    with busy(batcher):
        one = submit(batcher, 1, fetches=["half", "double"])
        other = submit(batcher, 2, fetches=["double", "half"])
    assert [value.tolist() for value in one.result(SECONDS)] == [[0.5], [2]]
    assert [value.tolist() for value in other.result(SECONDS)] == [[4], [1]]
    assert graph.rows() == [2]


def test_tasks_with_different_tensors_are_not_batched(graph, batchers, busy):
    batcher = batchers.batcher(graph)
    with busy(batcher):
        pending = [
            submit(batcher, 1),
            submit(batcher, 2, fetches=["half"]),
            batcher.submit({"y": floats(3)}, ["double"], None),
            submit(batcher, 4),
        ]
    assert [result(future) for future in pending] == [[2], [1], [6], [8]]
    assert sorted(graph.rows()) == [1, 1, 2]


def test_a_batch_waits_until_it_is_full(graph, batchers):
    batcher = batchers.batcher(graph, max_batch_size=2, batch_timeout=3600)
    first = submit(batcher, 1)
    other = [submit(batcher, 2, fetches=["half"]), submit(batcher, 3, fetches=["half"])]
    assert [result(future) for future in other] == [[1], [1.5]]
    assert not first.done()
    second = submit(batcher, 4)
    assert [result(first), result(second)] == [[2], [8]]
    assert graph.rows() == [2, 2]


def test_a_batch_waits_for_the_timeout_of_its_first_task(graph, batchers):
    batcher = batchers.batcher(graph, batch_timeout=0.1)
    started = time.monotonic()
    assert result(submit(batcher, 1)) == [2]
    assert time.monotonic() - started >= 0.1


def test_a_task_that_does_not_fit_starts_the_next_batch(graph, batchers):
    batcher = batchers.batcher(graph, max_batch_size=3, batch_timeout=3600)
    pending = [submit(batcher, 1, 2), submit(batcher, 3, 4)]
    assert result(pending[0]) == [2, 4]
    assert not pending[1].done()
    pending.append(submit(batcher, 5))
    assert [result(pending[1]), result(pending[2])] == [[6, 8], [10]]
    assert graph.rows() == [2, 3]


def test_one_batch_per_thread_runs_at_a_time(graph, batchers):
    batcher = batchers.batcher(graph, batchers.scheduler(threads=2), max_batch_size=1)
    graph.unpaused.clear()
    pending = [submit(batcher, n) for n in range(3)]
    assert graph.entered.acquire(timeout=SECONDS)
    assert graph.entered.acquire(timeout=SECONDS)
    assert not graph.entered.acquire(timeout=0.05)
    graph.unpaused.set()
    assert [result(future) for future in pending] == [[0], [2], [4]]


def test_callers_run_tasks_themselves_up_to_the_number_of_threads(graph, batchers):
    threads = set()

    def run(number):
        x = {"x": floats(number)}
        return batcher.run(x, ["double"], None)[0].tolist()

    def call(feeds, fetches, timeout):
        threads.add(threading.get_ident())
        return graph(feeds, fetches, timeout)

    batcher = batchers.batcher(call, batchers.scheduler(threads=2))
    assert run(1) == [2]
    assert threads == {threading.get_ident()}
    graph.runs.clear()
    graph.unpaused.clear()
    graph.entered = threading.Semaphore(0)
    with concurrent.futures.ThreadPoolExecutor(6) as callers:
        pending = [callers.submit(run, number) for number in range(6)]
        for _ in range(2):
            assert graph.entered.acquire(timeout=SECONDS)
        assert not graph.entered.acquire(timeout=0.05)
        assert len(graph.runs) == 2
        graph.unpaused.set()
        assert [future.result(SECONDS) for future in pending] == [
            [2 * number] for number in range(6)
        ]
    assert sum(graph.rows()) == 6


def test_models_are_scheduled_round_robin(graph, batchers, busy):
    scheduler = batchers.scheduler()
    first = batchers.batcher(graph, scheduler, max_batch_size=1)
    second = batchers.batcher(graph, scheduler, max_batch_size=1)
    with busy(first):
        pending = [
            submit(first, 1),
            submit(first, 2),
            submit(first, 3),
            submit(second, 4),
        ]
    assert [result(future) for future in pending] == [[2], [4], [6], [8]]
    order = [feeds["x"].tolist() for feeds in graph.runs]
    assert order == [[1], [4], [2], [3]]


def test_a_full_queue_fails_at_once(graph, batchers, busy):
    batcher = batchers.batcher(graph, max_batch_size=2, max_enqueued_batches=2)
    with busy(batcher):
        pending = [submit(batcher, n) for n in range(4)]
        assert error(submit(batcher, 5)) == (
            "UNAVAILABLE: The batch scheduling queue to which this task was submitted "
            "is full; currently 2 batches enqueued and max_enqueued_batches is 2"
        )
        with pytest.raises(ServingError, match="is full; currently 2 batches"):
            batcher.run({"x": floats(5)}, ["double"], None)
    assert [result(future) for future in pending] == [[0], [2], [4], [6]]
    assert result(submit(batcher, 5)) == [10]


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({}, "Batching Run() must have at least one input tensor"),
        (
            {"x": np.float32(1)},
            "Batching Run() input tensors must have at least one dimension",
        ),
        (
            {"x": floats(1), "y": floats(1, 2)},
            "Batching Run() input tensors must have equal 0th-dimension size",
        ),
        (
            {"x": floats(*range(9))},
            "Task size 9 is larger than maximum input batch size 8",
        ),
    ],
)
def test_tasks_that_cannot_be_batched(graph, batchers, feeds, message):
    feeds = {name: np.asarray(array) for name, array in feeds.items()}
    batcher = batchers.batcher(graph)
    assert error(batcher.submit(feeds, ["double"], None)) == (
        f"INVALID_ARGUMENT: {message}"
    )
    with pytest.raises(ServingError) as caught:
        batcher.run(feeds, ["double"], None)
    assert caught.value.message == message
    assert graph.runs == []


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("rank 0", "Batched output tensor has 0 dimensions"),
        (
            "three rows",
            "Batched output tensor's 0th dimension does not equal the sum of the 0th "
            "dimension sizes of the input tensors",
        ),
    ],
)
def test_outputs_that_cannot_be_split(graph, batchers, output, message):
    batcher = batchers.batcher(graph)
    assert (
        error(submit(batcher, 1, fetches=[output])) == f"FAILED_PRECONDITION: {message}"
    )


def test_a_batch_is_padded_with_its_last_task(graph, batchers, busy):
    batcher = batchers.batcher(graph, max_batch_size=8, allowed_batch_sizes=(4, 8))
    with busy(batcher):
        pending = [submit(batcher, 1, 2), submit(batcher, 3, 4, 5)]
    assert [result(future) for future in pending] == [[2, 4], [6, 8, 10]]
    assert graph.runs[0]["x"].tolist() == [1, 2, 3, 4, 5, 3, 3, 3]


def test_a_batch_of_an_allowed_size_is_not_padded(graph, batchers):
    batcher = batchers.batcher(graph, max_batch_size=8, allowed_batch_sizes=(4, 8))
    assert result(submit(batcher, 1, 2, 3, 4)) == [2, 4, 6, 8]
    assert graph.rows() == [4]


def test_a_large_task_is_split_into_batches(graph, batchers, busy):
    batcher = batchers.batcher(
        graph, max_batch_size=8, max_execution_batch_size=3, split=True
    )
    with busy(batcher):
        pending = [
            submit(batcher, 1),
            submit(batcher, *range(2, 10)),
            submit(batcher, 10),
        ]
    assert result(pending[0]) == [2]
    assert result(pending[1]) == list(range(4, 20, 2))
    assert result(pending[2]) == [20]
    assert graph.rows() == [3, 3, 3, 1]


def test_a_large_task_fails_as_a_whole(graph, batchers):
    batcher = batchers.batcher(
        graph, max_batch_size=8, max_execution_batch_size=2, split=True
    )
    assert error(submit(batcher, 1, 2, 3, -1, 5)) == "INVALID_ARGUMENT: x is negative"


def test_a_large_task_exceeds_the_capacity(graph, batchers, busy):
    batcher = batchers.batcher(
        graph,
        max_batch_size=8,
        max_execution_batch_size=2,
        max_enqueued_batches=2,
        split=True,
    )
    with busy(batcher):
        pending = submit(batcher, 1)
        assert error(submit(batcher, 2, 3, 4, 5)) == (
            "UNAVAILABLE: The batch scheduling queue to which this task was submitted "
            "is full; task size is 4 but scheduling capacity is only 3 "
            "(num_enqueued_batches=1, max_enqueued_batches=2, open_batch_size=1, "
            "max_execution_batch_size=2)"
        )
    assert result(pending) == [2]


def test_tasks_of_different_shapes_run_separately(graph, batchers, busy):
    batcher = batchers.batcher(graph, shape=(-1, -1))
    narrow, wide = np.ones((1, 2), np.float32), np.ones((1, 3), np.float32)
    with busy(batchers.batcher(graph, batchers.schedulers[0])):
        pending = [
            batcher.submit({"x": x}, ["double"], None) for x in (narrow, wide, narrow)
        ]
    assert [f.result(SECONDS)[0].shape for f in pending] == [(1, 2), (1, 3), (1, 2)]
    assert sorted(feeds["x"].shape for feeds in graph.runs) == [(1, 3), (2, 2)]


def test_tasks_of_different_shapes_are_batched_if_padding_is_on(graph, batchers, busy):
    batcher = batchers.batcher(graph, shape=(-1, -1), pad_variable_length_inputs=True)
    with busy(batchers.batcher(graph, batchers.schedulers[0])):
        pending = [
            batcher.submit({"x": np.array(x, np.float32)}, ["double"], None)
            for x in ([[1, 2]], [[3, 4, 5], [6, 7, 8]])
        ]
    assert [future.result(SECONDS)[0].tolist() for future in pending] == [
        [[2, 4, 2]],
        [[6, 8, 10], [12, 14, 16]],
    ]
    assert graph.rows() == [3]


def test_too_many_dimensions_to_be_padded(graph, batchers):
    batcher = batchers.batcher(graph, shape=None, pad_variable_length_inputs=True)
    x = np.ones([1] * 7, np.float32)
    assert error(batcher.submit({"x": x}, ["double"], None)) == (
        "INVALID_ARGUMENT: Only tensors with rank from 1 to 6 can be padded."
    )


@pytest.mark.parametrize(
    "odd", [np.array([1], np.int64), np.ones((1, 2), np.float32), floats()]
)
def test_a_task_that_contradicts_the_signature_is_not_batched(
    graph, batchers, busy, odd
):
    batcher = batchers.batcher(graph)
    with busy(batcher):
        pending = [submit(batcher, 1), submit(batcher, 2)]
        alone = batcher.submit({"x": odd}, ["double"], None)
    assert [result(future) for future in pending] == [[2], [4]]
    if odd.dtype == np.int64:
        assert error(alone) == (
            "INVALID_ARGUMENT: Expects arg[0] to be float but int64 is given"
        )
    else:
        assert alone.result(SECONDS)[0].shape == odd.shape
    assert sorted(graph.rows()) == sorted([2, len(odd)])
    count = len(graph.runs)
    if odd.dtype != np.int64:
        assert batcher.run({"x": odd}, ["double"], None)[0].shape == odd.shape
        assert len(graph.runs) == count + 1


@pytest.mark.parametrize("bad", [{0}, {9}, {3, 4}, set(range(10))])
def test_an_invalid_task_does_not_fail_the_others_of_its_batch(
    graph, batchers, busy, bad
):
    batcher = batchers.batcher(graph, max_batch_size=10)
    with busy(batcher):
        pending = [submit(batcher, -1.0 if n in bad else n) for n in range(10)]
    for number, future in enumerate(pending):
        if number in bad:
            assert error(future) == "INVALID_ARGUMENT: x is negative"
        else:
            assert result(future) == [2 * number]


def test_an_expired_task_is_never_run(graph, batchers, busy):
    batcher = batchers.batcher(graph)
    with busy(batcher):
        late = submit(batcher, 1, timeout=0.02)
        pending = submit(batcher, 2, timeout=600)
        with pytest.raises(ServingError) as caught:  # does not wait for the thread
            batcher.run({"x": floats(3)}, ["double"], 0.02)
        time.sleep(0.02)
    assert (
        str(caught.value)
        == error(late)
        == (
            "RESOURCE_EXHAUSTED: Run() timeout exceeded while waiting in batching queue"
        )
    )
    assert result(pending) == [4]
    assert [feeds["x"].tolist() for feeds in graph.runs] == [[2]]


def test_a_batch_of_expired_tasks_is_not_run(graph, batchers, busy):
    batcher = batchers.batcher(graph)
    with busy(batcher):
        late = [submit(batcher, n, timeout=0.01) for n in range(3)]
        time.sleep(0.02)
    assert all(error(future).startswith("RESOURCE_EXHAUSTED") for future in late)
    batcher.close()
    assert graph.runs == []


@pytest.mark.parametrize("timeout", [0.01, None])
def test_the_next_tasks_replace_expired_and_cancelled_ones(
    graph, batchers, busy, timeout
):
    batcher = batchers.batcher(graph, max_batch_size=4)
    with busy(batcher):
        gone = [submit(batcher, 1, timeout=timeout) for _ in range(3)]
        pending = [submit(batcher, *range(n)) for n in (1, 2, 2, 1, 3)]
        if timeout is None:
            assert all(future.cancel() for future in gone)
        time.sleep(0.02)
    results = [result(future) for future in pending]
    assert results == [[2 * x for x in range(n)] for n in (1, 2, 2, 1, 3)]
    # Into the place of the three came the two rows that follow; no task overtakes.
    assert graph.rows() == [3, 3, 3]
    batcher.close()


def test_a_task_cancelled_in_the_queue_is_not_run(graph, batchers, busy):
    batcher = batchers.batcher(graph)
    with busy(batcher):
        gone, pending = submit(batcher, 1), submit(batcher, 2)
        assert gone.cancel()
    assert result(pending) == [4]
    assert [feeds["x"].tolist() for feeds in graph.runs] == [[2]]


def test_a_task_without_a_timeout_removes_that_of_its_batch(graph, batchers, busy):
    batcher = batchers.batcher(graph)
    with busy(batcher):
        pending = [submit(batcher, 1, timeout=600), submit(batcher, 2, timeout=6000)]
    assert [result(future) for future in pending] == [[2], [4]]
    with busy(batcher):
        pending = [submit(batcher, 1, timeout=600), submit(batcher, 2)]
    assert [result(future) for future in pending] == [[2], [4]]
    assert graph.timeouts[-1] is None


def test_the_latest_deadline_applies_to_the_run(graph, batchers, busy):
    batcher = batchers.batcher(graph)
    with busy(batcher):
        pending = [submit(batcher, 1, timeout=600), submit(batcher, 2, timeout=6000)]
    assert [result(future) for future in pending] == [[2], [4]]
    assert 600 < graph.timeouts[0] <= 6000


def test_closing_waits_for_queued_and_running_tasks(graph, batchers):
    batcher = batchers.batcher(graph, batch_timeout=3600)
    graph.unpaused.clear()
    pending = [submit(batcher, 1), submit(batcher, 2, fetches=["half"])]
    closing = threading.Thread(target=batcher.close)
    closing.start()
    assert graph.entered.acquire(timeout=SECONDS)  # without waiting for the timeout
    closing.join(0.05)
    assert closing.is_alive()
    graph.unpaused.set()
    closing.join(SECONDS)
    assert not closing.is_alive()
    assert all(future.done() for future in pending)
    late = submit(batcher, 3).exception(SECONDS)
    assert late.code is grpc.StatusCode.UNAVAILABLE


def test_a_finished_batch_is_garbage_collected(graph, batchers):
    batcher = batchers.batcher(graph, max_batch_size=1)
    x = floats(1)
    seen = weakref.ref(x)
    assert result(batcher.submit({"x": x}, ["double"], None)) == [2]
    batcher.close()
    graph.runs.clear()
    del x
    gc.collect()
    assert seen() is None


def test_a_failed_batch_is_garbage_collected(graph, batchers, busy):
    batcher = batchers.batcher(graph)
    x = floats(-1)
    seen = weakref.ref(x)
    gc.collect()
    gc.disable()
    try:
        with busy(batcher):
            pending = [batcher.submit({"x": x}, ["double"], None), submit(batcher, -2)]
        assert (
            error(pending[0]) == error(pending[1]) == "INVALID_ARGUMENT: x is negative"
        )
        batcher.close()
        graph.runs.clear()
        del x, pending
        assert seen() is None
    finally:
        gc.enable()
