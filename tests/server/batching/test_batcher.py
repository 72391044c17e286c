"""What is run together, what by itself, and who gets which answer or error."""

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


def ask(batcher, *values, fetches=("double",), timeout=None):
    return batcher.submit({"x": floats(*values)}, fetches, timeout)


def answer(future):
    return future.result(SECONDS)[0].tolist()


def error(future):
    caught = future.exception(SECONDS)
    assert isinstance(caught, ServingError)
    return str(caught)


def test_what_waits_for_a_thread_runs_together(graph, room, busy):
    batcher = room.batcher(graph)
    with busy(batcher):
        asked = [ask(batcher, 1), ask(batcher, 2, 3), ask(batcher, 4)]
    assert [answer(future) for future in asked] == [[2], [4, 6], [8]]
    assert graph.rows() == [4]


def test_run_waits_for_its_share(graph, room):
    batcher = room.batcher(graph, max_batch_size=4, batch_timeout=3600)
    with concurrent.futures.ThreadPoolExecutor(4) as callers:
        got = callers.map(
            lambda x: batcher.run({"x": floats(x)}, ["double"], None)[0].tolist(),
            range(4),
            timeout=SECONDS,
        )
        assert list(got) == [[0], [2], [4], [6]]
    assert graph.rows() == [4]


def test_answers_come_in_the_order_asked_for(graph, room, busy):
    batcher = room.batcher(graph)
    with busy(batcher):
        one = ask(batcher, 1, fetches=["half", "double"])
        other = ask(batcher, 2, fetches=["double", "half"])
    assert [value.tolist() for value in one.result(SECONDS)] == [[0.5], [2]]
    assert [value.tolist() for value in other.result(SECONDS)] == [[4], [1]]
    assert graph.rows() == [2]


def test_other_tensors_are_other_batches(graph, room, busy):
    batcher = room.batcher(graph)
    with busy(batcher):
        asked = [
            ask(batcher, 1),
            ask(batcher, 2, fetches=["half"]),
            batcher.submit({"y": floats(3)}, ["double"], None),
            ask(batcher, 4),
        ]
    assert [answer(future) for future in asked] == [[2], [1], [6], [8]]
    assert sorted(graph.rows()) == [1, 1, 2]


def test_a_batch_waits_until_it_is_full(graph, room):
    batcher = room.batcher(graph, max_batch_size=2, batch_timeout=3600)
    first = ask(batcher, 1)
    other = [ask(batcher, 2, fetches=["half"]), ask(batcher, 3, fetches=["half"])]
    assert [answer(future) for future in other] == [[1], [1.5]]
    assert not first.done()
    second = ask(batcher, 4)
    assert [answer(first), answer(second)] == [[2], [8]]
    assert graph.rows() == [2, 2]


def test_or_until_its_first_task_has_waited_long_enough(graph, room):
    batcher = room.batcher(graph, batch_timeout=0.1)
    started = time.monotonic()
    assert answer(ask(batcher, 1)) == [2]
    assert time.monotonic() - started >= 0.1


def test_a_task_that_does_not_fit_begins_the_next_batch(graph, room):
    batcher = room.batcher(graph, max_batch_size=3, batch_timeout=3600)
    asked = [ask(batcher, 1, 2), ask(batcher, 3, 4)]
    assert answer(asked[0]) == [2, 4]
    assert not asked[1].done()
    asked.append(ask(batcher, 5))
    assert [answer(asked[1]), answer(asked[2])] == [[6, 8], [10]]
    assert graph.rows() == [2, 3]


def test_as_many_batches_run_at_once_as_there_are_threads(graph, room):
    batcher = room.batcher(graph, room.scheduler(threads=2), max_batch_size=1)
    graph.goes_on.clear()
    asked = [ask(batcher, n) for n in range(3)]
    assert graph.entered.acquire(timeout=SECONDS)
    assert graph.entered.acquire(timeout=SECONDS)
    assert not graph.entered.acquire(timeout=0.05)
    graph.goes_on.set()
    assert [answer(future) for future in asked] == [[0], [2], [4]]


def test_callers_run_what_would_not_wait_in_no_more_threads_than_there_are(graph, room):
    threads = set()

    def run(number):
        x = {"x": floats(number)}
        return batcher.run(x, ["double"], None)[0].tolist()

    def call(feeds, fetches, timeout):
        threads.add(threading.get_ident())
        return graph(feeds, fetches, timeout)

    batcher = room.batcher(call, room.scheduler(threads=2))
    assert run(1) == [2]
    assert threads == {threading.get_ident()}
    graph.runs.clear()
    graph.goes_on.clear()
    graph.entered = threading.Semaphore(0)
    with concurrent.futures.ThreadPoolExecutor(6) as callers:
        asked = [callers.submit(run, number) for number in range(6)]
        for _ in range(2):
            assert graph.entered.acquire(timeout=SECONDS)
        assert not graph.entered.acquire(timeout=0.05)
        assert len(graph.runs) == 2
        graph.goes_on.set()
        assert [future.result(SECONDS) for future in asked] == [
            [2 * number] for number in range(6)
        ]
    assert sum(graph.rows()) == 6


def test_models_take_turns(graph, room, busy):
    scheduler = room.scheduler()
    first = room.batcher(graph, scheduler, max_batch_size=1)
    second = room.batcher(graph, scheduler, max_batch_size=1)
    with busy(first):
        asked = [ask(first, 1), ask(first, 2), ask(first, 3), ask(second, 4)]
    assert [answer(future) for future in asked] == [[2], [4], [6], [8]]
    order = [feeds["x"].tolist() for feeds in graph.runs]
    assert order == [[1], [4], [2], [3]]


def test_a_full_queue_is_told_at_once(graph, room, busy):
    batcher = room.batcher(graph, max_batch_size=2, max_enqueued_batches=2)
    with busy(batcher):
        asked = [ask(batcher, n) for n in range(4)]
        assert error(ask(batcher, 5)) == (
            "UNAVAILABLE: The batch scheduling queue to which this task was submitted "
            "is full; currently 2 batches enqueued and max_enqueued_batches is 2"
        )
        with pytest.raises(ServingError, match="is full; currently 2 batches"):
            batcher.run({"x": floats(5)}, ["double"], None)
    assert [answer(future) for future in asked] == [[0], [2], [4], [6]]
    assert answer(ask(batcher, 5)) == [10]


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
def test_what_cannot_be_batched(graph, room, feeds, message):
    feeds = {name: np.asarray(array) for name, array in feeds.items()}
    batcher = room.batcher(graph)
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
def test_outputs_that_cannot_be_shared_out(graph, room, output, message):
    batcher = room.batcher(graph)
    assert error(ask(batcher, 1, fetches=[output])) == f"FAILED_PRECONDITION: {message}"


def test_a_batch_is_padded_with_its_last_task(graph, room, busy):
    batcher = room.batcher(graph, max_batch_size=8, allowed_batch_sizes=(4, 8))
    with busy(batcher):
        asked = [ask(batcher, 1, 2), ask(batcher, 3, 4, 5)]
    assert [answer(future) for future in asked] == [[2, 4], [6, 8, 10]]
    assert graph.runs[0]["x"].tolist() == [1, 2, 3, 4, 5, 3, 3, 3]


def test_a_batch_of_an_allowed_size_is_not(graph, room):
    batcher = room.batcher(graph, max_batch_size=8, allowed_batch_sizes=(4, 8))
    assert answer(ask(batcher, 1, 2, 3, 4)) == [2, 4, 6, 8]
    assert graph.rows() == [4]


def test_a_large_task_is_spread_over_batches(graph, room, busy):
    batcher = room.batcher(
        graph, max_batch_size=8, max_execution_batch_size=3, split=True
    )
    with busy(batcher):
        asked = [ask(batcher, 1), ask(batcher, *range(2, 10)), ask(batcher, 10)]
    assert answer(asked[0]) == [2]
    assert answer(asked[1]) == list(range(4, 20, 2))
    assert answer(asked[2]) == [20]
    assert graph.rows() == [3, 3, 3, 1]


def test_a_large_task_fails_whole(graph, room):
    batcher = room.batcher(
        graph, max_batch_size=8, max_execution_batch_size=2, split=True
    )
    assert error(ask(batcher, 1, 2, 3, -1, 5)) == "INVALID_ARGUMENT: x is negative"


def test_a_large_task_finds_no_room(graph, room, busy):
    batcher = room.batcher(
        graph,
        max_batch_size=8,
        max_execution_batch_size=2,
        max_enqueued_batches=2,
        split=True,
    )
    with busy(batcher):
        asked = ask(batcher, 1)
        assert error(ask(batcher, 2, 3, 4, 5)) == (
            "UNAVAILABLE: The batch scheduling queue to which this task was submitted "
            "is full; task size is 4 but scheduling capacity is only 3 "
            "(num_enqueued_batches=1, max_enqueued_batches=2, open_batch_size=1, "
            "max_execution_batch_size=2)"
        )
    assert answer(asked) == [2]


def test_other_shapes_run_apart(graph, room, busy):
    batcher = room.batcher(graph, shape=(-1, -1))
    narrow, wide = np.ones((1, 2), np.float32), np.ones((1, 3), np.float32)
    with busy(room.batcher(graph, room.schedulers[0])):
        asked = [
            batcher.submit({"x": x}, ["double"], None) for x in (narrow, wide, narrow)
        ]
    assert [f.result(SECONDS)[0].shape for f in asked] == [(1, 2), (1, 3), (1, 2)]
    assert sorted(feeds["x"].shape for feeds in graph.runs) == [(1, 3), (2, 2)]


def test_or_together_when_they_may_be_padded(graph, room, busy):
    batcher = room.batcher(graph, shape=(-1, -1), pad_variable_length_inputs=True)
    with busy(room.batcher(graph, room.schedulers[0])):
        asked = [
            batcher.submit({"x": np.array(x, np.float32)}, ["double"], None)
            for x in ([[1, 2]], [[3, 4, 5], [6, 7, 8]])
        ]
    assert [future.result(SECONDS)[0].tolist() for future in asked] == [
        [[2, 4, 2]],
        [[6, 8, 10], [12, 14, 16]],
    ]
    assert graph.rows() == [3]


def test_too_many_dimensions_to_be_padded(graph, room):
    batcher = room.batcher(graph, shape=None, pad_variable_length_inputs=True)
    x = np.ones([1] * 7, np.float32)
    assert error(batcher.submit({"x": x}, ["double"], None)) == (
        "INVALID_ARGUMENT: Only tensors with rank from 1 to 6 can be padded."
    )


@pytest.mark.parametrize(
    "odd", [np.array([1], np.int64), np.ones((1, 2), np.float32), floats()]
)
def test_what_does_not_fit_the_graph_joins_no_batch(graph, room, busy, odd):
    batcher = room.batcher(graph)
    with busy(batcher):
        asked = [ask(batcher, 1), ask(batcher, 2)]
        alone = batcher.submit({"x": odd}, ["double"], None)
    assert [answer(future) for future in asked] == [[2], [4]]
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
def test_one_task_cannot_fail_its_neighbours(graph, room, busy, bad):
    batcher = room.batcher(graph, max_batch_size=10)
    with busy(batcher):
        asked = [ask(batcher, -1.0 if n in bad else n) for n in range(10)]
    for number, future in enumerate(asked):
        if number in bad:
            assert error(future) == "INVALID_ARGUMENT: x is negative"
        else:
            assert answer(future) == [2 * number]


def test_a_late_task_is_never_run(graph, room, busy):
    batcher = room.batcher(graph)
    with busy(batcher):
        late = ask(batcher, 1, timeout=0.02)
        asked = ask(batcher, 2, timeout=600)
        with pytest.raises(ServingError) as caught:  # does not wait for the thread
            batcher.run({"x": floats(3)}, ["double"], 0.02)
        time.sleep(0.02)
    told = "RESOURCE_EXHAUSTED: Run() timeout exceeded while waiting in batching queue"
    assert str(caught.value) == error(late) == told
    assert answer(asked) == [4]
    assert [feeds["x"].tolist() for feeds in graph.runs] == [[2]]


def test_a_batch_in_which_all_are_late_is_not_run(graph, room, busy):
    batcher = room.batcher(graph)
    with busy(batcher):
        late = [ask(batcher, n, timeout=0.01) for n in range(3)]
        time.sleep(0.02)
    assert all(error(future).startswith("RESOURCE_EXHAUSTED") for future in late)
    batcher.close()
    assert graph.runs == []


@pytest.mark.parametrize("timeout", [0.01, None])
def test_who_has_gone_leaves_room_for_the_next(graph, room, busy, timeout):
    batcher = room.batcher(graph, max_batch_size=4)
    with busy(batcher):
        gone = [ask(batcher, 1, timeout=timeout) for _ in range(3)]
        asked = [ask(batcher, *range(n)) for n in (1, 2, 2, 1, 3)]
        if timeout is None:
            assert all(future.cancel() for future in gone)
        time.sleep(0.02)
    told = [answer(future) for future in asked]
    assert told == [[2 * x for x in range(n)] for n in (1, 2, 2, 1, 3)]
    # Into the place of the three came the two rows that follow; no task overtakes.
    assert graph.rows() == [3, 3, 3]
    batcher.close()


def test_what_is_cancelled_in_time_is_not_run(graph, room, busy):
    batcher = room.batcher(graph)
    with busy(batcher):
        gone, asked = ask(batcher, 1), ask(batcher, 2)
        assert gone.cancel()
    assert answer(asked) == [4]
    assert [feeds["x"].tolist() for feeds in graph.runs] == [[2]]


def test_a_batch_may_take_as_long_as_its_most_patient_task(graph, room, busy):
    batcher = room.batcher(graph)
    with busy(batcher):
        asked = [ask(batcher, 1, timeout=600), ask(batcher, 2, timeout=6000)]
    assert [answer(future) for future in asked] == [[2], [4]]
    with busy(batcher):
        asked = [ask(batcher, 1, timeout=600), ask(batcher, 2)]
    assert [answer(future) for future in asked] == [[2], [4]]
    assert graph.timeouts[-1] is None


def test_the_latest_deadline_is_that_of_the_run(graph, room, busy):
    batcher = room.batcher(graph)
    with busy(batcher):
        asked = [ask(batcher, 1, timeout=600), ask(batcher, 2, timeout=6000)]
    assert [answer(future) for future in asked] == [[2], [4]]
    assert 600 < graph.timeouts[0] <= 6000


def test_closing_waits_for_what_is_queued_and_running(graph, room):
    batcher = room.batcher(graph, batch_timeout=3600)
    graph.goes_on.clear()
    asked = [ask(batcher, 1), ask(batcher, 2, fetches=["half"])]
    closing = threading.Thread(target=batcher.close)
    closing.start()
    assert graph.entered.acquire(timeout=SECONDS)  # without waiting for the timeout
    closing.join(0.05)
    assert closing.is_alive()
    graph.goes_on.set()
    closing.join(SECONDS)
    assert not closing.is_alive()
    assert all(future.done() for future in asked)
    late = ask(batcher, 3).exception(SECONDS)
    assert late.code is grpc.StatusCode.UNAVAILABLE


def test_nothing_is_kept_of_a_batch_that_was_answered(graph, room):
    batcher = room.batcher(graph, max_batch_size=1)
    x = floats(1)
    seen = weakref.ref(x)
    assert answer(batcher.submit({"x": x}, ["double"], None)) == [2]
    batcher.close()
    graph.runs.clear()
    del x
    gc.collect()
    assert seen() is None


def test_nothing_is_kept_of_what_has_failed(graph, room, busy):
    batcher = room.batcher(graph)
    x = floats(-1)
    seen = weakref.ref(x)
    gc.collect()
    gc.disable()
    try:
        with busy(batcher):
            asked = [batcher.submit({"x": x}, ["double"], None), ask(batcher, -2)]
        assert error(asked[0]) == error(asked[1]) == "INVALID_ARGUMENT: x is negative"
        batcher.close()
        graph.runs.clear()
        del x, asked
        assert seen() is None
    finally:
        gc.enable()
