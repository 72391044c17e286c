"""The ceiling of benchmarks/serve.py: the same SavedModel, run without any server.

    python benchmarks/serve_inprocess.py VERSION_DIRECTORY THREADS_PER_OPERATION

Each line that comes in is [images per run, callers at the same time, seconds], each
line that goes out the images per second.
"""

import json
import os
import sys
import threading
import time

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import numpy as np
import tensorflow as tf


def load(directory: str, threads: int):
    """Return a function of an array of images, and the shape of an image."""
    config = tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=threads, inter_op_parallelism_threads=-1
    )
    session = tf.compat.v1.Session(graph=tf.Graph(), config=config)
    with session.graph.as_default():
        loaded = tf.compat.v1.saved_model.loader.load(session, ["serve"], directory)
    signature = loaded.signature_def["serving_default"]
    images = signature.inputs["images"]
    outputs = [tensor.name for tensor in signature.outputs.values()]
    shape = [dim.size for dim in images.tensor_shape.dim][1:]
    return session.make_callable(outputs, [images.name]), shape


def measure(run, images: np.ndarray, callers: int, seconds: float) -> float:
    """Return how many images per second so many callers get through."""
    run(images)
    end = time.perf_counter() + seconds
    runs = [0] * callers

    def call(number: int) -> None:
        while time.perf_counter() < end:
            run(images)
            runs[number] += 1

    started = time.perf_counter()
    threads = [threading.Thread(target=call, args=[n]) for n in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(runs) * len(images) / (time.perf_counter() - started)


def main() -> None:
    """Measure for every line that comes in."""
    run, shape = load(sys.argv[1], int(sys.argv[2]))
    random = np.random.default_rng(0)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        size, callers, seconds = json.loads(line)
        images = random.integers(0, 256, (size, *shape), np.uint8)
        print(json.dumps(measure(run, images, callers, seconds)), flush=True)


if __name__ == "__main__":
    main()
