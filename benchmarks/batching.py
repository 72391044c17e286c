"""Ways to run requests together, without a network: ours beside TensorFlow's own.

    python benchmarks/batching.py [--timeout-micros N] [--seconds S]

LeNet-5 with random weights, one image a request, batches of at most 32 in two threads.
TensorFlow's scheduler is in the graph (``tf.nondifferentiable_batch_function``), and
both graphs run in the same kind of session.
"""

import argparse
import collections
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # starts sooner

import numpy as np
import tensorflow as tf

from fovea.serving.server.batching.parameters import PoolOptions, QueueOptions
from fovea.serving.server.batching.runner import BatchingRunner
from fovea.serving.server.batching.scheduler import Scheduler
from fovea.serving.server.saved_model.session_runner import Runner

THREADS = 2
LARGEST = 32
CALLERS = 32
SHAPES = [(5, 5, 1, 6), (5, 5, 6, 16), (400, 120), (120, 84), (84, 10)]


class LeNet5(tf.Module):
    """The network, with a batch scheduler in its graph or without.

    Args:
        batch_timeout_micros: That of the scheduler; None for none.
    """

    def __init__(self, batch_timeout_micros: int | None = None) -> None:
        super().__init__()
        random = np.random.default_rng(0)
        self.weights = [
            tf.Variable(random.normal(0, 0.1, shape).astype(np.float32))
            for shape in SHAPES
        ]
        network = self.network
        if batch_timeout_micros is not None:
            network = tf.nondifferentiable_batch_function(
                THREADS, LARGEST, batch_timeout_micros, max_enqueued_batches=100
            )(network)
        self.serve = tf.function(
            lambda images: {"probabilities": network(images)},
            input_signature=[tf.TensorSpec([None, 28, 28, 1], tf.uint8, name="images")],
        )

    def network(self, images: tf.Tensor) -> tf.Tensor:
        """Probabilities of ten classes."""
        x = tf.cast(images, tf.float32) / 255.0
        for kernel, padding in zip(self.weights[:2], ("SAME", "VALID"), strict=True):
            x = tf.tanh(tf.nn.conv2d(x, kernel, 1, padding))
            x = tf.nn.avg_pool2d(x, 2, 2, "VALID")
        x = tf.reshape(x, [-1, 400])
        return tf.nn.softmax(
            tf.tanh(tf.tanh(x @ self.weights[2]) @ self.weights[3]) @ self.weights[4]
        )


def callers(runner: Runner, count: int, seconds: float) -> str:
    """Threads that wait for each response before they send the next request."""
    feeds, fetches = request(runner)
    taken: list[float] = []
    end = time.perf_counter() + seconds

    def call() -> None:
        while (started := time.perf_counter()) < end:
            runner.run(feeds, fetches, 5.0)
            taken.append(time.perf_counter() - started)

    threads = [threading.Thread(target=call) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    p50, p99 = np.percentile(taken, [50, 99]) * 1e3
    return f"{len(taken) / seconds:8.0f} requests/s, p50 {p50:.2f} ms, p99 {p99:.2f} ms"


def futures(runner: BatchingRunner, waiting: int, seconds: float) -> str:
    """One thread that keeps so many requests waiting."""
    feeds, fetches = request(runner)
    pending: collections.deque[Any] = collections.deque()
    completed = submitted = 0
    spent = 0.0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        while len(pending) < waiting:
            started = time.perf_counter()
            pending.append(runner.submit(feeds, fetches, 5.0))
            spent += time.perf_counter() - started
            submitted += 1
        pending.popleft().result()
        completed += 1
    rate, submit = completed / seconds, spent / submitted * 1e6
    return f"{rate:8.0f} requests/s, submit {submit:.1f} us"


def request(runner: Runner) -> tuple[dict[str, np.ndarray], list[str]]:
    signature = runner.signatures["serving_default"]
    image = np.random.default_rng(0).integers(0, 256, (1, 28, 28, 1), np.uint8)
    fetches = [signature.outputs["probabilities"].name]
    return {signature.inputs["images"].name: image}, fetches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--timeout-micros", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1.5)
    arguments = parser.parse_args()
    micros, seconds = arguments.timeout_micros, arguments.seconds
    with tempfile.TemporaryDirectory() as directory:
        paths = [Path(directory, "plain"), Path(directory, "batched")]
        for path, module in zip(paths, (LeNet5(), LeNet5(micros)), strict=True):
            tf.saved_model.save(module, str(path), {"serving_default": module.serve})
        scheduler = Scheduler(PoolOptions(THREADS))
        options = QueueOptions(LARGEST, LARGEST, micros / 1e6, max_enqueued_batches=100)
        ours = BatchingRunner(Runner(paths[0]), scheduler, options)
        runners = {
            "not batched": Runner(paths[0]),
            "TensorFlow's": Runner(paths[1]),
            "ours": ours,
        }
    for runner in runners.values():
        callers(runner, 4, 0.3)  # the first runs are slow
    for count in (1, CALLERS):
        for name, runner in runners.items():
            line = callers(runner, count, seconds)
            print(f"{count:2} callers, {name:<13}{line}", flush=True)
    print(f"{CALLERS} futures, ours         {futures(ours, CALLERS, seconds)}")
    for runner in runners.values():
        runner.close()
    scheduler.close()


if __name__ == "__main__":
    main()
