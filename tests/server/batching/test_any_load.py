"""For any load and parameters, each task gets the result of a separate run."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fovea.serving.server.batching.batcher import Batcher
from fovea.serving.server.batching.input_spec import InputSpec
from fovea.serving.server.batching.parameters import PoolOptions, QueueOptions
from fovea.serving.server.batching.scheduler import Scheduler
from fovea.serving.server.errors import ServingError, invalid_argument

LARGEST = 8


def run(feeds, fetches, timeout):
    x, y = feeds["x"], feeds["y"]
    if x.shape[1] == 0:
        raise invalid_argument("no columns")
    if np.any(x < 0):
        raise invalid_argument("x is negative")
    known = {"sum": x.sum(axis=1) + y, "x": x, "y": y * 2}
    return [known[name] for name in fetches]


tasks = st.tuples(
    st.integers(0, LARGEST),  # rows
    st.integers(0, 3),  # columns
    st.booleans(),  # bad
    st.sampled_from([("sum",), ("y", "x"), ("x", "y")]),
)


@st.composite
def queue_options(draw):
    split = draw(st.booleans())
    size = draw(st.integers(1, LARGEST)) if split else LARGEST
    allowed = draw(st.sets(st.integers(1, LARGEST - 1)))
    return QueueOptions(
        max_batch_size=LARGEST,
        max_execution_batch_size=size,
        batch_timeout=draw(st.sampled_from([0, 0.001])),
        max_enqueued_batches=1000,
        allowed_batch_sizes=(*sorted(allowed), LARGEST) if allowed else (),
        split=split,
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(tasks, max_size=12), queue_options(), st.integers(1, 3))
def test_results_are_those_of_separate_runs(requests, options, threads):
    scheduler = Scheduler(PoolOptions(threads, "test"))
    inputs = {
        "x": InputSpec(np.dtype(np.float32), (-1, -1)),
        "y": InputSpec(np.dtype(np.float32), (-1,)),
    }
    batcher = Batcher(run, inputs, scheduler, options)
    generator = np.random.default_rng(0)
    pending = []
    for rows, columns, bad, fetches in requests:
        x = generator.random((rows, columns), np.float32) - (2.0 if bad else 0.0)
        feeds = {
            "x": x.astype(np.float32),
            "y": generator.random(rows, np.float32),
        }
        pending.append((feeds, fetches, batcher.submit(feeds, fetches, None)))
    batcher.close()
    scheduler.close()
    for feeds, fetches, future in pending:
        assert future.done()
        try:
            expected = run(feeds, fetches, None)
        except ServingError as error:
            assert str(future.exception()) == str(error)
            continue
        for got, value in zip(future.result(), expected, strict=True):
            np.testing.assert_allclose(got, value, rtol=1e-6)
